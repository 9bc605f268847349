"""What a training run reports. The loop yields these; the terminal shows them, ``metrics.jsonl`` keeps them.

Losses are mean negative log-likelihoods in nats per character, ``bpc`` the same in bits; times are seconds.
"""

import dataclasses
import math
from collections.abc import Callable
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
    ``notes`` are sentences that the user should read (a byte-order mark dropped, fewer batch rows than asked for).
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
    """The validation part was scored. ``improved`` says that this is the best so far.

    With averaged weights ``val_loss`` is the better of ``averaged_loss`` and ``raw_loss``; else these are None.
    """

    event = "evaluated"
    step: int
    epoch: float
    val_loss: float
    val_bpc: float
    best_val_loss: float
    improved: bool
    elapsed_s: float
    raw_loss: float | None = None
    averaged_loss: float | None = None


@dataclass(frozen=True)
class RolledBack(Record):
    """Step ``step`` was in trouble: the weights are those after step ``to_step`` again, the learning rate is halved.

    ``rate_scale`` is what the schedule's rate is multiplied by from now on.
    """

    event = "rolled_back"
    step: int
    to_step: int
    reason: str
    rate_scale: float


@dataclass(frozen=True)
class Diagnosed(Record):
    """How the network is learning, after update ``step``; docs/DIAGNOSIS.md tells how to read it.

    For each layer: ``gradient_norms``, the norm of the gradient of a character's loss with respect to the layer's
    pre-activations, at so many ``steps_back`` (0, 1, 2, 4, … and the window's first); ``half_lengths``, in how many
    steps it halves, negative where it grows: doubles; ``gates``, for ``i``, ``f``, ``o`` the shares of values below 0.1
    and above 0.9, for ``g`` and ``tanh_c`` that beyond ±0.9.  ``update_ratios``: by a parameter's name, the
    norm of the update's change over that of the parameter before.  None is a number that there is not.
    """

    event = "diagnosed"
    step: int
    steps_back: tuple[int, ...]
    gradient_norms: tuple[tuple[float | None, ...], ...]
    half_lengths: tuple[float | None, ...]
    update_ratios: dict[str, float | None]
    gates: tuple[dict[str, tuple[float, float] | float], ...]


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
    """The end. ``reason`` is one of completed, budget, patience, interrupted; ``verdict`` is a sentence on the fit."""

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
    verdict: str | None = None


ProgressCallback = Callable[[int, int], None]
"""Called with the work done and the work there is."""
