"""``charrnn inspect follow``: text that is coloured while it is written."""

import json

import numpy as np
import pytest
from command_line import invoke, succeed

from charrnn import load
from charrnn.display.reports.follower import Follower
from charrnn.display.terminal.console import Terminal
from charrnn.inspection.generation import follow


def test_what_is_followed_is_what_is_sampled_and_what_the_cells_do(model):
    found = load(model)
    prime = found.prime("The fox")
    for chunk in (1, 50):
        parts = list(follow(found, prime, 120, "f", seed=4, chunk=chunk))
        assert "".join(part.text for part in parts) == found.sample("The fox", 120, seed=4)
    whole = found.activations("The fox" + "".join(part.text for part in parts))
    values = np.concatenate([part.values for part in parts])
    np.testing.assert_allclose(values, whole["f"][7:], atol=1e-5)
    surprise = np.concatenate([part.surprise() for part in parts])
    ids = np.concatenate([part.ids for part in parts])
    expected = -whole["log_probabilities"][np.arange(6, 126), ids] / np.log(2)
    np.testing.assert_allclose(surprise, expected, atol=1e-4)


def test_off_a_terminal_it_is_the_text_or_json(model):
    options = ("inspect", "follow", model, "--prime", "The fox", "--length", 150, "--seed", 4, "-t", 0.7)
    expected = load(model).sample("The fox", 150, 0.7, seed=4)
    result = succeed(*options)
    assert result.stdout == expected
    assert "seed 4" in result.stderr
    lines = [json.loads(line) for line in succeed(*options, "--cell", "1:3,0:2", "--json").stdout.splitlines()]
    assert "".join(line["character"] for line in lines) == expected
    assert all(list(line["values"]) == ["1:3", "0:2"] for line in lines)


def test_it_reads_no_text_and_only_cells_that_are_there(model, text):
    refused = invoke("inspect", "follow", model, text)
    assert refused.exit_code == 2
    assert "unexpected extra argument" in refused.stderr
    missing = invoke("inspect", "follow", model, "--cell", "5:0")
    assert missing.exit_code == 1
    assert "no cell 5:0" in missing.stderr


@pytest.mark.parametrize("names", [["0:1"], ["0:1", "1:14"]])
def test_every_line_is_shown_once_however_the_text_comes(monkeypatch, capsys, names):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    text = "the fox ran over the hill and far away, and\nwas not seen again."
    values = np.tile(np.linspace(-1, 1, len(text))[:, None], len(names))

    def shown(pieces):
        with Follower(Terminal(), names) as follower:
            for start, stop in pieces:
                follower.write(text[start:stop], values[start:stop])
        return capsys.readouterr().out

    whole = shown([(0, len(text))])
    assert shown([(k, k + 1) for k in range(len(text))]) == whole
    assert whole.count("\n") == (3 if len(names) == 1 else 12)
