"""Models and a long text for tests of exports: what another program computes is compared with the network."""

import numpy as np
from command_line import FABLES

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import ModelConfig
from charrnn.model import Model
from charrnn.network.cells import parameter_shapes
from charrnn.text.vocabulary import Vocabulary

TEXT = FABLES.read_text("utf-8")[:30_000]
BATCH = 3
CHUNKS = (1, 7, 500, 1, 2000)  # steps of the calls; the last size repeats

MODELS = {
    "lstm": ModelConfig(len(set(TEXT)), 37, 2),
    "lstm of one layer with an embedding": ModelConfig(len(set(TEXT)), 16, 1, 5),
    "gru": ModelConfig(len(set(TEXT)), 37, 2, cell="gru"),
    "gru of one layer with an embedding": ModelConfig(len(set(TEXT)), 16, 1, 5, cell="gru"),
    "rnn": ModelConfig(len(set(TEXT)), 37, 2, cell="rnn"),
    "capped lstm": ModelConfig(len(set(TEXT)), 37, 1, cell="capped-lstm"),
    "capped lstm of three layers with an embedding": ModelConfig(len(set(TEXT)), 20, 3, 9, cell="capped-lstm"),
    "coupled lstm of two layers with an embedding": ModelConfig(len(set(TEXT)), 20, 2, 9, cell="coupled-lstm"),
    "transformer": ModelConfig(len(set(TEXT)), 24, 2, cell="transformer"),
    "transformer of one layer with odd heads": ModelConfig(
        len(set(TEXT)), 15, 1, cell="transformer", heads=3, context=7
    ),
}


def checkpoint(model, symbols=None):
    """A checkpoint of random weights for the characters of the text.

    With larger weights the state is chaotic: it makes large differences of the rounding errors, which always differ.
    """
    rng = np.random.default_rng(7)
    symbols = sorted(set(TEXT)) if symbols is None else symbols
    shapes, size = parameter_shapes(model).items(), 0.1 if model.cell == "rnn" else 0.25
    parameters = {name: rng.normal(0, size, shape).astype(np.float32) for name, shape in shapes}
    return Checkpoint(model, Vocabulary(symbols), parameters=parameters)


def bytes_checkpoint():
    """The checkpoint of a model of bytes, and the text in bytes."""
    symbols = sorted(set(TEXT.encode()))
    return checkpoint(ModelConfig(len(symbols), 16, 1), symbols)


def compare(made, run, text=TEXT):
    """The largest difference between logits of the network and of ``run``, over a long text in chunks.

    ``run(x, state)`` gives the logits (T, B, V) for ids x (T, B), and the next state; the first state is None. The
    difference is relative to the largest logit.
    """
    model = Model.from_checkpoint(made, threads=1)
    ids = model.encode(text)
    x = np.ascontiguousarray(ids[: len(ids) // BATCH * BATCH].reshape(BATCH, -1).T)
    own, state, start, worst = model.network.initial_state(BATCH), None, 0, 0.0
    for size in (*CHUNKS, *CHUNKS[-1:] * len(x)):
        chunk = x[start : start + size]
        if not len(chunk):
            break
        expected = model.network.forward(chunk, own)
        found, state = run(chunk.astype(np.int64), state)
        worst = max(worst, np.abs(found - expected).max() / np.abs(expected).max())
        start += size
    assert start > len(x) > 2500
    return worst
