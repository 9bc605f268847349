"""``charrnn inspect because``: contributions that add up, the choice of a prediction, refusals."""

import json

import pytest
from command_line import invoke, succeed

from charrnn.sanitise import visible


def record(*arguments):
    (line,) = succeed("inspect", "because", *arguments, "--json").stdout.splitlines()
    return json.loads(line)


def test_the_end_of_a_text(model):
    found = record(model, "--text", "The fox said to th")
    assert found["text"] == "The fox said to th"
    assert found["next"] == found["likeliest"][0]["character"]
    assert found["probability"] == found["likeliest"][0]["probability"]
    assert sum(found["contributions"]) + found["score_of_nothing"] == pytest.approx(found["score"], abs=1e-4)
    assert len(found["cells"]) == 5
    assert all(len(cell["contributions"]) == len(found["text"]) for cell in found["cells"])
    assert all(cell["cell"].startswith("1:") for cell in found["cells"])
    shown = succeed("inspect", "because", model, "--text", "The fox said to th").stdout
    assert f"prediction of {found['next'].replace(' ', '␣')}:" in shown
    assert "a text that says nothing" in shown
    for cell in found["cells"]:
        assert cell["cell"] in shown


def test_a_place_in_a_text_and_another_character(model):
    text = "The fox said to the hen"
    found = record(model, "--text", text, "--at", 10, "--length", 4, "--cells", 0)
    assert (found["text"], found["next"], found["at"], found["cells"]) == (text[6:10], text[10], 10, [])
    other = record(model, "--text", text, "--at", 10, "--length", 4, "--next", "z")
    assert other["next"] == "z"
    assert other["score"] < found["score"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--text", "The fox", "--at", 8], "the text has 7 characters"),
        (["--text", "The fox", "--next", "ab"], "not one character"),
        (["--text", "The fox", "--next", ""], "not one character"),
        (["--text", "The fox", "--next", "漢"], "does not know"),
        (["--text", ""], "--text is empty"),
        (["--text", "The fox", "--length", 501], "at most 500"),
    ],
)
def test_refusals(model, arguments, message):
    result = invoke("inspect", "because", model, *arguments)
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert result.stderr == visible(result.stderr)


def test_the_held_out_text_of_the_run(model):
    found = record(model, "--at", 100, "--length", 10, "--cells", 1)
    assert len(found["text"]) == 10
