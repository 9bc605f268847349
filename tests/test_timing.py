"""``charrnn bench``: figures that hang together."""

import importlib.util
import json

import pytest
from command_line import invoke, succeed

from charrnn.config import ModelConfig
from charrnn.packed import padded, panels
from charrnn.timing import training_flops
from charrnn.workspace import Workspace

TINY = ["--hidden", 20, "--batch-size", 4, "--seq-len", 8, "--seconds", 0.01, "--threads", 1]


def test_a_model_of_given_sizes():
    result = json.loads(succeed("bench", *TINY, "--json").stdout)
    assert result["config"] == {"vocabulary": 65, "hidden": 20, "layers": 2, "embedding": None}
    assert result["threads"] == 1
    assert sum(result["parts"].values()) == pytest.approx(1)
    assert set(result["parts"]) == {"data", "packing", "forward", "output", "backward", "gradients", "update"}
    expected = result["training_chars_per_s"] * training_flops(ModelConfig(65, 20, 2)) / 1e9
    assert result["gflops"] == pytest.approx(expected)
    assert min(result[name] for name in ("evaluation_chars_per_s", "sampling_chars_per_s", "memory_bytes")) > 0


def test_a_checkpoint_and_the_table(model):
    assert "LSTM, 2 x 20" in succeed("bench", model, *TINY[2:]).stdout
    rows = succeed("bench", "--sweep", *TINY).stdout.splitlines()
    assert sum(row.strip().startswith(("8 ", "16 ", "32 ", "64 ", "128 ")) for row in rows) == 5


def test_operations_are_what_the_mathematics_needs():
    # 2 x 128: three products of 128 x 512 and one of 128 x 65, forward and twice backward, two operations each.
    assert training_flops(ModelConfig(65, 128, 2)) == 2 * 3 * (3 * 128 * 512 + 128 * 65)


@pytest.mark.parametrize("dropout", [False, True])
def test_the_workspace_is_as_large_as_the_documentation_says(dropout):
    steps, lanes, layers, hidden, vocabulary = 50, 16, 3, 100, 65
    space = Workspace(ModelConfig(vocabulary, hidden, layers), steps, lanes, 1, True, dropout)
    h, wide, v = padded(hidden), 64 * panels(hidden), 64 * panels(vocabulary)
    places = steps * lanes
    floats = layers * places * (5 * h + wide + dropout * wide) + places * (wide + v + 1)
    floats += layers * lanes * (wide + h) + lanes * h  # row 0 of h and c, and dc
    fixed = vocabulary * 4 * h + space.scratch[0].size
    assert space.nbytes == 4 * (floats + fixed)


def test_a_comparison_with_pytorch():
    if importlib.util.find_spec("torch") is None:
        result = invoke("bench", *TINY, "--compare-pytorch")
        assert result.exit_code == 1
        assert "not installed" in result.stderr
        return
    found = json.loads(succeed("bench", *TINY, "--embedding", 5, "--compare-pytorch", "--json").stdout)["pytorch"]
    assert set(found["ratios"]) == {"training", "evaluation", "writing a batch"}
    assert min(found["ratios"].values()) > 0
    assert "times PyTorch's speed" in succeed("bench", *TINY, "--compare-pytorch").stdout
