"""The loop: it learns, it says what it does, and a resumed run is the same bits as one in one go."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

from charrnn.checkpoint import Checkpoint
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CharRNNError, CheckpointError
from charrnn.evaluation import evaluate
from charrnn.guard import Guard
from charrnn.network import CharLSTM
from charrnn.optimizer import Optimizer
from charrnn.plan import Plan, fitting_dropout
from charrnn.runs import METRICS, RunFolder
from charrnn.schedule import plateaus
from charrnn.text.parts import Parts
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import DivergedError, Trainer

TEXT = "the fox said to the heron, (and the heron listened): 12 pies!\n" * 40
VOCABULARY = Vocabulary(sorted(set(TEXT)))


CORPUS = {
    **{"sources": ["fox.txt"], "paths": ["/fox.txt"], "sha256": "x", "characters": 9},
    **{"as_bytes": False, "encoding": "utf-8", "min_count": 1, "max_vocab": 1000},
}


def trainer(path, config, resume=None, threads=1, embedding=None, text=TEXT, diagnose=False):
    ids = VOCABULARY.encode(text).astype(VOCABULARY.dtype)
    cut = len(ids) * 9 // 10
    parts = Parts(ids[:cut], ids[cut:], ids[:0])
    network = CharLSTM(ModelConfig(len(VOCABULARY), 20, 2, embedding), seed=config.seed, threads=threads)
    folder = RunFolder(path)
    return Trainer(network, config, parts, VOCABULARY, folder, CORPUS, resume=resume, diagnose=diagnose)


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


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adam", "ema": 0.9},
        {"optimizer": "rmsprop", "schedule": "linear"},
        {"optimizer": "adagrad", "clip_value": 0.01, "schedule": "exponential", "decay_after": 0.1},
        {"optimizer": "sgd", "nesterov": True, "schedule": "step", "decay_rate": 0.5, "decay_after": 0.1},
    ],
)
def test_every_optimizer_resumes_to_the_same_bits(tmp_path, settings):
    config = TrainConfig(seq_len=16, batch_size=4, steps=12, sample_every=0, **settings)
    run(trainer(tmp_path / "whole", config, embedding=6))
    run(trainer(tmp_path / "parts", config, embedding=6), stop_after=5)
    resume = Checkpoint.load(tmp_path / "parts" / "last.safetensors")
    run(trainer(tmp_path / "parts", config, resume=resume, embedding=6))
    assert contents(tmp_path / "parts/last.safetensors") == contents(tmp_path / "whole/last.safetensors")


@pytest.mark.parametrize("fall", [0, 1])  # stopped before the rate falls, and between two falls
def test_a_plateau_is_remembered_over_a_resume(tmp_path, fall):
    # So high a rate that the loss keeps rising again.
    config = TrainConfig(seq_len=16, batch_size=4, steps=24, sample_every=0, warmup=0, lr=1.0)
    config = dataclasses.replace(config, schedule="plateau", plateau_patience=1, eval_every=2)
    records = run(trainer(tmp_path / "whole", config))
    rates = [record.lr for record in records if record.event == "step"]
    losses = [record.val_loss for record in records if record.event == "evaluated"]
    assert rates == [1.0 * 0.5 ** plateaus(losses[: step // 2], 1) for step in range(24)]
    falls = [step for step in range(1, 24) if rates[step] < rates[step - 1]]
    assert len(falls) >= 2
    run(trainer(tmp_path / "parts", config), stop_after=falls[fall] - 1)
    resume = Checkpoint.load(tmp_path / "parts" / "last.safetensors")
    run(trainer(tmp_path / "parts", config, resume=resume))
    assert contents(tmp_path / "parts/last.safetensors") == contents(tmp_path / "whole/last.safetensors")
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")


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
    run(trainer(tmp_path / "warm", dataclasses.replace(config, time_budget=None, steps=3)))  # compiles
    records = run(trainer(tmp_path / "run", config))
    assert records[-1].reason == "budget"
    # What stands around a run (PROCESS_S) is kept free.
    assert 1.0 < records[-1].elapsed_s < 2.5
    rates = [record.lr for record in records if record.event == "step"]
    assert rates[-1] < 0.2 * max(rates)


def poisoned(made, steps, value=np.nan):
    """The records of a run whose weights are spoilt after each of ``steps``."""
    for record in made.run():
        made.folder.record(record)
        yield record
        if record.event == "step" and record.step in steps:
            made.network.parameters["w_out"][:] *= value
            made.network.parameters_changed()


@pytest.mark.parametrize("value", [np.nan, 1000.0])
def test_trouble_goes_back_to_good_weights_and_halves_the_rate(tmp_path, value):
    made = trainer(tmp_path / "run", CONFIG)
    records = list(poisoned(made, [10], value))
    setback = next(record for record in records if record.event == "rolled_back")
    assert (setback.step, setback.to_step, setback.rate_scale) == (11, 0, 0.5)
    steps = [record for record in records if record.event == "step"]
    assert [record.step for record in steps] == list(range(1, 61))
    assert steps[-1].loss < steps[0].loss
    clean = [record for record in run(trainer(tmp_path / "clean", CONFIG)) if record.event == "step"]
    assert [record.lr for record in steps[11:]] == [record.lr / 2 for record in clean[11:]]
    assert records[-1].reason == "completed"
    assert np.isfinite(Checkpoint.load(tmp_path / "run" / "last.safetensors").parameters["w_out"]).all()


def test_a_run_that_was_in_trouble_resumes_to_the_same_bits(tmp_path):
    list(poisoned(trainer(tmp_path / "whole", CONFIG), [10]))
    made = trainer(tmp_path / "parts", CONFIG)
    for record in poisoned(made, [10]):
        if record.event == "step" and record.step == 30:
            made.stop()
    resume = Checkpoint.load(tmp_path / "parts" / "last.safetensors")
    assert resume.progress["rate_scale"] == 0.5
    run(trainer(tmp_path / "parts", CONFIG, resume=resume))
    assert contents(tmp_path / "parts/last.safetensors") == contents(tmp_path / "whole/last.safetensors")


def test_trouble_without_end_ends_the_run_with_advice_and_good_checkpoints(tmp_path):
    made = trainer(tmp_path / "run", CONFIG)
    with pytest.raises(
        DivergedError, match=r"step 32: the loss is no longer a number, 3 times in a row.*with --lr 0.0004"
    ):
        list(poisoned(made, [10, 20, 31]))
    checkpoint = Checkpoint.load(tmp_path / "run" / "last.safetensors")
    assert (checkpoint.progress["step"], checkpoint.progress["rate_scale"]) == (32, 0.125)
    fresh = trainer(tmp_path / "fresh", CONFIG).network.parameters
    for name, value in checkpoint.parameters.items():
        np.testing.assert_array_equal(value, fresh[name])  # the last good ones are those of the start
    assert (tmp_path / "run" / "best.safetensors").exists()
    assert run(trainer(tmp_path / "run", CONFIG, resume=checkpoint))[-1].reason == "completed"


def test_weights_that_are_no_numbers_are_neither_scored_nor_saved(tmp_path):
    config = dataclasses.replace(CONFIG, eval_every=1, save_every=1)
    made = trainer(tmp_path / "run", config)
    with pytest.raises(DivergedError, match=r"step 6: the weights are no longer numbers.*best checkpoint, of step 5"):
        for record in made.run():
            if record.event == "step":
                made.optimizer.slots["v"][:] = np.nan  # the next update writes NaN
    for name in ("last", "best"):
        Checkpoint.load(tmp_path / "run" / f"{name}.safetensors")


def test_weights_are_kept_only_when_a_loss_has_vouched_for_them(tmp_path):
    made = trainer(tmp_path / "run", dataclasses.replace(CONFIG, steps=130, save_every=1000, eval_every=1000))
    update = made.optimizer.update

    def spoilt(gradient, lr):
        norm = update(gradient, lr)
        if made.progress.step == 99:  # the hundredth
            made.network.parameters["w_out"][:] *= 1000
        return norm

    made.optimizer.update = spoilt
    records = run(made)
    assert [(r.step, r.to_step) for r in records if r.event == "rolled_back"] == [(101, 0)]
    assert records[-1].reason == "completed"


def test_setbacks_far_apart_do_not_end_a_run(tmp_path):
    config = dataclasses.replace(CONFIG, steps=350, save_every=1000, eval_every=1000)
    records = list(poisoned(trainer(tmp_path / "run", config), [50, 150, 250]))
    setbacks = [record for record in records if record.event == "rolled_back"]
    assert [record.to_step for record in setbacks] == [0, 100, 200]
    assert records[-1].reason == "completed"


def test_what_counts_as_trouble():
    network = CharLSTM(ModelConfig(20, 8, 1), threads=1)
    guard = Guard(network, Optimizer(CONFIG, network.parameters, network.team))
    assert guard.trouble(np.nan, 1, None)
    assert guard.trouble(np.inf, 1000, 1.5)
    assert guard.trouble(4.6, 1000, 1.5)
    assert not guard.trouble(4.4, 1000, 1.5)  # not three times the mean
    assert not guard.trouble(2.9, 1000, 0.1)  # new text perhaps, but better than nothing known: log 20 is 3.0
    assert not guard.trouble(9.0, 10, 1.5)  # a handful of characters can be surprising
    assert not guard.trouble(9.0, 1000, None)


def test_patience_ends_a_run_that_gets_no_better(tmp_path):
    config = dataclasses.replace(CONFIG, lr=0.0, steps=200, eval_every=5, patience=3)
    records = run(trainer(tmp_path / "run", config))
    assert records[-1].reason == "patience"
    assert records[-1].step == 20
    resume = Checkpoint.load(tmp_path / "run" / "last.safetensors")
    again = trainer(tmp_path / "run", config, resume=resume)
    assert again.is_complete and again.is_out_of_patience
    longer = trainer(tmp_path / "run", dataclasses.replace(config, patience=5), resume=resume)
    assert run(longer)[-1].step == 30


AVERAGED = dataclasses.replace(CONFIG, ema=0.9)


def test_averaged_weights_are_scored_and_kept_beside_the_raw_ones(tmp_path):
    made = trainer(tmp_path / "run", AVERAGED)
    records = run(made)
    evaluations = [record for record in records if record.event == "evaluated"]
    assert all(record.val_loss == min(record.raw_loss, record.averaged_loss) for record in evaluations)
    best = Checkpoint.load(tmp_path / "run" / "best.safetensors")
    record = next(record for record in evaluations if record.step == best.progress["best_step"])
    other, loss = ("raw", record.averaged_loss) if record.averaged_loss < record.raw_loss else ("ema", record.raw_loss)
    network = CharLSTM(best.model, threads=1)
    for weights, expected in (
        (best.parameters, loss),
        (best.optimizer[other], record.raw_loss + record.averaged_loss - loss),
    ):
        network.set_parameters(weights)
        assert evaluate(network, made.parts.validation, int(made.parts.train[-1])).loss == pytest.approx(
            expected, abs=1e-6
        )
    last = Checkpoint.load(tmp_path / "run" / "last.safetensors")
    plain = Checkpoint.load(run_path(tmp_path / "plain", CONFIG))
    for name, value in plain.parameters.items():
        np.testing.assert_array_equal(last.parameters[name], value)  # averaging only looks on
        assert not np.array_equal(last.optimizer["ema"][name], value)


def run_path(path, config):
    run(trainer(path, config))
    return path / "last.safetensors"


HARD = dataclasses.replace(
    AVERAGED, variational=True, recurrent_dropout=0.2, input_dropout=0.1, label_smoothing=0.1, l1=1e-5, clip_value=0.01
)


@pytest.mark.parametrize("stop", [5, 13, 35])
def test_every_regularisation_resumes_to_the_same_bits(tmp_path, stop):
    whole = run_path(tmp_path / "whole", HARD)
    run(trainer(tmp_path / "parts", HARD), stop_after=stop)
    resume = Checkpoint.load(tmp_path / "parts" / "last.safetensors")
    run(trainer(tmp_path / "parts", HARD, resume=resume, threads=2))
    assert contents(tmp_path / "parts/last.safetensors") == contents(whole)
    assert contents(tmp_path / "parts/best.safetensors") == contents(tmp_path / "whole/best.safetensors")


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
    cases = [(30, 2), (30, 100_000), (10, 1_003_854), (1, 10**7), (1, 10**10)]
    assert [fitting_dropout(865_000, *case) for case in cases] == [0.5, 0.5, 0.2, 0, 0]
    assert fitting_dropout(3_300_000, 25, 1_003_854) > 0.35
    assert Plan(TrainConfig(effort=2.0), 10**6, 488).epochs == 20


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


def test_a_new_run_replaces_an_old_one_when_it_starts(tmp_path):
    run(trainer(tmp_path / "run", CONFIG))
    folder = RunFolder(tmp_path / "run")
    before = folder.last.read_bytes(), folder.best.read_bytes(), folder.log.read_bytes()
    config = TrainConfig(seq_len=16, batch_size=4, steps=9, eval_every=5, sample_every=0, seed=7)
    records = trainer(folder.path, config).run()
    assert (folder.last.read_bytes(), folder.best.read_bytes(), folder.log.read_bytes()) == before
    next(records)  # and killed
    assert not folder.best.exists()  # the old run's, which would now be a lie
    assert not folder.previous.exists()
    assert folder.log.read_bytes() == b""
    run(trainer(folder.path, config, resume=Checkpoint.load(folder.last)))
    run(trainer(tmp_path / "fresh", config))
    assert contents(folder.last) == contents(tmp_path / "fresh/last.safetensors")
    assert metrics(folder.path) == metrics(tmp_path / "fresh")


DIAGNOSED = dataclasses.replace(CONFIG, steps=30)


def test_a_diagnosed_run_has_the_same_bits(tmp_path):
    plain = run(trainer(tmp_path / "plain", DIAGNOSED))
    made = trainer(tmp_path / "diagnosed", DIAGNOSED, diagnose=True)
    records = run(made)
    for name in ("last.safetensors", "best.safetensors"):
        assert contents(tmp_path / "diagnosed" / name) == contents(tmp_path / "plain" / name)
    found = [record for record in records if record.event == "diagnosed"]
    assert [record.step for record in found] == [r.step for r in plain if r.event == "evaluated"] == [13, 26, 30]
    assert found[0].steps_back == (0, 1, 2, 4, 8, 15)


def test_a_run_can_be_diagnosed_from_a_resume_on(tmp_path):
    run(trainer(tmp_path / "whole", DIAGNOSED))
    run(trainer(tmp_path / "parts", DIAGNOSED), stop_after=14)
    resume = Checkpoint.load(tmp_path / "parts" / "last.safetensors")
    records = run(trainer(tmp_path / "parts", DIAGNOSED, resume=resume, diagnose=True))
    assert [record.step for record in records if record.event == "diagnosed"] == [26, 30]
    assert contents(tmp_path / "parts/last.safetensors") == contents(tmp_path / "whole/last.safetensors")


def test_update_ratios_are_those_of_the_step(tmp_path):
    made = trainer(tmp_path / "run", TrainConfig(seq_len=16, batch_size=4, steps=3, eval_every=2), diagnose=True)
    was = None
    for record in made.run():
        if record.event == "step" and record.step == 1:
            was = made.network.parameters["w_out"].astype(float)
        if record.event == "step" and record.step == 2:
            change = made.network.parameters["w_out"].astype(float) - was
        if record.event == "diagnosed" and record.step == 2:
            ratio = np.linalg.norm(change) / np.linalg.norm(was)
            assert record.update_ratios["w_out"] == pytest.approx(ratio, rel=1e-6)
            return
    raise AssertionError("no diagnosis at step 2")
