"""``charrnn train --resume``: what must be the same, in words, and going on all the same."""

import hashlib
import itertools
import json

import numpy as np
import pytest
from command_line import SMALL, invoke, succeed
from forgeries import changed, rewritten

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.fingerprint import fingerprint
from charrnn.config import ModelConfig, TrainConfig
from charrnn.display.terminal.console import Terminal
from charrnn.display.training import displays
from charrnn.network.cells import parameter_count
from charrnn.training import memory, resumed_run


@pytest.fixture
def begun(tmp_path, text):
    """A run of 9 steps out of 20: the options to resume it with."""
    options = ["--out", tmp_path, "--name", "r"]
    succeed("train", text, *options, *SMALL, "--steps", 9, "--eval-every", 5, "--save-every", 5, "-q")
    path = tmp_path / "r" / "last.safetensors"
    checkpoint = Checkpoint.load(path)
    checkpoint.training = TrainConfig.from_dict(checkpoint.training.to_dict() | {"steps": 20})
    checkpoint.save(path)
    return ["train", "--resume", *options]


def last(begun):
    return Checkpoint.load(begun[3] / "r" / "last.safetensors")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--lr", 0.01], ["--lr: 0.024 in the checkpoint, 0.01 asked"]),
        (["--optimizer", "sgd"], ["--optimizer: adamw in the checkpoint, sgd asked"]),
        (["--optimizer", "rmsprop"], ["--optimizer: adamw in the checkpoint, rmsprop asked"]),
        (
            ["--ema", 0.9, "--seed", 2],
            ["--ema: 0.0 in the checkpoint, 0.9 asked", "--seed: 1 in the checkpoint, 2 asked"],
        ),
        (["--variational", "--dropout", 0.5], ["--variational: off in the checkpoint, on asked"]),
        (["--batch-size", 3], ["--batch-size: 8 in the checkpoint, 3 asked"]),
        (["--seq-len", 40], ["--seq-len: 16 in the checkpoint, 40 asked"]),
        (["--split", "80/20"], ["--split: 90/10 in the checkpoint, 80/20 asked"]),
    ],
)
def test_what_differs_is_said_and_refused_or_taken_as_told(begun, options, words):
    result = invoke(*begun, *options)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert all(each in result.stderr for each in words)
    assert "--allow-different" in result.stderr
    assert last(begun).counters["step"] == 9
    result = succeed(*begun, *options, "--allow-different")
    assert all(f"going on otherwise than begun: {each}" in result.stderr for each in words)
    checkpoint = last(begun)
    assert checkpoint.counters["step"] == 20
    name = options[0].removeprefix("--").replace("-", "_")
    assert getattr(checkpoint.training, name) in (True, options[1], f"{options[1]}")
    assert all(np.isfinite(value).all() for value in checkpoint.parameters.values())


@pytest.mark.parametrize(
    "options", [["--layers", 3], ["--embedding", 4], ["--bytes"], ["--min-count", 2], ["--forget-bias", 0]]
)
def test_what_the_weights_have_settled_is_not_to_be_changed(begun, options):
    result = invoke(*begun, *options, "--allow-different")
    assert result.exit_code == 1
    assert f"{options[0]}: " in result.stderr
    assert "which its weights cannot follow" in result.stderr


def test_another_text_is_refused_or_taken_as_told(begun, tmp_path, text):
    other = tmp_path / "other.txt"
    other.write_text(text.read_text()[:9_000])
    result = invoke(*begun, other)
    assert result.exit_code == 1
    assert "the text: 20,000 characters, SHA-256" in result.stderr
    assert (
        f"in the checkpoint, 9,000, {hashlib.sha256(other.read_bytes()).hexdigest()[:12]}… in {other}" in result.stderr
    )
    result = succeed(*begun, other, "--allow-different")
    checkpoint = last(begun)
    assert checkpoint.corpus["characters"] == 9_000
    assert checkpoint.corpus["paths"] == [str(other)]
    assert checkpoint.counters["step"] == 20
    assert checkpoint.counters["best_step"] > 9  # what was best on the other text is not
    strange = tmp_path / "strange.txt"
    strange.write_text("Ω" * 300)
    result = invoke(*begun, strange, "--allow-different", "--steps", 30)
    assert result.exit_code == 1
    assert "--init-from and --grow-vocabulary" in result.stderr


