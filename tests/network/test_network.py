"""The kernels, through Network, against the float64 oracle and against PyTorch."""

import dataclasses
import gc
import math
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import reference
from conftest import relative
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from teams import every_thread_works, nothing_is_too_small

from charrnn.checkpoints.pytorch import from_torch
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import ConfigError
from charrnn.kernels.cross_entropy import Soft
from charrnn.kernels.packing import Group
from charrnn.network.network import Network, State
from charrnn.network.regularisation import Regularisation
from charrnn.training.optimizer import Optimizer

GOLDENS = sorted((Path(__file__).parents[1] / "goldens" / "pytorch").glob("*.safetensors"))


@pytest.fixture(autouse=True)
def threads_for_the_smallest_window():
    with nothing_is_too_small():
        yield


def random_case(config, steps, batch, seed=0, threads=1):
    """A network with lively parameters, ids x, y with a missing target or two, and a state."""
    rng = np.random.default_rng(seed)
    network = Network(config, seed=seed, threads=threads)
    for _, view in network.parameters.items():
        view += rng.normal(0, 0.1, view.shape).astype(np.float32)
    x, y = rng.integers(config.vocabulary, size=(2, steps, batch)).astype(np.int32)
    if x.size > 2:
        y[-1, 0] = -1
    state = network.initial_state(batch)
    for name, array in state.arrays.items():
        array[:] = rng.normal(0, {"h": 0.3, "c": 0.5}[name], array.shape)
    return network, x, y, state


def dropout_masks(regular, config, steps, batch):
    """The oracle's masks of every layer's outputs."""
    masks = []
    for layer in range(config.layers):
        numbers = (regular.seed, regular.step, layer)
        shape = (1 if regular.variational else steps, batch, config.hidden)
        mask = reference.dropout_mask(regular.dropout, numbers, *shape)
        masks.append(np.broadcast_to(mask, (steps, batch, config.hidden)))
    return masks


def weight_masks(regular, config, parameters):
    """The oracle's masks of weights: 1, or what is left out or scaled, by name."""
    masks = dict.fromkeys(parameters, 1.0)
    for layer in range(config.layers):
        name = f"w_hh_l{layer}"
        numbers = (regular.seed, regular.step, layer, 1)
        mask = reference.dropout_mask(regular.recurrent_dropout, numbers, 1, 1, parameters[name].size)
        masks[name] = mask.reshape(parameters[name].shape)
    numbers = (regular.seed, regular.step, 0, 2)
    rows = reference.dropout_mask(regular.input_dropout, numbers, 1, 1, config.vocabulary)
    masks["embedding" if config.embedding else "w_ih_l0"] = rows.reshape(-1, 1)
    return masks


def soft_targets(weight, config, steps, batch):
    """Random soft targets of a few characters, and the same as the oracle takes them."""
    rng = np.random.default_rng(4)
    count = min(5, config.vocabulary)
    every = np.broadcast_to(np.arange(config.vocabulary, dtype=np.int32), (steps, batch, config.vocabulary))
    ids = rng.permuted(every, axis=2)[:, :, :count].copy()
    q = rng.dirichlet(np.ones(count), (steps, batch))
    dense = np.zeros((steps, batch, config.vocabulary))
    np.put_along_axis(dense, ids, q, axis=2)
    return Soft(np.float32(weight), ids, q.astype(np.float32)), (weight, dense)


