"""The Transformer's kernels, through Network, against the float64 oracle; a step of the sampler against a window."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import reference
import transformer_reference as oracle
from conftest import relative
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from teams import every_thread_works, nothing_is_too_small

from charrnn.checkpoints.pytorch import from_torch
from charrnn.config import ModelConfig, TrainConfig
from charrnn.inference.sampler import Choice, Sampler
from charrnn.inference.stream_team import TOGETHER
from charrnn.kernels.attention_window import LAST_POSITION
from charrnn.network.network import Network, State
from charrnn.network.regularisation import ATTENTION, EMBEDDING, MLP, RESIDUAL, Regularisation
from charrnn.training.optimizer import Optimizer

GOLDENS = sorted((Path(__file__).parents[1] / "goldens" / "pytorch" / "transformers").glob("*.safetensors"))


@pytest.fixture(autouse=True)
def threads_for_the_smallest_window():
    with nothing_is_too_small():
        yield


def lively(vocabulary, hidden, layers, heads, context, seed=0, threads=1):
    """A network whose gains and biases differ, too."""
    config = ModelConfig(vocabulary, hidden, layers, None, "transformer", heads, context)
    network, rng = Network(config, seed=seed, threads=threads), np.random.default_rng(seed)
    for name, view in network.parameters.items():
        view += rng.normal(0, 0.3 if name.startswith("g_") else 0.1, view.shape).astype(np.float32)
    return network


def windows_of(network, sizes, batch, seed=0):
    """Ids x, y of windows of ``sizes`` steps that follow each other, with a missing target or two."""
    rng = np.random.default_rng(seed)
    for steps in sizes:
        x, y = rng.integers(network.config.vocabulary, size=(2, steps, batch)).astype(np.int32)
        if x.size > 2:
            y[-1, 0] = -1
        yield x, y


def exact(network):
    return {name: view.astype(float) for name, view in network.parameters.items()}


def oracle_state(state):
    return {name: array.astype(float) for name, array in state.arrays.items()}


def heads_of(network):
    return network.cell.heads(network.config)


def dropout_masks(regular, network, steps, batch):
    """The oracle's masks of everything that dropout falls on."""
    config, heads = network.config, heads_of(network)

    def mask(layer, place, rows, columns):
        return reference.dropout_mask(regular.dropout, (regular.seed, regular.step, layer, place), steps, rows, columns)

    layers, context = range(config.layers), network.cell.context(config)
    weights = [mask(layer, ATTENTION, batch * heads, context + steps) for layer in layers]
    return {
        "input": mask(0, EMBEDDING, batch, config.hidden),
        "attention": np.stack([mask(layer, RESIDUAL, batch, config.hidden) for layer in layers]),
        "mlp": np.stack([mask(layer, MLP, batch, config.hidden) for layer in layers]),
        "weights": np.stack(weights).reshape(config.layers, steps, batch, heads, -1),
    }


def assert_matches(network, sizes, batch, regular=None, seed=0):
    """Loss, gradients and state of windows that follow each other, each from the state that was found before."""
    regular = regular or Regularisation()
    parameters, heads = exact(network), heads_of(network)
    state = network.initial_state(batch)
    for x, y in windows_of(network, sizes, batch, seed):
        before, start = oracle_state(state), state.copy()
        masks = dropout_masks(regular, network, len(x), batch) if regular.dropout else None
        rows = np.ones((network.config.vocabulary, 1))
        if regular.input_dropout:
            numbers = (regular.seed, regular.step, 0, 2)
            rows = reference.dropout_mask(regular.input_dropout, numbers, 1, 1, len(rows)).reshape(-1, 1)
        thinned = parameters | {"embedding": parameters["embedding"] * rows}
        loss, gradient, _, final = oracle.loss_and_gradient(
            thinned, x, y, before, heads, masks, regular.label_smoothing
        )
        gradient["embedding"] = gradient["embedding"] * rows
        found = network.loss_and_gradient(x, y, state, regular)
        assert relative(found, loss) < 1e-6
        for name, expected in gradient.items():
            # A probability is rounded to 6e-8, and a gradient is a mean over places of what follows from it.
            error = np.linalg.norm(network.gradient[name] - expected)
            assert error < max(2e-5 * np.linalg.norm(expected), 1e-7), name
        for name, expected in final.items():
            assert relative(state[name], expected) < 3e-6, name

        logits = network.forward(x, start)  # nothing is dropped
        assert relative(logits, oracle.forward(parameters, x, before, heads)[0]) < 3e-6
        np.testing.assert_array_equal(start["position"], state["position"])