@pytest.mark.parametrize("other", ["text", "split", "no-carry"])
def test_what_was_best_of_another_text_counts_no_more(begun, tmp_path, text, other):
    """As if that run had run out of patience, with losses that the other part cannot reach."""
    path, best = tmp_path / "r" / "last.safetensors", tmp_path / "r" / "best.safetensors"
    checkpoint = last(begun)
    entry = checkpoint.history[-1] | {"val_loss": 0.001}
    checkpoint.history = [entry | {"step": step} for step in (3, 5, 7, 9)]
    checkpoint.counters |= {"best_step": 3, "best_val_loss": 0.001}
    checkpoint.training = TrainConfig.from_dict(checkpoint.training.to_dict() | {"patience": 3, "schedule": "plateau"})
    checkpoint.save(path)
    assert "give more --patience" in invoke(*begun).stderr
    (tmp_path / "other.txt").write_text(text.read_text()[:9_000])
    how = {"text": [tmp_path / "other.txt"], "split": ["--split", "80/20"], "no-carry": ["--no-carry"]}[other]
    result = succeed(*begun, *how, "--allow-different")
    note = "going on otherwise than begun: its evaluations cannot be compared: best, patience and plateaus begin"
    assert note in result.stderr
    checkpoint = last(begun)
    assert checkpoint.counters["step"] == 20
    assert [entry["step"] for entry in checkpoint.history] == [10, 15, 20]
    assert checkpoint.counters["best_step"] in (10, 15, 20)
    assert Checkpoint.load(best).counters["step"] == checkpoint.counters["best_step"]
    again = ["--split", "80/20/0"] if other == "split" else []
    assert "begin anew" not in succeed(*begun, *again, "--steps", 21).stderr


@pytest.mark.parametrize("damaged", [False, True])
def test_what_cannot_be_resumed_is_named(begun, damaged):
    folder = begun[3] / "r"
    path = folder / ("previous.safetensors" if damaged else "last.safetensors")
    path.write_bytes(rewritten(path.read_bytes(), changed("progress.window", 10**6)))
    if damaged:
        (folder / "last.safetensors").write_bytes(b"")
    result = invoke(*begun)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith(f"Error: {path}: the checkpoint's counters say window 1000000")
    path.write_bytes(rewritten(path.read_bytes(), changed("training", None)))
    assert f"Error: {path}: it has no run to resume" in invoke(*begun).stderr


def test_another_program_is_refused_or_taken_as_told(begun, monkeypatch):
    here = fingerprint()
    assert last(begun).program == here
    monkeypatch.setattr(resumed_run, "fingerprint", lambda: here | {"numba": "0.1", "sources": "beef"})
    result = invoke(*begun)
    assert result.exit_code == 1
    assert f"sources: {here['sources']} in the checkpoint, beef here; numba: {here['numba']} in" in result.stderr
    assert "charrnn: " not in result.stderr
    succeed(*begun, "--allow-different", "-q")
    assert last(begun).counters["step"] == 20


def test_a_longer_run_says_that_it_is_not_one_begun_so(begun):
    result = succeed(*begun, "--steps", 25, "--save-every", 3, "--patience", 9)
    assert (
        "--steps: 20 in the checkpoint, 25 asked: the result will differ from a run that was begun with this"
        in result.stderr
    )
    assert "--patience: none in the checkpoint, 9 asked" in result.stderr
    assert "--save-every" not in result.stderr
    assert last(begun).counters["step"] == 25


@pytest.mark.parametrize("options", [["--effort", 2], ["--effort", 2, "--epochs", 3]])
def test_effort_without_effect_is_refused(begun, options):
    result = invoke(*begun, *options)
    assert result.exit_code == 1
    assert f"--effort has no effect on a run of {'--epochs 3' if len(options) > 2 else '--steps 20'}" in result.stderr


def test_effort_makes_a_run_without_an_end_of_its_own_longer(tmp_path, text):
    options = ["--out", tmp_path, "--name", "r", "-q"]
    succeed("train", text, *options, *SMALL, "--effort", 0.01)
    before = json.loads(succeed("info", tmp_path / "r", "--json").stdout)["progress"]["step"]
    assert "give more" in invoke("train", "--resume", *options).stderr
    succeed("train", "--resume", *options, "--effort", 0.02)
    assert json.loads(succeed("info", tmp_path / "r", "--json").stdout)["progress"]["step"] > before


def test_a_damaged_checkpoint_is_passed_over_with_one_line(begun):
    path = begun[3] / "r" / "last.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    for command in (["info", path.parent], begun):
        result = succeed(*command)
        assert "Warning: " in result.stderr
        assert "previous.safetensors, of step 5, is taken instead" in result.stderr
    assert last(begun).counters["step"] == 9


