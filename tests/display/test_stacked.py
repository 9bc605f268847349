"""Several cells in rows under the text that the model reads."""

import json

import numpy as np
from command_line import invoke, succeed

from charrnn import load
from charrnn.display.reports.stacked import stacked_rows
from charrnn.display.terminal.colours import Depth, Look


def test_a_row_for_each_cell_stands_under_its_text():
    text = "the fox\nran over the hill"
    values = np.stack([np.linspace(-1, 1, len(text)), np.zeros(len(text))], axis=1)
    blocks = stacked_rows(text, ["0:1", "1:17"], values, Look(26, Depth.NONE))
    assert [len(block) for block in blocks] == [3, 3]
    assert blocks[0][0].plain == "      the fox↵"
    assert blocks[1][0].plain == "      ran over the hill"
    assert blocks[0][1].plain.startswith(" 0:1  ==")
    assert blocks[1][1].plain.endswith("#")
    coloured = stacked_rows(text, ["0:1", "1:17"], values, Look(26))
    assert all(line.plain[6:] == block[0].plain[6:] for block in coloured for line in block)
    narrow = stacked_rows("x" * 50, ["0:1"], np.zeros((50, 1)), Look(25))
    assert [len(block[0].plain) for block in narrow] == [25, 25, 15]


def test_several_cells_on_the_command_line(model, text):
    options = (
        "inspect",
        model,
        text,
        "--cell",
        "1:7,0:3",
        "--cell",
        "1:7",
        "--cell",
        "0:4",
        "--length",
        300,
        "--no-names",
    )
    shown = succeed(*options).stdout.splitlines()
    assert shown[0].startswith("cells 1:7, 0:3, 0:4")
    assert [line[:3] for line in shown[4:7]] == ["1:7", "0:3", "0:4"]
    found = [json.loads(line) for line in succeed(*options, "--json").stdout.splitlines()]
    assert [(each["layer"], each["unit"]) for each in found] == [(1, 7), (0, 3), (0, 4)]
    expected = np.tanh(load(model).activations(text.read_text()[:300])["c"])
    for each in found:
        np.testing.assert_allclose(each["values"], expected[:, each["layer"], each["unit"]], atol=1e-6)
    refused = invoke(*options, "--predictions")
    assert refused.exit_code == 2
    assert "one --cell" in refused.stderr
