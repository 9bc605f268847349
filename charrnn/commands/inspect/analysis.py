"""What ``inspect saturation``, ``errors`` and ``distance`` share: their options, and what they do before and after.

They are the analyses of Karpathy, Johnson & Li, "Visualizing and Understanding Recurrent Networks" (2015), for any
model; docs/INSPECTION_METHODS.md defines them.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from charrnn.commands.help import section
from charrnn.commands.inspect.inspection import output_option
from charrnn.commands.options import part_option
from charrnn.commands.scoring import Scoring, scoring
from charrnn.errors import ConfigError


def analysis(*more: Callable) -> Callable:
    """A decorator: makes a command of a function that takes an :class:`Analysis`, with ``more`` options."""
    own = section(
        "The analysis",
        part_option,
        *more,
        output_option(".svg", ".png", required=False),
    )
    return scoring(own, kind=Analysis)


class Analysis(Scoring):
    """A model, the part of a text that is analysed, numbers and a figure."""

    def training(self):
        """Ids (N,) of the text that n-grams and words are counted in.

        Raises:
            ConfigError: it is the text that is scored.
        """
        if self.learns_from_scored:
            raise ConfigError("n-grams learn from the training part: choose another --part, or --fit another text")
        training = self.texts.training
        if len(training) == len(self.part.ids) and (training[:] == self.part.ids[:]).all():
            raise ConfigError("n-grams would learn from the text that is scored: --fit another text")
        return training

    @contextmanager
    def stages(self) -> Iterator[Callable[[str, int, int], None]]:
        """Yields report(what, done, total), which shows a bar for each kind of work."""
        with ExitStack() as shown:
            bars: dict[str, Callable[[int, int], None]] = {}

            def report(what: str, done: int, total: int) -> None:
                if what not in bars:
                    shown.close()
                    bars.clear()
                    bars[what] = shown.enter_context(self.bar(what))
                bars[what](done, total)

            yield report

    def finish(self, records: list[dict[str, Any]], lines: list, figure: Callable) -> None:
        """Write the numbers, and draw the figure if ``-o`` asks for it."""
        from charrnn.display.figures import save

        self.show(records, lines)
        if self.options["output"] is not None:
            save(figure(), self.options["output"])
            self.terminal.note(f"wrote {self.options['output']}")
