"""The model of an inspection, the text that it reads (TEXT or --text, from --offset on), and the cells to look at."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import click
from click.core import ParameterSource

from charrnn.commands import compiled, offers
from charrnn.commands.help import option, section
from charrnn.commands.inspect.cells import Cell, name
from charrnn.commands.inspect.naming import tracked_cells
from charrnn.commands.options import checkpoint_argument, encoding_option, general_options, unknown_option
from charrnn.commands.types import GIVEN, OutputFile, Whole
from charrnn.commands.work import Work, command

_KEPT = ("literal", "encoding", "unknown", "signals", "offset", "length")  # options that a further command repeats
_SAMPLE = 8_000_000  # values that the gallery is chosen by

text_options = section(
    "The text",
    click.argument("text", required=False, metavar="[TEXT]", shell_complete=offers.texts),
    option("--text", "literal", metavar="TEXT", help="The text itself, instead of a file."),
    encoding_option,
    unknown_option,
)
pager_option = option("--pager/--no-pager", default=True, rare=True, help="Page output that is longer than the screen.")


def stretch_options(length: int | None, otherwise: str = ""):
    """``--offset`` and ``--length``, which is ``length`` by default, or None, which means ``otherwise``."""
    return section(
        "The part of the text",
        option("--offset", type=Whole(0), default=0, help="First character to read."),
        option("--length", type=Whole(1), default=length, help=f"Characters to read.{otherwise}"),
    )


def output_option(*suffixes: str, required: bool = True):
    """``-o`` / ``--output``, a file with one of these suffixes."""
    drawn = ".png" in suffixes
    return option(
        "-o", "--output", type=OutputFile(*suffixes), required=required,
        help=("Where to draw it" if drawn else "Where to write it") + ("; PNG needs matplotlib." if drawn else "."),
    )  # fmt: skip


class Inspection(Work):
    """A model, and the text that it reads.

    Attributes:
        ids: of the text, (N,). :meth:`open` sets them.
        own_ids: the same ids if the text is the run's own, else None.
    """

    own_ids = None

    def open(self, *needs: compiled.Kernels):
        """Load the model and read the text; the model and the ids (N,). ``needs`` are those of :meth:`load`.

        Raises:
            click.UsageError: two texts are given.
            CharRNNError: the model or the text cannot be used.
        """
        self.require_one_text()
        self.load(compiled.naming, *needs)
        self.ids = self.read_text()
        return self.model, self.ids

    def require_one_text(self) -> None:
        """Refuse TEXT beside --text."""
        if self.options["text"] is not None and self.options["literal"] is not None:
            raise click.UsageError("Give one text: a file, - for standard input, or --text TEXT.")

    def read_text(self):
        """Ids (N,) of the text that is given, or else of the held-out part of the run's own text."""
        from charrnn.commands.texts import Texts

        text, literal, unknown = (self.options[each] for each in ("text", "literal", "unknown"))
        if literal == "":
            raise click.UsageError("--text is empty: there is nothing to read.")
        if literal is not None:
            return self.model.encode(self.typed(literal), unknown)
        named = () if text is None else (text,)
        texts = Texts(self.model, self.terminal, named, encoding=self.options["encoding"], unknown=unknown)
        if named:
            if texts.is_own:
                self.terminal.note("The model was trained on this text: leave TEXT out for the part that was held out.")
            return texts.corpus.ids
        part = texts.scored()
        whole = part.name == "all"
        self.terminal.note(
            "reads all of the run's own text" if whole else f"reads the {part.name} part of the run's own text"
        )
        self.own_ids = part.ids
        return part.ids

    @property
    def given_checkpoint(self) -> str:
        """CHECKPOINT as the user gave it: a name, or a path."""
        return click.get_current_context().meta[f"{GIVEN}checkpoint"]

    @cached_property
    def tracked(self):
        """What cells track: a ``Tracked`` by cell (layer, unit), for the cells of which it is known.

        Ask for it before results are shown: the first time takes some seconds, and shows a progress bar.
        """
        return tracked_cells(self) if self.options["names"] else {}

    def tracks(self, cell: Cell) -> dict[str, Any] | None:
        """What a cell tracks as a JSON object: hypothesis, measure (auc or spearman), value; None if unknown."""
        return self.tracked[cell]._asdict() if cell in self.tracked else None

    @cached_property
    def signals(self):
        """The signals of ``--signal``, or the most telling one of the model's cell; a usage error if it lacks one."""
        from charrnn.errors import ConfigError

        try:
            return [self.model.network.cell.signal(name) for name in self.options["signals"] or (None,)]
        except ConfigError as error:
            raise click.BadParameter(f"{error}.", param_hint="--signal") from None

    @property
    def signal(self):
        """The first of the signals. Cells are chosen by it."""
        return self.signals[0]

    @property
    def other_signals(self) -> list[str]:
        """The names of the others."""
        return [signal.name for signal in self.signals[1:]]

    @property
    def stretch(self) -> tuple[str, int, int]:
        """What to read: the signal's name, the first character, and how many."""
        return self.signal.name, self.options["offset"], self.options["length"]

    @property
    def meaning(self) -> str:
        """What the signals mean, for a title."""
        return "; ".join(signal.meaning for signal in self.signals)

    def row_names(self, cells: Sequence[Cell]) -> list[str]:
        """What the rows of several ``cells`` and signals are called: for each cell one row for each signal."""
        if len(self.signals) == 1:
            return list(map(name, cells))
        return [
            signal.name if len(cells) == 1 else f"{name(cell)} {signal.name}"
            for cell in cells
            for signal in self.signals
        ]

    @cached_property
    def symbols(self) -> list[str]:
        """The characters of the model, each as one that can be shown; a byte as the character of its number."""
        from charrnn.inspection.reading import symbol_text

        return [symbol_text(symbol) for symbol in self.model.vocabulary.symbols]

    @property
    def scale(self):
        """The colours of the signal: from 0 to 1, or symmetric about 0."""
        from charrnn.display.terminal.colours import scale_from

        return scale_from(self.signal.low)

    @property
    def look(self):
        """How cells are coloured on this terminal."""
        return self.terminal.look(self.scale)

    def command(self, subcommand: str, *words: str) -> str:
        """A command for the same model, text, stretch of it and signal, as it is typed into a shell.

        The model is called what the user called it. The word show is left out.
        """
        from charrnn.commands.inspect import COMMANDS
        from charrnn.display.training.run_state import argument

        given, text = self.given_checkpoint, self.options["text"]
        parts = ["charrnn", "inspect", *([] if subcommand == "show" and given not in COMMANDS else [subcommand]), given]
        parts += [] if text is None else [text]
        ctx = click.get_current_context()
        for param in ctx.command.params:
            # An ablation clamps what the cell has: it has no choice of signal.
            is_kept = param.name in _KEPT and (param.name != "signals" or subcommand != "ablate")
            if is_kept and ctx.get_parameter_source(param.name) == ParameterSource.COMMANDLINE:
                value = ctx.params[param.name]
                parts += [param.opts[0], ",".join(value) if isinstance(value, list) else str(value)]
        return " ".join(map(argument, [*parts, *words]))

    def require_cells(self) -> None:
        """Check that the model has the cells of ``--cell``."""
        from charrnn.inspection.clamping import require_cells

        require_cells(self.model.network, self.options["cell"])

    @property
    def has_attention(self) -> bool:
        """Whether the model has heads."""
        network = self.model.network
        return bool(network.cell.heads(network.config))

    def require_attention(self) -> None:
        """Check that the model has heads; the error names the checkpoint."""
        from charrnn.errors import ConfigError
        from charrnn.inspection.heads import require_attention

        try:
            require_attention(self.model.network)
        except ConfigError as error:
            raise ConfigError(f"{self.options['checkpoint']}: {error}") from None

    def require_heads(self) -> None:
        """Check that the model has the heads of ``--head``."""
        from charrnn.inspection.heads import require_heads

        self.require_attention()
        require_heads(self.model.network, self.options["head"])

    def tracking(self, ids, count: int, permutations: int = 0) -> dict[Cell, str]:
        """The ``count`` cells that track the hypothesis best over ids (N,), with their scores in words.

        With ``permutations`` the words have p, too, or say that there is none.
        """
        from charrnn.inspection.search import find

        hypotheses = (self.options["hypothesis"].hypothesis(len(ids)),)
        how = {"signal": self.signal.name, "permutations": permutations, "with_probe": False, "seed": 0}
        with self.bar("Reading") as progress:
            (finding,) = find(self.model, ids, hypotheses, **how, progress=progress).found
        return {cell: _in_words(finding, cell, bool(permutations)) for cell in finding.ranked(count)}

    def chosen_with_scores(self, count: int, permutations: int = 0) -> dict[Cell, str]:
        """The cells of --cell, then ``count`` that track the hypothesis or else of the gallery, with their scores."""
        self.require_cells()
        wish = self.options.get("hypothesis")  # show has none
        found = self.tracking(self.ids, count, permutations) if wish else self._gallery(count)
        return {cell: found.get(cell, "") for cell in [*self.options["cell"], *found]}

    def chosen(self, count: int) -> list[Cell]:
        """The same without scores. The gallery is asked only where neither --cell nor a hypothesis names cells."""
        if self.options["cell"] and not self.options.get("hypothesis"):
            self.require_cells()
            return self.options["cell"]
        return list(self.chosen_with_scores(count))

    def _gallery(self, count: int) -> dict[Cell, str]:
        """The ``count`` cells with the most structure, with their scores in words."""
        from charrnn.inspection.gallery import gallery
        from charrnn.inspection.reading import read_all

        config, (signal, offset, length) = self.model.network.config, self.stretch
        sample = min(length, max(_SAMPLE // (config.layers * config.hidden), 1000))
        reading = read_all(self.model, self.ids, signal, offset, sample)
        return {(find.layer, find.unit): f"{find.score:.3f}" for find in gallery(reading, count)}

    def write_file(self, data: bytes) -> None:
        """Write the file of ``-o`` whole or not at all, and say so."""
        from charrnn.errors import ConfigError, os_errors_as
        from charrnn.system.files import write_durably

        path = self.options["output"]
        with os_errors_as(ConfigError, f"{path}: cannot be written"):
            write_durably(path, data)
        self.tell_file(f" ({len(data) / 1e6:,.1f} MB)")

    def tell_file(self, size: str = "") -> None:
        """Say that the file of ``-o`` is written, with ``--json`` as an object."""
        path = self.options["output"]
        self.terminal.note(f"wrote {path}{size}")
        if self.terminal.wants_json:
            self.terminal.json({"record": "file", "path": str(path), "bytes": path.stat().st_size})


def _in_words(finding, cell: Cell, with_p: bool) -> str:
    from charrnn.display.reports.names import NOT_SIGNIFICANT, measured

    words = measured(finding.measure, float(finding.scores[cell]), 3)
    if not with_p:
        return words
    if finding.why_no_p:
        return f"{words}, no p"
    mark = "" if finding.is_significant(cell) else f" {NOT_SIGNIFICANT}"
    return f"{words}, p {finding.p[cell]:.3f}{mark}"


def inspecting(*declare: Callable, checkpoint: Callable = checkpoint_argument) -> Callable:
    """A decorator: makes a command of a function that takes an :class:`Inspection`, with more options: ``declare``."""
    return command(Inspection, checkpoint, *declare, text_options, general_options)
