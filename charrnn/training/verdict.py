"""The sentence at the end of a run: how well the model fits its text, and what would help."""

import math
from collections.abc import Sequence
from typing import Any

from charrnn.records import Mixed

# Differences of losses, in nats per character.
RISE = 0.01  # over-fitted: the last validation loss is this much above the best
SMALL_GAP = 0.05  # held-out text is hardly worse than training text: the model has room to learn more
LITTLE = 0.05  # the whole loss on held-out text: nothing is left to learn
LARGE_GAP = 0.3  # the model knows much that is true of the training text alone


def verdict(
    history: Sequence[dict[str, Any]],
    best_step: int | None,
    best_val_loss: float | None,
    vocabulary: int,
    mixed: Mixed | None = None,
) -> str | None:
    """The verdict on a run, or None if it has fewer than four evaluations or nothing can be said.

    A model that is no better than guessing among ``vocabulary`` characters has learnt nothing.  Each entry of
    ``history`` has step, epoch and val_loss.  ``mixed`` has the loss on the training part without dropout, and that of
    n-grams; without it only the validation loss is judged.
    """
    if len(history) < 4 or best_val_loss is None:
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
    if best_val_loss < LITTLE:
        return f"well fitted: held-out text costs only {best_val_loss:.3f} nats a character, so little is left to learn"
    if mixed is None:
        return None
    gap = best_val_loss - mixed.training_loss
    if best_val_loss > mixed.ngram_val_loss:
        beside = f"n-grams alone reach {mixed.ngram_val_loss:.3f} on held-out text, the network {best_val_loss:.3f}"
        if gap < LARGE_GAP:
            return f"under-fitted: {beside}; a longer run would help"
        return f"too little text for a network alone: {beside}; both together {mixed.mixed_val_loss:.3f}"
    if gap < SMALL_GAP:
        return (
            f"under-fitted: held-out text is only {gap:.3f} nats worse than training text; a longer run or a larger "
            "--hidden would help"
        )
    if gap > LARGE_GAP:
        return (
            f"well fitted, but held-out text is {gap:.2f} nats worse than training text: more text would help most, "
            "a longer run little"
        )
    beside = f"held-out text is {gap:.2f} nats worse than training text"
    return f"well fitted: {beside}; a longer run would still help a little"
