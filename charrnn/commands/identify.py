"""``charrnn identify``: which of several models explains each line, or each file, best."""

import codecs
import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import click

from charrnn.checkpoints.run_names import RUNS, SUFFIX
from charrnn.commands import compiled
from charrnn.commands.compressed_files import force_option
from charrnn.commands.help import option, section
from charrnn.commands.input_files import files_argument, for_each, input_names, require_no_terminal, shown
from charrnn.commands.options import general_options, ngrams_option
from charrnn.commands.types import NamedCheckpoint, Number, OutputFile, Weight, Whole
from charrnn.commands.work import Work, command

_LONGEST_SHOWN = 10_000  # bytes of a line that is written beside its answer


class Identifying(Work):
    """Files whose lines are identified, or a folder that is learnt."""

    # ---- learning --------------------------------------------------------------------------------------

    def learn(self) -> None:
        """Learn the files of a folder, check what was learnt, and save it."""
        from charrnn.display.reports.identification import learnt_lines
        from charrnn.errors import CheckpointError, os_errors_as
        from charrnn.model.held_out import check
        from charrnn.model.identifier import model_set_of
        from charrnn.model.text_folder import read_folder

        folder, target = self.options["learn"], self._target()
        self.announce_compilation()
        with self.bar("Reading the texts") as progress:
            parts, notes = read_folder(folder, self.options["size"], progress)
        for note in notes:
            self.terminal.note(note)
        found = model_set_of(parts)
        with self.bar("Learning") as progress:
            checked = check(parts, threads=self.options["threads"], progress=progress)
        with os_errors_as(CheckpointError, f"{target.parent}: cannot be made"):
            target.parent.mkdir(parents=True, exist_ok=True)
        found.save(target)
        models = [{"name": name, "bytes": len(text), **checked[name]._asdict()} for name, text in found.texts.items()]
        about = {"file": str(target), "size": target.stat().st_size, "models": models}
        self.show([about], learnt_lines(about, self.terminal.width))
        name = target.stem if target.parent == RUNS else target
        self.terminal.note(f"Saved to {target}, which holds the learnt part of each text. Next:")
        self.terminal.note(f"  charrnn identify --model {name} FILE")

    def _target(self) -> Path:
        """The file to write.

        Raises:
            CheckpointError: it is there already, or the folder has no name.
        """
        from charrnn.checkpoints.run_names import require_run_name
        from charrnn.errors import CheckpointError

        target = self.options["output"]
        if target is None:
            folder = self.options["learn"]
            target = RUNS / f"{require_run_name(folder.name.strip('.') or folder.resolve().name)}{SUFFIX}"
        if target.exists() and not self.options["force"]:
            raise CheckpointError(f"{target} is there already: give --force to replace it, or -o to name another file")
        return target

    # ---- identifying -----------------------------------------------------------------------------------

    def open(self) -> None:
        """Load the models.

        Raises:
            CharRNNError: one cannot be loaded, or two have the same name.
        """
        from charrnn.checkpoints.model_set import ModelSet, is_model_set
        from charrnn.errors import ConfigError
        from charrnn.model.identifier import Identifier, learnt

        self.announce_compilation()
        models: dict[str, Any] = {}
        for name, path in self.options["models"]:
            if is_model_set(path):
                if name is not None:
                    raise ConfigError(f"{path}: a set of models has names of its own: leave {name}= out")
                with self.bar(f"Learning {path.name}") as progress:
                    found = learnt(ModelSet.load(path), self.options["threads"], progress)
            else:
                found = {name or _name_of(path): self._load(path)}
            for each, model in found.items():
                if each in models:
                    raise ConfigError(f"two models are called {each}: give one another name, as NAME=CHECKPOINT")
                models[each] = model
        prior = dict(self.options["prior"])
        how = {"none": self.options["none"], "temperature": self.options["temperature"]}
        self.identifier = Identifier(models, prior=prior, threads=self.options["threads"], **how)

    def _load(self, path: Path):
        from charrnn.model import load

        self.options["checkpoint"] = path
        needs = partial(compiled.mixing_if_asked, self.options)
        self.model = load(path, threads=self.options["threads"], warn=self.terminal.warn, needs=needs)
        return self.mixed(wanted=False) or self.model

    def all(self) -> None:
        """Identify every file. One that fails does not keep the others from it; at the end the exit status is 1."""
        from charrnn.text.lines import opened

        self._width = max(map(len, (*self.identifier.names, "none")))
        names, whole = input_names(self.options), []
        self._several = len(names) > 1

        def read(name: str) -> None:
            with opened(name) as (source, size), self._bar(name) as progress:
                require_no_terminal(source)
                report = self._whole if self.options["whole"] else self._lines
                whole.append(report(name, source, lambda done: progress(done, size or 0)))

        try:
            for_each(self.terminal, [(name,) for name in names], read)
        finally:
            if self.options["whole"] and whole:
                from charrnn.display.reports.identification import whole_lines

                self.show(whole, whole_lines(whole, self.terminal.width))

    def _bar(self, name: str):
        """A progress bar, unless answers are written to the same terminal, and show the progress themselves."""
        from charrnn.records import no_progress

        if self.terminal.stdout_is_terminal and not self.options["whole"]:
            return nullcontext(no_progress)
        return self.bar(f"Reading {shown(name)}")

    def _lines(self, name: str, source: BinaryIO, progress) -> None:
        """Write an answer for each line of a file, and a summary."""
        counts: Counter = Counter()
        for number, data, losses, characters in self._scored(name, source, progress):
            found = self.identifier.result(losses, characters)
            counts[_answer(found) or "empty"] += 1
            self._say(name, number, data, found)
        total = counts.total()
        if total and not self.terminal.wants_json:
            empty = counts.pop("empty", 0)
            parts = [f"{each} {count:,}" for each, count in counts.most_common(8)]
            more = [f"{len(counts) - 8} others"] if len(counts) > 8 else []
            lines = f"{total:,} lines" if total > 1 else "1 line"
            self.terminal.note(
                f"{shown(name)}: {lines}: {', '.join([*parts, *more, *([f'{empty:,} empty'] * bool(empty))])}"
            )

    def _whole(self, name: str, source: BinaryIO, progress) -> dict[str, Any]:
        """The answer for a file as a JSON object."""
        import numpy as np

        totals, count, lines = np.zeros(len(self.identifier.names) + 1), 0, 0
        for _, _, losses, characters in self._scored(name, source, progress):
            totals, count, lines = totals + losses, count + characters, lines + 1
        return {"file": name, "lines": lines} | _as_dict(self.identifier.result(totals, count))

    def _scored(self, name: str, source: BinaryIO, progress) -> Iterator[tuple[int, bytes, Any, int]]:
        """The number, the first bytes, the losses (M + 1,) and the characters of each line of a file."""
        held, losses, characters, done = b"", 0.0, 0, 0
        for lines in _lines_of(source, name):
            for line, row in zip(lines, self.identifier.totals([line.text for line in lines]), strict=True):
                if len(held) < _LONGEST_SHOWN:
                    held += line.text
                losses, characters = losses + row, characters + len(line.text.decode("utf-8", "surrogateescape"))
                done += len(line.text) + 1
                if line.is_ended:
                    yield line.number, held, losses, characters
                    held, losses, characters = b"", 0.0, 0
            progress(done)

    def _say(self, name: str, number: int, data: bytes, found) -> None:
        """Write the answer for a line."""
        if self.terminal.wants_json:
            text = data[:_LONGEST_SHOWN].decode("utf-8", "replace")
            self.terminal.json({"file": name, "line": number} | _as_dict(found) | {"text": text})
            return
        from charrnn.display.reports.identification import answer_fields, answer_line

        about = _as_dict(found)
        if self.terminal.stdout_is_terminal:
            text = data[:_LONGEST_SHOWN].decode("utf-8", "replace")
            self.terminal.show(answer_line(about, text, self._width, self.terminal.width))
            return
        fields = [name] * self._several + answer_fields(about)
        self.terminal.write_bytes(
            "\t".join(fields).encode("utf-8", "surrogateescape") + b"\t" + data[:_LONGEST_SHOWN] + b"\n"
        )


