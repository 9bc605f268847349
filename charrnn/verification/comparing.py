"""Compares what training again gives with what a run has kept: checkpoints bit for bit, records digit by digit."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_names import METRICS
from charrnn.errors import brief
from charrnn.records import Record
from charrnn.text.corpus import split
from charrnn.training.resuming import adapted
from charrnn.verification.history import Entry

COMPARED = ("step", "evaluated", "rolled_back", "sampled", "diagnosed", "saved", "mixed", "finished")
TIMES = ("elapsed_s", "eta_s", "chars_per_s")  # no two runs take the same time
_LEFT_OUT = (*TIMES, "path")
_LAST_GOOD = "optimizer.kept"  # the beginning of the names of tensors that a rollback returns to


def is_compared(record: Mapping[str, Any]) -> bool:
    """Whether training again must give a record of a log too: all but starts, digests, and saves that a clock decides.

    The record of an end counts if nobody ended the run.
    """
    reason = record.get("reason")
    if record["event"] == "saved":
        return reason == "best"
    return record["event"] in COMPARED and not (record["event"] == "finished" and reason == "interrupted")


def differing_record(entry: Entry | None, record: Record | None) -> str | None:
    """How a line of the log differs from the record that training again gives, in words; None if it does not."""
    if record is None:
        if entry is None:
            return None
        return f"{METRICS}: line {entry.at.number:,} ({_named(entry.record)}) does not come up in training again"
    found = json.loads(json.dumps(record.to_dict()))
    if entry is None:
        return f"{METRICS}: training again gives a record ({_named(found)}) that the log lacks"
    line, said = f"{METRICS}: line {entry.at.number:,}", entry.record
    if (said["event"], said["step"]) != (found["event"], found["step"]):
        return f"{line} is {_named(said)}, and training again gives {_named(found)}"
    for name in {**found, **said}:
        if name not in _LEFT_OUT and said.get(name) != found.get(name):
            return (
                f"{line} ({_named(said)}) has {name} {brief(said.get(name))}, and training again gives "
                f"{brief(found.get(name))}"
            )
    return None


def _named(record: Mapping[str, Any]) -> str:
    event = brief(record["event"]).strip("'")
    return f"step {record['step']:,}" if event == "step" else f"{event} of step {record['step']:,}"


def differing_checkpoint(
    name: str, kept: Checkpoint, found: Checkpoint, is_full: bool, same_program: bool = True
) -> str | None:
    """How the file ``name`` differs from the checkpoint that training again gives, in words; None if it does not.

    Times are left out, and, unless ``is_full``, the weights that a rollback would return to, if the file has none.
    """
    about = {
        "model": (kept.model, found.model),
        "vocabulary": (kept.vocabulary.to_list(), found.vocabulary.to_list()),
        "settings": (kept.training, found.training),
        "text": (kept.corpus, found.corpus),
        "n-grams": (kept.ngrams, found.ngrams),
        "origin": (kept.imported, found.imported),
        "program": (kept.program, found.program) if same_program else (None, None),
    }
    for what, (said, is_so) in about.items():
        if said != is_so:
            return f"{name}: its {what} differs: {_first_difference(said, is_so)}"
    for counter in {**kept.counters, **found.counters}:
        said, is_so = kept.counters.get(counter), found.counters.get(counter)
        if counter not in TIMES and said != is_so:
            return f"{name}: its counter {brief(counter)} is {brief(said)}, and training again gives {brief(is_so)}"
    if _without_times(kept) != _without_times(found):
        return f"{name}: its evaluations differ from those of training again"
    tensors, again = kept.tensors(), found.tensors()
    for tensor in dict.fromkeys([*tensors, *again]):
        if tensor not in tensors:
            if not is_full and tensor.startswith(_LAST_GOOD):
                continue
            return f"{name}: it lacks the tensor {tensor}"
        if tensor not in again:
            return f"{name}: it has a tensor {brief(tensor)} too many"
        if (problem := _differing_tensor(tensors[tensor], again[tensor])) is not None:
            return f"{name}: the tensor {tensor} {problem}"
    return None


def differing_tensors(kept: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> str | None:
    """The first of some arrays by name that differs in a bit, and where, in words; None if none does."""
    for name, array in kept.items():
        if (problem := _differing_tensor(array, found[name])) is not None:
            return f"{name} {problem}"
    return None


def _without_times(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    return [{name: entry[name] for name in entry if name not in TIMES} for entry in checkpoint.history]


def _first_difference(said: Any, is_so: Any) -> str:
    """The first field in which two descriptions differ, in words."""
    if hasattr(said, "to_dict") and hasattr(is_so, "to_dict"):
        said, is_so = said.to_dict(), is_so.to_dict()
    if isinstance(said, dict) and isinstance(is_so, dict):
        name = next(name for name in {**said, **is_so} if said.get(name) != is_so.get(name))
        return f"{name} is {brief(said.get(name))}, not {brief(is_so.get(name))}"
    return f"{brief(said)}, not {brief(is_so)}"


def _differing_tensor(kept: np.ndarray, found: np.ndarray) -> str | None:
    """In words, where two arrays differ in a bit; None if they do not."""
    if (kept.shape, kept.dtype) != (found.shape, found.dtype):
        return f"has the shape {kept.shape}, and training again gives {found.shape}"
    kept, found = np.ascontiguousarray(kept), np.ascontiguousarray(found)
    # Compare bits: 0 and -0 are equal as floats.
    differs = (kept.view(np.uint8) != found.view(np.uint8)).reshape(-1, kept.itemsize).any(axis=1)
    count = int(differs.sum())
    if not count:
        return None
    at = tuple(int(place) for place in np.unravel_index(int(differs.argmax()), kept.shape))
    return (
        f"differs in {count:,} of {math.prod(kept.shape):,} numbers, first at {list(at)}: {kept[at]:.9g}, and training "
        f"again gives {found[at]:.9g}"
    )


def as_resumed(found: Checkpoint, kept: Checkpoint) -> list[Checkpoint]:
    """What a checkpoint can have become in a resume that changed settings, text or program to those of ``kept``.

    A resume changes nothing but the description where the new settings fit; else it begins parts anew
    (:mod:`charrnn.training.resuming`).
    """
    is_other_text = found.corpus.get("sha256") != kept.corpus.get("sha256")
    described = {"corpus": kept.corpus if is_other_text else found.corpus, "program": kept.program}
    training = kept.training
    if training is None:
        return [found]
    characters = split(kept.corpus["characters"], training.split)[0].stop
    anew = adapted(found, training, characters, is_other_text)
    return [replace(found, training=training, **described), replace(anew, **described)]
