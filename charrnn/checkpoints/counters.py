"""The counters of a run."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Counters:
    """How far a run is.  A resume needs the counters, the weights, the optimiser's moments and the state.

    Attributes:
        step: steps done, rolled-back ones included.
        epoch: complete passes over the training part.
        window: windows done in this epoch.
        characters: characters trained on.
        elapsed_s: seconds of training.
        loss: smoothed training loss.
        val_loss: the last validation loss.
        best_val_loss: the best validation loss.
        best_step: its step, None before the first one.
        updates: updates of the optimiser.
        rate_scale: factor of the learning rate; every rollback halves it.
        setbacks: rollbacks in a row, without a kept step between them.
        unscored: evaluations in a row whose loss was not finite; good steps may lie between them.
        kept_step: the step of the weights that a rollback returns to.
        kept_updates: the optimiser's updates at that step.
        history: one dictionary an evaluation.
    """

    step: int = 0
    epoch: int = 0
    window: int = 0
    characters: int = 0
    elapsed_s: float = 0.0
    loss: float | None = None
    val_loss: float | None = None
    best_val_loss: float | None = None
    best_step: int | None = None
    updates: int = 0
    rate_scale: float = 1.0
    setbacks: int = 0
    unscored: int = 0
    kept_step: int = 0
    kept_updates: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
