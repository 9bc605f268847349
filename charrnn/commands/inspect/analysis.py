"""What ``inspect saturation``, ``errors`` and ``distance`` share: their options, and what they do before and after.

They are the analyses of Karpathy, Johnson & Li, "Visualizing and Understanding Recurrent Networks" (2015), for any
model; docs/INSPECTION_METHODS.md defines them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from charrnn.commands.help import section
from charrnn.commands.inspect.output import output_option
from charrnn.commands.options import checkpoint_argument, general_options, part_option, scored_text
from charrnn.errors import ConfigError


def analysis_options(*more: Callable) -> Callable:
    """A decorator: the arguments and options of an analysis, with ``more`` of its own."""
    own = section(
        "The analysis",
        part_option("validation; all of a text that is not the run's"),
        *more,
        output_option(".svg", ".png", required=False),
    )

    def declare(command: Callable) -> Callable:
        return checkpoint_argument(own(scored_text(general_options(command))))

    return declare


class Work:
    """What an analysis does before and after its own part: open the model and the text, show numbers and figure."""

    def __init__(self, checkpoint: Path, options: dict[str, Any]):
        from charrnn.commands.loading import load_model
        from charrnn.commands.texts import Texts
        from charrnn.display.terminal.console import Terminal

        self._options = options
        self.terminal = Terminal(options["quiet"], options["as_json"])
        self.model = load_model(checkpoint, options["threads"], self.terminal)
        self._texts = Texts(
            self.model, self.terminal, options["text"], options.get("fit", ()), options["encoding"], options["unknown"]
        )
        self.part = self._texts.scored(options["part"], held_out=True)

    def training(self):
        """Ids (N,) of the text that n-grams and words are counted in.

        Raises:
            ConfigError: it is the text that is scored.
        """
        if not self._options["fit"] and self._texts.is_own and self.part.name in ("train", "all"):
            raise ConfigError("n-grams learn from the training part: choose another --part, or --fit another text")
        training = self._texts.training
        if len(training) == len(self.part.ids) and (training[:] == self.part.ids[:]).all():
            raise ConfigError("n-grams would learn from the text that is scored: --fit another text")
        return training

    @contextmanager
    def progress(self) -> Iterator[Callable[[str, int, int], None]]:
        """Yields report(what, done, total), which shows a bar for each kind of work."""
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
        """Write the numbers, and draw the figure if ``-o`` asks for it."""
        from charrnn.display.figures import save

        if self.terminal.wants_json:
            for value in objects:
                self.terminal.json(value)
        else:
            self.terminal.show(*lines)
        if self._options["output"] is not None:
            save(figure(), self._options["output"])
            self.terminal.note(f"wrote {self._options['output']}")
