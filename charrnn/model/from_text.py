"""A model from a text: ``charrnn train`` as a function."""

import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Unpack

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_folder import RunFolder
from charrnn.checkpoints.run_in_memory import RunInMemory
from charrnn.checkpoints.run_names import RUNS, name_of_text, require_run_name
from charrnn.checkpoints.run_store import RunStore
from charrnn.errors import ConfigError, VocabularyError
from charrnn.model.model import Model
from charrnn.records import Finished, Record
from charrnn.settings import TEXT, Options, Settings, options_of
from charrnn.text.catalog import exists, load_catalog
from charrnn.text.corpus import open_corpus
from charrnn.text.id_cache import Corpus
from charrnn.text.sources import Source
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import new_run, resumed_run
from charrnn.training.stages import Stages
from charrnn.training.stopping import stopped_by_ctrl_c


def train(
    text: str | bytes | Path,
    *,
    out: str | Path | None = None,
    name: str | None = None,
    force: bool = False,
    resume: bool = False,
    allow_different: bool = False,
    threads: int | None = None,
    on_record: Callable[[Record], object] | None = None,
    **settings: Unpack[Settings],
) -> Model:
    """Train a model on a text, as ``charrnn train`` does: the same settings and seed give the same weights.

    Nothing is printed, and nothing of the run is written to the disk unless ``out`` or ``name`` is given.

    The first Ctrl-C while it trains ends the run after its step, as on the command line, and the best model so far is
    returned, with a warning. A second one raises KeyboardInterrupt.

    Args:
        text: a string is the text itself; bytes are, too, and make a model of bytes; a path names a file, a folder or a
            text of the catalog.
        out: the folder that holds the runs, by default ``checkpoints``. The run keeps its checkpoints and its log in
            ``out/name``, and can be resumed, here and by ``charrnn train --resume``.
        name: of the run, by default the file's name without its ending, or ``text``.
        force: replace a run of the same name.
        resume: go on with the run of this name, with the settings that it has; those that are given change it. A run
            that ended is made longer by ``steps``, ``epochs`` or ``time_budget``.
        allow_different: resume also if it would not be the same run: with another text, learning rate, program.
        threads: how many to use; None for all that this process may use. The result does not depend on it.
        on_record: called with each of the run's records (:mod:`charrnn.records`), the same ones that ``charrnn train
            --json`` writes. An exception that it raises ends the run.
        settings: all others, by their names: see :class:`charrnn.settings.Settings`.

    Returns:
        The model with the best validation loss, or of the last step if nothing was validated.
        :meth:`charrnn.model.Model.mixed` gives it together with the n-grams of the text.

    Raises:
        ConfigError: a setting is unknown, not valid, or contradicts another.
        CorpusError: the text cannot be read, or is too short.
        CheckpointError: there is a run of that name, or none to resume, or its folder cannot be read or written.
        DivergedError: the loss exploded again and again.
    """
    options = options_of(settings)
    source, options = _source(text, options)

    def read(options: Options, vocabulary: Vocabulary | None) -> Corpus:
        how = {each: options.values[each] for each in (*TEXT, "unknown")}
        return open_corpus([source], vocabulary=vocabulary, grow=options.values["grow_vocabulary"], **how)

    def read_again(checkpoint: Checkpoint) -> tuple[Corpus, Sequence[str]]:
        facts = checkpoint.corpus
        how = {each: facts[each] for each in TEXT} | {"unknown": facts.get("unknown")}
        try:
            corpus = open_corpus([source], vocabulary=checkpoint.vocabulary, **how)
        except VocabularyError as error:
            raise resumed_run.not_the_text(error) from None
        return corpus, corpus.sources

    folder: RunStore = RunInMemory()
    if out is not None or name is not None:
        own_name = "text" if isinstance(text, str | bytes) else name_of_text(text)
        folder = RunFolder(Path(RUNS if out is None else out) / require_run_name(own_name if name is None else name))
    elif resume:
        raise ConfigError("a run is kept in a folder: give out or name of the one to resume")
    elif options.values["snapshots"]:
        raise ConfigError("snapshots are kept in the folder of the run: give out, or leave them out")
    elif options.values["keep_checkpoints"]:
        raise ConfigError("checkpoints are kept in the folder of the run: give out, or leave keep_checkpoints out")
    _check_resume(resume, allow_different, force, options)
    with folder.locked():
        if isinstance(folder, RunFolder) and resume:
            trainer = resumed_run.resume(
                options, read_again, folder, warnings.warn, allow_different=allow_different, threads=threads
            )
        else:
            trainer = new_run.begin(options, read, folder, warnings.warn, force=force, threads=threads)
        stages, record = Stages(trainer, warnings.warn), None
        with stopped_by_ctrl_c(stages.stop):
            for _, teacher in stages.to_train():
                for record in teacher.run():
                    teacher.folder.record(record)
            stages.teach()
            for record in trainer.run():
                folder.record(record)
                if on_record is not None:
                    on_record(record)
        if isinstance(record, Finished) and record.reason == "interrupted":
            warnings.warn(f"interrupted at step {trainer.counters.step:,}: the best model so far", stacklevel=2)
        return Model.from_checkpoint(folder.load(warnings.warn), threads)


def _check_resume(resume: bool, allow_different: bool, force: bool, options: Options) -> None:
    """Refuse arguments that contradict each other.

    Raises:
        ConfigError: there are some.
    """
    if resume and (force or {"preset", "init_from"} & set(options.given)):
        raise ConfigError("resume goes on with a run; init_from, preset and force start one")
    if allow_different and not resume:
        raise ConfigError("allow_different goes with resume")


def _source(text: str | bytes | Path, options: Options) -> tuple[Path | Source, Options]:
    """Where the text is, and the options, which now say how it is read.

    Raises:
        ConfigError: ``text`` is of another type, or a string that seems to be the name of a file.
        CorpusError: the text has half a character.
    """
    if isinstance(text, Path):
        return text, options
    if isinstance(text, bytes):
        as_bytes = options.values["as_bytes"] or "as_bytes" not in options.given
        return Source.from_text(text), options.replaced({"as_bytes": as_bytes})
    if not isinstance(text, str):
        raise ConfigError(f"the text must be a str, bytes, or the Path of a file, not {type(text).__name__}")
    if _is_like_a_name(text):
        raise ConfigError(f"{text!r} would be the whole text, and is like the name of one: give Path({text!r})")
    return Source.from_text(text), options.replaced({"encoding": "utf-8"})


def _is_like_a_name(text: str) -> bool:
    """Whether a text is the name of a file or of a text of the catalog, or looks like the path of a file."""
    if not 0 < len(text) < 4096 or not text.isprintable():
        return False
    looks_so = not re.search(r"\s", text) and re.search(r"[/\\]|\.\w{1,5}$", text) is not None
    return looks_so or exists(Path(text)) or text in load_catalog()
