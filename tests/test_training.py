"""The loop: it learns, it says what it does, and a resumed run is the same bits as one in one go."""

import itertools
import json

import numpy as np
import pytest

from charrnn.checkpoint import Checkpoint
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CharRNNError, CheckpointError
from charrnn.network import CharLSTM
from charrnn.plan import Plan, fitting_dropout
from charrnn.runs import METRICS, RunFolder
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import DivergedError, Parts, Trainer

TEXT = "the fox said to the heron, (and the heron listened): 12 pies!\n" * 40
VOCABULARY = Vocabulary(sorted(set(TEXT)))


CORPUS = {
    **{"sources": ["fox.txt"], "paths": ["/fox.txt"], "sha256": "x", "characters": 9},
    **{"as_bytes": False, "encoding": "utf-8", "min_count": 1, "max_vocab": 1000},
}


def trainer(path, config, resume=None, threads=1, embedding=None, text=TEXT):
    ids = VOCABULARY.encode(text).astype(VOCABULARY.dtype)
    cut = len(ids) * 9 // 10
    parts = Parts(ids[:cut], ids[cut:], ids[:0])
    network = CharLSTM(ModelConfig(len(VOCABULARY), 20, 2, embedding), seed=config.seed, threads=threads)
    folder = RunFolder(path)
    if resume is None:
        folder.create()
    else:
        folder.rewind(resume.progress["step"])
    return Trainer(network, config, parts, VOCABULARY, folder, CORPUS, resume=resume)


def run(made, stop_after=None):
    records = []
    for record in made.run():
        made.folder.record(record)
        records.append(record)
        if stop_after is not None and record.event == "step" and record.step == stop_after:
            made.stop()
    return records


CONFIG = TrainConfig(seq_len=16, batch_size=4, steps=60, dropout=0.2, eval_every=13, sample_every=0, save_every=7)


def test_it_learns_and_reports(tmp_path):
    records = run(trainer(tmp_path / "run", TrainConfig(seq_len=16, batch_size=4, steps=300, dropout=0.0, lr=0.02)))
    events = [record.event for record in records]
    assert events[0] == "started"
    assert events[-2:] == ["saved", "finished"]
    assert {"step", "evaluated", "saved", "sampled"} < set(events)
    steps = [record for record in records if record.event == "step"]
    assert [record.step for record in steps] == list(range(1, 301))
    assert steps[0].loss == pytest.approx(np.log(len(VOCABULARY)), abs=1.0)
    assert steps[-1].loss < 0.2
    assert steps[-1].progress == 1
    assert all(a.characters < b.characters for a, b in itertools.pairwise(steps))
    evaluations = [record for record in records if record.event == "evaluated"]
    best = min(record.val_loss for record in evaluations)
    assert records[-1].best_val_loss == best < 0.3
    assert next(e.improved for e in evaluations) is True
    assert Checkpoint.load(tmp_path / "run" / "best.safetensors").progress["best_val_loss"] == best
    logged = [json.loads(line) for line in (tmp_path / "run" / METRICS).read_text().splitlines()]
    assert logged == [json.loads(json.dumps(record.to_dict())) for record in records]


def contents(path):
    checkpoint = Checkpoint.load(path)
    progress = {name: value for name, value in checkpoint.progress.items() if name != "elapsed_s"}
    arrays = [*checkpoint.parameters.values(), *(a for slot in checkpoint.optimizer.values() for a in slot.values())]
    if checkpoint.state is not None:
        arrays += checkpoint.state
    history = [{k: v for k, v in entry.items() if k != "elapsed_s"} for entry in checkpoint.history]
    return progress, history, [array.tobytes() for array in arrays]


def metrics(path):
    times = ("elapsed_s", "eta_s", "chars_per_s")
    kept = []
    for line in (path / METRICS).read_text().splitlines():
        record = json.loads(line)
        if record["event"] in ("step", "evaluated"):
            kept.append({name: value for name, value in record.items() if name not in times})
    return kept


