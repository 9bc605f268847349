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

    def train(text, settings, keep):
        trained.append(settings)
        return {"best_val_loss": 1.5}

    monkeypatch.setattr(cells, "train", train)
    for _ in range(2):
        results = cells.Results(tmp_path / "cells.json")
        assert results.run("fables", ["--lr", "1"]) == results.run("fables", ["--lr", "2"]) == {"best_val_loss": 1.5}
    assert trained == [["--lr", "1"], ["--lr", "2"]]


def test_a_run_whose_checkpoint_is_wanted_is_made_again_unless_it_is_there(tmp_path):
    results, keep = cells.Results(tmp_path / "cells.json"), tmp_path / "kept" / "a.safetensors"
    settings = ["--hidden", "8", "--layers", "1", "--steps", "2", "--eval-every", "1", "--seed", "1", *cells.FIXED]
    first = results.run(str(FABLES), settings)
    assert results.run(str(FABLES), settings, keep) == first
    made = keep.stat().st_mtime_ns
    assert bracket_distance.load(keep).network.config.hidden == 8
    results.run(str(FABLES), settings, keep)
    assert keep.stat().st_mtime_ns == made


def test_processes_that_use_one_file_keep_each_others_results(tmp_path):
    one, two = (cells.Results(tmp_path / "cells.json") for _ in range(2))
    one.keep("runs", "a", {"best_val_loss": 1.0})
    two.keep("rates", "b", {"chars_per_s": 10})
    one.keep("runs", "c", {"best_val_loss": 2.0})
    found = {"runs": {"a": {"best_val_loss": 1.0}, "c": {"best_val_loss": 2.0}}, "rates": {"b": {"chars_per_s": 10}}}
    assert one.read() == two.read() == found | {"settings": {}}
    assert [path.name for path in tmp_path.iterdir()] == ["cells.json"]
    assert len((tmp_path / "cells.json").read_text().splitlines()) == 10


def test_minutes_are_updates_at_the_measured_rate(tmp_path):
    results = cells.Results(tmp_path / "cells.json")
    settings, config = {"batch-size": 16, "seq-len": 64}, cells.model_of("20k", "gru")
    with pytest.raises(SystemExit, match=r"no rate of '20k gru 16x64': measure it"):
        results.steps("20k", config, settings, "1m")
    results.keep("rates", "20k gru 16x64", {"chars_per_s": 1024})
    assert results.steps("20k", config, settings, "1m") == 60
    assert results.steps("20k", config, settings, "90s") == 90
    assert results.steps("20k", config, settings, "1s") == 1


def test_the_rates_of_all_cells_are_measured_for_all_windows_that_are_tuned(tmp_path, capsys):
    path = tmp_path / "cells.json"
    cells.rates(argparse.Namespace(results=path, sizes=["3k"], cells=["rnn"], seconds=0.01, turns=2, machine="here"))
    rates = cells.Results(path).read()["rates"]
    assert rates.keys() == {"3k rnn 16x64", "3k rnn 32x64", "3k rnn 64x64"}
    assert all(min(each["turns"]) <= each["chars_per_s"] <= max(each["turns"]) for each in rates.values())
    assert "3k rnn 64x64" in capsys.readouterr().out
    for cell in cells.SHAPES:
        changes = [cells.untuned(cell), *(cells.changed(cells.untuned(cell), each) for each in cells.changes_of(cell))]
        assert {(each["batch-size"], each["seq-len"]) for each in changes} <= set(cells.windows_of(cell))
    assert len({len(cells.changes_of(cell)) for cell in cells.SHAPES}) == 1


