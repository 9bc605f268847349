"""The training loop: it learns, reports, rolls back after a wrong step, and keeps to its plan."""

import dataclasses
import itertools
import json
import time

import numpy as np
import pytest
from training_runs import CONFIG, TEXT, VOCABULARY, contents, poisoned, resume, run, run_path, trainer

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_folder import METRICS
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CharRNNError
from charrnn.inference.loss import Evaluation, evaluate
from charrnn.kernels import compiler
from charrnn.kernels.weight_gradients import weight_gradient
from charrnn.network.network import Network
from charrnn.text.corpus import Parts
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import DivergedError, validation
from charrnn.training.optimizer import Optimizer
from charrnn.training.plan import Plan, fitting_batch, fitting_dropout, fitting_hidden, hidden_for_budget
from charrnn.training.rollback import Rollback
from charrnn.training.run import Run, training_rate


def test_it_learns_and_reports(tmp_path):
    records = run(trainer(tmp_path / "run", TrainConfig(seq_len=16, batch_size=4, steps=300, dropout=0.0, lr=0.02)))
    events = [record.event for record in records]
    assert events[0] == "started"
    assert events[-3:] == ["saved", "mixed", "finished"]
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
    assert Checkpoint.load(tmp_path / "run" / "best.safetensors").counters["best_val_loss"] == best
    logged = [json.loads(line) for line in (tmp_path / "run" / METRICS).read_text().splitlines()]
    logged = [record for record in logged if record["event"] != "sealed"]
    assert logged == [json.loads(json.dumps(record.to_dict())) for record in records]


def test_a_time_budget_is_kept(tmp_path):
    config = TrainConfig(seq_len=16, batch_size=4, time_budget=1.5)
    run(trainer(tmp_path / "warm", dataclasses.replace(config, time_budget=None, steps=3)))  # compiles
    records = run(trainer(tmp_path / "run", config))
    assert records[-1].reason == "budget"
    # PROCESS_S of the budget is kept free for the start and the end of the process.
    assert 1.0 < records[-1].elapsed_s < 2.5
    rates = [record.lr for record in records if record.event == "step"]
    assert rates[-1] < 0.2 * max(rates)


def test_a_budget_begins_at_the_first_step(tmp_path, monkeypatch):
    """Time before it, for compilation and n-grams, does not count. A first rate of half the peak cost 0.02 nats."""
    made = trainer(tmp_path / "run", TrainConfig(seq_len=16, batch_size=4, time_budget=100.0))
    now = time.monotonic
    monkeypatch.setattr(made, "learn_from_ngrams", lambda: monkeypatch.setattr(time, "monotonic", lambda: now() + 40))
    first = next(record for record in made.run() if record.event == "step")
    assert first.lr < made.subject.config.lr / 50
    assert first.progress < 0.02
    assert first.elapsed_s < 20
    assert first.eta_s > 80


def test_half_of_a_short_budget_is_training():
    plan = Plan(TrainConfig(time_budget=2.0), 1000, 10)
    assert plan.done(1, 0.5, closing_s=30.0) == 0.5


def test_compilation_does_not_count_as_a_slow_step(tmp_path, monkeypatch):
    """Whenever the backward kernels are compiled, all clocks of the machine go forward by 40 s."""
    prepare, ahead = compiler.prepare, [0]

    def slowly(*kernels):
        ahead[0] += 40 if weight_gradient in kernels else 0
        prepare(*kernels)

    monotonic, perf_counter = time.monotonic, time.perf_counter
    monkeypatch.setattr(compiler, "prepare", slowly)
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + ahead[0])
    monkeypatch.setattr(time, "perf_counter", lambda: perf_counter() + ahead[0])
    made = trainer(tmp_path / "run", TrainConfig(seq_len=16, batch_size=4, time_budget=100.0))
    first = next(record for record in made.run() if record.event == "step")
    assert ahead[0] >= 40
    assert first.elapsed_s < 20
    assert first.characters / first.chars_per_s < 20


