"""Runs of every kind are trained again, all of their segments, and come out the same."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
from command_line import invoke, run_cli, succeed
from forging import SHORT, compute_digests_anew, edit_checkpoint, edit_log, flip_a_bit, records
from simulated_ranks import on_ranks
from teams import every_thread_works
from training_runs import CONFIG, CORPUS, TEXT, VOCABULARY, resume, run, trainer

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_folder import BEST, LAST, ReadOnlyRun, RunFolder
from charrnn.config import ModelConfig
from charrnn.network.network import Network
from charrnn.text.corpus import Corpus, Parts
from charrnn.training import Run, Trainer, schedule
from charrnn.training import step as step_module
from charrnn.verification import Verifier
from charrnn.verification.history import History, Segment

CASES = {
    "gru": ["--cell", "gru", "--optimizer", "rmsprop", "--schedule", "step", "--variational", "--dropout", 0.3],
    "rnn": ["--cell", "rnn", "--optimizer", "sgd", "--lr", 0.3, "--nesterov", "--ngram-targets", 0, "--diagnose"],
    "transformer": ["--cell", "transformer", "--heads", 2, "--optimizer", "adam", "--dropout", 0.1, "--ema", 0.7],
    "adagrad, patience": ["--optimizer", "adagrad", "--eval-every", 2, "--patience", 3, "--lr", 2],
    "no validation": ["--split", "100/0/0", "--no-carry", "--accumulate", 2],
}


def verify(path, *options):
    return invoke("verify", path, "--anew", "--threads", 1, *options)


def assert_verified(path, *options):
    result = verify(path, "--all", *options)
    assert result.exit_code == 0, result.stderr
    assert "verified: all" in result.stdout
    return result


def test_every_byte_of_an_lstm_is_verified_on_one_thread_and_on_two(verified_run):
    before = {path: path.read_bytes() for path in verified_run.rglob("*") if path.is_file()}
    result = assert_verified(verified_run)
    assert result.stdout.count("equal in every byte and digit") == 9
    assert "first weights: those of seed 1" in result.stdout
    assert "best checkpoint: of step 24; verified" in result.stdout
    with every_thread_works() as watch:
        assert_verified(verified_run, "--threads", 2)
    assert {1, 2} & watch.workers("network")
    assert {path: path.read_bytes() for path in verified_run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("case", CASES)
def test_cells_and_optimisers(tmp_path, short_text, case):
    succeed("train", short_text, "--out", tmp_path, *SHORT, *CASES[case])
    assert_verified(tmp_path / "short")
    if case == "adagrad, patience":
        best, last = (Checkpoint.describe(tmp_path / "short" / name).counters["step"] for name in (BEST, LAST))
        assert last - best == 6, "the best checkpoint is not of the last segment"


def test_a_run_that_was_interrupted_and_resumed_is_the_run_in_one_go(tmp_path):
    config = dataclasses.replace(CONFIG, steps=24, keep_checkpoints=8, ngrams="off")
    run(trainer(tmp_path / "run", config), stop_after=10)
    run(resume(tmp_path / "run", config))
    run(trainer(tmp_path / "whole", config))
    kept = [RunFolder(tmp_path / name).kept.steps() for name in ("run", "whole")]
    assert kept[0] == kept[1] == [0, 3, 6, 9, 12, 15, 18, 21]
    for segment, outcome in outcomes(tmp_path / "run").items():
        assert outcome.is_equal, (segment, outcome)


def outcomes(path):
    """What training all segments of a run of training_runs.py again shows."""
    history = History(path)
    ids = VOCABULARY.encode(TEXT).astype(VOCABULARY.dtype)
    verifier = Verifier(history, Corpus(ids, VOCABULARY, "x"), 1, False, print)
    found = {segment: verifier.check(segment) for segment in history.segments()}
    return {Segment(0, 0): verifier.check_start(), **found} if history.begins_at_zero else found


def test_a_run_whose_settings_changed_on_the_way(tmp_path, short_text):
    train = ["train", short_text, "--out", tmp_path, *SHORT]
    succeed(*train, "--steps", 10)
    succeed(*train, "--steps", 20, "--resume", "--lr", 0.01, "--allow-different", "--optimizer", "adam")
    succeed(*train, "--steps", 26, "--resume", "--ema", 0.9, "--allow-different")
    assert {10, 20} < set(RunFolder(tmp_path / "short").kept.steps())
    assert_verified(tmp_path / "short")


def test_a_run_that_was_made_longer_after_its_end(tmp_path, short_text):
    """The best checkpoint of its first end is not there any more."""
    train = ["train", short_text, "--out", tmp_path, *SHORT]
    succeed(*train, "--steps", 12, "--eval-every", 4)
    succeed(*train, "--steps", 24, "--eval-every", 4, "--resume")
    assert_verified(tmp_path / "short")


def test_a_run_that_was_made_longer_and_no_better(tmp_path):
    """Its best checkpoint has n-grams from its first end. They are of the end, and so they come again."""
    rng = np.random.default_rng(3)
    text = tmp_path / "noise.txt"
    text.write_text("\n".join("".join(rng.choice(list("abcdef "), 20)) for _ in range(60)))
    path = tmp_path / "noise"
    train = ["train", text, "--out", tmp_path, "--hidden", 32, "--layers", 1, "--dropout", 0, "--threads", 1, "-q"]
    succeed(*train, "--steps", 60, "--lr", 0.05, "--keep-checkpoints", 2)
    before = Checkpoint.load(path / BEST)
    succeed(*train, "--steps", 66, "--resume")
    after = Checkpoint.load(path / BEST)
    assert before.counters == after.counters
    assert after.counters["step"] < 60
    assert before.ngrams == after.ngrams is not None
    assert before.ngram_text.tobytes() == after.ngram_text.tobytes()
    assert_verified(path)
    events = [json.loads(line)["event"] for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert (events.count("mixed"), events[-1]) == (1, "finished")
    for kept in (path / "kept").iterdir():
        kept.unlink()
    assert "made longer or shorter at step 60, and no checkpoint was kept there" in verify(path, "--all").stderr


def test_a_run_that_only_later_keeps_checkpoints(tmp_path, short_text):
    train = ["train", short_text, "--out", tmp_path, *SHORT]
    succeed(*train, "--steps", 10, "--keep-checkpoints", 0)
    succeed(*train, "--steps", 20, "--keep-checkpoints", 4, "--resume")
    result = verify(tmp_path / "short", "--all")
    assert result.exit_code == 0, result.stderr
    assert "verified: steps 10-20 of 20 (50 %)" in result.stdout
    assert "steps 0-10: no checkpoints were kept there" in result.stderr


def test_a_run_under_a_time_budget_is_trained_again_by_the_times_in_its_log(tmp_path, short_text):
    arguments = [each for each in SHORT if each not in ("--steps", 24)]
    succeed("train", short_text, "--out", tmp_path, *arguments, "--time-budget", "1.5s", "--dropout", 0.1)
    path = tmp_path / "short"
    assert 7 <= len(RunFolder(path).kept.steps()) <= 10  # what is left is reckoned anew after an evaluation
    assert_verified(path)
    shutil.copytree(path, tmp_path / "edited")

    def hurry(found):
        for record in found:
            if record["event"] == "step" and record["step"] == 20:
                record["progress"] = 0.999

    edit_log(tmp_path / "edited", hurry)
    compute_digests_anew(tmp_path / "edited")
    result = verify(tmp_path / "edited", "--all")
    assert result.exit_code == 1
    assert "progress of 0.999" in result.stderr


@pytest.mark.parametrize("every", [100, 4])
def test_a_run_with_rollbacks(tmp_path, monkeypatch, every):
    """A rate that is absurd at a step spoils the weights; the run returns to weights from before a kept checkpoint."""
    usual = schedule.learning_rate

    def sometimes_absurd(config, step, *rest):
        return 1e9 if step in (9, 18) else usual(config, step, *rest)

    monkeypatch.setattr(step_module, "learning_rate", sometimes_absurd)
    monkeypatch.setattr(step_module, "KEEP_STEPS", every)
    config = dataclasses.replace(CONFIG, steps=24, keep_checkpoints=12, ngrams="off", optimizer="sgd", lr=0.1)
    run(trainer(tmp_path, config))
    back = [(record["step"], record["to_step"]) for record in records(tmp_path) if record["event"] == "rolled_back"]
    assert len(back) == 2
    assert all(to == (0 if every == 100 else (step - 1) // 4 * 4) for step, to in back)
    for segment, outcome in outcomes(tmp_path).items():
        assert outcome.is_equal, (segment, outcome)


def test_the_last_good_weights_of_a_segment_before_the_last_one(tmp_path, monkeypatch):
    monkeypatch.setattr(step_module, "KEEP_STEPS", 10)
    run(trainer(tmp_path, dataclasses.replace(CONFIG, steps=24, keep_checkpoints=12, ngrams="off")))
    history = History(tmp_path)
    assert [str(each) for each in history.segments() if history.has_last_good_of_last(each)] == ["steps 20-22"]
    assert all(outcome.is_equal for outcome in outcomes(tmp_path).values())
    edit_checkpoint(tmp_path / "last.safetensors", lambda made: flip_a_bit(made.optimizer["kept_m"]["w_out"]))
    (found,) = [outcome for outcome in outcomes(tmp_path).values() if not outcome.is_equal]
    assert found.segment == Segment(20, 22)
    assert "last.safetensors: the tensor optimizer.kept_m.w_out differs in 1 of" in found.difference


def test_a_run_is_verified_where_numpy_has_other_instructions(tmp_path, short_text):
    """Without AVX-512, and without AVX2 and FMA, NumPy's logarithms of doubles and its sums have other last bits."""
    train = ["train", short_text, "--out", tmp_path, *SHORT, "--teachers", 1, "--diagnose", "--schedule"]
    succeed(*train, "exponential", "--decay-after", 0)
    fewer = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V4"
    for features in (fewer, f"{fewer} X86_V3 AVX2 FMA3"):
        done = run_cli(
            "verify", tmp_path / "short", "--all", "--anew", env=os.environ | {"NPY_DISABLE_CPU_FEATURES": features}
        )
        assert done.returncode == 0, done.stderr
        assert b"verified: all 24 steps" in done.stdout
        assert b"the end: trained again" in done.stdout


