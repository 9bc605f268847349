"""``charrnn evaluate``, ``baselines``, ``novelty``: parts, learning on, copies, ensembles."""

import json

import pytest
from command_line import invoke, succeed
from teams import every_thread_works

from charrnn import load


def report(*arguments, command="evaluate"):
    return json.loads(succeed(command, *arguments, "--json").stdout)


def refusal(*arguments, status=1, command="evaluate"):
    result = invoke(command, *arguments)
    assert result.exit_code == status
    assert status == 2 or result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture(scope="module")
def other(tmp_path_factory, text):
    """Another text of the same characters."""
    path = tmp_path_factory.mktemp("other") / "other.txt"
    path.write_text(text.read_text()[::-1][:3000])
    return path


def test_the_parts_are_those_of_the_run(model, text):
    held_out = report(model, text)
    assert held_out == report(model)  # where it was when the run began
    assert held_out["part"] == "validation"
    whole = report(model, text, "--part", "all")
    parts = {name: report(model, text, "--part", name) for name in ("train", "validation")}
    # The first character of all has nothing before it, that of the validation part has.
    assert [part["characters"] for part in parts.values()] == [17_999, 2_000]
    best = load(model).checkpoint.counters["best_val_loss"]
    assert parts["validation"]["loss"] == pytest.approx(best, rel=1e-4)
    joined = sum(part["loss"] * part["characters"] for part in parts.values()) / whole["characters"]
    assert joined == pytest.approx(whole["loss"], rel=0.01)
    assert [part["learnt"] for part in (whole, *parts.values())] == [True, True, False]
    assert (
        "all of the run's text, which the model has learnt" in succeed("evaluate", model, text, "--part", "all").stdout
    )
    assert "nothing for the test part" in refusal(model, text, "--part", "test")


def test_a_part_of_another_text_is_refused(model, other):
    assert "leave --part out" in refusal(model, other, "--part", "validation")


def test_baselines_on_the_validation_part(model, text):
    found = report(model, text, command="baselines")
    assert found["part"] == "validation"
    baselines = found["baselines"]
    assert baselines["fitted_on"] == 18_000
    losses = [gram["loss"] for gram in baselines["ngrams"]]
    assert [gram["order"] for gram in baselines["ngrams"]] == list(range(13))
    assert losses[baselines["best_order"]] == min(losses) < losses[1] < losses[0]
    compressors = {each["name"]: each for each in baselines["compressors"]}
    assert list(compressors) == ["gzip", "bzip2", "xz"]
    assert compressors["xz"]["after"] < compressors["xz"]["alone"]
    shown = succeed("baselines", model, text).stdout
    assert f"{min(losses):.4f}" in shown
    assert "★ best" in shown
    assert "after the training text" in shown


def test_baselines_of_another_text(model, text, other):
    own = report(model, other, command="baselines")
    assert own["part"] == "all"
    assert own["baselines"]["fitted_on"] == 18_000
    fitted = report(model, other, "--fit", text, command="baselines")
    assert fitted["baselines"]["fitted_on"] == 20_000
    assert len(fitted["baselines"]["ngrams"]) == 13
    assert "learn from the training part" in refusal(model, text, "--part", "all", command="baselines")


def test_a_training_text_that_is_gone(model, tmp_path, other):
    from dataclasses import replace

    from charrnn.checkpoints.checkpoint import Checkpoint

    path = tmp_path / "moved.safetensors"
    found = Checkpoint.load(model / "best.safetensors")
    replace(found, corpus=found.corpus | {"paths": [str(tmp_path / "gone.txt")], "sources": ["/dev/zero"]}).save(path)
    for command, *arguments in (["evaluate", path], ["baselines", path, other], ["novelty", path, other]):
        message = refusal(*arguments, command=command)
        assert "gone.txt" in message
        assert ("--fit" in message) == (command != "evaluate")  # which has no such option


def test_learning_on(model, text, monkeypatch):
    monkeypatch.setattr("charrnn.training.dynamic_evaluation.RANGE", 1024)  # several threads have some of the weights
    before = (model / "best.safetensors").read_bytes()
    found = report(model, text, "--online", "--online-lr", 0.002)
    online = found["online"]
    assert found["part"] == "validation"
    assert online["characters"] == found["characters"] == 2_000
    assert online["loss"] < found["loss"]
    assert (online["lr"], online["steps"]) == (0.002, 32)
    assert (model / "best.safetensors").read_bytes() == before
    with every_thread_works() as watch:
        assert report(model, text, "--online", "--online-lr", 0.002, "--threads", 2) == found
    assert watch.workers("optimizers") == {2}  # the learning; a window that is learnt from has one batch row
    shown = succeed("evaluate", model, text, "--online", "--online-lr", 0.002).stdout
    assert f"{online['loss']:.4f}" in shown


def test_novelty(model, text):
    options = ("--length", 1500, "--temperature", 0.5, "--seed", 3)
    found = report(model, text, *options, command="novelty")["novelty"]
    written = succeed("sample", model, "-t", 0.5, "--seed", 3, "-n", 1500).stdout
    training, held_out = text.read_text()[:18_000], text.read_text()[18_000:19_500]
    for gram in found["ngrams"]:
        for name, of in (("generated", written), ("held_out", held_out)):
            new = [of[k : k + gram["n"]] not in training for k in range(1500 - gram["n"] + 1)]
            assert gram[name] == pytest.approx(sum(new) / len(new))
    longest = found["longest"]
    assert longest["text"] in written
    assert training[longest["offset"] :].startswith(longest["text"])
    assert longest["line"] == training[: longest["offset"]].count("\n") + 1
    assert len(longest["text"]) == longest["length"]
    shown = succeed("novelty", model, text, *options).stdout
    assert longest["text"].replace("\n", "↵") in shown
    assert report(model, *options, command="novelty")["novelty"] == found


def test_novelty_against_another_text(model, text, other):
    found = report(model, text, "--length", 20, "--fit", other, command="novelty")["novelty"]
    assert found["held_out"] is None
    assert found["ngrams"][-1] == {"n": 50, "generated": None, "held_out": None}
    assert "held out" not in succeed("novelty", model, "--length", 20, "--fit", other).stdout


def test_an_ensemble(model, text):
    one = report(model, text, "--part", "all")
    assert report(model, text, "--part", "all", "--with", model)["loss"] == pytest.approx(one["loss"], rel=1e-5)
    mixed = ("--with", model / "last.safetensors")
    assert report(model, text, *mixed, "--length", 50, command="novelty")["novelty"]["characters"] == 50
    scored = report(model, text, *mixed, "--part", "validation")
    assert report(model, text, *mixed, command="baselines")["loss"] == scored["loss"]
    assert "leave --with out" in refusal(model, text, "--with", model, "--online", status=2)


def test_an_option_of_online_is_enough(model, text):
    for name, value in (("lr", 0.002), ("steps", 16), ("decay", 0.01), ("slow_factor", 0.5)):
        option = f"--online-{name.replace('_', '-')}"
        found = report(model, text, option, value)
        assert found["online"][name] == value
        assert found == report(model, text, "--online", option, value)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("evaluate", ["--online-lr", "nan"]),
        ("evaluate", ["--online-steps", 0]),
        ("evaluate", ["--part", "x"]),
        ("novelty", ["--length", 0]),
        ("novelty", ["-t", "-1"]),
        ("baselines", ["--part", "x"]),
    ],
)
def test_wrong_usage(model, text, command, arguments):
    assert "Traceback" not in refusal(model, text, *arguments, status=2, command=command)
