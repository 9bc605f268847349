"""From the options of a resume to a trainer that goes on with a run, and how it differs from that run."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.fingerprint import fingerprint
from charrnn.checkpoints.run_folder import RunFolder
from charrnn.checkpoints.run_log import last_record
from charrnn.checkpoints.run_store import Warn
from charrnn.config import ENDS, TrainConfig
from charrnn.errors import CheckpointError, ConfigError, VocabularyError
from charrnn.network.cells import cell_of
from charrnn.network.network import Network
from charrnn.settings import LEARNING, MODEL, RUN, TEXT, Options, flag
from charrnn.text.corpus import Corpus, Parts
from charrnn.text.vocabulary import OR_SKIP
from charrnn.training import memory
from charrnn.training.new_run import where
from charrnn.training.ranks import Ranks
from charrnn.training.resuming import adapted, is_scored_anew
from charrnn.training.run import Run, prepare_kernels
from charrnn.training.trainer import Trainer

SETTLED = (*MODEL, *TEXT, "init", "forget_bias")  # by the weights, for good
HARMLESS = ("save_every", "sample_every", "keep_checkpoints")  # change no bit

ReadAgain = Callable[[Checkpoint], tuple[Corpus, Sequence[str]]]
"""Reads the text of the run of a checkpoint, as the run read it; also returns its sources."""


def resume(
    options: Options,
    read: ReadAgain,
    folder: RunFolder,
    warn: Warn,
    *,
    allow_different: bool = False,
    threads: int | None = None,
    ranks: Ranks | None = None,
) -> Trainer:
    """A trainer that goes on from the folder's last checkpoint.

    Args:
        options: those that are given change the run's.
        read: reads the text.
        folder: the run's.
        warn: called with a line about a damaged checkpoint.
        allow_different: go on if it would not be the same run, too.
        threads: how many to use; None for all that this process may use.
        ranks: the processes that train the run; without them this one alone.

    Raises:
        CharRNNError: there is no checkpoint, the run is complete, or it would not be the same run and nobody allowed
            that.
    """
    ranks = Ranks() if ranks is None else ranks
    path, checkpoint = _last(folder, warn)
    different, longer = _different_options(options, checkpoint)
    config = _settings(options, checkpoint)
    cell_of(checkpoint.model).check(config)
    corpus, sources = ranks.first_then_others(lambda: read(checkpoint), on="all")
    is_other_text = corpus.sha256 != checkpoint.corpus["sha256"]
    if is_other_text:
        different.append(other_text(corpus, sources, checkpoint.corpus))
    different += _different_program(checkpoint)
    if different and not allow_different:
        raise ConfigError(
            f"{folder.path}: it would not go on as the same run: {'; '.join(different)}. "
            "Change that back, or go on all the same with --allow-different"
        )
    facts = checkpoint.corpus | (where(corpus, sources) if is_other_text else {})
    parts = Parts.of(corpus.ids, config.split)
    if is_scored_anew(checkpoint, config, is_other_text):
        different.append("its evaluations cannot be compared: best, patience and plateaus begin anew")
    if different:
        checkpoint = adapted(checkpoint, config, len(parts.train), is_other_text)
    notes = (*corpus.notes, *(f"going on otherwise than begun: {each}" for each in different), *longer)
    memory.check(checkpoint.model, config, len(parts.train), ranks.size)
    ranks.first_then_others(lambda: prepare_kernels(checkpoint.model, config))
    network = Network(checkpoint.model, seed=None, threads=threads)
    try:
        run = Run(network, config, parts, checkpoint.vocabulary, facts, checkpoint, ranks)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    trainer = Trainer(run, folder, notes, options.values["diagnose"])
    _require_incomplete(trainer, folder, checkpoint)
    return trainer


def other_text(corpus: Corpus, sources: Sequence[str], facts: dict[str, Any]) -> str:
    """In words, how the text differs from the run's."""
    named = ", ".join("the text that was given" if source == "-" else source for source in sources)
    return (
        f"the text: {facts['characters']:,} characters, SHA-256 {facts['sha256'][:12]}… in the checkpoint, "
        f"{len(corpus):,}, {corpus.sha256[:12]}… in {named}"
    )


def not_the_text(error: VocabularyError) -> ConfigError:
    """The error for a text that has characters which the run's vocabulary lacks, so it cannot be the run's."""
    return ConfigError(
        f"not the text that the run was started with: {str(error).removesuffix(OR_SKIP)}; a new run can go on from its "
        "weights on another text, with --init-from and --grow-vocabulary"
    )


