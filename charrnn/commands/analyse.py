"""``charrnn analyse``: what Karpathy, Johnson & Li (2015) counted, for any model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from charrnn.commands.options import (
    OutputFile,
    Whole,
    checkpoint_argument,
    json_option,
    load_model,
    quiet_option,
    threads_option,
    unknown_option,
)
from charrnn.errors import ConfigError

_FIT = click.option(
    "--fit", metavar="TEXT", multiple=True,
    help="Text that n-grams and words are counted in. May be repeated.  [default: the run's training part]",
)  # fmt: skip
_SHARED = (
    checkpoint_argument,
    click.argument("text", nargs=-1, metavar="[TEXT]..."),
    click.option(
        "--part", type=click.Choice(("train", "validation", "test", "all")),
        help="Part of the run's own text.  [default: validation; all of a text that is not the run's]",
    ),
    click.option("--svg", type=OutputFile(".svg"), metavar="FILE", help="Draw the figure, too, as SVG."),
    click.option("--png", type=OutputFile(".png"), metavar="FILE", help="The same as PNG; needs matplotlib."),
    click.option("--encoding", help="Encoding of the text.  [default: that of the training text]"),
    unknown_option,
    threads_option,
    quiet_option,
    json_option,
)  # fmt: skip


def _shared(*more: Callable) -> Callable:
    """A decorator with the options of all analyses, and ``more`` before the drawn ones."""

    def declare(command: Callable) -> Callable:
        for option in reversed([*_SHARED[:3], *more, *_SHARED[3:]]):
            command = option(command)
        return command

    return declare


@click.group()
def analyse() -> None:
    """The analyses of Karpathy, Johnson & Li, "Visualizing and Understanding Recurrent Networks" (2015), for the model
    in CHECKPOINT reading TEXT; without TEXT the part of the run's own that was held out, where that is still to be
    found. docs/INSPECTION_METHODS.md defines what is counted.

    \b
    charrnn analyse saturation checkpoints/fables
    charrnn analyse errors checkpoints/fables --svg errors.svg
    charrnn analyse distance checkpoints/fables corpora/fables.txt --part validation
    """


@analyse.command(short_help="How often gates are as good as closed or open.")
@_shared()
def saturation(checkpoint: Path, **options: Any) -> None:
    """The share of time that each unit's gates are under 0.1 and over 0.9; for the candidate and tanh(c) -0.9 and 0.9.

    A table by layer over its units (mean, quartiles, how many are there over 90 % of the time, the extreme one), and a
    scatter of the units for each gate.

    --json writes an object for each layer: layer, characters, part, and low and high, which have for i, f, o, g and
    tanh_c the share of each unit.
    """
    from charrnn.display.figures.analyses import saturation_figure
    from charrnn.display.reports.saturation import saturation_lines
    from charrnn.inference.ensemble import Ensemble
    from charrnn.training.diagnosis import saturation as count

    work = _Work(checkpoint, options)
    if isinstance(work.model.network, Ensemble):
        raise ConfigError("an ensemble has no gates of its own: look into its models one by one")
    with work.progress() as progress:
        found = count(work.model.network, work.part.ids, progress=lambda *done: progress("Reading", *done))
    layers = [
        {
            "layer": layer,
            "characters": found.characters,
            "part": work.part.name,
            "low": {name: shares[layer] for name, shares in found.low.items()},
            "high": {name: shares[layer] for name, shares in found.high.items()},
        }
        for layer in range(work.model.network.config.layers)
    ]
    work.finish(layers, saturation_lines(layers, work.terminal.width), lambda: saturation_figure(layers))


@analyse.command(short_help="What unexpected characters have in common.")
@_shared(_FIT)
def errors(checkpoint: Path, **options: Any) -> None:
    """Characters that had less than 1/2, by what would have fixed them: a chain of oracles, each of which takes errors
    away from the next.

    N-grams of order 1 to 9; a word seen in the last 100 to 5,000 characters; words that are rare in the training text;
    the first character of a word and of a line; punctuation; and how much the rest lacks to 1/2.

    --json writes one object: part, characters, loss (nats per character), errors, share (of the characters),
    loss_share, oracles (group, name, errors, share of the errors, loss_share of all loss).
    """
    from charrnn.analysis.errors import mistakes
    from charrnn.display.figures.analyses import errors_figure
    from charrnn.display.reports.errors import errors_lines

    work = _Work(checkpoint, options)
    training = work.training()
    with work.progress() as progress:
        found = mistakes(work.model, work.part.ids, training, work.part.before, progress)
    report = {
        "part": work.part.name,
        "characters": found.characters,
        "loss": found.loss / found.characters,
        "errors": found.errors,
        "share": found.errors / found.characters,
        "loss_share": found.error_loss / found.loss,
        "oracles": [
            {
                "group": each.group,
                "name": each.name,
                "errors": each.errors,
                "share": each.errors / max(found.errors, 1),
                "loss_share": each.loss / found.loss,
            }
            for each in found.shares
        ],
    }
    work.finish([report], errors_lines(report, work.terminal.width), lambda: errors_figure(report))


@analyse.command(short_help="What a long way back to an opening sign costs.")
@_shared(
    click.option("--order", type=Whole(1, 12), help="Order of the n-gram.  [default: the best one on this text]"), _FIT
)
def distance(checkpoint: Path, **options: Any) -> None:
    """The loss at closing brackets, closing quotation marks and line ends by the distance to the opening sign or to the
    line end before, beside an n-gram's: it cannot look back further than its order.

    --json writes one object: part, characters, loss, baseline, order, kinds; for each kind its bins (start, stop,
    count, loss, loss_error, baseline, baseline_error, gain, gain_error).
    """
    from dataclasses import asdict

    from charrnn.analysis.distance import distances
    from charrnn.display.figures.analyses import distance_figure
    from charrnn.display.reports.distance import distance_lines

    work = _Work(checkpoint, options)
    training = work.training()
    with work.progress() as progress:
        found = distances(work.model, work.part.ids, training, work.part.before, options["order"], progress)
    report = {"part": work.part.name, **asdict(found)}
    work.finish([report], distance_lines(report, work.terminal.width), lambda: distance_figure(report))


class _Work:
    """What every analysis does before and after its own part."""

    def __init__(self, checkpoint: Path, options: dict[str, Any]):
        from charrnn.commands.texts import Texts
        from charrnn.display.terminal.console import Terminal

        self._options = options
        self.terminal = Terminal(options["quiet"], options["as_json"])
        self.model = load_model(checkpoint, options["threads"], self.terminal)
        self._texts = Texts(self.model, {"fit": (), **options}, self.terminal)
        self.part = self._texts.scored(held_out=True)

    def training(self):
        """Ids (N,) that n-grams and words are counted in.

        Raises:
            ConfigError: they are the text that is scored.
        """
        if not self._options["fit"] and self._texts.is_own and self.part.name in ("train", "all"):
            raise ConfigError("n-grams learn from the training part: choose another --part, or --fit another text")
        training = self._texts.training
        if len(training) == len(self.part.ids) and (training[:] == self.part.ids[:]).all():
            raise ConfigError("n-grams would learn from the text that is scored: --fit another text")
        return training

    @contextmanager
    def progress(self) -> Iterator[Callable[[str, int, int], None]]:
        """Yields report(what, done, total): a bar for each thing that is done."""
        from contextlib import ExitStack

        from charrnn.display.terminal.progress_bar import progress_bar

        with ExitStack() as shown:
            bars: dict[str, Callable[[int, int], None]] = {}

            def report(what: str, done: int, total: int) -> None:
                if what not in bars:
                    shown.close()
                    bars.clear()
                    bars[what] = shown.enter_context(progress_bar(self.terminal, what))
                bars[what](done, total)

            yield report

    def finish(self, objects: list[dict[str, Any]], lines: list, figure: Callable) -> None:
        """Write the numbers, and draw the figure where it is asked for."""
        from charrnn.display.figures import save

        if self.terminal.wants_json:
            for value in objects:
                self.terminal.json(value)
        else:
            self.terminal.show(*lines)
        for path in (self._options["svg"], self._options["png"]):
            if path is not None:
                save(figure(), path)
                self.terminal.note(f"wrote {path}")