def _lines_of(source: BinaryIO, name: str) -> Iterator[list]:
    """The lines of a file, those of a block at a time, without a byte-order mark of UTF-8; long ones are in parts."""
    from charrnn.model.identifier import LONGEST_PART
    from charrnn.text.lines import LineCutter, blocks

    cutter, begins = LineCutter(None, drop_cr=True, longest=LONGEST_PART), True
    for data in itertools.chain(blocks(source, shown(name)), [b""]):
        lines = cutter.feed(data, final=not data)
        if lines and begins:
            lines[0] = lines[0]._replace(text=lines[0].text.removeprefix(codecs.BOM_UTF8))
            begins = False
        if lines:
            yield lines


def _answer(found) -> str | None:
    """The name of the likeliest model, or "none" if it is none of them; None for an empty text."""
    return found.name or "none" if found.characters else None


def _as_dict(found) -> dict[str, Any]:
    """An answer as a part of a JSON object."""
    answer = _answer(found)
    probabilities = {name: round(value, 6) for name, value in found.probabilities.items()}
    about = {"name": answer, "probability": found.probability if answer else None}
    return about | {"probabilities": probabilities, "characters": found.characters, "bpc": found.bits}


def _name_of(path: Path) -> str:
    """The name of a checkpoint that is given without one."""
    return path.stem if path.suffix == SUFFIX else path.name