@pytest.mark.parametrize("value", [np.nan, 1000.0])
def test_a_wrong_loss_restores_good_weights_and_halves_the_rate(tmp_path, value):
    made = trainer(tmp_path / "run", CONFIG)
    records = list(poisoned(made, [10], value))
    rollback = next(record for record in records if record.event == "rolled_back")
    assert (rollback.step, rollback.to_step, rollback.rate_scale) == (11, 0, 0.5)
    steps = [record for record in records if record.event == "step"]
    assert [record.step for record in steps] == list(range(1, 61))
    assert steps[-1].loss < steps[0].loss
    clean = [record for record in run(trainer(tmp_path / "clean", CONFIG)) if record.event == "step"]
    assert [record.lr for record in steps[11:]] == [record.lr / 2 for record in clean[11:]]
    assert records[-1].reason == "completed"
    assert np.isfinite(Checkpoint.load(tmp_path / "run" / "last.safetensors").parameters["w_out"]).all()


def test_three_rollbacks_in_a_row_end_the_run_with_advice_and_good_checkpoints(tmp_path):
    made = trainer(tmp_path / "run", CONFIG)
    with pytest.raises(
        DivergedError, match=r"step 32: the loss is no longer a number, 3 times in a row.*with --lr 0.002"
    ):
        list(poisoned(made, [10, 20, 31]))
    checkpoint = Checkpoint.load(tmp_path / "run" / "last.safetensors")
    assert (checkpoint.counters["step"], checkpoint.counters["rate_scale"]) == (32, 0.125)
    fresh = trainer(tmp_path / "fresh", CONFIG).network.parameters
    for name, value in checkpoint.parameters.items():
        np.testing.assert_array_equal(value, fresh[name])  # the last good weights are the starting values
    assert (tmp_path / "run" / "best.safetensors").exists()
    assert run(trainer(tmp_path / "run", CONFIG, resume=checkpoint))[-1].reason == "completed"


def test_moments_that_are_not_finite_are_neither_used_nor_saved(tmp_path):
    config = dataclasses.replace(CONFIG, eval_every=1, save_every=1)
    made = trainer(tmp_path / "run", config)
    with pytest.raises(
        DivergedError, match=r"step 3: the moments of the optimizer are no .*best checkpoint, of step 1,"
    ):
        for record in made.run():
            if record.event == "step":
                made.optimizer.slots["v"][:] = np.nan  # the next update would write NaN
    for name in ("last", "best"):
        Checkpoint.load(tmp_path / "run" / f"{name}.safetensors")


SPOILED = {
    "weights that are too large": lambda made: made.network.parameters.flat.__imul__(np.float32(1e30)),
    "infinite moments": lambda made: made.optimizer.slots["v"].fill(np.inf),
    "an infinite average": lambda made: made.optimizer.slots["ema"].fill(np.inf),
    "an infinite state": lambda made: made.subject.state["c"].fill(np.inf),
}


@pytest.mark.parametrize("what", SPOILED)
@pytest.mark.parametrize("at", [20, 60])  # within the run, and at its end
def test_what_could_not_be_read_again_is_rolled_back_and_not_saved(tmp_path, what, at):
    """A loss says nothing of infinite moments, because weights stay finite: the update is divided by infinity."""
    config = dataclasses.replace(CONFIG, eval_every=20, save_every=1, ema=0.9, clip=0.0, optimizer="adamw")
    made, records = trainer(tmp_path / "run", config), []
    for record in made.run():
        made.folder.record(record)
        records.append(record)
        if record.event == "step" and record.step == at:
            SPOILED[what](made)
    assert any(record.event == "rolled_back" for record in records)
    assert records[-1].event == "finished"
    for name in ("last", "previous", "best"):
        Checkpoint.load(tmp_path / "run" / f"{name}.safetensors")


