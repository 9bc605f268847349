"""What the benchmark of training time says of runs."""

import time_to_loss
from time_to_loss import Trained

RUNS = {
    ("a", "1m", 1): Trained([(10, 2.0), (20, 1.5), (30, 1.6)], 1.4),
    ("a", "1m", 2): Trained([(10, 1.9), (30, 1.4)], 1.2),
    ("a", "3m", 1): Trained([(10, 1.8), (90, 1.2)], 1.1),
    ("a", "3m", 2): Trained([(100, 1.3)], None),
}


def test_the_first_evaluation_that_is_low_enough_counts():
    assert time_to_loss.reached(RUNS["a", "1m", 1].evaluations, 1.6) == 20
    assert time_to_loss.reached(RUNS["a", "1m", 1].evaluations, 1.2) is None


def test_the_quickest_budget_counts_if_every_seed_has_reached_the_loss():
    def quickest(loss):
        return time_to_loss.quickest(RUNS, "a", ["1m", "3m"], [1, 2], loss)

    assert quickest(1.5) == 25  # the mean of 20 and 30
    assert quickest(1.4) == 95  # the second seed alone had it within a minute
    assert quickest(1.25) is None


def test_the_tables(capsys):
    time_to_loss.report(RUNS, ["a"], ["1m", "3m"], [1, 2], [1.5, 1.25])
    shown = capsys.readouterr().out
    assert "| a | **1.4500** (1.4000-1.5000) | **1.2500** (1.2000-1.3000) |" in shown
    assert "| a, with n-grams | **1.3000** (1.2000-1.4000) | – |" in shown
    assert "| a | 25.0 | – |" in shown
