"""Cells held at a value."""

import gc
import time
import weakref

import numpy as np
import pytest
from teams import every_thread_works

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.inference.sampler import Sampler
from charrnn.inspection.clamping import clamp
from charrnn.network.network import Network

HELD = {(0, 5): 0.7312345, (1, 0): -2.25, (1, 18): 0.0}


def network_of(embedding=None, threads=1):
    return Network(ModelConfig(30, 19, 2, embedding), seed=4, threads=threads)


@pytest.mark.parametrize("embedding", [None, 7])
def test_a_held_cell_keeps_its_value_to_the_bit(rng, embedding):
    network = clamp(network_of(embedding), HELD)
    state = network.initial_state(5)
    for steps in (1, 40, 17):
        network.forward(rng.integers(0, 30, (steps, 5), np.int32), state)
        cells = network.signal("c")
        for (layer, unit), value in HELD.items():
            assert (cells[:, :, layer, unit] == np.float32(value)).all()
            assert (network.signal("f")[:, :, layer, unit] == 1).all()
    assert (network.signal("h")[:, :, 1, 18] == 0).all()
    told = network.signal("h")[:, :, 1, 0] / network.signal("o")[:, :, 1, 0]
    np.testing.assert_allclose(told, np.tanh(-2.25), rtol=1e-6)


def test_the_others_follow_from_it_and_the_original_is_untouched(rng):
    network = network_of()
    before = network.parameters.flat.copy()
    x = rng.integers(0, 30, (50, 3), np.int32)
    free = network.forward(x, network.initial_state(3)).copy()
    nobody = clamp(network, {})
    np.testing.assert_array_equal(nobody.forward(x, nobody.initial_state(3)), free)
    somebody = clamp(network, {(0, 5): 3.0})
    assert np.abs(somebody.forward(x, somebody.initial_state(3)) - free).max() > 1e-3
    np.testing.assert_array_equal(network.parameters.flat, before)
    np.testing.assert_array_equal(network.forward(x, network.initial_state(3)), free)


def test_a_cell_held_at_what_it_is_changes_nothing(rng):
    """A unit that the network itself never moves: holding it there is no intervention."""
    network = network_of()
    network.parameters["w_ih_l0"][:, [2 * 19 + 6]] = 0
    network.parameters["w_hh_l0"][:, [2 * 19 + 6]] = 0
    network.parameters_changed()
    x = rng.integers(0, 30, (60, 2), np.int32)
    free = network.forward(x, network.initial_state(2)).copy()
    held = clamp(network, {(0, 6): 0.0})
    np.testing.assert_array_equal(held.forward(x, held.initial_state(2)), free)


def test_text_is_sampled_with_the_cell_held():
    network = network_of(threads=2)
    held = clamp(network, {(1, 3): 8.0})
    sampler = Sampler(held, np.array([1, 2, 3]), 2, seed=3)
    with every_thread_works() as watch:
        drawn = sampler.draw(50)
    assert watch.workers("sampler") == {2}
    assert (sampler._streams[0]._arrays[1]["c"][0, :, 3] == 8).all()  # before and after the last step
    assert (drawn != Sampler(network, np.array([1, 2, 3]), 2, seed=3).draw(50)).any()


def test_a_network_that_is_done_with_is_let_go(rng):
    """Its threads do not keep it: an ablation makes dozens."""
    network = clamp(network_of(threads=3), HELD)
    with every_thread_works(workers=3) as watch:
        network.forward(rng.integers(0, 30, (10, 6), np.int32), network.initial_state(6))
    assert watch.workers("network") == {3}
    gone = weakref.ref(network)
    del network
    for _ in range(1000):
        gc.collect()
        if gone() is None:
            break
        time.sleep(0.05)  # a thread may still be on its way to sleep
    assert gone() is None


@pytest.mark.parametrize(("cell", "value"), [((2, 0), 0.0), ((0, 19), 0.0), ((-1, 0), 0.0), ((0, 0), float("nan"))])
def test_what_cannot_be_held(cell, value):
    with pytest.raises(ConfigError):
        clamp(network_of(), {cell: value})
