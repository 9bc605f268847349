"""Runs beside one another: the settings in which they differ, whether losses can be compared, and how each learnt.

All of it comes from the descriptions of checkpoints.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from charrnn.checkpoints.description import Description

AXES = {"minutes": "elapsed_s", "characters": "characters", "steps": "step", "epochs": "epoch"}
"""What a loss is drawn against, and the key of an evaluation that has it."""

_SIZES = ("vocabulary", "cell", "layers", "hidden")  # settings that every list of runs shows
_TEXT = ("as_bytes", "encoding", "min_count", "max_vocab", "init_from")
_HIGHEST_LOSS, _FURTHEST = 1e6, 1e15  # beyond these no run gets, but anybody may have written a checkpoint


def evaluations(run: Description) -> list[dict[str, Any]]:
    """The evaluations of a run, each with ``characters`` beside what the checkpoint has.

    A checkpoint has the characters of its last step only: those of an earlier step are in proportion to the steps.
    """
    steps, characters = run.counters.get("step") or 1, run.counters.get("characters", 0)
    return [entry | {"characters": round(characters * min(entry["step"] / steps, 1))} for entry in run.history]


def curve(points: Sequence[Mapping[str, Any]], against: str) -> np.ndarray:
    """Validation losses (n, 2) in the order of the first column, which is minutes, characters, steps or epochs.

    ``points`` are those of :func:`evaluations`, ``against`` one of :data:`AXES`. What no run can have is left out.
    """
    unit = 60 if against == "minutes" else 1
    found = np.array([(each[AXES[against]] / unit, each["val_loss"]) for each in points], float).reshape(-1, 2)
    possible = (found >= 0) & (found <= (_FURTHEST, _HIGHEST_LOSS))
    found = found[possible.all(axis=1)]
    return found[np.argsort(found[:, 0], kind="stable")]


def shared_end(curves: Sequence[np.ndarray]) -> float | None:
    """How far all runs that have evaluations have come, in the unit of their curves; None if fewer than two have."""
    ends = [float(each[-1, 0]) for each in curves if len(each)]
    return min(ends) if len(ends) > 1 else None


def best_until(curve: np.ndarray, end: float) -> float | None:
    """The best validation loss of a curve up to ``end``, None if it has none there."""
    losses = curve[curve[:, 0] <= end, 1]
    return float(losses.min()) if len(losses) else None


def differing_settings(runs: Sequence[Description]) -> list[dict[str, Any]]:
    """For each run, by their names, the settings that are not the same in all runs that have them.

    The cell, the numbers of layers and of hidden units, and the vocabulary are not among them. An imported model has
    no settings of a training.
    """
    known = [_settings(run) for run in runs]
    names = dict.fromkeys(name for each in known for name in each)
    differing = [name for name in names if len({repr(each[name]) for each in known if name in each}) > 1]
    return [{name: each[name] for name in differing if name in each} for each in known]


def obstacle(runs: Sequence[Description]) -> str:
    """Why validation losses of these runs cannot be compared: they are of other "texts", "parts" or "symbols"; or "".

    Symbols are the characters, or bytes, that the losses are losses of.
    """
    of = {
        "texts": lambda run: run.corpus.get("sha256"),
        "parts": lambda run: run.training and run.training.split,
        "symbols": lambda run: tuple(run.vocabulary.to_list()),
    }
    return next((kind for kind, key in of.items() if len(set(map(key, runs))) > 1), "")


def _settings(run: Description) -> dict[str, Any]:
    """The settings of a run. Where a setting is left to its default, the value that it has."""
    found = {name: value for name, value in vars(run.model).items() if name not in _SIZES}
    if run.training is not None:
        training = run.training
        found |= vars(training)
        found |= {"lr": training.learning_rate, "weight_decay": training.decay, "decay_rate": training.lr_decay}
    return found | {name: run.corpus[name] for name in _TEXT if name in run.corpus}
