"""``charrnn train``: its files, its streams, resuming, settings, and every way to use it wrongly."""

import dataclasses
import json
import subprocess
import sys

import pytest
from command_line import SMALL, invoke, run_cli, succeed
from teams import every_thread_works

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import PRESETS, ModelConfig, TrainConfig


def test_a_run_leaves_its_files_and_says_where(tmp_path, text):
    result = succeed("train", text, "--out", tmp_path, *SMALL, "--steps", 12)
    assert sorted(path.name for path in (tmp_path / "fables").glob("[!.]*")) == [
        "best.safetensors",
        "last.safetensors",
        "metrics.jsonl",
        "previous.safetensors",
    ]
    assert result.stdout == ""
    assert "\x1b" not in result.stderr
    assert f"charrnn sample {tmp_path}/fables" in result.stderr


def test_json_has_the_records_and_nothing_else(tmp_path, text):
    result = succeed("train", text, "--out", tmp_path, *SMALL, "--steps", 12, "--json", "--sample-every", 6)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [r["event"] for r in records][:2] == ["started", "step"]
    assert {"started", "step", "evaluated", "saved", "sampled", "mixed", "finished"} == {r["event"] for r in records}
    step = next(r for r in records if r["event"] == "step")
    assert step.keys() >= {
        "step",
        "epoch",
        "characters",
        "loss",
        "bpc",
        "lr",
        "grad_norm",
        "chars_per_s",
        "elapsed_s",
        "eta_s",
    }
    evaluated = next(r for r in records if r["event"] == "evaluated")
    assert evaluated.keys() >= {"val_loss", "val_bpc", "best_val_loss"}
    assert {"path", "reason"} <= next(r for r in records if r["event"] == "saved").keys()
    assert {"path", "reason"} <= records[-1].keys()
    logged = [json.loads(line) for line in (tmp_path / "fables" / "metrics.jsonl").read_text().splitlines()]
    assert [record for record in logged if record["event"] != "sealed"] == records


def test_quiet_says_nothing(tmp_path, text):
    result = succeed("train", text, "--out", tmp_path, *SMALL, "--steps", 3, "-q")
    assert result.output == ""


def test_the_same_seed_trains_the_same_model(tmp_path, text):
    found = []
    for name, threads in (("a", 1), ("b", 2), ("c", 3)):
        options = ["--name", name, "--steps", 8, "--threads", threads, "--dropout", 0.2, "--ema", 0.9]
        with every_thread_works(threads) as watch:
            succeed("train", text, "--out", tmp_path, *SMALL, *options, "-q")
        for module in ("network", "weight_gradients", "optimizer"):
            assert threads in watch.workers(module), module
        records = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        found.append([record.get("loss") for record in records])
        checkpoint = Checkpoint.load(tmp_path / name / "last.safetensors")
        found[-1] += [(key, value.tobytes()) for key, value in checkpoint.parameters.items()]
    assert found[1:] == found[:1] * 2


def test_info_names_the_penalty_on_changes(tmp_path, text):
    for name, options, shown in (("some", ["--tar", 2.5], True), ("none", ["--tar", 0], False), ("short", [], False)):
        succeed("train", text, "--out", tmp_path, "--name", name, *SMALL, *options, "--steps", 2, "-q")
        assert ("tar 2.5, batch" in " ".join(succeed("info", tmp_path / name).stdout.split())) is shown


def test_a_run_is_not_overwritten_unless_told(runs, text):
    before = (runs / "fables" / "last.safetensors").read_bytes()
    result = invoke("train", text, "--out", runs, *SMALL, "--steps", 3)
    assert result.exit_code == 1
    assert "--resume to go on, --force to replace" in result.stderr
    assert (runs / "fables" / "last.safetensors").read_bytes() == before
    succeed("train", text, "--out", runs, "--name", "spare", *SMALL, "--steps", 3, "-q")
    succeed("train", text, "--out", runs, "--name", "spare", *SMALL, "--steps", 4, "-q", "--force")


