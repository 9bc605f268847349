"""Dynamic evaluation: its loss against float64, and no character is predicted by weights that have seen it."""

import numpy as np
import pytest
import reference
from teams import every_thread_works

from charrnn.config import DynamicEvaluationConfig, ModelConfig
from charrnn.errors import ConfigError
from charrnn.inference.loss import evaluate
from charrnn.network.cells import cell_of
from charrnn.network.network import Network
from charrnn.training.dynamic_evaluation import DynamicLearner, evaluate_dynamically

FAST = DynamicEvaluationConfig(lr=5e-3)


def network(threads=1):
    return Network(ModelConfig(6, 20, 2), seed=2, threads=threads)


@pytest.fixture
def ids(rng):
    return np.tile(rng.integers(6, size=50), 8).astype(np.uint8)


def in_float64(model, ids, lr, steps, decay, factor):
    """The same loss by the equations of the paper, with the mean square over the segments so far."""
    parameters = {name: view.astype(float) for name, view in model.parameters.items()}
    original = {name: value.copy() for name, value in parameters.items()}
    squares = {name: np.zeros_like(value) for name, value in parameters.items()}
    state, losses = tuple(np.zeros((2, 2, 1, 20))), []
    for number, start in enumerate(range(0, len(ids) - 1, steps), 1):
        window = ids[start : start + steps + 1, None].astype(int)
        loss, gradient, _, _, state = reference.loss_and_gradient(parameters, window[:-1], window[1:], state)
        losses += [loss] * (len(window) - 1)
        for name, g in gradient.items():
            squares[name] += (g**2 - squares[name]) / number
        roots = {name: np.sqrt(value) for name, value in squares.items()}
        mean = np.concatenate([root.ravel() for root in roots.values()]).mean()
        for name, root in roots.items():
            back = np.minimum(decay * root / mean, 1) * (original[name] - parameters[name])
            rate = lr * factor if name.startswith("w_hh") else lr
            parameters[name] += back - rate * gradient[name] / (root + 0.01 * mean)
    return np.mean(losses)


@pytest.mark.parametrize(("steps", "factor"), [(7, 1.0), (32, 1.0), (32, 0.25)])
def test_the_loss_matches_float64(ids, steps, factor):
    model = network()
    found = evaluate_dynamically(model, ids, config=DynamicEvaluationConfig(2e-3, steps, 0.02, factor)).network
    assert found.characters == len(ids) - 1
    assert found.loss == pytest.approx(in_float64(model, ids, 2e-3, steps, 0.02, factor), rel=1e-4)


@pytest.mark.parametrize(
    ("cell", "slow"), [("lstm", {"w_hh"}), ("transformer", {"g_att", "w_qkv", "w_att", "g_mlp", "w_up", "w_down"})]
)
def test_what_learns_slowly(ids, cell, slow):
    """With a factor of 0 it does not learn at all."""
    config = ModelConfig(6, 32, 2, cell=cell)
    model = Network(cell_of(config).completed(config), seed=2)
    before = {name: value.copy() for name, value in model.parameters.items()}
    learner = DynamicLearner(model, model.parameters.flat.copy(), DynamicEvaluationConfig(1e-2, 32, 0.0, 0.0))
    model.loss_and_gradient(ids[:40, None].astype(np.int32), ids[1:41, None].astype(np.int32), model.initial_state(1))
    learner.update()
    same = {name for name, value in model.parameters.items() if (value == before[name]).all()}
    assert {name.rpartition("_l")[0] for name in same} == slow


def test_without_learning_it_is_the_static_loss(ids):
    model = network()
    static = evaluate_dynamically(model, ids, config=DynamicEvaluationConfig(lr=0)).network
    assert static.loss == pytest.approx(evaluate(model, ids).loss, rel=1e-6)
    with_context = evaluate_dynamically(model, ids[1:], before=int(ids[0])).network
    assert with_context == evaluate_dynamically(model, ids).network


def test_learning_lowers_the_loss_and_leaves_the_weights_alone(ids):
    model = network()
    weights, static = model.parameters.flat.copy(), evaluate(model, ids)
    assert evaluate_dynamically(model, ids, config=FAST).network.loss < static.loss - 0.05
    np.testing.assert_array_equal(model.parameters.flat, weights)
    assert evaluate(model, ids) == static


def losses_of_segments(text):
    model, losses = network(), []
    learn = model.loss_and_gradient

    def record(*window):
        losses.append(learn(*window))
        return losses[-1]

    model.loss_and_gradient = record
    evaluate_dynamically(model, text, config=FAST)
    return losses


def test_nothing_is_learnt_from_later_text(ids):
    changed = ids.copy()
    changed[321:] = (changed[321:] + 1) % 6
    seen = [losses_of_segments(text) for text in (ids, changed)]
    # Segment k, from 0, predicts the characters 32 k + 1 to 32 k + 32.
    assert seen[0][:10] == seen[1][:10]
    assert seen[0][10] != seen[1][10]


def test_the_same_bits_for_any_number_of_threads(ids, monkeypatch):
    """A window has one batch row, so threads share its weight gradients, the packing and the learning only."""
    monkeypatch.setattr("charrnn.training.dynamic_evaluation.RANGE", 256)
    expected = evaluate_dynamically(network(1), ids).network
    for threads in (1, 2, 3, 5):
        with every_thread_works(threads) as watch:
            assert evaluate_dynamically(network(threads), ids).network == expected
        assert watch.workers("network") == {1}
        for module in ("weight_gradients", "packing", "optimizers"):
            assert watch.workers(module) == {threads}, module


def test_an_interruption_leaves_the_weights_alone(ids):
    model = network()
    weights = model.parameters.flat.copy()

    def stop(done, total):
        if done > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_dynamically(model, ids, config=FAST, progress=stop)
    np.testing.assert_array_equal(model.parameters.flat, weights)


def test_a_text_that_is_too_short_and_weights_that_are_not_finite_are_errors(ids):
    with pytest.raises(ConfigError, match="fewer than 2"):
        evaluate_dynamically(network(), ids[:1])
    hopeless = network()
    hopeless.parameters["w_out"][:] = np.inf
    with pytest.raises(ConfigError, match="lower"), np.errstate(all="ignore"):
        evaluate_dynamically(hopeless, ids)
