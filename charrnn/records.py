"""The records of a training run. The loop yields them, the terminal shows them, and ``metrics.jsonl`` keeps them.

Losses are mean negative log-likelihoods in nats per character; ``bpc`` is the same in bits. Times are in seconds.
``elapsed_s`` counts from the first step of a run, without the time between a stop and a resume.
A ``path`` is empty if the run is kept in memory.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

ProgressCallback = Callable[[int, int], None]
"""Called with the work done and the work there is."""


def no_progress(done: int, total: int) -> None:
    """The callback of a caller who wants no reports."""


def in_steps(length: int, size: int, progress: ProgressCallback = no_progress) -> Iterator[tuple[int, int]]:
    """Cut ``length`` into pieces (start, stop) of ``size`` or fewer; report the progress after each piece."""
    for start in range(0, length, size):
        stop = min(start + size, length)
        yield start, stop
        progress(stop, length)


def bits(nats: float) -> float:
    """Convert nats to bits."""
    return nats / math.log(2)


class SmoothedLoss:
    """An exponential mean over about fifty losses.

    It is over fewer at first, so that the first losses of a run, which are high, soon fade. ``value`` is None before
    the first loss.
    """

    def __init__(self) -> None:
        self.value: float | None = None
        self._count = 0

    def add(self, loss: float) -> None:
        """Take in one more loss."""
        self._count += 1
        weight = max(1 / 50, 1 / (1 + self._count / 5))
        self.value = loss if self.value is None else self.value + weight * (loss - self.value)


@dataclass(frozen=True)
class Record:
    """Base of all records; ``event`` is the name of the record in JSON."""

    event: ClassVar[str]

    def to_dict(self) -> dict[str, object]:
        """A dictionary for JSON: ``event`` comes first, and numbers that are not finite are None (JSON has no NaN)."""
        lost = {name for name, value in vars(self).items() if isinstance(value, float) and not math.isfinite(value)}
        return {"event": self.event} | vars(self) | dict.fromkeys(lost)


@dataclass(frozen=True)
class Started(Record):
    """The run is about to make its first step.

    ``step`` is 0, or the step that a resumed run goes on from; ``total_steps`` is None under a time budget.
    ``progress`` is the fraction of the run that is done.
    ``notes`` are sentences that the user should read, for example about fewer batch rows than asked for.
    ``cell`` is the kind of cell as people call it; ``heads`` and ``context`` are those of a Transformer.
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
    notes: tuple[str, ...]
    cell: str
    heads: int | None = None
    context: int | None = None
    progress: float = 0.0


@dataclass(frozen=True)
class Step(Record):
    """One training step.

    ``epoch`` counts passes over the text, with a fraction; ``characters`` all characters trained on so far.
    ``progress`` is the fraction of the run that is done, 0 to 1. ``grad_norm`` is the norm before clipping.
    """

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
    """The validation part was scored. ``improved`` says whether this is the best loss so far.

    If the run averages its weights, ``val_loss`` is the better of ``averaged_loss`` and ``raw_loss``; otherwise these
    two are None.
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
    """Step ``step`` went wrong: the weights are again those after step ``to_step``, and the learning rate is halved.

    ``rate_scale`` multiplies the schedule's rate from now on.
    """

    event = "rolled_back"
    step: int
    to_step: int
    reason: str
    rate_scale: float


@dataclass(frozen=True)
class Diagnosed(Record):
    """How the network is learning, after update ``step``; docs/DIAGNOSIS.md explains the numbers.

    Attributes:
        steps_back: 0, 1, 2, 4, … and the number of the window's first step, counted back from its last.
        gradient_norms: for each layer the norm of the gradient of a character's loss with respect to the layer's
            pre-activations, at each of ``steps_back``.
        half_lengths: for each layer the number of steps in which that norm halves; negative if it doubles.
        update_ratios: by parameter name the norm of the update over the norm of the parameter before.
        gates: for each layer, by name, the shares of values below 0.1 and above 0.9; for a gate in [-1, 1] the share of
            values beyond ±0.9.
        titles: by name, what people call the gates.

    A number that does not exist is None.
    """

    event = "diagnosed"
    step: int
    steps_back: tuple[int, ...]
    gradient_norms: tuple[tuple[float | None, ...], ...]
    half_lengths: tuple[float | None, ...]
    update_ratios: dict[str, float | None]
    gates: tuple[dict[str, tuple[float, float] | float], ...]
    titles: dict[str, str]


@dataclass(frozen=True)
class Saved(Record):
    """A checkpoint was saved. ``reason`` is one of best, periodic, interrupted, finished."""

    event = "saved"
    step: int
    path: str
    reason: str


@dataclass(frozen=True)
class Sampled(Record):
    """A text that the model wrote during training."""

    event = "sampled"
    step: int
    temperature: float
    text: str


@dataclass(frozen=True)
class Mixed(Record):
    """N-grams learnt ``characters`` of the training text and were mixed with the best weights of the run.

    ``val_loss`` is the network's, ``mixed_val_loss`` the mixture's, ``ngram_val_loss`` that of the n-grams alone, on a
    part of the validation part. ``training_loss`` is the network's on the end of the training part, without dropout.
    The weights are the exponents of the probabilities.
    """

    event = "mixed"
    step: int
    val_loss: float
    mixed_val_loss: float
    ngram_val_loss: float
    training_loss: float
    characters: int
    network_weight: float
    ngram_weight: float
    elapsed_s: float


@dataclass(frozen=True)
class Finished(Record):
    """The run ended.

    ``reason`` is one of completed, budget, patience, interrupted. ``verdict`` says how well the model fits its text.
    ``mixed_val_loss`` is the validation loss of the best weights together with n-grams.
    """

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
    mixed_val_loss: float | None = None
