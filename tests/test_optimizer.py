"""The optimisers against their formulas in float64, and the schedule."""

import itertools
import math

import numpy as np
import pytest

from charrnn.config import ModelConfig, TrainConfig
from charrnn.optimizer import Optimizer
from charrnn.parameters import Parameters
from charrnn.schedule import learning_rate
from charrnn.threads import Team

CONFIG = ModelConfig(7, 9, 2, 3)
LR = 0.01


def textbook(config, p, gradients, decayed):
    """Parameters (P,) after each of the gradients, in float64, as the papers have it."""
    p = p.astype(float)
    m, v = np.zeros_like(p), np.zeros_like(p)
    decay = config.decay * decayed
    for t, g in enumerate(gradients, 1):
        g = g.astype(float)
        if config.clip:
            g = g * min(1, config.clip / (np.linalg.norm(g) + 1e-6))
        if config.optimizer == "adamw":
            p = p * (1 - LR * decay)
        else:
            g = g + decay * p
        if config.optimizer in ("adam", "adamw"):
            m = config.beta1 * m + (1 - config.beta1) * g
            v = config.beta2 * v + (1 - config.beta2) * g * g
            p = p - LR * (m / (1 - config.beta1**t)) / (np.sqrt(v / (1 - config.beta2**t)) + config.epsilon)
        elif config.optimizer == "rmsprop":
            v = config.beta2 * v + (1 - config.beta2) * g * g
            p = p - LR * g / (np.sqrt(v) + config.epsilon)
        else:
            m = config.beta1 * m + g
            p = p - LR * m
    return p


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "rmsprop", "sgd"])
@pytest.mark.parametrize("clip", [0.0, 1.0])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_updates_are_the_textbook_s(optimizer, clip, decay, rng):
    parameters, gradient = Parameters(CONFIG), Parameters(CONFIG)
    inside = np.zeros(parameters.flat.size, bool)
    decayed = np.zeros(parameters.flat.size)
    for name, (start, stop) in parameters.ranges.items():
        inside[start:stop] = True
        decayed[start:stop] = not name.startswith("b_")
    parameters.flat[inside] = rng.normal(size=inside.sum())
    gradients = [np.where(inside, rng.normal(size=inside.size), 0).astype(np.float32) for _ in range(20)]
    config = TrainConfig(optimizer=optimizer, clip=clip, weight_decay=decay, lr=LR, epsilon=1e-6)
    expected = textbook(config, parameters.flat.copy(), gradients, decayed)
    kernel = Optimizer(config, parameters, Team(2))
    for g in gradients:
        gradient.flat[:] = g
        norm = kernel.update(gradient, LR)
        assert norm == pytest.approx(np.linalg.norm(g.astype(float)), rel=1e-6)
    assert np.linalg.norm(parameters.flat - expected) / np.linalg.norm(expected) < 1e-6
    assert not parameters.flat[~inside].any()


def test_a_gradient_that_is_not_finite_changes_nothing(rng):
    parameters, gradient = Parameters(CONFIG), Parameters(CONFIG)
    parameters.flat[:] = 1
    optimizer = Optimizer(TrainConfig(), parameters, Team(1))
    for bad in (np.nan, np.inf):
        gradient["w_out"][2, 3] = bad
        assert not math.isfinite(optimizer.update(gradient, LR))
    assert (parameters.flat == 1).all()
    assert optimizer.count == 0


def test_learning_rate_rises_to_its_peak_and_falls_along_a_cosine():
    config = TrainConfig(lr=1.0, warmup=100, final_lr=0.1)
    rates = [learning_rate(config, step, step / 2000) for step in range(2000)]
    assert rates[0] < 0.02
    assert all(a < b for a, b in itertools.pairwise(rates[:100]))
    assert max(rates) == pytest.approx(1.0, abs=0.02)
    assert all(a > b for a, b in itertools.pairwise(rates[101:]))
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)
    assert rates[1000] == pytest.approx(0.55, abs=0.01)


def test_a_short_run_still_reaches_a_useful_rate():
    config = TrainConfig(lr=1.0, warmup=100)
    assert max(learning_rate(config, step, step / 50) for step in range(50)) > 0.9
