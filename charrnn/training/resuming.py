"""Resuming a run under other settings or on another text: which parts of its checkpoint still apply."""

from dataclasses import replace

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import TrainConfig
from charrnn.network.cells import cell_of
from charrnn.text.windows import fitting_window
from charrnn.training.optimizer import SLOTS

_WINDOWS = ("seq_len", "rows", "split", "seed")  # settings that decide which characters a batch row reads


def adapted(checkpoint: Checkpoint, config: TrainConfig, characters: int, is_other_text: bool) -> Checkpoint:
    """The checkpoint of a run, changed to fit the settings ``config`` and a training part of ``characters`` characters.

    What still applies is kept. The rest starts anew:

    - with another optimiser its moments, and with ``ema`` an average that the run did not keep before;
    - with other windows or another text the epoch, and the state of the batch rows;
    - with another text or split, or other carrying of states, the evaluations, and so the best loss, patience and
      plateaus.
    """
    before, counters, history = checkpoint.training, dict(checkpoint.counters), checkpoint.history
    slots, state = checkpoint.optimizer, checkpoint.state
    if is_other_text or any(getattr(before, name) != getattr(config, name) for name in _WINDOWS):
        batch, _ = fitting_window(characters, config.rows, config.seq_len)
        model = checkpoint.model
        shapes = cell_of(model).state_shapes(model, batch)
        state = {name: np.zeros((model.layers, *shapes[name]), np.float32) for name in state}
        counters["window"] = 0
    if is_scored_anew(checkpoint, config, is_other_text):
        counters |= {"val_loss": None, "best_val_loss": None, "best_step": None, "unscored": 0}
        history = []
    names = (*SLOTS[config.optimizer], *(["ema"] if config.ema else []))
    if before.optimizer != config.optimizer:
        slots = {slot: _scaled_parameters(checkpoint, 0) for slot in SLOTS[config.optimizer]}
        counters["updates"] = 0
    slots = {"ema": _scaled_parameters(checkpoint, 1)} | slots
    kept = ("kept", *(f"kept_{slot}" for slot in names))
    if not slots.keys() >= set(kept):  # the kept weights were those of the checkpoint, or have other slots
        counters |= {"kept_step": counters["step"], "kept_updates": counters["updates"]}
        kept = ()
    slots = {slot: slots[slot] for slot in (*names, *kept)}
    return replace(checkpoint, counters=counters, history=history, optimizer=slots, state=state, training=config)


def is_scored_anew(checkpoint: Checkpoint, config: TrainConfig, is_other_text: bool) -> bool:
    """Whether the run will evaluate otherwise, so that earlier losses cannot be compared.

    It does with another validation part, and if windows began with empty states or will.  Then their length matters.
    """
    before = checkpoint.training
    is_otherwise_carried = before.no_carry != config.no_carry or (config.no_carry and before.seq_len != config.seq_len)
    return is_other_text or before.split != config.split or is_otherwise_carried


def _scaled_parameters(checkpoint: Checkpoint, factor: int) -> dict[str, np.ndarray]:
    return {name: np.float32(factor) * value for name, value in checkpoint.parameters.items()}
