"""The optimisers: PyTorch's results, clipping, regularisation, the moving average, and the same bits on all threads."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import safetensors
from conftest import relative
from safetensors.numpy import load_file
from teams import every_thread_works

from charrnn.config import OPTIMIZERS, ModelConfig, TrainConfig
from charrnn.errors import ConfigError
from charrnn.network.parameters import Parameters
from charrnn.system.threads import Team
from charrnn.training.optimizer import RANGE, Optimizer
from charrnn.training.schedule import learning_rate

CONFIG = ModelConfig(7, 9, 2, 3)
LARGE = ModelConfig(7, 90, 2, 3)  # more than one range, and gaps between parameters
LR = 0.01

DIGEST = "fe881a9253872904a0a445e501a629da3094c999cf48f334e35726dbc0323701"

GOLDENS = Path(__file__).parents[1] / "goldens" / "pytorch" / "updates" / "optimizers.safetensors"
with safetensors.safe_open(GOLDENS, "numpy") as _file:
    CASES = json.loads(_file.metadata()["cases"])


def is_bias(name):
    return name.startswith("b_")


def filled(config, value):
    """Parameters filled by value(shape); the gaps between them stay zero."""
    parameters = Parameters(config)
    for _, view in parameters.items():
        view[:] = value(view.shape)
    return parameters


def put(parameters, weights, biases):
    """Fill parameters from flat weights (N,) and flat biases (M,)."""
    rest = {False: weights, True: biases}
    for name, view in parameters.items():
        view[:] = rest[is_bias(name)][: view.size].reshape(view.shape)
        rest[is_bias(name)] = rest[is_bias(name)][view.size :]
    assert not any(map(len, rest.values()))


def taken(parameters, biases):
    return np.concatenate([view.ravel() for name, view in parameters.items() if is_bias(name) == biases])


@pytest.mark.parametrize("case", CASES)
def test_twenty_updates_are_those_of_pytorch(case):
    """Every optimiser: plain, with weight decay, clipped by norm, by value, and all at once with L1."""
    golden = load_file(GOLDENS)
    config = TrainConfig(**CASES[case])
    parameters, gradient = Parameters(ModelConfig(3, 4, 1)), Parameters(ModelConfig(3, 4, 1))
    put(parameters, golden["weights"], golden["biases"])
    optimizer = Optimizer(config, parameters, Team(1))
    for weights, biases in zip(golden["gradient.weights"], golden["gradient.biases"], strict=True):
        put(gradient, weights, biases)
        norm = optimizer.update(gradient, config.lr)
        assert norm == pytest.approx(math.hypot(*weights, *biases), rel=1e-6)  # the norm before clipping
    assert optimizer.count == 20
    assert relative(taken(parameters, biases=False), golden[f"{case}.weights"]) < 1e-6
    assert relative(taken(parameters, biases=True), golden[f"{case}.biases"]) < 1e-6


def test_the_goldens_cover_every_optimiser_and_differ_by_settings():
    assert {case["optimizer"] for case in CASES.values()} == set(OPTIMIZERS)
    golden = load_file(GOLDENS)
    results = [golden[f"{case}.weights"].tobytes() for case in CASES if not case.startswith("adam-")]
    assert len(set(results)) == len(results)  # Adam without decay is AdamW without


def exact(rng, config):
    """Parameters of random numbers that are the same on every machine."""
    return filled(config, lambda shape: rng.integers(-(2**20), 2**20, shape) / 2**20)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_the_defaults_give_the_same_bits_as_ever(threads, rng):
    """AdamW, clipping, warm-up and cosine. The digest is older than the other schedules and clippings."""
    config = TrainConfig(lr=4e-3)  # the default when the digest was made
    parameters = exact(rng, LARGE)
    assert parameters.flat.size > 4 * RANGE
    optimizer = Optimizer(config, parameters, Team(threads))
    with every_thread_works(threads) as watch:
        for step in range(40):
            optimizer.update(exact(rng, LARGE), learning_rate(config, step, step / 400, 0.0, ()))
    assert watch.workers("optimizer") == {threads}
    assert hashlib.sha256(parameters.flat.tobytes()).hexdigest() == DIGEST


@pytest.mark.parametrize("clip_value", [0.0, 0.5])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimiser_gives_the_same_bits_for_any_number_of_threads(optimizer, clip_value, rng):
    config = TrainConfig(optimizer=optimizer, ema=0.9, l1=0.01, weight_decay=0.1, clip=0.3, clip_value=clip_value)
    start = filled(LARGE, rng.standard_normal)
    gradients, results = [filled(LARGE, rng.standard_normal) for _ in range(3)], []
    for threads in (1, 2, 3, 40):
        parameters = Parameters(LARGE)
        parameters.flat[:] = start.flat
        team = Team(threads)
        made = Optimizer(config, parameters, team)
        workers = min(threads, len(made._ranges))  # each has at least one range of the parameters
        with every_thread_works(workers) as watch:
            norms = [made.update(gradient, LR) for gradient in gradients]
        team.close()
        assert watch.workers("optimizer") == {workers}
        results.append((norms, parameters.flat.tobytes(), *(slot.tobytes() for slot in made.slots.values())))
    assert len(made._ranges) < 40
    assert results[1:] == results[:1] * 3


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_gaps_between_parameters_stay_zero(optimizer, rng):
    config = TrainConfig(optimizer=optimizer, l1=0.1, weight_decay=0.1, clip_value=0.5, ema=0.9)
    parameters = filled(CONFIG, rng.standard_normal)
    gaps = np.ones(parameters.flat.size, bool)
    for start, stop in parameters.ranges.values():
        gaps[start:stop] = False
    assert gaps.any()
    kernel = Optimizer(config, parameters, Team(1))
    for _ in range(3):
        kernel.update(filled(CONFIG, rng.standard_normal), LR)
    for values in (parameters.flat, *kernel.slots.values()):
        assert not values[gaps].any()
        assert values[~gaps].any()


@pytest.mark.parametrize("settings", [{"l1": 0.5, "weight_decay": 0.0}, {"weight_decay": 0.5}])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_regularisation_draws_weights_and_the_embedding_to_zero_but_not_biases(optimizer, settings):
    parameters, gradient = filled(CONFIG, np.ones), Parameters(CONFIG)
    parameters.flat[::2] *= -1
    before = {name: view.copy() for name, view in parameters.items()}
    Optimizer(TrainConfig(optimizer=optimizer, **settings), parameters, Team(1)).update(gradient, LR)
    for name, view in parameters.items():
        assert (view == before[name]).all() if is_bias(name) else (abs(view) < 1).all()


def test_l1_is_equal_for_small_and_large_weights_and_zero_at_zero():
    parameters = Parameters(CONFIG)
    parameters["w_out"][0, :4] = 1e-20, -3, 0, -0.0
    config = TrainConfig(optimizer="sgd", beta1=0.0, l1=0.25, clip=0.0)
    Optimizer(config, parameters, Team(1)).update(Parameters(CONFIG), 1.0)
    assert (parameters["w_out"][0, :4] == np.float32([-0.25, -2.75, 0, 0])).all()


def test_clipping_by_value_comes_before_clipping_by_norm():
    parameters, gradient = Parameters(CONFIG), Parameters(CONFIG)
    gradient["w_out"][0, :3] = 3, -4, 0.5
    config = TrainConfig(optimizer="sgd", beta1=0.0, clip_value=1.0, clip=0.75)
    norm = Optimizer(config, parameters, Team(1)).update(gradient, 1.0)
    assert norm == pytest.approx(math.hypot(3, 4, 0.5))
    expected = -np.array([1, -1, 0.5]) * 0.75 / 1.5  # hypot(1, 1, 0.5) is 1.5
    assert parameters["w_out"][0, :3] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("ema", [0.3, 0.99])
def test_the_moving_average_follows_the_parameters(ema, rng):
    parameters = filled(LARGE, rng.standard_normal)
    optimizer = Optimizer(TrainConfig(ema=ema), parameters, Team(2))
    average = parameters.flat.astype(float)
    assert (optimizer.slots["ema"] == parameters.flat).all()
    for count in range(1, 9):
        with every_thread_works():
            optimizer.update(filled(LARGE, rng.standard_normal), 0.1)
        weight = min(ema, (1 + count) / (10 + count))
        average = weight * average + (1 - weight) * parameters.flat.astype(float)
        assert relative(optimizer.slots["ema"], average) < 1e-6
    assert relative(optimizer.slots["ema"], parameters.flat) > 1e-3


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_moving_average_changes_nothing_else(optimizer, rng):
    start = rng.standard_normal(Parameters(CONFIG).flat.size)
    gradients = [filled(CONFIG, rng.standard_normal) for _ in range(3)]
    made = []
    for ema in (0.0, 0.9):
        parameters = Parameters(CONFIG)
        parameters.flat[:] = start
        kernel = Optimizer(TrainConfig(optimizer=optimizer, ema=ema), parameters, Team(1))
        for gradient in gradients:
            kernel.update(gradient, LR)
        made.append(parameters.flat.tobytes())
        assert ("ema" in kernel.slots) == bool(ema)
    assert made[0] == made[1]


@pytest.mark.parametrize("clip_value", [0.0, 1.0])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_changes_nothing(clip_value, bad):
    parameters, gradient = filled(CONFIG, np.ones), Parameters(CONFIG)
    optimizer = Optimizer(TrainConfig(clip_value=clip_value, ema=0.9), parameters, Team(1))
    gradient["w_out"][2, 3] = bad
    assert not math.isfinite(optimizer.update(gradient, LR))
    assert all((view == 1).all() for _, view in parameters.items())
    assert (optimizer.slots["ema"] == parameters.flat).all()
    assert not optimizer.slots["m"].any()
    assert optimizer.count == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"nesterov": True},
        {"nesterov": True, "optimizer": "sgd", "beta1": 0.0},
        {"nesterov": 1, "optimizer": "sgd"},
        {"optimizer": "adan"},
        {"clip_value": -1.0},
        {"clip_value": math.inf},
        {"l1": math.nan},
        {"ema": 1.0},
    ],
)
def test_settings_are_checked(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        TrainConfig(**settings)