def test_a_change_is_kept_if_it_lowers_the_loss(tmp_path, monkeypatch):
    """The best rate is 0.003 and the best batch 32: a loss that rises with the distance from both."""

    def train(text, settings, keep):
        given = dict(zip(settings[::2], settings[1::2], strict=True))
        rate, batch = float(given["--lr"]), int(given["--batch-size"])
        return {"best_val_loss": abs(math.log(rate / 0.003)) + abs(math.log(batch / 32))}

    monkeypatch.setattr(cells, "train", train)
    results = cells.Results(tmp_path / "cells.json")
    for batch in (16, 32):
        results.keep("rates", f"20k rnn {batch}x64", {"chars_per_s": 9000})
    options = argparse.Namespace(changes=["lr*0.5", "batch-size=16", "lr*0.5"], go_on=False, budget="1s", seed=1)
    row = cells.tune_one(options, results, "fables", "20k", "rnn")
    best = {"lr": 0.003, "batch-size": 32, "seq-len": 64}
    assert results.settings("fables", "20k", "rnn") == best
    assert row[-1] == "lr 0.003, batch-size 32, seq-len 64"
    assert row[-2] == "0.6931; lr*0.5 0.0000; batch-size=16 0.6931; lr*0.5 0.6931"
    assert results.settings("another", "20k", "rnn") == cells.untuned("rnn")
    results.keep("settings", "tinyshakespeare 20k rnn", {"lr": 1})
    assert results.settings("another", "20k", "rnn") == {"lr": 1}


def test_several_changes_are_one_trial():
    assert cells.changed({"lr": 0.002, "seq-len": 64}, "lr*0.7,seq-len=128") == {"lr": 0.0014, "seq-len": 128}


def test_a_table_has_the_runs_that_are_there(tmp_path, capsys):
    results = cells.Results(tmp_path / "cells.json")
    results.keep("rates", "20k rnn 32x64", {"chars_per_s": 9000})
    results.keep("rates", "20k gru 32x64", {"chars_per_s": 9000})
    options = argparse.Namespace(
        results=results.path, texts=["fables"], sizes=["20k"], cells=["rnn", "gru"], budgets=["1m", "3m"], seeds=[1, 2],
        output=tmp_path / "figure.svg",
    )  # fmt: skip
    for (text, _, cell, budget, seed), run in cells.wanted_runs(options, results).items():
        if cell == "rnn" and (budget, seed) != ("3m", 2):
            results.keep("runs", cells.shlex.join([text, *run]), {"parameters": 20_001, "best_val_loss": seed / 2})
    cells.show(options)
    shown = capsys.readouterr().out
    assert "| fables | rnn, 2x64 | 20,001 | **0.7500** (0.5000-1.0000, 2 seeds) | **0.5000** (1 seed) |" in shown
    assert "gru" not in shown
    assert [path.name for path in tmp_path.glob("*.svg")] == ["figure-fables-20k.svg"]


def test_the_loss_of_seeds_is_a_mean_and_a_range():
    assert cells.spread([{"best_val_loss": 1.0}, {"best_val_loss": 2.0}]) == "**1.5000** (1.0000-2.0000, 2 seeds)"
    assert cells.spread([{"best_val_loss": 1.0}]) == "**1.0000** (1 seed)"
    assert cells.spread([]) == "–"


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
    assert copying.reached(found, "rnn", [5, 40]) == "5"


def test_a_cell_that_fails_is_not_trained_for_longer_distances(monkeypatch):
    asked = []

    def run(cell, distance, lr, seed, options):
        asked.append((cell, distance, lr, seed))
        return {"parameters": 9, "bits": distance / 10 + lr, "accuracy": 0.2 if cell == "rnn" and distance > 5 else 1.0}

    monkeypatch.setattr(copying, "run", run)
    options = argparse.Namespace(
        size="3k", updates=3, filler="blank", results=None,
        cells=["rnn", "gru"], distances=[5, 10, 20], rates=[0.1, 0.01], seeds=[1, 2],
    )  # fmt: skip
    found = copying.all_runs(options)
    assert found.keys() == {("rnn", 5), ("rnn", 10), ("gru", 5), ("gru", 10), ("gru", 20)}
    assert [each["lr"] for each in found["gru", 20]] == [0.01, 0.01]
    assert len(asked) == 5 * 3
    assert copying.shown([]) == "–"
    assert copying.shown(found["rnn", 10]) == "20%, 1.01"
    assert copying.shown([{"accuracy": 0.5, "bits": 1.0}, {"accuracy": 1.0, "bits": 0.0}]) == "75% (50%-100%), 0.50"


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
