"""The sentence at the end of a run."""

import pytest

from charrnn.records import Mixed
from charrnn.training.verdict import verdict


def history(validation):
    return [{"step": 10 * k, "epoch": float(k), "loss": 9.0, "val_loss": v} for k, v in enumerate(validation, start=1)]


def mixed(best, training, ngrams):
    return Mixed(40, best, min(best, ngrams) - 0.1, ngrams, training, 1000, 0.6, 0.4, 1.0)


# By the beginning of the verdict: the validation losses, and the losses of the training part and of n-grams.
CASES = {
    "over-fitted: validation was best at epoch 2.0 and has risen by 0.100": ([2, 1.6, 1.65, 1.7], 1.0, 2.0),
    "under-fitted: n-grams alone reach 1.500 on held-out text, the network 1.600": ([2, 1.8, 1.7, 1.6], 1.55, 1.5),
    "under-fitted: held-out text is only 0.040 nats worse": ([2, 1.8, 1.7, 1.6], 1.56, 1.7),
    "well fitted: held-out text is 0.20 nats worse": ([2, 1.8, 1.7, 1.6], 1.4, 1.7),
    "well fitted, but held-out text is 0.60 nats worse": ([2, 1.8, 1.7, 1.6], 1.0, 1.7),
    "too little text for a network alone: n-grams alone reach 1.500": ([2, 1.8, 1.7, 1.6], 1.0, 1.5),
}


@pytest.mark.parametrize("expected", CASES)
def test_each_case(expected):
    validation, training, ngrams = CASES[expected]
    entries = history(validation)
    best = min(entries, key=lambda entry: entry["val_loss"])
    found = mixed(best["val_loss"], training, ngrams)
    assert verdict(entries, best["step"], best["val_loss"], 65, found).startswith(expected)


def test_nothing_is_left_to_learn():
    entries = history([0.2, 0.05, 0.0033, 0.0034])
    found = verdict(entries, 30, 0.0033, 9, mixed(0.0033, 0.0006, 0.01))
    assert found.startswith("well fitted: held-out text costs only 0.003 nats a character")


def test_there_is_no_verdict_with_fewer_than_four_evaluations():
    assert verdict(history([1, 1, 1]), 10, 1.0, 65, mixed(1.0, 1.0, 1.5)) is None
    assert verdict([], None, None, 65) is None


def test_without_the_losses_of_the_end_only_the_validation_loss_is_judged():
    assert verdict(history([2, 1.8, 1.7, 1.6]), 40, 1.6, 65) is None
    assert verdict(history([2, 1.6, 1.65, 1.7]), 20, 1.6, 65).startswith("over-fitted")


def test_an_incomplete_history_raises_no_error():
    entries = [{"step": step, "epoch": 1.0, "loss": None, "val_loss": 2.0 + step} for step in range(4)]
    assert verdict(entries, 17, 2.0, 65, mixed(2.0, 1.9, 2.5)).startswith("well fitted")


def test_a_model_that_guesses_has_learnt_nothing():
    entries = history([40, 34, 33, 35])
    assert verdict(entries, 30, 33.0, 60).startswith("nothing learnt: the best validation loss, 33.000, is worse than")