def test_resume_goes_on_and_knows_what_it_needs(tmp_path, text):
    def steps(name):
        return [
            json.loads(line)["loss"]
            for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()
            if '"step"' in line.partition(",")[0]
        ]

    common = ["--out", tmp_path, *SMALL, "-q", "--lr", "0.001", "--warmup", "0", "--seed", "3"]
    succeed("train", text, *common, "--name", "run", "--steps", 10)
    result = invoke("train", text, "--out", tmp_path, "--name", "run", "--resume")
    assert result.exit_code == 1
    assert "complete after 10 steps" in result.stderr
    succeed("train", "--out", tmp_path, "--name", "run", "--resume", "--steps", 15, "-q")
    assert len(steps("run")) == 15
    for options, message in [
        (["--hidden", 30], "--hidden: 20 in the checkpoint, 30 asked, which its weights cannot follow"),
        (["--dropout", 0.3], "--dropout: 0.0 in the checkpoint, 0.3 asked"),
        (["--name", "other"], "nothing to resume"),
    ]:
        result = invoke("train", text, "--out", tmp_path, "--name", "run", "--resume", "--steps", 20, *options)
        assert result.exit_code == 1
        assert message in result.stderr
    other = tmp_path / "other.txt"
    other.write_text(text.read_text()[::-1])
    result = invoke("train", other, "--out", tmp_path, "--name", "run", "--resume", "--steps", 20)
    assert result.exit_code == 1
    assert "the text: 20,000 characters, SHA-256" in result.stderr


def test_init_from_starts_with_the_weights(tmp_path, text, model):
    result = succeed(
        "train", text, "--out", tmp_path, "--init-from", model, "--steps", 2, "--seq-len", 16, "--json", "--lr", 0
    )
    losses = [json.loads(line)["loss"] for line in result.stdout.splitlines() if '"step"' in line.partition(",")[0]]
    assert losses[0] < 3.6  # an untrained model starts near log(70) = 4.2
    result = invoke("train", text, "--out", tmp_path, "--name", "b", "--init-from", model, "--hidden", 5)
    assert result.exit_code == 2
    assert "settles --hidden" in result.stderr
    strange = tmp_path / "strange.txt"
    strange.write_text("Привет " * 100)
    result = invoke("train", strange, "--out", tmp_path, "--init-from", model)
    assert result.exit_code == 1
    assert "U+041F" in result.stderr


def test_a_config_file_sets_what_flags_do_not(tmp_path, text):
    config = tmp_path / "run.toml"
    config.write_text('hidden = 10\nseq-len = 8\nsteps = 4\nbatch_size = 2\noptimizer = "rmsprop"\n')
    succeed("train", text, "--out", tmp_path, "--config", config, "--hidden", 12, "-q")
    result = succeed("info", tmp_path / "fables", "--json")
    info = json.loads(result.stdout)
    assert info["config"]["hidden"] == 12
    assert info["training"]["seq_len"] == 8
    assert info["training"]["batch_size"] == 2
    assert info["training"]["optimizer"] == "rmsprop"


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        ("hiden = 3", 1, "unknown setting 'hiden': did you mean 'hidden'?"),
        ("hidden = [3]", 1, "a whole number"),
        ("hidden = true", 1, "a whole number"),
        ("seed = 1.7", 1, "a whole number"),
        ("seed = 1979-05-27", 1, "a whole number"),
        ("seed = '7'", 1, "a whole number"),
        ("out = 5", 1, "a string"),
        ("init-from = 8", 1, "a string"),
        ("bytes = 'no'", 1, "true or false"),
        ("[train]\nhidden = 3", 1, "is a table"),
        ("batch_size = 3\nbatch-size = 4", 1, "set twice"),
        ("hidden = ", 1, "not TOML"),
        ("hidden = 0", 2, "hidden"),
        ("lr = nan", 2, "finite"),
    ],
)
def test_a_bad_config_file_is_one_line(tmp_path, text, content, status, message):
    config = tmp_path / "run.toml"
    config.write_text(content)
    result = invoke("train", text, "--out", tmp_path, "--config", config)
    assert result.exit_code == status
    assert message in result.stderr