@command(
    Identifying,
    files_argument,
    section(
        "The models",
        option(
            "--model", "models", type=NamedCheckpoint(), multiple=True, metavar="NAME=CHECKPOINT",
            help="A model and what it stands for; or a set of models that --learn has saved, without a name. May be "
            "repeated.",
        ),
        ngrams_option("Read with each checkpoint together with its n-grams.", "off"),
    ),
    section(
        "What is asked",
        option("--whole", is_flag=True, help="One answer for each file, not for each line."),
        option(
            "--prior", type=Weight(), multiple=True, metavar="NAME=X", rare=True,
            help="How likely a model is before anything is read, beside the others, which have 1. May be repeated.",
        ),
        option(
            "--none", type=Number(0, 0.999), rare=True,
            help="How likely none of them is before anything is read; 0 leaves this answer out.  "
            "[default: as likely as one model]",
        ),
        option(
            "--temperature", type=Number(1e-6, 1000), default=3.0, rare=True,
            help="Losses are divided by it. The higher it is, the less sure the answers are.",
        ),
    ),
    section(
        "Learning",
        option(
            "--learn", type=click.Path(path_type=Path), metavar="FOLDER",
            help="Learn a small model of each file in FOLDER, called as the file is without its ending.",
        ),
        option(
            "-o", "--output", type=OutputFile(SUFFIX),
            help=f"--learn: the file to save the models to.  [default: {RUNS}/FOLDER{SUFFIX}]",
        ),
        force_option,
        option(
            "--size", type=Whole(1, 1_000_000), default=250_000, rare=True,
            help="--learn: bytes of each file to learn, from all over it.",
        ),
    ),
    general_options,
)  # fmt: skip
def identify(work: Identifying) -> None:
    """Tell which of several models explains each line of FILE best, how probable that is, and what comes second. "none"
    stands for none of them. Without FILE, standard input is read.

    A model can be any checkpoint. For languages, authors or kinds of files, --learn makes small models of the texts in
    a folder, in a moment, and saves them in one file.

    \b
    charrnn identify --learn languages/
    charrnn identify --model languages letters.txt
    charrnn identify --model tales=fables --model mine=NAME notes.txt --whole

    \f

    Off a terminal each line has the answer, its probability, the second answer, its probability and the line, with tabs
    between them; before them the file, if there are several.

    --json writes an object for each line: file, line (its number), name (null if it is empty), probability,
    probabilities (all by name, the likeliest first), characters, bpc (bits per character) and text; with --whole an
    object for each file, with lines, their number, and without text; with --learn one: file, size (bytes), and models,
    each with name, bytes, and the pieces of 100 characters that were held out: pieces, right, taken_for.
    """
    options = work.options
    if options["learn"] is not None:
        if options["models"] or options["files"] or options["whole"]:
            raise click.UsageError("--learn makes models, and reads no FILE: leave --model, --whole and FILE out.")
        work.learn()
        return
    if options["output"] is not None or options["force"]:
        raise click.UsageError("-o and --force say where --learn saves: give --learn FOLDER, or leave them out.")
    if not options["models"]:
        raise click.UsageError("Give --model NAME=CHECKPOINT, or a set of models, or --learn FOLDER to make one.")
    work.open()
    work.all()