def test_a_run_on_several_ranks_is_verified_by_one(tmp_path):
    config = dataclasses.replace(CONFIG, steps=12, keep_checkpoints=4, ngrams="off", batch_size=8, groups=4)

    def work(ranks):
        kind = RunFolder if ranks.is_first else ReadOnlyRun
        ids = VOCABULARY.encode(TEXT).astype(VOCABULARY.dtype)
        cut = len(ids) * 9 // 10
        network = Network(ModelConfig(len(VOCABULARY), 20, 2), seed=config.seed, threads=1)
        parts = Parts(ids[:cut], ids[cut:], ids[:0])
        run(Trainer(Run(network, config, parts, VOCABULARY, CORPUS, ranks=ranks), kind(tmp_path)))

    on_ranks(2, work)
    assert RunFolder(tmp_path).kept.steps() == [0, 3, 6, 9]
    for segment, outcome in outcomes(tmp_path).items():
        assert outcome.is_equal, (segment, outcome)


def test_a_run_with_teachers_and_each_teacher(tmp_path, short_text):
    succeed("train", short_text, "--out", tmp_path, *SHORT, "--teachers", 1)
    path = tmp_path / "short"
    assert_verified(path)
    assert_verified(path / "teacher-1")
    best = path / "teacher-1" / "best.safetensors"
    best.write_bytes((path / "best.safetensors").read_bytes())
    result = invoke("verify", path, "--quick")
    assert result.exit_code == 1
    assert "teacher-1/best.safetensors: not the model that the run learnt from" in result.stderr


def test_a_run_that_began_with_a_model(tmp_path, short_text, verified_run):
    other = tmp_path / "other.txt"
    other.write_text(short_text.read_text() + "ß§ß§ß\n")
    source = shutil.copytree(verified_run, tmp_path / "source")
    begun = ["--init-from", source, "--grow-vocabulary"]
    arguments = [each for each in SHORT if each not in ("--hidden", 12, "--layers", 2)]
    succeed("train", other, "--out", tmp_path, *arguments, "--batch-size", 4, *begun)
    result = assert_verified(tmp_path / "other")
    assert "first weights: those of the model that the run began with" in result.stdout
    shutil.rmtree(source)
    result = assert_verified(tmp_path / "other")
    assert "first weights: not compared; the run was begun with the weights of a model" in result.stderr