@pytest.mark.parametrize("content", ["ab" * 50, "a" * 300, "xy", "a\nb\n" * 3])
def test_tiny_texts_train(tmp_path, content):
    path = tmp_path / "tiny.txt"
    path.write_text(content)
    result = succeed("train", path, "--out", tmp_path, "--hidden", 4, "--steps", 3, "--threads", 1)
    assert "steps instead of" in result.stderr
    succeed("sample", tmp_path / "tiny", "--length", 5)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "no text in it"), (b"a", "fewer than 2"), (b"abc \xff def", "offset 4")]
)
def test_impossible_texts_are_one_line(tmp_path, content, message):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    result = invoke("train", path, "--out", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hiden", "3"], "--hidden"),
        (["--lr", "nan"], "finite"),
        (["--dropout", "inf"], "dropout"),
        (["--dropout", "1.5"], "dropout"),
        (["--optimizer", "adan"], "adam"),
        (["--time-budget", "soon"], "90s"),
        (["--hidden", "0"], "hidden"),
        (["--force", "--resume"], "--resume goes on"),
        (["--name", "a/b"], "folder's name"),
        (["--split", "abc"], "--split"),
        (["--split", "50/40/0"], "--split"),
        (["--bytes", "--min-count", "3"], "exclude each other"),
        (["--unknown", "skip"], "--init-from"),
    ],
)
def test_wrong_usage_is_told(text, tmp_path, arguments, message):
    result = invoke("train", text, "--out", tmp_path, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_two_ends_of_a_run_exclude_each_other(text, tmp_path):
    result = invoke("train", text, "--out", tmp_path, "--steps", 3, "--time-budget", "3m")
    assert result.exit_code == 2
    assert "--steps and --time-budget exclude each other" in result.stderr


def test_a_run_that_was_stopped_before_it_saved_can_be_started_again(tmp_path, text):
    folder = tmp_path / "fables"
    folder.mkdir()
    (folder / "metrics.jsonl").write_text('{"event": "started", "step": 0}\n')
    succeed("train", text, "--out", tmp_path, *SMALL, "--steps", 2, "-q")


def test_a_second_run_in_the_same_folder_is_refused(tmp_path, text):
    from charrnn.checkpoints.run_folder import RunFolder

    with RunFolder(tmp_path / "fables").locked():
        process = run_cli("train", text, "--out", tmp_path, *SMALL, "--steps", 2)
    assert process.returncode == 1
    assert b"a process trains it now" in process.stderr
    assert not (tmp_path / "fables").exists()


def test_a_run_is_resumed_from_another_folder_without_its_text(tmp_path, text, monkeypatch):
    monkeypatch.chdir(text.parent)
    options = ["--out", tmp_path, "--name", "r", "-q"]
    succeed("train", text.name, *options, *SMALL, "--steps", 3)
    monkeypatch.chdir(tmp_path)
    succeed("train", "--resume", *options, "--steps", 5)
    info = json.loads(succeed("info", tmp_path / "r", "--json").stdout)
    assert info["progress"]["step"] == 5
    assert info["resumable"]
    moved = tmp_path / "moved.txt"
    moved.write_bytes(text.read_bytes())
    path = tmp_path / "r" / "last.safetensors"
    path.write_bytes(path.read_bytes())
    succeed("train", moved, "--resume", *options, "--steps", 6)


def test_a_time_budget_asks_for_memory_before_it_measures(tmp_path, text, monkeypatch):
    monkeypatch.setattr("charrnn.system.memory.installed", lambda: 2_000_000)
    monkeypatch.setattr("charrnn.training.run.training_rate", lambda *_: pytest.fail("measured"))
    result = invoke("train", text, "--time-budget", "1m", "--out", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "2 x 256 with windows of 16 x 64 needs about" in result.stderr


def test_a_time_budget_chooses_the_size(tmp_path, text):
    succeed("train", text, "--time-budget", "2s", "--out", tmp_path, "-q", "--layers", 1)
    assert Checkpoint.load(tmp_path / "fables" / "last.safetensors").model.hidden % 64 == 0


def test_a_resume_takes_a_default_that_is_spelled_out(tmp_path, text):
    options = ["--out", tmp_path, "--name", "r", "-q"]
    succeed("train", text, *options, *SMALL, "--steps", 3)
    same = ["--lr", 0.024, "--weight-decay", 0.1, "--split", "90/10", "--dropout", 0, "--seed", 1]
    succeed("train", "--resume", *options, "--steps", 5, *same)
    result = invoke("train", "--resume", *options, "--steps", 6, "--bytes")
    assert "--bytes: off in the checkpoint, on asked" in result.stderr
    other = tmp_path / "other.txt"
    other.write_text("Ω" * 300)
    result = invoke("train", other, "--resume", *options, "--steps", 6)
    assert result.exit_code == 1
    assert "not the text that the run was started with" in result.stderr
    assert "--unknown" not in result.stderr  # the run has settled it


def test_init_from_settles_sizes_and_takes_unknown_characters_as_told(tmp_path, text, model):
    config = tmp_path / "c.toml"
    config.write_text("hidden = 99")
    for options in (["--bytes"], ["--min-count", 9], ["--config", config]):
        result = invoke("train", text, "--out", tmp_path, "--init-from", model, *options)
        assert result.exit_code == 2, options
        assert "leave it out with --init-from" in result.stderr
    strange = tmp_path / "strange.txt"
    strange.write_text("The fox ☃ and the hen. " * 30)
    succeed("train", strange, "--out", tmp_path, "--init-from", model, "--unknown", "skip", "--steps", 2, "-q")


def test_a_reader_that_goes_away_does_not_cost_the_run(tmp_path, text):
    command = [sys.executable, "-m", "charrnn", "train", str(text), "--out", str(tmp_path), *SMALL]
    command += ["--steps", "100000", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 141
    assert (tmp_path / "fables" / "last.safetensors").exists()


def test_an_absurd_size_is_refused_with_what_it_needs(tmp_path, text):
    result = invoke("train", text, "--out", tmp_path, "--hidden", 60_000)
    assert result.exit_code == 1
    assert "GB" in result.stderr
    assert not (tmp_path / "fables").exists()


def test_dropout_next_to_nothing(tmp_path, text):
    succeed("train", text, "--out", tmp_path, *SMALL, "--steps", 2, "-q", "--dropout", 1e-17)


def test_standard_input(tmp_path):
    succeed("train", "-", "--out", tmp_path, *SMALL, "--steps", 2, input=b"a text from a pipe, long enough\n" * 9)
    assert (tmp_path / "stdin" / "last.safetensors").exists()


def test_bytes(tmp_path):
    path = tmp_path / "raw"
    path.write_bytes(bytes(range(256)) * 8)
    succeed("train", path, "--bytes", "--out", tmp_path / "out", *SMALL, "--steps", 2, "-q")
    process = run_cli("sample", tmp_path / "out" / "raw", "--length", 100, "--seed", 1)
    assert process.returncode == 0
    assert len(process.stdout) == 100


def test_a_preset_fills_in_what_is_left_open(tmp_path, text):
    small = ["--batch-size", 4, "--seq-len", 8, "--steps", 2, "-q"]
    succeed("train", text, "--out", tmp_path, "--preset", "best", "--hidden", 12, *small)
    checkpoint = Checkpoint.load(tmp_path / "fables" / "last.safetensors")
    assert checkpoint.model.hidden == 12
    assert checkpoint.training.teachers == PRESETS["best"]["teachers"]
    assert checkpoint.model.cell == PRESETS["best"]["cell"]
    assert (checkpoint.training.steps, checkpoint.training.effort) == (2, 1.0)  # the end is the user's
    settings = tmp_path / "settings.toml"
    settings.write_text("teachers = 1\nhidden = 12\n")
    succeed("train", text, "--out", tmp_path, "--preset", "best", "--force", "--config", settings, *small)
    assert Checkpoint.load(tmp_path / "fables" / "last.safetensors").training.teachers == 1


def test_a_preset_suits_the_text_and_a_time_budget(tmp_path, monkeypatch):
    short = tmp_path / "short.txt"
    short.write_text("to be or not to be\n" * 60)
    common = ["--out", tmp_path, "--batch-size", 4, "--seq-len", 8, "-q", "--preset", "best"]
    succeed("train", short, *common, "--steps", 2)
    checkpoint = Checkpoint.load(tmp_path / "short" / "last.safetensors")
    assert checkpoint.model.hidden == 64  # twice the usual size for so few characters
    assert checkpoint.training.teachers == PRESETS["best"]["teachers"]
    succeed("train", short, *common, "--time-budget", "0.5s", "--force")
    assert Checkpoint.load(tmp_path / "short" / "last.safetensors").training.teachers == 0
    monkeypatch.setattr("charrnn.training.new_run.MOST_TAUGHT", 1000)
    succeed("train", short, *common, "--steps", 2, "--force")
    assert Checkpoint.load(tmp_path / "short" / "last.safetensors").training.teachers == 0


def test_a_preset_starts_a_run(tmp_path, text):
    succeed("train", text, "--out", tmp_path, *SMALL, "--steps", 2, "-q")
    result = invoke("train", text, "--out", tmp_path, "--resume", "--preset", "best")
    assert result.exit_code == 2
    assert "--resume goes on with a run; --init-from, --preset and --force start one." in result.stderr
    source = tmp_path / "fables"
    arguments = ["--name", "next", "--init-from", source, "--preset", "best", "--steps", 2, "-q"]
    succeed("train", text, "--out", tmp_path, *arguments)
    sizes = [Checkpoint.load(path / "last.safetensors").model.hidden for path in (source, tmp_path / "next")]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_settings_that_exist(name):
    names = {field.name for kind in (ModelConfig, TrainConfig) for field in dataclasses.fields(kind)}
    assert PRESETS[name].keys() <= names


def test_a_run_in_trouble_says_so_and_goes_on(tmp_path, text):
    result = succeed("train", text, "--out", tmp_path, *SMALL, "--steps", 30, "--lr", 5, "--clip", 0, "--warmup", 0)
    assert "back to the weights of step 0, the learning rate times 0.5 from here on" in result.stderr
    records = [json.loads(line) for line in (tmp_path / "fables" / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records if r["event"] == "step"] == list(range(1, 31))


def test_a_run_in_trouble_without_end_is_one_line_of_advice(tmp_path, text):
    result = invoke("train", text, "--out", tmp_path, *SMALL, "--steps", 30, "--lr", 20, "--clip", 0, "--warmup", 0)
    assert result.exit_code == 1
    last = result.stderr.strip().splitlines()[-1]
    assert "3 times in a row" in last
    assert "the best checkpoint, of step 5, is kept" in last
    assert "with --lr 2 (it was 20) or --clip 1 (there was none)" in last


def test_a_run_out_of_patience_is_told_what_to_give_more_of(tmp_path, text):
    options = ["--steps", 60, "--lr", 0, "--eval-every", 3, "--patience", 2]
    succeed("train", text, "--out", tmp_path, *SMALL, *options)
    result = invoke("train", text, "--out", tmp_path, "--resume")
    assert result.exit_code == 1
    assert "complete after 9 steps; give more --patience to go on" in result.stderr
