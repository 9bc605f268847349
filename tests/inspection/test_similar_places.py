"""Similar places: which cells are on during a span, and where else they are on."""

import json

import numpy as np
import pytest
from command_line import invoke, succeed

from charrnn.config import ModelConfig
from charrnn.display.reports.similar_places import place_rows
from charrnn.display.terminal.colours import Depth, Look
from charrnn.errors import ConfigError
from charrnn.inspection.similar_places import on_set, similar
from charrnn.network.network import Network

OPEN, CLOSE, UP, DOWN = 0, 1, 2, 3


@pytest.fixture
def planted():
    """A network in which unit 2 is +1 between 0 and 1, unit 5 is -1 there, and unit 7 is +1 between 2 and 3.

    The text has ten stretches of the first kind, two of the second kind, and one of both at once.
    """
    network = Network(ModelConfig(6, 9, 1), seed=None, threads=1)
    w, b = network.parameters["w_ih_l0"], network.parameters["b_l0"]
    for unit, first, last, sign in ((2, OPEN, CLOSE, 1), (5, OPEN, CLOSE, -1), (7, UP, DOWN, 1)):
        i, f, g = (gate * 9 + unit for gate in range(3))
        b[[i, f]] = -20, 20
        w[first, [i, g]] = 40, 20 * sign
        w[last, [i, f]] = 40, -40
    plain = [4, 5] * 20
    inside = [OPEN, *[4, 5, 4] * 4, CLOSE]
    text = plain + inside
    for number in range(9):
        text += plain + ([UP] if number == 4 else []) + inside + ([DOWN] if number == 4 else [])
    for _ in range(2):
        text += [*plain, UP, *[4, 5, 4] * 4, DOWN]
    return network, np.array(text + plain, np.int32)


def test_the_on_set_has_the_cells_on_throughout_and_off_around(planted):
    network, ids = planted
    found = on_set(network, ids, 40, 54)
    assert sorted(found.cells) == [(0, 2), (0, 5)]
    assert found.above.tolist() == [cell == (0, 2) for cell in found.cells]
    np.testing.assert_allclose(np.abs(found.values), np.tanh(1), atol=1e-3)
    assert on_set(network, ids, 43, 50).cells == []  # they are on around this span, too
    assert on_set(network, ids, 40, 54, threshold=0.9).cells == []


def test_similar_places_are_the_other_stretches(planted):
    network, ids = planted
    starts = np.flatnonzero(ids == OPEN)
    found = similar(network, ids, on_set(network, ids, 40, 54), 20)
    assert sorted(place.start for place in found) == starts[1:].tolist()
    assert all(place.stop - place.start == 14 for place in found)
    assert [place.shared for place in found] == [2] * 9
    assert [place.score for place in found[:8]] == [1.0] * 8
    assert len(similar(network, ids, on_set(network, ids, 40, 54), 3)) == 3
    other = int(np.flatnonzero(ids == UP)[1])
    both = similar(network, ids, on_set(network, ids, other, other + 14), 20)
    assert both[0].start == np.flatnonzero(ids == UP)[2]
    assert both[0].score == 1


def test_what_cannot_be_selected(planted):
    network, ids = planted
    for start, stop in ((5, 5), (-1, 4), (0, len(ids) + 1)):
        with pytest.raises(ConfigError, match="no span"):
            on_set(network, ids, start, stop)
    with pytest.raises(ConfigError, match="threshold"):
        on_set(network, ids, 40, 54, threshold=1.5)
    with pytest.raises(ConfigError, match="too long"):
        on_set(network, np.tile(ids, 20), 0, 3000)
    with pytest.raises(ConfigError, match="no cell is on"):
        similar(network, ids, on_set(network, ids, 43, 50))


def test_places_are_shown_in_their_context():
    contexts = [("before it ", "span", " behind"), ("x" * 90, "a\nvery long span" * 5, "y" * 90)]
    rows = [row.plain for row in place_rows(["1", "22"], contexts, Look(60, Depth.NONE))]
    assert rows[1].index("^^^^") == rows[0].index("span")
    assert rows[1].strip() == "^^^^"
    assert "…" in rows[2] and "↵" in rows[2]
    assert all(len(row) <= 60 for row in rows)
    assert len(place_rows(["1", "22"], contexts, Look(60))) == 2


def test_moments_on_the_command_line(model, text):
    options = ("inspect", "similar", model, text, "--span", "[a-z]+", "--match", 3, "--threshold", 0.1, "--places", 4)
    selection, *moments = [json.loads(line) for line in succeed(*options, "--json").stdout.splitlines()]
    whole = text.read_text()
    assert whole[selection["start"] : selection["stop"]] == selection["text"]
    assert selection["text"].islower()
    assert len(selection["cells"]) == len(selection["values"]) > 0
    for moment in moments:
        assert whole[moment["start"] : moment["stop"]] == moment["text"]
        assert moment["shared"] <= len(selection["cells"])
    assert [moment["score"] for moment in moments] == sorted((m["score"] for m in moments), reverse=True)
    assert selection["text"] in succeed(*options).stdout
    span = f"{selection['start']}:{selection['stop']}"
    offsets = succeed("inspect", "similar", model, text, "--span", span, "--threshold", 0.1, "--json").stdout
    assert json.loads(offsets.splitlines()[0]) == selection


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["("], "not a regular expression"),
        (["no such words"], "0 matches"),
        (["5:2"], "no span"),
        (["fox", "--match", "100000"], "no 100,000th"),
    ],
)
def test_what_is_not_found(model, text, arguments, message):
    result = invoke("inspect", "similar", model, text, "--span", *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
