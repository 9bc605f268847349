"""The sentence at the end of a run: whether the model over-fits or under-fits its text, and what to try."""

import math
from collections.abc import Sequence
from typing import Any

# Differences of losses, in nats per character.
RISE = 0.01  # over-fitted: the last validation loss is this much above the best
FALL = 0.01  # too short: the validation loss still fell by this much in the last quarter of the run
GAP = 0.1  # memorised: the training loss is this much below the validation loss


def verdict(
    history: Sequence[dict[str, Any]], best_step: int | None, best_val_loss: float | None, vocabulary: int
) -> str | None:
    """What the evaluations of a run say; None with fewer than four of them, or if a loss is not known.

    A model that is no better than guessing among ``vocabulary`` characters has learnt nothing.  Each entry of
    ``history`` has step, epoch, loss (of training, smoothed) and val_loss.  The training loss includes dropout, so it
    is higher than the loss of the same weights without.
    """
    if len(history) < 4 or best_val_loss is None or history[-1]["loss"] is None:
        return None
    guessing = math.log(vocabulary)
    if best_val_loss > guessing:
        return (
            f"nothing learnt: the best validation loss, {best_val_loss:.3f}, is worse than guessing among "
            f"{vocabulary:,} characters ({guessing:.3f}); try a lower --lr, or a --clip if there is none"
        )
    last = history[-1]
    best = next((entry for entry in history if entry["step"] == best_step), None)  # a foreign file may lack the entry
    rise = last["val_loss"] - best_val_loss
    if best is not None and rise > RISE:
        return (
            f"over-fitted: validation was best at epoch {best['epoch']:.1f} and has risen by {rise:.3f} since; "
            "try more --dropout, fewer --epochs or a smaller --hidden (the best checkpoint is kept)"
        )
    fall = history[-1 - max(1, len(history) // 4)]["val_loss"] - last["val_loss"]
    gap = last["val_loss"] - last["loss"]
    if gap < 0 and fall > FALL:
        return (
            f"under-fitted: validation still fell by {fall:.3f} in the last quarter and lies below the training loss; "
            "try more --epochs or a larger --hidden"
        )
    if gap < 0:
        return (
            "under-fitted: validation lies below the training loss; try more --epochs, a larger --hidden or "
            "less --dropout"
        )
    if gap > GAP:
        return (
            f"well fitted, but the training loss is {gap:.2f} lower: more text would help most, then more --dropout "
            "with a larger --hidden"
        )
    return "well fitted: training and validation loss are close; a larger --hidden and more --epochs may gain a little"
