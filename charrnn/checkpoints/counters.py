"""Where a run stands."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Counters:
    """The counters of a run: what, with weights, moments and state, a resume needs.

    ``setbacks`` are those in a row, ``unscored`` the evaluations in a row that gave no number: many good steps may lie
    between these.
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
