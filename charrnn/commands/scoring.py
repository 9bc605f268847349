"""A model and the part of a text that it scores: for ``evaluate``, ``baselines``, ``novelty``, parts of ``inspect``."""

from collections.abc import Callable
from typing import Any

from charrnn.commands.compiled import Kernels
from charrnn.commands.options import checkpoint_argument, general_options, scored_text
from charrnn.commands.work import Work, command, picked
from charrnn.config import TrainConfig


class Scoring(Work):
    """A model and the part of a text that it scores.

    Attributes:
        texts: the texts of the command.
        part: what is scored.
    """

    def open(self, *needs: Kernels) -> None:
        """Open the model and the text; by default the validation part of the run's own text is scored.

        ``needs`` are those of :meth:`load`.
        """
        from charrnn.commands.texts import Texts

        options = self.options
        self.load(*needs, others=options.get("others", ()))
        how = {"fit": options.get("fit"), "encoding": options["encoding"], "unknown": options["unknown"]}
        self.texts = Texts(self.model, self.terminal, options["text"], **how)
        self.part = self.texts.scored(options.get("part"))

    @property
    def before(self) -> int | None:
        """The id before the part, if there is one."""
        return int(self.part.before[-1]) if len(self.part.before) else None

    @property
    def learns_from_scored(self) -> bool:
        """Whether n-grams would learn from the run's training part while it is scored."""
        return not self.options["fit"] and self.is_learnt

    def score(self) -> dict[str, Any]:
        """The score of the model's network as a JSON object."""
        return {"part": self.part.name, "learnt": self.is_learnt, **self.score_of(self.model)}

    def score_of(self, model) -> dict[str, Any]:
        """A model's score as a JSON object."""
        from charrnn.inference.loss import evaluate

        how = {}
        if self.options.get("no_carry"):
            training = self.model.checkpoint.training or TrainConfig()
            how = {"carry": False, "steps": training.seq_len}
        with self.bar("Evaluating") as progress:
            return as_dict(evaluate(model.network, self.part.ids, self.before, progress=progress, **how))

    @property
    def is_learnt(self) -> bool:
        """Whether the scored text is, or has, the training part of the run."""
        return self.texts.is_own and self.part.name in ("train", "all")

    def show_score(self, report: dict[str, Any]) -> None:
        """Write a score, and what was compared with it: as JSON, or as tables."""
        from charrnn.display.reports.scores import score_lines

        self.show([report], score_lines(report, self.terminal.width))


def as_dict(found) -> dict[str, Any]:
    """A score as a JSON object."""
    return picked(found, "loss", "bpc", "perplexity", "characters")


def scoring(*declare: Callable, kind: type[Scoring] = Scoring) -> Callable:
    """A decorator: makes a command of a function that takes a ``kind`` of scoring, with more options: ``declare``."""
    return command(kind, checkpoint_argument, *declare, scored_text, general_options)
