"""``charrnn train``: the options of optimiser and learning rate arrive and are kept."""

import json

import pytest
from command_line import SMALL, invoke, succeed


def trained(tmp_path, text, *options):
    """The settings in the checkpoint of a short run, and its learning rates."""
    result = succeed("train", text, "--out", tmp_path, *SMALL, "--steps", 4, "--json", *options)
    rates = [record["lr"] for record in map(json.loads, result.stdout.splitlines()) if record["event"] == "step"]
    return json.loads(succeed("info", tmp_path / "fables", "--json").stdout)["training"], rates


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--optimizer sgd --nesterov --beta1 0.8", {"optimizer": "sgd", "nesterov": True, "beta1": 0.8}),
        ("--optimizer adagrad --epsilon 1e-10", {"optimizer": "adagrad", "epsilon": 1e-10}),
        ("--optimizer rmsprop --beta2 0.95", {"optimizer": "rmsprop", "beta2": 0.95}),
        ("--clip 0 --clip-value 0.1 --l1 1e-5", {"clip": 0.0, "clip_value": 0.1, "l1": 1e-5}),
        ("--ema 0.999", {"ema": 0.999}),
        ("--schedule constant", {"schedule": "constant"}),
        ("--schedule linear --final-lr 0.5", {"schedule": "linear", "final_lr": 0.5}),
        (
            "--schedule exponential --decay-rate 0.9 --decay-after 1 --decay-every 2",
            {"schedule": "exponential", "decay_rate": 0.9, "decay_after": 1, "decay_every": 2},
        ),
        ("--schedule plateau --plateau-patience 1", {"schedule": "plateau", "plateau_patience": 1, "decay_rate": None}),
    ],
)
def test_options_arrive(tmp_path, text, options, expected):
    settings, _ = trained(tmp_path, text, *options.split())
    assert settings.items() >= expected.items()


def test_the_learning_rate_is_the_schedule_s(tmp_path, text):
    options = ("--lr", 1e-3, "--warmup", 0, "--schedule", "step", "--decay-after", 0, "--decay-rate", 0.5)
    _, rates = trained(tmp_path, text, *options)
    assert rates == [5e-4] * 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--effort 2 --epochs 3", "--epochs and --effort exclude each other"),
        ("--schedule steps", "'steps' is not one of"),
        ("--nesterov", "--nesterov goes with --optimizer sgd and a momentum (--beta1) above 0."),
        ("--optimizer sgd --nesterov --beta1 0", "--nesterov goes with --optimizer sgd and a momentum"),
        ("--teachers 2 --time-budget 3m", "--teachers take --epochs or --steps, as the run does"),
        ("--teachers 2 --preset quick", "--teachers take --epochs or --steps, as the run does"),
        ("--snapshots --sample-every 0", "--snapshots are kept where samples are drawn: --sample-every must not be 0"),
        ("--bytes --min-count 3", "--bytes and --min-count exclude each other"),
        ("--ema 1", "--ema"),
        ("--clip-value nan", "finite"),
    ],
)
def test_wrong_usage_is_refused(tmp_path, text, options, message):
    result = invoke("train", text, "--out", tmp_path, *options.split())
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "fables").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--schedule plateau --split 100/0/0", "--schedule plateau needs a validation part"),
    ],
)
def test_what_cannot_work_is_one_line(tmp_path, text, options, message):
    result = invoke("train", text, "--out", tmp_path, *SMALL, *options.split())
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


def test_a_resume_keeps_the_settings_and_takes_no_others(tmp_path, text):
    options = ("--optimizer", "sgd", "--nesterov", "--schedule", "plateau", "--ema", 0.9)
    trained(tmp_path, text, *options)
    again = ("train", text, "--out", tmp_path, "--resume", "--steps", 6, "-q")
    for other in (("--schedule", "linear"), ("--decay-rate", 0.9), ("--ema", 0.8), ("--clip", 2)):
        result = invoke(*again, *other)
        assert result.exit_code == 1
        assert f"{other[0]}: " in result.stderr
        assert " asked" in result.stderr
    succeed(*again, *options, "--decay-rate", 0.5)
    assert json.loads(succeed("info", tmp_path / "fables", "--json").stdout)["progress"]["step"] == 6
