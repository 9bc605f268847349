"""``charrnn log``: a run's losses as CSV and for TensorBoard."""

import csv
import io
import json
import shutil

import pytest
from command_line import invoke, succeed

from charrnn.checkpoints.foreign.to_csv import COLUMNS
from charrnn.checkpoints.foreign.to_tensorboard import FILE, event_files


@pytest.fixture
def run(model, tmp_path):
    return shutil.copytree(model, tmp_path / "fox")


def records(run, *events):
    found = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [record for record in found if record["event"] in events]


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_the_table_has_the_numbers_of_every_step_and_evaluation(run):
    table = rows(succeed("log", run).stdout)
    expected = records(run, "step", "evaluated")
    assert len(table) == len(expected) > 150
    for row, record in zip(table, expected, strict=True):
        assert tuple(row) == COLUMNS
        assert row["event"] == record["event"]
        for name in COLUMNS[1:]:
            assert row[name] == ("" if record.get(name) is None else str(record[name]))
    assert float(table[0]["loss"]) == expected[0]["loss"]


def test_the_help_and_the_table_agree(run):
    text = " ".join(succeed("log", "--help").stdout.split())
    assert ", ".join(COLUMNS[:-1]) + f" and {COLUMNS[-1]}" in text


def test_a_table_in_a_file(run, tmp_path):
    file = tmp_path / "losses.csv"
    result = succeed("log", run, "--to", "csv", "-o", file)
    assert "wrote" in result.stderr
    assert result.stdout == ""
    assert file.read_bytes() == succeed("log", run).stdout.encode()
    succeed("log", run, "-o", file, "-q")


def test_a_loss_that_was_no_number_is_empty(run):
    (run / "metrics.jsonl").write_text('{"event": "step", "step": 1, "epoch": 0.5, "loss": null}\n')
    assert rows(succeed("log", run).stdout) == [
        dict.fromkeys(COLUMNS, "") | {"event": "step", "step": "1", "epoch": "0.5"}
    ]


def test_a_cut_last_line_is_left_out_and_another_damaged_one_refused(run):
    log = run / "metrics.jsonl"
    whole = log.read_text()
    log.write_text(whole + '{"event": "step", "st')
    assert len(rows(succeed("log", run).stdout)) == len(records_of(whole))
    log.write_text("\x1b[31m\n" + whole)
    result = invoke("log", run)
    assert result.exit_code == 1
    assert "line 1 is no record" in result.stderr
    assert "\x1b" not in result.stderr


def records_of(text):
    return [line for line in text.splitlines() if json.loads(line)["event"] in ("step", "evaluated")]


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "step", "step": -1, "epoch": 0, "loss": 1}',
        '{"event": "step", "step": 9223372036854775808, "epoch": 0, "loss": 1}',
        '{"event": "step", "step": 1, "epoch": 0, "loss": 1, "lr": "=1+1"}',
        '{"event": "step", "step": 1, "epoch": 0, "loss": 1, "elapsed_s": 1e300}',
        '{"event": "evaluated", "step": 1, "val_loss": [1]}',
        '{"event": "evaluated", "step": 1, "val_loss": 1, "val_bpc": true}',
        '{"event": ["step"]}',
    ],
)
@pytest.mark.parametrize("form", ["csv", "tensorboard"])
def test_a_forged_record_is_refused(run, line, form):
    (run / "metrics.jsonl").write_text(f"{line}\n{{}}\n")
    result = invoke("log", run, "--to", form)
    assert result.exit_code == 1
    assert "line 1 is no record" in result.stderr
    assert not (run / "tensorboard").exists()


def test_what_cannot_be_is_refused(run, tmp_path):
    assert "give the name or the folder of a run" in invoke("log", run / "best.safetensors").stderr
    for form, name in (("csv", "folder"), ("tensorboard", "a.csv")):
        result = invoke("log", run, "--to", form, "-o", tmp_path / name)
        assert result.exit_code == 2
        assert not (tmp_path / name).exists()
    (run / "metrics.jsonl").unlink()
    result = invoke("log", run)
    assert result.exit_code == 1
    assert "no log of a run" in result.stderr


def test_the_same_log_gives_the_same_event_files(run):
    first = event_files(run)
    assert first.keys() == {f"training/{FILE}", f"validation/{FILE}"}
    assert event_files(run) == first
    succeed("log", run, "--to", "tensorboard")
    succeed("log", run, "--to", "tensorboard")
    found = {path.relative_to(run / "tensorboard").as_posix(): path for path in (run / "tensorboard").rglob(f"*{FILE}")}
    assert {name: path.read_bytes() for name, path in found.items()} == first


def test_a_run_without_validation_has_no_curve_for_it(run):
    log = run / "metrics.jsonl"
    log.write_text("".join(line for line in log.read_text().splitlines(True) if '"evaluated"' not in line))
    assert event_files(run).keys() == {f"training/{FILE}"}
    log.write_text("")
    assert event_files(run) == {}
    result = invoke("log", run, "--to", "tensorboard")
    assert result.exit_code == 1
    assert "no losses" in result.stderr
    assert not (run / "tensorboard").exists()
    assert succeed("log", run).stdout == ",".join(COLUMNS) + "\n"


def test_tensorboard_reads_the_curves(run, tmp_path):
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="TensorBoard is not installed"
    )
    succeed("log", run, "--to", "tensorboard", "-o", tmp_path / "events")
    names = {"loss": "loss", "learning rate": "lr", "gradient norm": "grad_norm", "characters per s": "chars_per_s"}
    for folder, event, curves in (("training", "step", names), ("validation", "evaluated", {"loss": "val_loss"})):
        found = reader.EventAccumulator(str(tmp_path / "events" / folder), size_guidance={reader.SCALARS: 0}).Reload()
        assert set(found.Tags()[reader.SCALARS]) == set(curves)
        expected = records(run, event)
        for tag, name in curves.items():
            points = found.Scalars(tag)
            assert [point.step for point in points] == [record["step"] for record in expected]
            assert [point.value for point in points] == pytest.approx([record[name] for record in expected], rel=1e-6)
        times = [point.wall_time for point in found.Scalars("loss")]
        assert times[-1] - times[0] == pytest.approx(expected[-1]["elapsed_s"] - expected[0]["elapsed_s"], abs=1e-3)
