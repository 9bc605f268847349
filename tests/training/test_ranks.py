"""Groups of batch rows, and whole runs on ranks that are threads of this process: the bytes of one process."""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_ranks import on_ranks
from training_runs import CONFIG, CORPUS, TEXT, VOCABULARY, outcome, resume, run, trainer

from charrnn.checkpoints.run_folder import ReadOnlyRun, RunFolder
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import ContradictionError
from charrnn.network.network import Network
from charrnn.text.corpus import Parts
from charrnn.training import Run, Trainer
from charrnn.training.plan import Clock, Plan, Readings
from charrnn.training.ranks import (
    GROUPS,
    LEAST_BATCH,
    LEAST_ROWS,
    MOST_GROUPS,
    Ranks,
    default_groups,
    require_divisible,
)


@given(batch=st.integers(1, 5000))
def test_the_default_groups_are_a_power_of_two_that_divides_the_batch_rows(batch):
    groups = default_groups(batch)
    assert groups.bit_count() == 1
    assert groups <= MOST_GROUPS
    assert batch % groups == 0
    few = GROUPS if batch >= LEAST_BATCH else 1
    assert groups <= few or batch // groups >= LEAST_ROWS
    more = 2 * groups
    assert more > MOST_GROUPS or batch % more or (more > few and batch // more < LEAST_ROWS)
    require_divisible(batch, groups, 1)
    require_divisible(batch, groups, groups)


@pytest.mark.parametrize(
    ("batch", "groups"), [(1, 1), (16, 1), (31, 1), (32, 8), (33, 1), (50, 2), (64, 8), (96, 8), (256, 16), (4096, 64)]
)
def test_default_groups(batch, groups):
    assert default_groups(batch) == groups


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((30, 8, 1), "8 groups do not divide the 30 batch rows: choose a power of two that does, or another number"),
        ((32, 8, 3), "3 ranks cannot share 8 groups of 32 batch rows: start 1, 2, 4 or 8 ranks, or choose other"),
        ((32, 1, 2), "2 ranks cannot share 1 group of 32 batch rows: start one rank, or choose other groups"),
        ((48, 12, 2), "2 ranks cannot share 12 groups of 48 batch rows: start 3, 6 or 12 ranks, or"),
        ((32, 4, 8), "8 ranks cannot share 4 groups"),
        (
            (32, 8, 1, 3),
            "1 rank, each in 3 parts, cannot share 8 groups of 32 batch rows: choose accumulate 1, 2, 4 or",
        ),
    ],
)
def test_ranks_that_cannot_share_the_groups_are_refused_with_numbers_that_fit(arguments, message):
    with pytest.raises(ContradictionError) as refused:
        require_divisible(*arguments)
    assert message in str(refused.value)


