"""The scripts that compare cells: sizes, results that are kept, the copying task, and figures."""

import argparse
import math

import bracket_distance
import cells
import copying
import gradient_reach
import numpy as np
import pytest
import series
from command_line import FABLES, ROOT

from charrnn.network.cells import CELLS, parameter_count

OPTIONS = argparse.Namespace(size="3k", updates=3, filler="blank", results=None)


@pytest.mark.parametrize("cell", cells.SHAPES)
@pytest.mark.parametrize("parameters", ["250k", "0.9M"])
def test_a_cell_has_as_many_parameters_as_asked_for(cell, parameters):
    assert set(cells.SHAPES) == set(CELLS)
    config = cells.sized(cell, 65, cells.number(parameters), cells.SHAPES[cell])
    assert abs(parameter_count(config) / cells.number(parameters) - 1) < cells.TOLERANCE
    options = cells.options_of(config, {"lr": 0.01})
    assert options[:2] == ["--cell", cell] and options[-2:] == ["--lr", "0.01"]
    assert ("--heads" in options) == (cell == "transformer")


def test_a_run_that_is_done_is_not_made_again(tmp_path, monkeypatch):
    trained = []

    def train(text, settings):
        trained.append(settings)
        return {"best_val_loss": 1.5}

    monkeypatch.setattr(cells, "train", train)
    for _ in range(2):
        results = cells.Results(tmp_path / "cells.json")
        assert results.run("fables", ["--lr", "1"]) == results.run("fables", ["--lr", "2"]) == {"best_val_loss": 1.5}
    assert trained == [["--lr", "1"], ["--lr", "2"]]


def test_the_loss_of_seeds_is_a_mean_and_a_range():
    assert cells.spread([{"best_val_loss": 1.0}, {"best_val_loss": 2.0}]) == "**1.5000** (1.0000-2.0000)"
    assert cells.spread([{"best_val_loss": 1.0}]) == "**1.0000**"


@pytest.mark.parametrize("filler", ["blank", "random"])
def test_recalled_letters_are_as_far_away_as_said(filler):
    for distance in (5, 17):
        for line in copying.lines(4, distance, filler, seed=1):
            assert line[:3] == line[-3:] and len(line) == distance + 3
            assert line[-4] == "?" and set(line[:3]) <= set("abcdefgh")
            assert not set(line[3:-4]) & set("abcdefgh?")
    assert copying.lines(4, 17, filler, seed=1) != copying.lines(4, 17, filler, seed=2)


def test_a_model_that_has_learned_nothing_recalls_nothing():
    found = copying.run("rnn", 5, 1e-5, 1, OPTIONS)
    assert found["bits"] > 3
    assert found["accuracy"] < 0.5


def test_letters_that_the_model_knows_for_certain_cost_nothing(monkeypatch):
    """The losses are those of the last three characters of each line, and of no others."""
    alphabet = "\nabcdefgh?-"

    class Network:
        def initial_state(self, batch):
            return []

        def read(self, x, state):
            state.append(x)

        def log_probabilities(self, x, state):
            assert len(state) == copying.BEFORE
            payload = x[1:4]  # after the end of line
            chances = np.full((*x.shape, len(alphabet)), -np.inf)
            for k in range(3):
                np.put_along_axis(chances[len(x) - 3 + k], payload[k][:, None], 0.0, axis=1)
            return chances

    class Vocabulary:
        def encode(self, text):
            return np.array([alphabet.index(letter) for letter in text])

    model = argparse.Namespace(network=Network(), vocabulary=Vocabulary())
    assert copying.recalled(model, 9, "blank") == (0.0, 1.0)


def test_the_distance_that_is_reached_ends_at_the_first_failure():
    found = {("rnn", d): [{"accuracy": accuracy}] for d, accuracy in ((5, 1.0), (10, 0.2), (20, 1.0))}
    assert copying.reached(found, "rnn", [5, 10, 20]) == "5"
    assert copying.reached(found, "rnn", [10, 20]) == "–"


def test_the_gradient_of_an_orthogonal_matrix_times_two_reaches_further(rng):
    ids = rng.integers(9, size=900)
    norms = {
        name: gradient_reach.reach(gradient_reach.network(start, 9, 16, 1), ids, 12)
        for name, start in gradient_reach.STARTS.items()
    }
    assert {len(each) for each in norms.values()} == {12}
    assert norms["RNN"][-1] < norms["RNN, orthogonal"][-1] < norms["RNN, orthogonal x 2"][-1]
    assert norms["LSTM"][-1] < norms["LSTM, forget bias 4"][-1]


def test_brackets_of_models_stand_side_by_side():
    options = argparse.Namespace(text=str(FABLES), split="90/10/0", limit=3000, order=2)
    found = {"one": bracket_distance.measure(str(ROOT / "checkpoints" / "fables.safetensors"), options)}
    rows = bracket_distance.rows('""', {**found, "two": found["one"]}, 1)
    assert rows and all(len(row) == 5 and row[3] == row[4] for row in rows)
    assert bracket_distance.rows('""', found, 10_000) == []


def test_a_figure_leaves_out_what_an_axis_cannot_show(tmp_path):
    curves = {"one": [(1, 1.0), (2, 0.0), (4, math.inf), (8, 0.01)], "one*": [(1, 0.1), (8, 1e-9)], "none": []}
    series.draw(tmp_path / "a.svg", "title", curves, "across", "up", log_across=True, log_up=True, lowest=1e-6)
    svg = (tmp_path / "a.svg").read_text()
    assert "inf" not in svg and "nan" not in svg
    assert svg.count("<circle") == 3
    assert svg.count(">one<") == 1 and ">none<" in svg