def assert_matches(config, steps, batch, regular=None, seed=0, taught=0.0):
    regular = regular or Regularisation()
    soft, dense = soft_targets(taught, config, steps, batch)
    if taught:
        regular = dataclasses.replace(regular, soft=soft)
    network, x, y, state = random_case(config, steps, batch, seed, threads=2)
    plain = {name: view.astype(float) for name, view in network.parameters.items()}
    before = tuple(array.astype(float) for array in state.arrays.values())
    masks = weight_masks(regular, config, plain)
    parameters = {name: value * masks[name] for name, value in plain.items()}
    dropped = dropout_masks(regular, config, steps, batch)
    loss, gradient, _, _, final = reference.loss_and_gradient(
        parameters, x, y, before, dropped, regular.label_smoothing, dense, config.cell, regular.tar
    )

    with every_thread_works() as watch:
        found = network.loss_and_gradient(x, y, state, regular)
    assert watch.workers("network") == {min(2, batch)}
    assert max(watch.workers("weight_gradients")) == 2
    assert relative(found, loss) < 1e-6
    for name in gradient:
        expected = gradient[name] * masks[name]
        if (
            config.vocabulary == 1 and not regular.tar
        ):  # the gradient is 0, and what is found is the rounding of 1 - ε + ε
            assert not expected.any()
            assert np.abs(network.gradient[name]).max() < 1e-7, name
        else:
            # A probability is rounded to 6e-8, and a gradient is a mean over places of what follows from it.
            error = np.linalg.norm(network.gradient[name] - expected)
            assert error < max(2e-5 * np.linalg.norm(expected), 1e-7), name
    for found, expected in zip(state.arrays.values(), final, strict=True):
        assert relative(found, expected) < 2e-6

    # Nothing is left out when the model is used, and no weight has changed.
    again = network.initial_state(batch)
    for array, values in zip(again.arrays.values(), before, strict=True):
        array[:] = values
    with every_thread_works(min(2, batch)) as watch:
        logits = network.forward(x, again)
    assert watch.workers("network") == {min(2, batch)}
    assert relative(logits, reference.forward(plain, x, before, cell=config.cell)[0]) < 2e-6