@given(groups=st.integers(1, 70), ranks=st.integers(1, 70), parts=st.integers(1, 4))
def test_what_is_advised_is_accepted_and_what_is_accepted_is_a_power_of_two(groups, ranks, parts):
    batch = groups * 3
    try:
        require_divisible(batch, groups, ranks, parts)
    except ContradictionError as error:
        advised = str(error).split("batch rows: ")[1].split(", or choose other")[0].replace("one", "1")
        numbers = [int(number) for number in re.findall(r"\d+", advised)]
        assert numbers
        if "accumulate" in advised:
            assert parts not in numbers
            for number in numbers:
                require_divisible(batch, groups, ranks, number)
        elif advised != "start 1 rank" or parts == 1:
            assert ranks not in numbers
            for number in numbers:
                require_divisible(batch, groups, number, parts)
    else:
        assert groups % (ranks * parts) == 0
        assert (groups // (ranks * parts)).bit_count() == 1


@given(count=st.integers(0, 100), size=st.integers(1, 9))
def test_ranks_own_every_thing_once(count, size):
    found = []
    for number in range(size):
        ranks = Ranks()
        ranks.size, ranks.number = size, number
        found += range(*ranks.own(count))
    assert found == list(range(count))


def test_a_clock_tells_what_was_agreed_on():
    clock = Clock(Plan(TrainConfig(time_budget=100, dropout=0.0), 1000, 4), 0.0, 100)
    clock.start()
    assert clock.done(1) < 0.1
    clock.agree(Readings(elapsed_s=50.0, since_save_s=7.0, evaluation_s=3.0, closing_s=10.0))
    assert clock.now[:3] == (50.0, 7.0, 3.0)
    assert clock.done(1) == pytest.approx(50 / 90)
    clock.evaluated(1000.0)
    clock.saved(1000.0)
    assert clock.now[:3] == (50.0, 7.0, 3.0)
    assert clock.readings().elapsed_s < 50, "this clock itself goes on"
    assert clock.readings().evaluation_s == 1000


# ---- whole runs

IDS = VOCABULARY.encode(TEXT).astype(VOCABULARY.dtype)
CUT = len(IDS) * 9 // 10
PARTS = Parts(IDS[:CUT], IDS[CUT:], IDS[:0])
SHARED = dataclasses.replace(CONFIG, batch_size=8, groups=4, steps=30)


def a_trainer(path, config, ranks, model=None, checkpoint=None):
    network = Network(model or ModelConfig(len(VOCABULARY), 20, 2), seed=config.seed, threads=1)
    folder = RunFolder(path) if ranks.is_first else ReadOnlyRun(path)
    return Trainer(Run(network, config, PARTS, VOCABULARY, CORPUS, checkpoint, ranks), folder)


def train(path, config, size, model=None, resumes=False, stop_after=None):
    """Train on so many ranks."""

    def work(ranks):
        folder = RunFolder(path) if ranks.is_first else ReadOnlyRun(path)
        checkpoint = folder.load_last(print)[1] if resumes else None
        made = ranks.first_then_others(lambda: a_trainer(path, config, ranks, model, checkpoint))
        events = []
        for record in made.run():
            made.folder.record(record)
            events.append(record)
            if record.event == "step" and (ranks.number, record.step) == stop_after:
                made.stop()
        return made.network.parameters.flat.tobytes(), events

    found = on_ranks(size, work)
    assert len({weights for weights, _ in found}) == 1, "the ranks have different weights"
    return [events for _, events in found]


@pytest.mark.parametrize("schedule", ["linear", "plateau"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_run_has_the_bytes_of_one_process(tmp_path, optimizer, schedule):
    config = dataclasses.replace(SHARED, optimizer=optimizer, schedule=schedule, ema=0.9, steps=40)
    made = trainer(tmp_path / "1", config)
    run(made)
    for size in (2, 4):
        train(tmp_path / str(size), config, size)
        assert outcome(tmp_path / str(size)) == outcome(tmp_path / "1")


def test_a_rank_is_stopped_and_the_run_goes_on_with_other_ranks(tmp_path):
    run(trainer(tmp_path / "whole", SHARED))
    for stopped, size in ((1, 2), (0, 4), (3, 4)):
        path = tmp_path / f"{stopped}-{size}"
        events = train(path, SHARED, size, stop_after=(stopped, 9))
        ends = [each[-1] for each in events]
        assert {(end.event, end.step, end.reason) for end in ends} == {("finished", 10, "interrupted")}
        saves = [record.step for record in events[0] if record.event == "saved" and record.reason == "interrupted"]
        assert saves == [10]
        train(path, SHARED, 2, resumes=True, stop_after=(0, 20))
        run(resume(path, SHARED))
        assert outcome(path) == outcome(tmp_path / "whole")


def test_a_state_that_is_no_number_on_one_rank_rolls_all_back(tmp_path):
    def work(ranks):
        made = ranks.first_then_others(lambda: a_trainer(tmp_path, SHARED, ranks))
        rolled_back = []
        for record in made.run():
            if record.event == "step" and record.step == 13 and ranks.number == 1:
                made.subject.state.arrays["c"][0, -1, 0] = 1e38
            if record.event == "rolled_back":
                rolled_back.append((record.step, record.reason))
        return rolled_back, made.network.parameters.flat.tobytes()

    (first, weights), (second, others) = on_ranks(2, work)
    assert first == second
    assert [reason for _, reason in first] == ["the state is no longer numbers, or too large"]
    assert weights == others


def test_teachers_are_refused_on_several_ranks(tmp_path):
    config = dataclasses.replace(SHARED, teachers=2)
    with pytest.raises(ContradictionError, match="train in one process"):
        on_ranks(2, lambda ranks: a_trainer(tmp_path, config, ranks))


def test_a_folder_for_reading_writes_nothing(tmp_path):
    run(trainer(tmp_path / "run", SHARED))
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    made = a_trainer(tmp_path / "run", SHARED, Ranks())
    made.folder = ReadOnlyRun(tmp_path / "run")
    with made.folder.locked():
        run(made)
        made.folder.rewind(made.subject.full_checkpoint())
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before
    assert made.folder.load_last(print)[1].counters["step"] == 30
    assert np.isfinite(made.counters.loss)
