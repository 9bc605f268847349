"""The log of a run, read line by line: by anybody written, in bounded memory."""

import json
import tracemalloc

import pytest

from charrnn.checkpoints.run_log import LONGEST_LINE, last_record, read_log
from charrnn.errors import CheckpointError

LINE = '{"event": "step", "step": %d, "epoch": 0, "loss": 1.5}\n'


@pytest.fixture
def log(tmp_path):
    return tmp_path / "metrics.jsonl"


def steps(run):
    return [record["step"] for _, record in read_log(run)]


def test_a_log_is_not_kept_in_memory(tmp_path, log):
    log.write_text("".join(LINE % step for step in range(100_000)))
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_log(tmp_path)) == 100_000
        assert tracemalloc.get_traced_memory()[1] < log.stat().st_size / 10
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("end", ["", '{"event": "step", "st', "damaged\n", "\n", '{"event": "step", "step": -1}\n'])
def test_the_last_line_may_be_damaged(tmp_path, log, end):
    log.write_text("".join(LINE % step for step in range(3)) + end)
    assert steps(tmp_path) == [0, 1, 2]
    assert last_record(tmp_path) == (None if end else ("step", json.loads(LINE % 2)))
    if end.endswith("\n"):
        log.write_text(log.read_text() + LINE % 3)
        with pytest.raises(CheckpointError, match="line 4 is no record"):
            steps(tmp_path)


def test_a_line_that_a_run_completes_meanwhile_is_the_last_one(tmp_path, log):
    log.write_text(LINE % 0 + (LINE % 1)[:20])
    reading = read_log(tmp_path)
    assert next(reading)[1]["step"] == 0
    with log.open("a") as file:
        file.write((LINE % 1)[20:] + LINE % 2)
    assert list(reading) == []


def test_an_endless_line_is_refused(tmp_path, log):
    log.write_text(LINE % 0 + " " * (LONGEST_LINE + 1))
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl: .*a line of more than 16,777,216 bytes"):
        steps(tmp_path)
    assert last_record(tmp_path) is None


def test_the_last_record_of_a_long_log(tmp_path, log):
    log.write_text("".join(LINE % step for step in range(5_000)))
    assert last_record(tmp_path)[1]["step"] == 4_999
    log.write_text("")
    assert last_record(tmp_path) is None
    log.unlink()
    assert last_record(tmp_path) is None
    with pytest.raises(CheckpointError, match="no log of a run"):
        steps(tmp_path)
