"""``charrnn inspect``, ``evaluate`` and ``info``: a model and a text, looked at."""

import json

import numpy as np
import pytest
from command_line import invoke, succeed

import charrnn


def test_evaluate(model, text):
    result = succeed("evaluate", model, text, "--part", "all", "--json")
    found = json.loads(result.stdout)
    assert found.keys() == {"part", "learnt", "loss", "bpc", "perplexity", "characters"}
    assert found["characters"] == 19_999
    assert found["bpc"] == pytest.approx(found["loss"] / np.log(2))
    assert found["perplexity"] == pytest.approx(np.exp(found["loss"]))
    shown = succeed("evaluate", model, text, "--part", "all").stdout
    assert f"{found['loss']:.4f}" in shown
    assert "validation part, which the model has not learnt" in succeed("evaluate", model).stdout


def test_evaluate_with_unknown_characters(model, tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("The fox\nand ☃ the heron")
    result = invoke("evaluate", model, path)
    assert result.exit_code == 1
    assert "U+2603" in result.stderr
    assert "line 2" in result.stderr
    succeed("evaluate", model, path, "--unknown", "skip")


def test_info(model, text):
    shown = succeed("info", model).stdout
    assert "LSTM, 2 x 20" in shown
    assert "fables.txt" in shown
    found = json.loads(succeed("info", model, "--json").stdout)
    assert found["config"] == {"vocabulary": len(found["vocabulary"]), "hidden": 20, "layers": 2, "embedding": None}
    assert found["progress"]["step"] <= 150
    assert found["history"]


def test_a_gallery_of_cells(model, text):
    result = succeed("inspect", model, text, "--length", 600, "--cells", 4)
    assert "FABLES OF THE EBBLE VALLEY" in result.stdout
    assert "\x1b" not in result.stdout
    finds = [
        json.loads(line) for line in succeed("inspect", model, text, "--length", 600, "--json").stdout.splitlines()
    ]
    assert len(finds) == 10
    assert [find["score"] for find in finds] == sorted((find["score"] for find in finds), reverse=True)
    assert all(len(find["values"]) == 600 for find in finds)


@pytest.mark.parametrize("options", [[], ["--predictions"], ["--json"]])
def test_a_cell_that_is_not_there_is_an_error_and_nothing_else(model, text, options):
    result = invoke("inspect", model, text, "--cell", "1:7,9:9", *options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "there is no cell 9:9" in result.stderr


@pytest.mark.parametrize("signal", "chifgo")
def test_every_signal_of_a_cell(model, text, signal):
    from charrnn import load

    options = ("inspect", model, text, "--cell", "1:7", "--signal", signal, "--length", 200)
    assert "cell 1:7" in succeed(*options).stdout
    found = json.loads(succeed(*options, "--json").stdout)
    expected = load(model).activations(text.read_text()[:200])[signal][:, 1, 7]
    np.testing.assert_allclose(found["values"], np.tanh(expected) if signal == "c" else expected, atol=1e-6)


def test_predictions_and_surprise(model):
    line = 'The fox said "no".\n'
    found = json.loads(succeed("inspect", model, "--text", line, "--predictions", "--surprise", "--json").stdout)
    assert found["text"] == line
    assert len(found["predictions"]) == len(found["surprise"]) == len(line)
    assert found["surprise"][0] is None
    for guesses in found["predictions"]:
        chances = [chance for _, chance in guesses]
        assert len(guesses) == 5
        assert chances == sorted(chances, reverse=True)
    likeliest = dict(found["predictions"][3])
    if line[4] in likeliest:
        assert found["surprise"][4] == pytest.approx(-np.log2(likeliest[line[4]]))
    succeed("inspect", model, "--text", line, "--predictions")
    succeed("inspect", model, "--text", line, "--surprise")


def test_an_offset_reads_what_stands_before(model, text):
    whole = json.loads(succeed("inspect", model, text, "--cell", "0:3", "--length", 900, "--json").stdout)["values"]
    part = json.loads(
        succeed("inspect", model, text, "--cell", "0:3", "--offset", 700, "--length", 200, "--json").stdout
    )["values"]
    np.testing.assert_allclose(part, whole[700:], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--cell", "9:9"], 1, "layers are 0 to 1, units 0 to 19"),
        (["--cell", "x"], 2, "LAYER:UNIT"),
        (["--offset", "99999999"], 1, "nothing at offset"),
        (["--text", "twice"], 2, "Give one text"),
        (["--signal", "z"], 2, "signal"),
    ],
)
def test_wrong_usage(model, text, arguments, status, message):
    result = invoke("inspect", model, text, *arguments)
    assert result.exit_code == status
    assert message in result.stderr


def test_a_cell_under_the_text_of_predictions_without_colour(model):
    shown = succeed("inspect", model, "--text", "The fox", "--predictions", "--cell", "0:3").stdout
    plain = succeed("inspect", model, "--text", "The fox", "--cell", "0:3").stdout
    symbols = plain.splitlines()[4]
    assert symbols in shown.splitlines()
    result = invoke("inspect", model, "--text", "The fox", "--surprise", "--cell", "0:3")
    assert result.exit_code == 2


@pytest.mark.parametrize("pager", ["'x", "", "no-such-program", "cat"])
def test_any_pager(model, monkeypatch, pager):
    monkeypatch.setenv("PAGER", pager)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "cell" in succeed("inspect", model, "--text", "The fox\n" * 60, "--cell", "0:3").stdout


def test_without_a_text_the_part_that_was_held_out(model, text):
    result = succeed("inspect", model, "--cell", "0:3", "--length", 50, "--json")
    assert json.loads(result.stdout)["text"] == text.read_text()[18_000:18_050]
    assert "validation part" in result.stderr
    told = succeed("inspect", model, text, "--cell", "0:3", "--length", 50).stderr
    assert "was trained on this text" in told


def test_surprise_and_predictions_with_n_grams(model, text):
    """JSON has the values of the network alone and of the mixture, which are those of ``model.mixed()``."""
    options = ("--length", 300, "--surprise", "--predictions", "--json")
    alone = json.loads(succeed("inspect", model, text, *options).stdout)
    both = json.loads(succeed("inspect", model, text, *options, "--ngrams", "on").stdout)
    assert {name: both[name] for name in alone} == alone
    assert both.keys() - alone.keys() == {"mixed_surprise", "mixed_predictions"}
    loaded = charrnn.load(model)
    ids, mixture = loaded.encode(text.read_text()[:300]), loaded.mixed().network
    logs = mixture.log_probabilities(ids[:, None], mixture.initial_state(1))[:, 0]
    expected = -logs[np.arange(299), ids[1:]] / np.log(2)
    np.testing.assert_allclose(both["mixed_surprise"][1:], expected, rtol=1e-6)
    assert both["mixed_predictions"][7][0][1] == pytest.approx(np.exp(logs[7].max()))
    # The text of the run is half known to its n-grams by heart.
    assert np.mean(both["mixed_surprise"][1:]) < np.mean(both["surprise"][1:]) - 0.5
    shown = succeed("inspect", model, text, "--length", 300, "--surprise", "--ngrams", "on").stdout
    assert "surprise of each character, with n-grams" in shown
