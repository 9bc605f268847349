"""What a training run reports. The loop yields these; the terminal shows them, ``metrics.jsonl`` keeps them.

Losses are mean negative log-likelihoods in nats per character, ``bpc`` the same in bits; times are seconds.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar


def bits(nats: float) -> float:
    """Convert nats to bits."""
    return nats / math.log(2)


@dataclass(frozen=True)
class Record:
    """Base of all records; ``event`` is its name in JSON."""

    event: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary: ``event`` first, non-finite numbers as ``None`` (NaN is not JSON)."""
        fields = {"event": self.event}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                value = None
            fields[field.name] = value
        return fields


@dataclass(frozen=True)
class Started(Record):
    """The run is about to take its first step.

    ``step`` is 0, or the step a resumed run continues from; ``total_steps`` is None under a time budget.
    ``notes`` are sentences that the user should read (a byte-order mark dropped, fewer lanes than asked for).
    """

    event = "started"
    path: str
    step: int
    total_steps: int | None
    time_budget_s: float | None
    epochs: float | None
    parameters: int
    vocabulary: int
    train_characters: int
    validation_characters: int
    test_characters: int
    hidden: int
    layers: int
    embedding: int | None
    batch_size: int
    seq_len: int
    threads: int
    resumed: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step(Record):
    """One update. ``epoch`` counts passes as a fraction, ``characters`` all characters trained on so far,
    ``progress`` is the part of the run that is done, 0 to 1; ``grad_norm`` is taken before clipping."""

    event = "step"
    step: int
    epoch: float
    characters: int
    loss: float
    bpc: float
    lr: float
    grad_norm: float
    chars_per_s: float
    elapsed_s: float
    eta_s: float | None
    progress: float


@dataclass(frozen=True)
class Evaluated(Record):
    """The validation part was scored. ``improved`` says that this is the best so far."""

    event = "evaluated"
    step: int
    epoch: float
    val_loss: float
    val_bpc: float
    best_val_loss: float
    improved: bool
    elapsed_s: float


@dataclass(frozen=True)
class Saved(Record):
    """A checkpoint is on disk, whole. ``reason`` is one of best, periodic, interrupted, finished."""

    event = "saved"
    step: int
    path: str
    reason: str


@dataclass(frozen=True)
class Sampled(Record):
    """A text the model wrote while it learns."""

    event = "sampled"
    step: int
    temperature: float
    text: str


@dataclass(frozen=True)
class Finished(Record):
    """The end. ``reason`` is one of completed, budget, interrupted."""

    event = "finished"
    step: int
    epoch: float
    characters: int
    reason: str
    path: str
    loss: float | None
    val_loss: float | None
    val_bpc: float | None
    best_val_loss: float | None
    elapsed_s: float