def test_a_loss_in_a_short_window_is_judged_too(tmp_path):
    made = trainer(tmp_path / "run", dataclasses.replace(CONFIG, seq_len=8, batch_size=2))
    problem = made.subject.rollback.problem
    guessing = np.log(len(VOCABULARY))
    assert problem(2 * guessing, 64, 0.5) is not None
    assert problem(2 * guessing, 16, 0.5) is None  # some characters can be surprising …
    assert problem(5 * guessing, 16, 0.5) is not None  # … but not so
    assert problem(1e9, 1, 0.5) is not None


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_validation_loss_that_is_not_finite_causes_a_rollback(tmp_path, monkeypatch, value, ema):
    config = dataclasses.replace(CONFIG, eval_every=10, save_every=5, ema=ema)
    usual, made = validation.evaluate, trainer(tmp_path / "run", config)

    def evaluate(*arguments, **options):
        return Evaluation(value, 1) if made.counters.step in (20, 40) else usual(*arguments)

    monkeypatch.setattr(validation, "evaluate", evaluate)
    records = run(made)
    rollbacks = [record for record in records if record.event == "rolled_back"]
    assert [(record.step, record.reason) for record in rollbacks] == [
        (step, "the validation loss is no longer a number") for step in (20, 40)
    ]
    assert records[-1].reason == "completed"
    for name in ("last", "best"):
        checkpoint = Checkpoint.load(tmp_path / "run" / f"{name}.safetensors")
        assert [entry["step"] for entry in checkpoint.history] in ([10], [10, 30], [10, 30, 50], [10, 30, 50, 60])


def test_three_validation_losses_in_a_row_that_are_not_finite_end_the_run(tmp_path, monkeypatch):
    made = trainer(tmp_path / "run", dataclasses.replace(CONFIG, eval_every=10))
    usual, nan = validation.evaluate, Evaluation(np.nan, 1)
    monkeypatch.setattr(validation, "evaluate", lambda *a, **k: usual(*a, **k) if made.counters.step == 10 else nan)
    with pytest.raises(DivergedError, match=r"step 40: the validation loss is .*, 3 times.*checkpoint, of step 10,"):
        run(made)
    for name, step in (("last", 40), ("best", 10)):
        assert Checkpoint.load(tmp_path / "run" / f"{name}.safetensors").counters["step"] == step


def test_validation_losses_that_are_never_finite_end_a_run_that_evaluates_rarely(tmp_path, monkeypatch):
    config = dataclasses.replace(CONFIG, eval_every=110, save_every=1000, steps=600)
    monkeypatch.setattr(validation, "evaluate", lambda *arguments, **options: Evaluation(np.nan, 1))
    with pytest.raises(DivergedError, match=r"step 330: the validation loss is .*, 3 times in a row.*no best check"):
        run(trainer(tmp_path / "run", config))
    with pytest.raises(DivergedError, match="step 660"):  # a resumed run counts from 0 again
        run(resume(tmp_path / "run", dataclasses.replace(config, steps=900)))
    stopped = trainer(tmp_path / "stopped", config)
    run(stopped, stop_after=250)
    with pytest.raises(DivergedError, match="step 330"):  # the count survives a resume
        run(resume(tmp_path / "stopped", config))


def test_weights_are_kept_only_after_a_loss_has_shown_that_they_are_good(tmp_path):
    made = trainer(tmp_path / "run", dataclasses.replace(CONFIG, steps=130, save_every=1000, eval_every=1000))
    usual = made.optimizer.update

    def update(gradient, lr):
        norm = usual(gradient, lr)
        if made.counters.step == 99:  # in the hundredth step, after which weights are kept
            made.network.parameters["w_out"][:] *= 1000
        return norm

    made.optimizer.update = update
    records = run(made)
    assert [(r.step, r.to_step) for r in records if r.event == "rolled_back"] == [(101, 0)]
    assert records[-1].reason == "completed"


def test_rollbacks_far_apart_do_not_end_a_run(tmp_path):
    config = dataclasses.replace(CONFIG, steps=350, save_every=1000, eval_every=1000)
    records = list(poisoned(trainer(tmp_path / "run", config), [50, 150, 250]))
    rollbacks = [record for record in records if record.event == "rolled_back"]
    assert [record.to_step for record in rollbacks] == [0, 100, 200]
    assert records[-1].reason == "completed"