def _last(folder: RunFolder, warn: Warn) -> tuple[Path, Checkpoint]:
    """The path and the checkpoint to go on from.

    Raises:
        CheckpointError: there is none, or it has only weights.
    """
    path, checkpoint = folder.load_last(warn)
    if checkpoint.training is None or checkpoint.state is None or not checkpoint.corpus:
        raise CheckpointError(f"{path}: it has no run to resume, only weights; start one with --init-from")
    return path, checkpoint


def _require_incomplete(trainer: Trainer, folder: RunFolder, checkpoint: Checkpoint) -> None:
    """Refuse to go on with a run that has reached its end.

    Raises:
        ConfigError: it says which option makes the run longer.
    """
    if trainer.is_complete or _has_used_its_time(folder, checkpoint, trainer.subject.config):
        more = "--patience" if trainer.is_out_of_patience else "--epochs, --steps or --time-budget"
        raise ConfigError(
            f"{folder.path}: the run is complete after {checkpoint.counters['step']:,} steps; give more {more} to go on"
        )


def _has_used_its_time(folder: RunFolder, checkpoint: Checkpoint, config: TrainConfig) -> bool:
    """Whether the run has ended because its time was used up, and gets no more.

    The clock cannot tell: a run keeps some time free for its last evaluation and saves, and may need less.
    """
    event, record = last_record(folder.path) or ("", {})
    return (event, record.get("reason")) == ("finished", "budget") and (
        config.time_budget == checkpoint.training.time_budget
    )


def _different_options(options: Options, checkpoint: Checkpoint) -> tuple[list[str], list[str]]:
    """Two lists of sentences: the options that differ from the run's, and those that only make it longer.

    Raises:
        ConfigError: an option differs that the weights have settled.
    """
    was = _begun_with(checkpoint)
    different, longer = [], []
    for name in _given(options, (*MODEL, *TEXT, *LEARNING, *RUN)):
        asked = _short(options.values[name]) if name == "split" else options.values[name]
        if asked == was[name] or name in HARMLESS:
            continue
        words = f"{flag(name)}: {_shown(was[name])} in the checkpoint, {_shown(asked)} asked"
        if name in SETTLED:
            raise ConfigError(f"{words}, which its weights cannot follow: leave {flag(name)} out, or start a new run")
        if name in RUN:
            longer.append(f"{words}: the result will differ from a run that was begun with this")
        else:
            different.append(words)
    return different, longer


def _given(options: Options, names: Sequence[str]) -> list[str]:
    """The names among ``names`` of options that the user has chosen."""
    return [name for name in names if name in options.given]


def _begun_with(checkpoint: Checkpoint) -> dict[str, Any]:
    """All options of the run, as they would be given. Defaults that depend on others are filled in."""
    training = checkpoint.training
    was = {**asdict(checkpoint.model), **checkpoint.corpus, **training.to_dict()}
    was |= {"lr": training.learning_rate, "decay_rate": training.lr_decay, "weight_decay": training.decay}
    return was | {"split": _short(training.split)}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)


def _different_program(checkpoint: Checkpoint) -> list[str]:
    """In words, how the program that wrote the checkpoint differs from this one."""
    was = checkpoint.program
    return [
        f"{name}: {was[name]} in the checkpoint, {here} here"
        if name in was
        else f"{name}: an earlier version wrote the checkpoint, and did not record them"
        for name, here in fingerprint().items()
        if was.get(name) != here
    ]


def _settings(options: Options, checkpoint: Checkpoint) -> TrainConfig:
    """The run's settings, changed by the options that were given.

    Raises:
        ConfigError: --effort is given, and the run has another end.
    """
    settings = checkpoint.training.to_dict()
    changed = {name: options.values[name] for name in _given(options, (*LEARNING, *RUN)) if name not in SETTLED}
    if _short(options.values["split"]) == _short(settings["split"]):
        changed.pop("split", None)
    if changed.keys() & set(ENDS):
        settings |= dict.fromkeys(ENDS)
    if changed.get("optimizer", settings["optimizer"]) != settings["optimizer"]:
        settings["lr"] = None  # the other optimizer's default
    settings |= changed
    ends = [f"{flag(name)} {settings[name]:g}" for name in ENDS if settings[name] is not None]
    if "effort" in changed and ends:
        raise ConfigError(f"--effort has no effect on a run of {ends[0]}: change that, or leave --effort out")
    return TrainConfig.from_dict(settings)


def _short(split: str) -> str:
    """A split without its third part, the test part, if that is 0."""
    parts = split.split("/")
    return "/".join(parts[:2] if parts[2:] == ["0"] else parts)