def test_allow_different_is_for_resumes(text):
    result = invoke("train", text, "--allow-different")
    assert result.exit_code == 2
    assert "--allow-different goes with --resume" in result.stderr


def test_a_run_that_skips_unknown_characters_goes_on_skipping_them(tmp_path, model):
    strange = tmp_path / "strange.txt"
    strange.write_text("The fox ☃ and the hen. " * 30)
    succeed("train", strange, "--out", tmp_path, "--init-from", model, "--unknown", "skip", "--steps", 2, "-q")
    succeed("train", strange, "--out", tmp_path, "--resume", "--steps", 3, "-q")


def test_memory_counts_moments_averages_and_their_copies():
    model = ModelConfig(65, 512, 2)
    needs = [
        memory.needed(model, TrainConfig(optimizer=optimizer, ema=ema))
        for optimizer, ema in (("sgd", 0), ("adamw", 0), ("adamw", 0.9))
    ]
    floats = [(b - a) / 4 for a, b in itertools.pairwise(needs)]
    assert floats == [4 * parameter_count(model)] * 2  # in the run, in the guard's copy, and both in the file


def test_memory_is_nearly_what_it_says(tmp_path):
    """Sizes of what a run holds, added up."""
    from training_runs import VOCABULARY, trainer

    config = TrainConfig(seq_len=16, batch_size=4, ema=0.9, steps=3)
    made = trainer(tmp_path / "run", config)
    list(made.run())
    run = made.subject
    held = [made.network.parameters.flat, made.network.gradient.flat, *run.optimizer.slots.values()]
    held += run.rollback._kept.values()
    size = sum(each.nbytes for each in held) + (tmp_path / "run" / "last.safetensors").stat().st_size
    assert 0.5 < size / memory.needed(ModelConfig(len(VOCABULARY), 20, 2), config) < 1


def test_a_split_may_leave_out_an_empty_test_part(tmp_path, text):
    options = ["--out", tmp_path, "--name", "r", "-q", *SMALL]
    succeed("train", text, *options, "--split", "100/0", "--steps", 2)
    result = succeed("train", "--resume", *options, "--split", "100/0/0", "--steps", 3)
    assert "--split" not in result.stderr


def test_settings_that_exclude_each_other_are_refused_by_their_flags(tmp_path, text):
    succeed("train", text, "--out", tmp_path, *SMALL, "--steps", 2, "-q")
    before = (tmp_path / "fables" / "last.safetensors").read_bytes()
    for options in (["--steps", 4, "--epochs", 3], ["--snapshots", "--sample-every", 0], ["--unknown", "skip"]):
        result = invoke("train", text, "--out", tmp_path, "--resume", *options)
        assert result.exit_code == 2
        assert options[0] in result.stderr
        assert (
            "exclude each other" in result.stderr
            or "sample-every must" in result.stderr
            or "goes with" in result.stderr
        )
    assert (tmp_path / "fables" / "last.safetensors").read_bytes() == before


def test_a_run_whose_time_is_used_up_is_complete(tmp_path, text):
    """Even if it ended early: time is kept free for what ends a run."""
    place = ("--out", tmp_path, "--name", "run", *SMALL)
    succeed("train", text, *place, "--time-budget", "2s", "-q")
    last = (tmp_path / "run" / "last.safetensors").read_bytes()
    refused = invoke("train", "--resume", "--name", "run", "--out", tmp_path)
    assert refused.exit_code == 1
    assert "the run is complete" in refused.stderr
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == last
    assert (
        "finished"
        in succeed("train", "--resume", "--name", "run", "--out", tmp_path, "--time-budget", "4s").stderr.lower()
    )


def test_the_display_gets_the_losses_before_a_resume(begun, monkeypatch):
    given = []

    def display(terminal, earlier):
        given.append(earlier)
        return displays.Display()

    monkeypatch.setattr(displays, "training_display", display)
    monkeypatch.setattr(Terminal, "is_live", property(lambda self: True))
    log = begun[3] / "r" / "metrics.jsonl"
    records = [json.loads(line) for line in log.read_text().splitlines()]
    succeed(*begun, "--steps", 12, "-q")
    (points,) = given
    losses = [(each["step"], False, each["loss"]) for each in records if each["event"] == "step"]
    losses += [(each["step"], True, each["val_loss"]) for each in records if each["event"] == "evaluated"]
    assert points == sorted(losses) and len(losses) > 10
    log.write_text("no log\n\n")  # a curve less, but no reason not to go on
    succeed(*begun, "--steps", 15, "-q")
    assert given[1] == []