def test_what_counts_as_a_wrong_loss():
    network = Network(ModelConfig(20, 8, 1), threads=1)
    rollback = Rollback(network, Optimizer(CONFIG, network.parameters, network.team))
    assert rollback.problem(np.nan, 1, None)
    assert rollback.problem(np.inf, 1000, 1.5)
    assert rollback.problem(4.6, 1000, 1.5)
    assert not rollback.problem(4.4, 1000, 1.5)  # not three times the mean
    assert not rollback.problem(2.9, 1000, 0.1)  # perhaps new text, but better than guessing: log 20 is 3.0
    assert not rollback.problem(9.0, 10, 1.5)  # a few characters can be surprising
    assert not rollback.problem(9.0, 1000, None)


def test_patience_ends_a_run_that_no_longer_improves(tmp_path):
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
    record = next(record for record in evaluations if record.step == best.counters["best_step"])
    other, loss = ("raw", record.averaged_loss) if record.averaged_loss < record.raw_loss else ("ema", record.raw_loss)
    network = Network(best.model, threads=1)
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
        np.testing.assert_array_equal(last.parameters[name], value)  # averaging does not change the run
        assert not np.array_equal(last.optimizer["ema"][name], value)


@pytest.mark.parametrize("length", [2, 3, 20, 70, 300])
def test_tiny_texts_train(tmp_path, length):
    config = TrainConfig(steps=5)
    records = run(trainer(tmp_path / "run", config, text=TEXT[: -(-length * 10 // 9)]))
    assert records[-1].step == 5
    assert np.isfinite(records[-1].loss)
    assert any("batch row" in note for note in records[0].notes)


def test_the_plan_suits_the_size_of_the_text():
    plans = {length: Plan(TrainConfig(), length, max(1, length // 2048)) for length in (500, 100_000, 10**6, 10**9)}
    assert [plan.epochs for plan in plans.values()] == [30, 30, 10, 1]
    assert plans[500].total_steps == 300
    assert plans[10**6].total_steps == 4880
    cases = [(30, 2), (30, 100_000), (10, 1_003_854), (1, 10**7), (1, 10**10)]
    assert [fitting_dropout(865_000, *case) for case in cases] == [0.5, 0.5, 0.17, 0, 0]
    assert fitting_dropout(3_300_000, 25, 1_003_854) > 0.35
    assert Plan(TrainConfig(effort=2.0), 10**6, 488).epochs == 20
    assert [fitting_batch(length) for length in (95_000, 10**6)] == [16, 32]
    assert [fitting_hidden(length) for length in (1, 1_840, 4_500, 10_800, 10**8)] == [32, 32, 128, 256, 256]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (0.5, 0.2)),  # the default dropout is at its highest for so short a text
        ({"recurrent_dropout": 0.0}, (0.5, 0.0)),
        ({"recurrent_dropout": 0.3}, (0.5, 0.3)),
        ({"epochs": 90.0}, (0.39, 0.2)),
        ({"epochs": 90.0, "ngram_targets": 0.0}, (0.5, 0.2)),
        ({"dropout": 0.5}, (0.5, 0.0)),
        ({"dropout": 0.1, "recurrent_dropout": 0.3}, (0.1, 0.3)),
        ({"epochs": 0.1}, (0.0, 0.0)),
    ],
)
def test_recurrent_weights_are_dropped_too_where_dropout_is_at_its_bound(tmp_path, given, expected):
    made = trainer(tmp_path / "run", TrainConfig(**{"epochs": 600.0, **given}))
    assert (made.subject.config.dropout, made.subject.config.recurrent_dropout) == expected


@pytest.mark.parametrize(
    ("cell", "length", "given", "expected"),
    [
        ("lstm", 200_000, None, 1.0),
        ("lstm", 199_999, None, 0.0),
        ("gru", 200_000, 0.3, 0.3),
        ("rnn", 50_000, 2.0, 2.0),
        ("transformer", 200_000, None, 0.0),
    ],
)
def test_changes_are_penalised_where_the_text_is_not_short(cell, length, given, expected):
    text = np.zeros(length, np.uint16)
    sizes = {"heads": 2, "context": 8} if cell == "transformer" else {}
    network = Network(ModelConfig(2, 4, 1, cell=cell, **sizes), threads=1)
    config = TrainConfig(steps=1, tar=given, ngram_targets=0.0)
    run = Run(network, config, Parts(text, text[:0], text[:0]), Vocabulary("ab"), {})
    assert run.config.tar == expected
    assert TrainConfig.from_dict(run.config.to_dict()).tar == expected


def test_a_run_under_a_time_budget_has_the_dropout_for_what_it_will_read():
    plan = Plan(TrainConfig(time_budget=100.0, ngram_targets=0.0), 10**6, 488)
    (slow, _), (fast, _) = plan.dropouts(865_000, 20_000), plan.dropouts(865_000, 100_000)
    assert slow == fitting_dropout(865_000, 1.8, 10**6) < fast == fitting_dropout(865_000, 9.0, 10**6)


def test_a_budget_that_reads_more_has_a_larger_network_as_far_as_the_text_allows():
    model = ModelConfig(65, 256, 2)
    sizes = [hidden_for_budget(model, 10**6, 47_000, seconds) for seconds in (10, 60, 180, 1800, 10**7)]
    assert sizes == sorted(sizes)
    assert sizes[0] < 256 < sizes[3] < sizes[4] < 1024
    assert hidden_for_budget(model, 50_000, 47_000, 1800) == 256
    assert hidden_for_budget(ModelConfig(65, 32, 2), 1840, 10**5, 60) == 32
    assert hidden_for_budget(model, 10**6, 1e-3, 1) == 64


def test_the_speed_is_measured_without_a_trace(tmp_path):
    made = trainer(tmp_path / "run", CONFIG)
    run_, before = made.subject, made.network.parameters.flat.copy()
    config = dataclasses.replace(CONFIG, steps=None, time_budget=1.0)
    assert 10 < training_rate(made.network, run_.windows, run_.ranks, config) < 1e9
    np.testing.assert_array_equal(made.network.parameters.flat, before)
    assert not any(array.any() for array in run_.state.arrays.values())


def test_a_disturbance_does_not_change_the_measured_speed(tmp_path, monkeypatch):
    made, now, steps = trainer(tmp_path / "run", CONFIG), [0.0], itertools.count()
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def compute(x, y, state):
        now[0] += 10.0 if next(steps) in (0, 3, 4, 9) else 0.05

    made.network.loss_and_gradient = compute
    windows, config = made.subject.windows, dataclasses.replace(CONFIG, steps=None, time_budget=1.0)
    monkeypatch.setattr("charrnn.training.run.MEASURED_S", (31.0, 31.0))
    characters = windows.batch * windows.steps
    assert training_rate(made.network, windows, made.subject.ranks, config) == pytest.approx(characters / 0.05)


def test_nothing_to_predict_is_an_error(tmp_path):
    with pytest.raises(CharRNNError, match="fewer than 2"):
        trainer(tmp_path / "run", CONFIG, text="t")


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


def test_a_resumed_run_can_be_diagnosed(tmp_path):
    run(trainer(tmp_path / "whole", DIAGNOSED))
    run(trainer(tmp_path / "parts", DIAGNOSED), stop_after=14)
    resume = Checkpoint.load(tmp_path / "parts" / "last.safetensors")
    records = run(trainer(tmp_path / "parts", DIAGNOSED, resume=resume, diagnose=True))
    assert [record.step for record in records if record.event == "diagnosed"] == [26, 30]
    assert contents(tmp_path / "parts/last.safetensors") == contents(tmp_path / "whole/last.safetensors")


def test_update_ratios_are_about_the_last_step(tmp_path):
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
