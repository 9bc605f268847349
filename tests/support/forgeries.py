"""Small checkpoints for tests: valid ones and forged ones."""

import io
import json
from functools import cache

import numpy as np
import pytest
import safetensors.numpy

from charrnn.checkpoints.checkpoint import Checkpoint, checksum
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CharRNNError
from charrnn.network.cells import parameter_shapes
from charrnn.text.vocabulary import Vocabulary

CORPUS = {
    **{"sources": ["naïve.txt"], "paths": ["/texts/naïve.txt"], "sha256": "00", "characters": 9},
    **{"as_bytes": False, "encoding": "utf-8", "min_count": 1, "max_vocab": 1000},
}
COUNTERS = {
    **{"step": 3, "epoch": 0, "window": 3, "characters": 90, "elapsed_s": 0.5, "loss": 2.5, "val_loss": 2.5},
    **{"best_val_loss": 2.5, "best_step": 1, "updates": 3, "rate_scale": 1.0, "setbacks": 0, "unscored": 0},
    **{"kept_step": 2, "kept_updates": 2},
}
HISTORY = [{"step": 1, "epoch": 0.1, "loss": 2.25, "val_loss": 2.5, "elapsed_s": 0.25}]


def make(embedding=None, symbols="\nabcdé🦊", with_run=True):
    """A checkpoint of a 2x5 model with random weights."""
    rng = np.random.default_rng(4)
    model = ModelConfig(len(symbols), 5, 2, embedding)
    parameters = {name: rng.normal(size=shape).astype(np.float32) for name, shape in parameter_shapes(model).items()}
    moments = {slot: {name: rng.random(value.shape, np.float32) for name, value in parameters.items()} for slot in "mv"}
    return Checkpoint(
        model,
        Vocabulary(symbols),
        TrainConfig(lr=0.1),
        dict(COUNTERS),
        list(HISTORY),
        CORPUS,
        parameters=parameters,
        optimizer=moments if with_run else {},
        state=dict(zip("hc", rng.random((2, 2, 3, 5), np.float32), strict=True)) if with_run else None,
    )


def load(data):
    """The checkpoint in some bytes."""
    return Checkpoint.read(io.BytesIO(data))


def refusal(data):
    """The error message about ``data``; it must be one short line."""
    with pytest.raises(CharRNNError) as caught:
        load(data)
    message = str(caught.value)
    assert message.isprintable() and len(message) < 400, message
    return message


def header_size(data):
    """The number of bytes before the tensors' bytes."""
    return 8 + int.from_bytes(data[:8], "little")


def with_header(data, header):
    """The file with another header, given as bytes or as a JSON value; the tensors' bytes stay."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[header_size(data) :]


def header_of(data):
    """The header as a JSON value."""
    return json.loads(data[8 : header_size(data)])


def description_of(data):
    """The description in the file as a JSON value."""
    return json.loads(header_of(data)["__metadata__"]["charrnn"])


def forged(data, description):
    """The file with another description, given as text or as a JSON value, and with the right checksum."""
    text = description if isinstance(description, str) else json.dumps(description)
    metadata = {"charrnn": text, "sha256": checksum(text, _tensors(data))}
    return with_header(data, header_of(data) | {"__metadata__": metadata})


@cache
def _tensors(data):
    return safetensors.numpy.load(data)


def rewritten(data, change):
    """The file after ``change(description, tensors)``, with the right checksum."""
    description, tensors = description_of(data), safetensors.numpy.load(data)
    change(description, tensors)
    text = json.dumps(description)
    return safetensors.numpy.save(tensors, {"charrnn": text, "sha256": checksum(text, tensors)})


def _steps(place):
    return [int(part) if part.isdecimal() else part for part in place.split(".")]


def changed(place, value):
    """A change for ``rewritten``: ``value`` at a place like "config.hidden" or "history.0.step"."""

    def change(description, tensors):
        *path, last = _steps(place)
        target = description
        for part in path:
            target = target[part]
        target[last] = value

    return change


def without(place):
    """A change for ``rewritten`` that removes a key."""

    def change(description, tensors):
        *path, last = _steps(place)
        target = description
        for part in path:
            target = target[part]
        del target[last]

    return change


def tensor(name, value):
    """A change for ``rewritten`` that sets a tensor."""
    return lambda description, tensors: tensors.update({name: value})