SHAPES = [
    # vocabulary, hidden, layers, heads, context, windows, batch rows, dropout
    (2, 1, 1, 1, 2, [1], 1, 0.0),
    (5, 6, 2, 2, 3, [5, 1, 4], 2, 0.0),
    (5, 6, 1, 6, 2, [3, 3], 2, 0.3),
    (7, 10, 2, 5, 20, [8, 8, 8, 8], 3, 0.2),
    (7, 20, 3, 2, 7, [9, 9], 1, 0.0),
    (7, 33, 2, 3, 16, [16, 5], 2, 0.4),
    (9, 33, 1, 1, 70, [40, 40, 3], 2, 0.0),
    (9, 64, 1, 1, 64, [64, 64], 2, 0.0),
    (65, 130, 1, 1, 9, [7, 7], 2, 0.0),  # a head above two panels
    (65, 195, 1, 3, 5, [6], 2, 0.1),
    (300, 64, 2, 4, 33, [50, 50], 3, 0.0),
    (11, 16, 2, 4, 200, [150, 70, 100], 1, 0.0),
    (11, 32, 1, 2, 4, [130], 2, 0.0),  # most panels of a window are out of sight
    (11, 16, 1, 1, 2, [1, 1, 1, 1], 40, 0.0),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_loss_and_every_gradient_match_the_oracle(shape):
    *sizes, windows, batch, rate = shape
    assert_matches(lively(*sizes, threads=2), windows, batch, Regularisation(rate, 5, 7))


@settings(max_examples=40)
@given(data=st.data())
def test_any_shape_matches_the_oracle(data):
    heads = data.draw(st.sampled_from([1, 2, 3, 5]), "heads")
    # Of one or two columns a norm leaves little but the sign, and a gradient is little but rounding.
    hidden = heads * data.draw(st.integers(-(-4 // heads), 80 // heads), "size")
    vocabulary, layers = data.draw(st.integers(2, 90), "vocabulary"), data.draw(st.integers(1, 3), "layers")
    context, batch = data.draw(st.integers(2, 80), "context"), data.draw(st.integers(1, 4), "batch")
    sizes = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=4), "windows")
    regular = data.draw(
        st.builds(
            Regularisation,
            dropout=st.sampled_from([0.0, 0.0, 0.25]),
            seed=st.integers(0, 5),
            step=st.integers(0, 5),
            input_dropout=st.sampled_from([0.0, 0.0, 0.25]),
            label_smoothing=st.sampled_from([0.0, 0.1]),
        ),
        "regularisation",
    )
    seed, threads = data.draw(st.integers(0, 1000), "seed"), data.draw(st.integers(1, 3), "threads")
    assert_matches(lively(vocabulary, hidden, layers, heads, context, seed, threads), sizes, batch, regular, seed)


def test_the_gradient_is_that_of_finite_differences(rng):
    """Without the oracle's backward: differences of the float64 forward pass."""
    network = lively(9, 12, 2, 3, 5)
    (first, _), (x, y) = windows_of(network, [4, 8], 3)
    state = network.initial_state(3)
    network.read(first, state)
    before, parameters = oracle_state(state), exact(network)
    network.loss_and_gradient(x, y, state)

    def loss():
        logits, _, _ = oracle.forward(parameters, x, before, 3)
        return reference.losses(logits, y).sum() / np.count_nonzero(y >= 0)

    for name, view in parameters.items():
        for place in rng.integers(view.size, size=4):
            value, found = view.flat[place], []
            for change in (1e-5, -1e-5):
                view.flat[place] = value + change
                found.append(loss())
            view.flat[place] = value
            expected = (found[0] - found[1]) / 2e-5
            assert network.gradient[name].flat[place] == pytest.approx(expected, rel=2e-3, abs=2e-6), name


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_do_not_change_a_bit(threads, batch):
    results = []
    for count in (1, threads):
        network, found = lively(40, 66, 2, 3, 12, threads=count), []
        state = network.initial_state(batch)
        for x, y in windows_of(network, [10, 20], batch):
            with every_thread_works(min(count, batch)) as watch:
                found.append(network.loss_and_gradient(x, y, state, Regularisation(0.2, 1, 2)))
            assert watch.workers("network") == {min(count, batch)}
            found += [network.gradient.flat.tobytes(), *(array.tobytes() for array in state.arrays.values())]
            found += [network.losses(x, y, state).tobytes(), network.forward(x, state).tobytes()]
            found += [network.signal(signal.name).tobytes() for signal in network.cell.signals]
        results.append(found)
    assert results[0] == results[1]


@pytest.mark.parametrize("context", [2, 7, 100, 300])
def test_where_windows_end_changes_no_bit(context):
    network = lively(20, 30, 2, 3, context)
    ((x, y),) = windows_of(network, [280], 3)
    whole, state = network.losses(x, y, network.initial_state(3)).copy(), network.initial_state(3)
    cuts = [0, 1, 6, 64, 65, 130, 200, 280]
    parts = [network.losses(x[a:b].copy(), y[a:b].copy(), state).copy() for a, b in itertools.pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_short_window_in_arrays_made_for_a_longer_one_has_the_same_bits():
    results = []
    for longer_first in (False, True):
        network = lively(30, 42, 2, 3, 9, threads=2)
        (x, y), (_, _) = windows_of(network, [12, 1], 3)
        state = network.initial_state(3)
        if longer_first:
            network.loss_and_gradient(x, y, network.initial_state(3), Regularisation(0.2, 1, 2))
        loss = network.loss_and_gradient(x[:5].copy(), y[:5].copy(), state, Regularisation(0.2, 1, 2))
        results.append((loss, network.gradient.flat.tobytes(), state["k"].tobytes(), state["v"].tobytes()))
    assert results[0] == results[1]


@pytest.mark.parametrize("position", [2**23 - 3, LAST_POSITION - 100, LAST_POSITION - 7, LAST_POSITION - 1])
def test_a_position_may_be_as_large_as_it_likes(position):
    """Only distances count: far from the beginning a text has the losses that it has there.

    There are two layers, so after twice the context nothing is left of where the text began.
    """
    network, found = lively(20, 32, 2, 4, 12), []
    (before, _), (x, y), (more, more_y) = windows_of(network, [30, 40, 9], 2)
    for start in (0, position - 30):
        state = network.initial_state(2)
        state["position"][:] = start
        network.read(before, state)
        losses = [network.losses(x, y, state).copy(), network.losses(more, more_y, state).copy()]
        network.loss_and_gradient(more, more_y, state)
        found.append((np.concatenate(losses), network.gradient.flat.copy(), state))
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=2e-5)
    assert relative(found[1][1], found[0][1]) < 2e-5
    final = found[1][2]["position"]
    assert (final < LAST_POSITION).all()
    assert (final % 2**23 == (position + 58) % 2**23).all()


@pytest.mark.parametrize("context", [5, 40, 100])
def test_what_is_no_number_in_one_window_is_forgotten_by_the_next(context):
    """Rings and scratch keep what a window with bad weights left: zeros of a product must not meet it."""
    results = []
    for spoilt in (False, True):
        network = lively(11, 20, 2, 2, context, threads=2)
        windows = list(windows_of(network, [70, 30, 70, 3], 3))
        state = network.initial_state(3)
        for x, _ in windows[:2]:
            network.read(x, state)
        if spoilt:
            good, other = network.parameters.flat.copy(), state.copy()
            network.parameters.flat[:] = np.nan
            network.parameters_changed()
            assert all(math.isnan(network.loss_and_gradient(x, y, other)) for x, y in windows)
            other.clear()
            assert math.isnan(network.loss_and_gradient(*windows[0], other))
            network.parameters.flat[:] = good
            network.parameters_changed()
        cleared = State({name: np.zeros_like(array) for name, array in state.arrays.items()})
        for start in (state, cleared):
            for x, y in windows:
                loss = network.loss_and_gradient(x, y, start, Regularisation(0.1, 1, 1))
                assert math.isfinite(loss)
                results.append((loss, network.gradient.flat.tobytes()))
    assert results[: len(results) // 2] == results[len(results) // 2 :]


# ---- PyTorch -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
class TestAgainstPyTorch:
    """Weights in, every gradient out, then ten steps of training: tests/support/make_goldens.py made the files."""

    def network(self, path):
        golden = load_file(path)
        weights = {name[7:]: value for name, value in golden.items() if name.startswith("weight.")}
        vocabulary, hidden, layers, heads, context = map(int, golden["sizes"])
        config = ModelConfig(vocabulary, hidden, layers, None, "transformer", heads, context)
        network = Network(config, seed=None, threads=2)
        for name, view in network.parameters.items():
            view[:] = from_torch(name, weights, network.cell)
        return golden, network, golden["x"].astype(np.int32), golden["y"].astype(np.int32)

    def test_gradients_by_name(self, path):
        golden, network, x, y = self.network(path)
        logits = network.forward(x, network.initial_state(x.shape[1]))
        assert relative(logits, golden["logits"]) < 2e-6
        with every_thread_works():
            loss = network.loss_and_gradient(x, y, network.initial_state(x.shape[1]))
        assert relative(loss, golden["loss"]) < 1e-6
        gradients = {name[9:]: value for name, value in golden.items() if name.startswith("gradient.")}
        for name, view in network.gradient.items():
            assert relative(view, from_torch(name, gradients, network.cell)) < 2e-5, name

    def test_ten_steps_of_adamw_with_clipping(self, path):
        golden, network, x, y = self.network(path)
        lr, clip, beta1, beta2, decay = map(float, golden["settings"])
        config = TrainConfig(optimizer="adamw", clip=clip, beta1=beta1, beta2=beta2, weight_decay=decay)
        optimizer, losses = Optimizer(config, network.parameters, network.team), []
        for _ in golden["losses"]:
            losses.append(network.loss_and_gradient(x, y, network.initial_state(x.shape[1])))
            assert optimizer.update(network.gradient, lr) > 0
            network.parameters_changed()
        np.testing.assert_allclose(losses, golden["losses"], rtol=1e-5)


# ---- writing -------------------------------------------------------------------------------------------


def assert_same_bits_as_windows(network, prime, text, logits):
    """The logits (N, V) of a sampler's steps, after each id of ``text`` (N,), are those of one window."""
    ids = np.concatenate([prime, text]).astype(np.int32)[:-1, None]
    whole = network.forward(ids, network.initial_state(1))[len(prime) - 1 :, 0]
    np.testing.assert_array_equal(np.stack(logits), whole)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("hidden", "heads", "context"), [(20, 2, 6), (33, 3, 70), (70, 1, 5), (48, 4, 200)])
def test_a_step_of_the_sampler_has_the_bits_of_a_window(hidden, heads, context, threads):
    network = lively(23, hidden, 2, heads, context, threads=threads)
    prime = np.arange(5, dtype=np.int32)
    sampler, logits, drawn = Sampler(network, prime, seed=4), [], []
    sampler._strategies.next = lambda: TOGETHER if threads > 1 else 0
    for _ in range(150):
        drawn.append(sampler.draw(1)[0, 0])
        logits.append(sampler._logits[0, 0, :23].copy())
    assert_same_bits_as_windows(network, prime, drawn, logits)


@pytest.mark.parametrize("length", [255, 256, 257, 600])
def test_a_prime_of_any_length_is_read(length, rng):
    network = lively(23, 20, 2, 2, 40)
    prime = rng.integers(23, size=length).astype(np.int32)
    sampler, logits, drawn = Sampler(network, prime, seed=4), [], []
    for _ in range(70):
        drawn.append(sampler.draw(1)[0, 0])
        logits.append(sampler._logits[0, 0, :23].copy())
    assert_same_bits_as_windows(network, prime, drawn, logits)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_text_is_the_same_for_any_streams_chunks_and_threads(threads):
    def sampler(streams, threads):
        return Sampler(lively(23, 30, 2, 3, 9, threads=threads), [1, 2], streams, Choice(0.9), seed=5)

    alone = sampler(1, 1).draw(90)[:, 0]
    for streams in (1, 2, 5):
        with every_thread_works(min(threads, streams)):
            many = sampler(streams, threads)
            np.testing.assert_array_equal(np.concatenate([many.draw(count) for count in (1, 30, 59)])[:, 0], alone)
    together = sampler(1, threads)
    together._strategies.next = lambda: TOGETHER if threads > 1 else 0
    with every_thread_works(threads):
        np.testing.assert_array_equal(together.draw(90)[:, 0], alone)