@pytest.fixture(scope="module")
def in_one_go(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "whole"
    run(trainer(path, CONFIG))
    return path


# Inside the warm-up, at a save, before, at and after an evaluation, at an epoch's end (35 windows), at the end.
@pytest.mark.parametrize("stop", [1, 7, 12, 13, 14, 34, 35, 36, 59])
def test_a_resumed_run_is_the_same_bits(tmp_path, in_one_go, stop):
    path = tmp_path / "parts"
    first = run(trainer(path, CONFIG), stop_after=stop)
    assert first[-1].reason == "interrupted"
    assert first[-1].step == stop
    again = trainer(path, CONFIG, resume=Checkpoint.load(path / "last.safetensors"), threads=2)
    records = run(again)
    assert records[0].resumed
    assert records[0].step == stop
    for name in ("last.safetensors", "best.safetensors"):
        assert contents(path / name) == contents(in_one_go / name)
    assert metrics(path) == metrics(in_one_go)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
def test_every_optimizer_resumes_to_the_same_bits(tmp_path, optimizer):
    config = TrainConfig(seq_len=16, batch_size=4, steps=12, optimizer=optimizer, sample_every=0)
    run(trainer(tmp_path / "whole", config, embedding=6))
    run(trainer(tmp_path / "parts", config, embedding=6), stop_after=5)
    resume = Checkpoint.load(tmp_path / "parts" / "last.safetensors")
    run(trainer(tmp_path / "parts", config, resume=resume, embedding=6))
    assert contents(tmp_path / "parts/last.safetensors") == contents(tmp_path / "whole/last.safetensors")


def test_a_killed_run_goes_on_from_its_last_save(tmp_path, in_one_go):
    made = trainer(tmp_path / "killed", CONFIG)
    for record in made.run():
        made.folder.record(record)
        if record.event == "step" and record.step == 18:
            break  # as if killed: nothing more is written
    with (tmp_path / "killed" / METRICS).open("a") as log:
        log.write('{"event": "step", "st')  # a line cut short
    resume = Checkpoint.load(tmp_path / "killed" / "last.safetensors")
    assert resume.progress["step"] == 14
    run(trainer(tmp_path / "killed", CONFIG, resume=resume))
    assert contents(tmp_path / "killed/last.safetensors") == contents(in_one_go / "last.safetensors")
    assert metrics(tmp_path / "killed") == metrics(in_one_go)


def test_a_time_budget_is_kept(tmp_path):
    config = TrainConfig(seq_len=16, batch_size=4, time_budget=1.5)
    records = run(trainer(tmp_path / "run", config))
    assert records[-1].reason == "budget"
    assert 1.2 < records[-1].elapsed_s < 2.5
    rates = [record.lr for record in records if record.event == "step"]
    assert rates[-1] < 0.2 * max(rates)


def test_divergence_ends_with_advice_and_a_good_checkpoint(tmp_path):
    made = trainer(tmp_path / "run", CONFIG)
    with pytest.raises(DivergedError, match="Try a lower --lr"):
        for record in made.run():
            if record.event == "step" and record.step == 10:
                made.network.parameters["w_out"][:] = np.nan
                made.network.parameters_changed()
    assert Checkpoint.load(tmp_path / "run" / "last.safetensors").progress["step"] == 7


@pytest.mark.parametrize("length", [2, 3, 20, 70, 300])
def test_tiny_texts_train(tmp_path, length):
    config = TrainConfig(steps=5)
    records = run(trainer(tmp_path / "run", config, text=TEXT[: -(-length * 10 // 9)]))
    assert records[-1].step == 5
    assert np.isfinite(records[-1].loss)
    assert any("lane" in note for note in records[0].notes)


def test_the_plan_suits_the_size_of_the_text():
    plans = {length: Plan(TrainConfig(), length, max(1, length // 2048)) for length in (500, 100_000, 10**6, 10**9)}
    assert [plan.epochs for plan in plans.values()] == [30, 30, 10, 1]
    assert plans[500].total_steps == 300
    assert plans[10**6].total_steps == 4880
    assert [fitting_dropout(length) for length in (2, 100_000, 1_003_854, 10**7, 10**10)] == [0.5, 0.5, 0.2, 0, 0]


def test_nothing_to_predict_is_an_error(tmp_path):
    with pytest.raises(CharRNNError, match="fewer than 2"):
        trainer(tmp_path / "run", CONFIG, text="t")


def test_a_resume_needs_all_that_belongs_to_the_run(tmp_path):
    run(trainer(tmp_path / "run", CONFIG), stop_after=3)

    def broken(change):
        checkpoint = Checkpoint.load(tmp_path / "run" / "last.safetensors")
        change(checkpoint)
        return checkpoint

    changes = [
        lambda checkpoint: checkpoint.optimizer.pop("m"),
        lambda checkpoint: checkpoint.progress.pop("window"),
        lambda checkpoint: setattr(checkpoint, "state", None),
        lambda checkpoint: setattr(checkpoint, "state", tuple(part[:, :2] for part in checkpoint.state)),
    ]
    for change in changes:
        with pytest.raises(CheckpointError, match="checkpoint"):
            trainer(tmp_path / "run", CONFIG, resume=broken(change))


def test_starting_over_keeps_the_old_checkpoints_until_there_are_new_ones(tmp_path):
    run(trainer(tmp_path / "run", CONFIG))
    folder = RunFolder(tmp_path / "run")
    before = folder.last.read_bytes(), folder.best.read_bytes()
    again = trainer(folder.path, TrainConfig(seq_len=16, batch_size=4, steps=9, eval_every=5, sample_every=0, seed=7))
    steps = again.run()
    next(steps), next(steps)
    assert (folder.last.read_bytes(), folder.best.read_bytes()) == before
    again.stop()
    list(steps)
    assert Checkpoint.load(folder.last).progress["step"] == 1
    assert not folder.best.exists()  # the old run's, which would now be a lie
