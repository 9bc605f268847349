"""The sentence at the end of a run."""

import pytest

from charrnn.training.verdict import verdict


def history(train, validation):
    return [
        {"step": 10 * k, "epoch": float(k), "loss": t, "val_loss": v}
        for k, (t, v) in enumerate(zip(train, validation, strict=True), start=1)
    ]


CASES = {
    "over-fitted: validation was best at epoch 2.0 and has risen by 0.100": ([2, 1.5, 1.2, 1.0], [2, 1.6, 1.65, 1.7]),
    "under-fitted: validation still fell by 0.100": ([2.5, 2.2, 2.0, 1.9], [2.4, 2.1, 1.9, 1.8]),
    "under-fitted: validation lies below": ([2.5, 2.2, 2.0, 1.9], [2.4, 2.1, 1.8, 1.8]),
    "well fitted, but the training loss is 0.20 lower": ([2, 1.6, 1.4, 1.3], [2, 1.7, 1.51, 1.5]),
    "well fitted: training and validation loss are close": ([2, 1.6, 1.5, 1.45], [2, 1.7, 1.51, 1.5]),
}


@pytest.mark.parametrize("expected", CASES)
def test_each_case(expected):
    entries = history(*CASES[expected])
    best = min(entries, key=lambda entry: entry["val_loss"])
    assert verdict(entries, best["step"], best["val_loss"], 65).startswith(expected)


def test_there_is_no_verdict_with_fewer_than_four_evaluations():
    assert verdict(history([1, 1, 1], [1, 1, 1]), 10, 1.0, 65) is None
    assert verdict([], None, None, 65) is None


def test_an_incomplete_history_raises_no_error():
    entries = [{"step": step, "epoch": 1.0, "loss": 1.5, "val_loss": 2.0 + step} for step in range(4)]
    assert verdict(entries, 17, 2.0, 65).startswith("well fitted")
    assert verdict([*entries, entries[0] | {"loss": None}], 0, 2.0, 65) is None


def test_a_model_that_guesses_has_learnt_nothing():
    entries = history([54, 54, 54, 54], [40, 34, 33, 35])
    assert verdict(entries, 30, 33.0, 60).startswith("nothing learnt: the best validation loss, 33.000, is worse than")
