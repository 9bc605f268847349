"""The comparison with PyTorch, without PyTorch."""

import pytorch_sides

from charrnn.config import ModelConfig


def test_a_comparison_says_how_far_it_is(monkeypatch):
    class Side:
        def __init__(self, kind, case):
            pass

        def do(self, work, repeats, *arguments):
            return 0.01 * repeats, [1.0] * repeats

        def close(self):
            return 1.0

    monkeypatch.setattr(pytorch_sides, "_Side", Side)
    case, seen = pytorch_sides.Case(ModelConfig(5, 4, 1), 2, 3, 1), []
    outcomes, _ = pytorch_sides.compare(case, [("train",), ("evaluate",)], 3, 0.1, lambda *far: seen.append(far))
    assert [outcome.ratio for outcome in outcomes] == [1.0, 1.0]
    assert seen == [(done, 6) for done in range(6)]
