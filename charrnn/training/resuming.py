"""Going on with a run under other settings, or on another text, than it was begun with."""

from dataclasses import replace

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import TrainConfig
from charrnn.text.windows import fitting_window
from charrnn.training.optimizer import SLOTS

_WINDOWS = ("seq_len", "batch_size", "split", "seed")  # what settles which characters a batch row reads


def adapted(checkpoint: Checkpoint, config: TrainConfig, characters: int, is_other_text: bool) -> Checkpoint:
    """The checkpoint as one of a run with ``config`` on a training part of so many characters.

    What fits goes on. The rest begins anew: moments with another optimiser, an average of the weights that was not kept
    before, with other windows or another text the epoch and what the batch rows remember, and with another text or
    split the evaluations, and so what is best, patience and plateaus.
    """
    before, progress, slots, state = (
        checkpoint.training,
        dict(checkpoint.counters),
        checkpoint.optimizer,
        checkpoint.state,
    )
    if is_other_text or any(getattr(before, name) != getattr(config, name) for name in _WINDOWS):
        batch, _ = fitting_window(characters, config.batch_size, config.seq_len)
        layers, hidden = checkpoint.model.layers, checkpoint.model.hidden
        state = {name: np.zeros((layers, batch, hidden), np.float32) for name in state}
        progress["window"] = 0
    history = checkpoint.history
    if is_scored_anew(checkpoint, config, is_other_text):
        progress |= {"val_loss": None, "best_val_loss": None, "best_step": None, "unscored": 0}
        history = []
    moments = (*SLOTS[config.optimizer], *(["ema"] if config.ema else []))
    if before.optimizer != config.optimizer:
        slots = {slot: _times(checkpoint, 0) for slot in SLOTS[config.optimizer]}
        progress["updates"] = 0
    slots = {"ema": _times(checkpoint, 1)} | slots
    kept = ("kept", *(f"kept_{slot}" for slot in moments))
    if not slots.keys() >= set(kept):
        progress |= {"kept_step": progress["step"], "kept_updates": progress["updates"]}
        kept = ()
    slots = {slot: slots[slot] for slot in (*moments, *kept)}
    return replace(checkpoint, counters=progress, history=history, optimizer=slots, state=state, training=config)


def is_scored_anew(checkpoint: Checkpoint, config: TrainConfig, is_other_text: bool) -> bool:
    """Whether the run was scored on another validation part: then losses are not to be compared."""
    return is_other_text or checkpoint.training.split != config.split


def _times(checkpoint: Checkpoint, factor: int) -> dict[str, np.ndarray]:
    """The parameters, or zeros of their shapes."""
    return {name: np.float32(factor) * value for name, value in checkpoint.parameters.items()}
