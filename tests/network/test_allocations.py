"""A step makes no array of a window's size: its arrays are made once, with the workspace."""

import tracemalloc

import numpy as np
import pytest
from teams import every_thread_works

from charrnn.config import ModelConfig
from charrnn.network.cells import CELLS
from charrnn.network.network import Network
from charrnn.network.regularisation import Regularisation

STEPS, BATCH, HIDDEN = 50, 32, 64
SMALLEST = 4 * STEPS * BATCH * 16  # bytes of a vector of 16 floats for every place: no array of activations is smaller


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_training_step_makes_no_array_of_activations_or_weights(dropout, cell):
    network = Network(ModelConfig(20, HIDDEN, 2, cell=cell), threads=2)
    ids = np.random.default_rng(1).integers(20, size=(STEPS + 1, BATCH)).astype(np.int32)
    x, y, state = ids[:-1].copy(), ids[1:].copy(), network.initial_state(BATCH)
    regular = Regularisation(dropout=dropout)
    for _ in range(2):  # the first step makes the arrays
        network.loss_and_gradient(x, y, state, regular)
    with every_thread_works() as watch:
        most = min(peak(lambda: network.loss_and_gradient(x, y, state, regular)) for _ in range(3))
    assert watch.workers("network") == {2}
    assert most < SMALLEST / 2


@pytest.mark.parametrize("cell", CELLS)
def test_reading_makes_no_array_of_activations(cell):
    network = Network(ModelConfig(20, HIDDEN, 2, cell=cell), threads=2)
    ids = np.random.default_rng(1).integers(20, size=(STEPS, BATCH)).astype(np.int32)
    state = network.initial_state(BATCH)
    network.losses(ids, ids, state)
    with every_thread_works() as watch:
        most = min(peak(lambda: network.losses(ids, ids, state)) for _ in range(3))
    assert watch.workers("network") == {2}
    assert most < SMALLEST / 2


def peak(work):
    """Bytes that ``work`` holds at most beyond what there was before."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
