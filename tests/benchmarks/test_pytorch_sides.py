"""The comparison with PyTorch: how far it is, without PyTorch; and the same losses of both sides, with it."""

import numpy as np
import pytest
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


@pytest.mark.parametrize(
    ("cell", "sizes"),
    [("lstm", {}), ("gru", {}), ("gru", {"embedding": 4}), ("rnn", {}), ("transformer", {"heads": 2, "context": 6})],
)
def test_both_sides_learn_the_same(cell, sizes):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    case = pytorch_sides.Case(ModelConfig(9, 16, 2, cell=cell, **sizes), 3, 6, 1)
    kinds = [pytorch_sides.Charrnn, *pytorch_sides.rivals(case.config)[:2]]
    losses = {}
    for kind in kinds:
        if kind is not pytorch_sides.PyTorchCompiled:  # compiling takes half a minute
            torch.manual_seed(1)
            side = kind(case)
            losses[kind.__name__] = [*(side.train() for _ in range(4)), side.evaluate()]
            side.sample(3)
    ours = losses.pop("Charrnn")
    assert len(set(ours)) == 5 and losses
    for theirs in losses.values():
        np.testing.assert_allclose(theirs, ours, rtol=pytorch_sides.AGREEMENT)