SHAPES = [
    # vocabulary, hidden, layers, embedding, steps, batch rows, dropout
    (2, 1, 1, None, 1, 1, 0.0),
    (1, 5, 1, None, 3, 2, 0.0),
    (65, 128, 2, None, 12, 7, 0.0),
    (65, 100, 2, 12, 11, 13, 0.0),
    (30, 40, 6, None, 5, 4, 0.0),
    (30, 24, 6, 7, 5, 4, 0.4),
    (7, 33, 2, 3, 8, 5, 0.3),
    (300, 48, 1, None, 4, 50, 0.0),
    (1000, 17, 1, 9, 3, 2, 0.5),
    (11, 16, 2, None, 40, 1, 0.0),
    (11, 16, 2, None, 1, 40, 0.0),
    (9, 5, 1, 130, 4, 3, 0.0),
    (70, 100, 2, 70, 25, 10, 0.3),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_loss_and_every_gradient_match_the_oracle(shape):
    vocabulary, hidden, layers, embedding, steps, batch, rate = shape
    for cell in reference.CELLS:
        config = ModelConfig(vocabulary, hidden, layers, embedding, cell)
        assert_matches(config, steps, batch, Regularisation(rate, 5, 7))


@pytest.mark.parametrize(
    "regular",
    [
        Regularisation(0.4, 5, 7, variational=True),
        Regularisation(0.0, 5, 7, recurrent_dropout=0.5),
        Regularisation(0.0, 5, 7, input_dropout=0.3),
        Regularisation(0.0, 5, 7, label_smoothing=0.1),
        Regularisation(0.0, 5, 7, tar=30.0),
        Regularisation(0.4, 5, 7, tar=30.0),
        Regularisation(
            0.2, 5, 7, variational=True, recurrent_dropout=0.3, input_dropout=0.2, label_smoothing=0.2, tar=3.0
        ),
    ],
    ids=lambda regular: repr(regular),
)
@pytest.mark.parametrize("embedding", [None, 7])
@pytest.mark.parametrize("cell", ["lstm", "rnn", "gru"])
def test_every_regularisation_matches_the_oracle(regular, embedding, cell):
    assert_matches(ModelConfig(30, 21, 3, embedding, cell), 6, 5, regular)
    assert_matches(ModelConfig(30, 21, 3, embedding, cell), 6, 5, regular, taught=0.4)


@settings(max_examples=80)
@given(
    vocabulary=st.integers(1, 90),
    hidden=st.integers(1, 70),
    layers=st.integers(1, 4),
    embedding=st.none() | st.integers(1, 40),
    steps=st.integers(1, 9),
    batch=st.integers(1, 15),
    regular=st.builds(
        Regularisation,
        dropout=st.sampled_from([0.0, 0.0, 0.25]),
        step=st.integers(0, 5),
        variational=st.booleans(),
        recurrent_dropout=st.sampled_from([0.0, 0.25]),
        input_dropout=st.sampled_from([0.0, 0.25]),
        label_smoothing=st.sampled_from([0.0, 0.1]),
        tar=st.sampled_from([0.0, 20.0]),
    ),
    seed=st.integers(0, 1000),
    taught=st.sampled_from([0.0, 0.5]),
    cell=st.sampled_from([*reference.CELLS]),
)
def test_any_shape_matches_the_oracle(vocabulary, hidden, layers, embedding, steps, batch, regular, seed, taught, cell):
    config = ModelConfig(vocabulary, hidden, layers, embedding, cell)
    assert_matches(config, steps, batch, regular, seed, taught)


@pytest.mark.parametrize("batch", [1, 2, 3, 11])
@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize(
    "config",
    [
        *(ModelConfig(65, 100, 2), ModelConfig(40, 64, 1, 16)),
        *(ModelConfig(65, 100, 2, 5, "rnn"), ModelConfig(65, 100, 2, cell="gru"), ModelConfig(65, 90, 2, 9, "gru")),
    ],
    ids=str,
)
def test_threads_do_not_change_a_bit(threads, config, batch):
    """Where there are fewer batch rows than threads, a row has a thread, and all threads share the weight gradients."""
    results = []
    for count in (1, threads):
        network, x, y, state = random_case(config, 20, batch, threads=count)
        with every_thread_works(count) as watch:
            loss = network.loss_and_gradient(x, y, state, Regularisation(0.2, 1, 2))
        assert watch.workers("network") == {min(count, batch)}
        assert max(watch.workers("weight_gradients")) == count
        assert watch.workers("packing") == {count}
        found = [loss, network.gradient.flat.tobytes(), *(array.tobytes() for array in state.arrays.values())]
        with every_thread_works(min(count, batch)) as watch:
            found += [network.losses(x, y, state).tobytes(), network.forward(x, state).tobytes()]
            found += [network.signal(signal.name).tobytes() for signal in network.cell.signals]
        assert watch.workers("network") == {min(count, batch)}
        results.append(found)
    assert results[0] == results[1]


@pytest.mark.parametrize("cell", reference.CELLS)
def test_state_is_carried_from_window_to_window(cell):
    network, x, y, state = random_case(ModelConfig(20, 30, 2, cell=cell), 16, 3)
    start = state.copy()
    whole = network.losses(x, y, state).copy()
    parts = [network.losses(x[k : k + 4], y[k : k + 4], start).copy() for k in range(0, 16, 4)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    for name in network.cell.state:
        np.testing.assert_array_equal(start[name], state[name])


@pytest.mark.parametrize("cell", ["lstm", "rnn", "gru"])
def test_a_short_window_in_arrays_made_for_a_longer_one_has_the_same_bits(cell):
    config, results = ModelConfig(70, 100, 2, cell=cell), []
    for longer_first in (False, True):
        network, x, y, state = random_case(config, 12, 3, threads=2)
        before = state.copy()
        with every_thread_works() as watch:
            if longer_first:
                network.loss_and_gradient(x, y, state, Regularisation(0.2, 1, 2))
            loss = network.loss_and_gradient(x[:5].copy(), y[:5].copy(), before, Regularisation(0.2, 1, 2))
        assert watch.workers("network") == {2}
        assert network.workspace.steps == (12 if longer_first else 5)
        results.append((loss, network.gradient.flat.tobytes(), *(array.tobytes() for array in before.arrays.values())))
    assert results[0] == results[1]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("cell", ["lstm", "rnn", "gru"])
def test_what_is_no_number_in_one_window_is_forgotten_by_the_next(threads, cell):
    config, results = ModelConfig(11, 20, 2, cell=cell), []
    for spoilt in (False, True):
        network, x, y, state = random_case(config, 12, 7, threads=threads)
        if spoilt:
            good = network.parameters.flat.copy()
            network.parameters.flat[:] = np.nan
            network.parameters_changed()
            with every_thread_works(threads) as watch:
                assert math.isnan(network.loss_and_gradient(x, y, state.copy()))
            assert watch.workers("network") == {threads}
            network.parameters.flat[:] = good
            network.parameters_changed()
        for steps in (5, 12, 8):
            with every_thread_works(threads) as watch:
                loss = network.loss_and_gradient(x[:steps].copy(), y[:steps].copy(), state.copy())
            assert watch.workers("network") == {threads}
            results.append((steps, loss, network.gradient.flat.tobytes()))
    assert results[:3] == results[3:]


@pytest.mark.parametrize("name", ["recurrent_dropout", "input_dropout"])
def test_weights_can_be_left_out_in_the_very_first_step_of_a_process(name):
    code = f"""
import numpy as np
from charrnn.config import ModelConfig
from charrnn.network.network import Network
from charrnn.network.regularisation import Regularisation
network, x = Network(ModelConfig(10, 8, 1)), np.zeros((3, 2), np.int32)
print(network.loss_and_gradient(x, x, network.initial_state(2), Regularisation({name}=0.5)) > 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_dropout_keeps_its_share_and_differs_by_step_layer_and_batch_row(rng):
    steps, batch, hidden = 40, 8, 128
    ones = np.ones((hidden // 64, steps * batch, 64), np.float32)
    masks = {}
    for step in (1, 2):
        for layer in (0, 1):
            mask = np.zeros_like(ones)
            Regularisation(0.3, seed=9, step=step).drop((layer,), ones, batch, Group(0, batch), mask)
            assert abs((mask == 0).mean() - 0.3) < 0.01
            assert np.unique(mask).tolist() == [0, np.float32(1 / 0.7)]
            masks[step, layer] = mask
    keys = list(masks)
    for first in range(len(keys)):
        for second in range(first):
            agreement = (masks[keys[first]] == masks[keys[second]]).mean()
            assert abs(agreement - (0.7**2 + 0.3**2)) < 0.02
    rows = np.concatenate(masks[1, 0], axis=1)
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_masked_targets_have_no_loss_and_no_gradient():
    network, x, y, state = random_case(ModelConfig(9, 12, 1), 4, 3)
    y[:] = -1
    assert network.loss_and_gradient(x, y, state) == 0
    assert not network.gradient.flat.any()


def test_ids_out_of_range_are_refused_not_read():
    network, x, y, state = random_case(ModelConfig(9, 12, 1), 4, 3)
    for bad in (-1, 9, 2**31 - 1):
        x[0, 0] = bad
        with pytest.raises(ConfigError, match="ids must be from 0 to 8"):
            network.forward(x, state)
    x[0, 0] = 0
    y[0, 0] = 9
    with pytest.raises(ConfigError, match="targets must be below 9"):
        network.losses(x, y, state)


def test_windows_that_do_not_fit_are_refused_not_read():
    network, x, y, state = random_case(ModelConfig(9, 12, 1), 4, 3)
    for bad in (y[:2], y[:, :1], y.astype(np.int64), np.asfortranarray(y)):
        with pytest.raises(ConfigError, match="one shape"):
            network.losses(x, bad, state)
    with pytest.raises(ConfigError, match="at least one step"):
        network.forward(x[:0], state)
    locked = state["h"].copy()
    locked.flags.writeable = False
    for bad in (state["h"].astype(np.float64), np.asfortranarray(state["h"]), locked):
        with pytest.raises(ConfigError, match="C-contiguous float32"):
            network.losses(x, y, State({"h": bad, "c": state["c"]}))
    with pytest.raises(ConfigError, match="does not fit 2 batch rows"):
        network.forward(x[:, :2].copy(), state)
    for rate in (-0.1, 1.0, float("nan")):
        with pytest.raises(ConfigError):
            Regularisation(rate, 1, 1)
    for tar in (-1.0, float("nan")):
        with pytest.raises(ConfigError, match="tar must be at least 0"):
            Regularisation(tar=tar)
    with pytest.raises(ConfigError):
        Network(ModelConfig(9, 12, 1), threads=0)


def test_a_network_that_is_gone_leaves_no_arrays_and_no_threads():
    before, x = threading.active_count(), np.zeros((2, 3), np.int32)
    gc.disable()  # a cycle of references would keep a network until a collection
    try:
        for _ in range(5):
            network = Network(ModelConfig(9, 12, 1), threads=4)
            with every_thread_works(workers=4) as watch:
                network.loss_and_gradient(x, x, network.initial_state(3))
            assert watch.workers("network") == {3}
            gone = weakref.ref(network)
            del network
            assert gone() is None
    finally:
        gc.enable()
    deadline = time.monotonic() + 60
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


@pytest.mark.parametrize("cell", reference.CELLS)
def test_nan_parameters_give_nan_not_a_number_that_looks_fine(cell):
    network, x, y, state = random_case(ModelConfig(9, 12, 2, cell=cell), 4, 3)
    network.parameters["w_hh_l0"][3, 5] = np.nan
    network.parameters_changed()
    assert np.isnan(network.loss_and_gradient(x, y, state))


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
class TestAgainstPyTorch:
    """Weights in, every gradient out, then ten steps of training: tests/make_goldens.py made the files."""

    def network(self, path):
        golden = load_file(path)
        weights = {name[7:]: value for name, value in golden.items() if name.startswith("weight.")}
        vocabulary, hidden = weights["head.weight"].shape
        layers = sum("weight_hh" in name for name in weights)
        embedding = weights["embedding.weight"].shape[1] if "embedding.weight" in weights else None
        cell = next(each for each in ("lstm", "gru", "rnn") if f"{each}.weight_hh_l0" in weights)
        network = Network(ModelConfig(vocabulary, hidden, layers, embedding, cell), seed=None, threads=2)
        for name, view in network.parameters.items():
            view[:] = from_torch(name, weights, network.cell)
        state = network.initial_state(golden["x"].shape[1])
        for name, array in state.arrays.items():
            array[:] = golden[f"{name}0"]
        return golden, network, golden["x"].astype(np.int32), golden["y"].astype(np.int32), state

    def test_gradients_by_name(self, path):
        golden, network, x, y, state = self.network(path)
        with every_thread_works():
            loss = network.loss_and_gradient(x, y, state)
        assert relative(loss, golden["loss"]) < 1e-6
        gradients = {name[9:]: value for name, value in golden.items() if name.startswith("gradient.")}
        for name in [name for name in gradients if "bias_hh" in name]:
            # Both of PyTorch's biases have the same gradient, but for the last third of a GRU's, the candidate's.
            same = len(gradients[name]) // 3 * 2 if network.config.cell == "gru" else len(gradients[name])
            gradients[name][:same] = 0
        for name, view in network.gradient.items():
            assert relative(view, from_torch(name, gradients, network.cell)) < 1e-5, name
        for name, array in state.arrays.items():
            assert relative(array, golden[name]) < 1e-6

    def test_ten_steps_of_adam_with_clipping(self, path):
        golden, network, x, y, state = self.network(path)
        lr, clip, beta1, beta2, decay = golden["settings"]
        config = TrainConfig(
            optimizer="adamw", clip=float(clip), beta1=float(beta1), beta2=float(beta2), weight_decay=float(decay)
        )
        optimizer = Optimizer(config, network.parameters, network.team)
        losses = []
        with every_thread_works() as watch:
            for _ in golden["losses"]:
                losses.append(network.loss_and_gradient(x, y, state))
                assert optimizer.update(network.gradient, float(lr)) > 0
                network.parameters_changed()
        assert watch.workers("optimizer") == {2}
        np.testing.assert_allclose(losses, golden["losses"], rtol=1e-5)


def test_reading_is_forward_without_logits(rng):
    network = Network(ModelConfig(9, 20, 2), seed=1, threads=2)
    x, states = rng.integers(0, 9, (7, 5), dtype=np.int32), [network.initial_state(5) for _ in range(2)]
    with every_thread_works() as watch:
        network.forward(x, states[0])
        expected = network.signal("c")
        network.read(x, states[1])
    assert watch.workers("network") == {2}
    np.testing.assert_array_equal(network.signal("c"), expected)
    np.testing.assert_array_equal(states[1]["h"], states[0]["h"])
