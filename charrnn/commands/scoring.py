"""What ``evaluate``, ``baselines`` and ``novelty`` share: a model, the part of a text that it scores, and its score."""

from pathlib import Path
from typing import Any


class Scoring:
    """A model and the part of a text that it scores.

    Args:
        checkpoint: where the model is.
        options: of the command; ``part`` and ``fit`` where it has them.
        held_out: whether the validation part of the run's own text is scored by default.
    """

    def __init__(self, checkpoint: Path, options: dict[str, Any], held_out: bool):
        from charrnn.commands.loading import load_model
        from charrnn.commands.texts import Texts
        from charrnn.display.terminal.console import Terminal

        self.terminal = Terminal(options["quiet"], options["as_json"])
        self.model = load_model(checkpoint, options["threads"], self.terminal, options["others"])
        self.texts = Texts(
            self.model, self.terminal, options["text"], options.get("fit", ()), options["encoding"], options["unknown"]
        )
        self.part = self.texts.scored(options.get("part"), held_out)

    @property
    def before(self) -> int | None:
        """The id before the part, if there is one."""
        return int(self.part.before[-1]) if len(self.part.before) else None

    def bar(self, message: str):
        """A progress bar, as a context manager that yields its report(done, total)."""
        from charrnn.display.terminal.progress_bar import progress_bar

        return progress_bar(self.terminal, message)

    def report(self) -> dict[str, Any]:
        """The model's score as a JSON object."""
        from charrnn.inference.loss import evaluate

        with self.bar("Evaluating") as progress:
            found = evaluate(self.model.network, self.part.ids, self.before, progress=progress)
        return {"part": self.part.name, **as_dict(found)}

    def show(self, report: dict[str, Any]) -> None:
        """Write the report: as JSON, or as tables."""
        from charrnn.display.reports.scores import score_lines

        if self.terminal.wants_json:
            self.terminal.json(report)
        else:
            self.terminal.show(*score_lines(report, self.terminal.width))


def as_dict(found) -> dict[str, Any]:
    """A score as a JSON object."""
    return {name: getattr(found, name) for name in ("loss", "bpc", "perplexity", "characters")}
