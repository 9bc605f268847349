"""Edits of a run are found: by the digests, and after a forger has computed all digests anew, by training again."""

import dataclasses
import re
import shutil

import pytest
from command_line import invoke
from forging import compute_digests_anew, edit_checkpoint, edit_log, flip_a_bit, records

from charrnn.checkpoints.description import NgramSettings


def kept(run, step):
    return run / "kept" / f"{step:08}.safetensors"


def a_weight(run):
    edit_checkpoint(kept(run, 12), lambda made: flip_a_bit(made.parameters["w_out"]))


def a_moment(run):
    edit_checkpoint(kept(run, 12), lambda made: flip_a_bit(made.optimizer["v"]["w_out"]))


def an_average(run):
    edit_checkpoint(kept(run, 12), lambda made: flip_a_bit(made.optimizer["ema"]["b_out"]))


def a_state(run):
    edit_checkpoint(kept(run, 12), lambda made: flip_a_bit(made.state["h"]))


def a_counter(run):
    def change(made):
        made.counters["characters"] += 1

    edit_checkpoint(kept(run, 12), change)


def the_settings(run):
    """Another rate, in every checkpoint."""

    def change(made):
        made.training = dataclasses.replace(made.training, lr=0.02)

    for path in run.rglob("*.safetensors"):
        edit_checkpoint(path, change)


def a_pair_is_swapped(run):
    """Two kept checkpoints with each other's names, and steps that fit the names."""
    first, second = kept(run, 9), kept(run, 12)
    first.rename(run / "x")
    second.rename(first)
    (run / "x").rename(second)
    edit_checkpoint(first, lambda made: made.counters.update(step=9))
    edit_checkpoint(second, lambda made: made.counters.update(step=12))


def the_first_weights(run):
    edit_checkpoint(kept(run, 0), lambda made: flip_a_bit(made.parameters["w_out"]))


def the_last_checkpoint(run):
    edit_checkpoint(run / "last.safetensors", lambda made: flip_a_bit(made.parameters["w_out"]))


def what_a_rollback_returns_to(run):
    edit_checkpoint(run / "last.safetensors", lambda made: flip_a_bit(made.optimizer["kept"]["w_out"]))


def the_best_checkpoint(run):
    edit_checkpoint(run / "best.safetensors", lambda made: flip_a_bit(made.parameters["w_out"]))


def the_step_of_the_best_checkpoint(run):
    edit_checkpoint(run / "best.safetensors", lambda made: made.counters.update(step=13))


def the_ngrams(run):
    def change(made):
        assert made.ngrams is not None
        made.ngrams = NgramSettings(made.ngrams.order, made.ngrams.network_weight + 0.01, made.ngrams.ngram_weight)

    edit_checkpoint(run / "best.safetensors", change)


def changed(event, name, to, number=1):
    def change(found):
        record = [each for each in found if each["event"] == event][number]
        assert record[name] != to(record[name])
        record[name] = to(record[name])

    return lambda run: edit_log(run, change)


def a_line_is_removed(run):
    edit_log(run, lambda found: [each for each in found if (each["event"], each["step"]) != ("step", 11)])


def a_line_is_added(run):
    def change(found):
        at = next(number for number, each in enumerate(found) if (each["event"], each["step"]) == ("step", 11))
        return [*found[:at], found[at], *found[at:]]

    edit_log(run, change)


def an_evaluation_is_removed(run):
    edit_log(run, lambda found: [each for each in found if (each["event"], each["step"]) != ("evaluated", 10)])


NOT_TRAINED = {a_line_is_removed, a_line_is_added}  # the numbers of the steps show them at once

EDITS = {
    "kept/00000012.safetensors: the tensor head.weight differs in 1 of": a_weight,
    "kept/00000012.safetensors: the tensor optimizer.v.w_out differs in 1 of": a_moment,
    "kept/00000012.safetensors: the tensor optimizer.ema.b_out differs in 1 of": an_average,
    "kept/00000012.safetensors: the tensor state.h differs in 1 of": a_state,
    "kept/00000012.safetensors: its counter 'characters' is": a_counter,
    "has lr": the_settings,
    "kept/00000009.safetensors: its counter": a_pair_is_swapped,
    "the first weights: kept/00000000.safetensors: the tensor head.weight": the_first_weights,
    "last.safetensors: the tensor head.weight differs in 1 of": the_last_checkpoint,
    "last.safetensors: the tensor optimizer.kept.w_out differs in 1 of": what_a_rollback_returns_to,
    "best.safetensors: the tensor head.weight differs in 1 of": the_best_checkpoint,
    "best.safetensors: its n-grams differs": the_ngrams,
    "it is of step 13, at which training again gives no best": the_step_of_the_best_checkpoint,
    "(step 11) has loss": changed("step", "loss", lambda loss: loss - 1e-12, 10),
    "(step 11) has lr": changed("step", "lr", lambda lr: lr * 1.0000001, 10),
    "has the validation loss": changed("evaluated", "val_loss", lambda loss: loss - 0.1),
    "has text": changed("sampled", "text", lambda text: text + "x", 0),
    "has mixed_val_loss": changed("mixed", "mixed_val_loss", lambda loss: loss / 2, 0),
    "has best_val_loss": changed("finished", "best_val_loss", lambda loss: loss / 2, 0),
    "is of step 12, behind step 10": a_line_is_removed,
    "is of step 11, behind step 11": a_line_is_added,
    "evaluated of step 10": an_evaluation_is_removed,
}


@pytest.mark.parametrize("problem", EDITS)
def test_an_edit_is_found(copied, problem):
    run = copied
    EDITS[problem](run)
    # Nothing binds the record of the end but a digest that was published.
    if problem != "has best_val_loss":
        result = invoke("verify", run, "--quick")
        assert result.exit_code == 1
        assert re.search(r"not the file that was written|are not those that were written", result.stderr)
        assert result.stderr.startswith("Error: ")
        compute_digests_anew(run)
    result = invoke("verify", run, "--quick")
    assert result.exit_code == (1 if EDITS[problem] in NOT_TRAINED or problem == "has the validation loss" else 0)
    result = invoke("verify", run, "--all", "--anew", "--threads", 1)
    assert result.exit_code == 1
    assert problem in result.stderr + result.stdout
    assert result.stderr.count("Error: ") == 1
    assert "Traceback" not in result.stderr


def test_a_published_digest_shows_what_a_forger_did_without_training(copied):
    published = invoke("verify", copied, "--digest").stdout.strip()
    a_weight(copied)
    compute_digests_anew(copied)
    result = invoke("verify", copied, "--quick", "--expect", published)
    assert result.exit_code == 1
    assert f"the log of the run is not the one of the digest {published}" in result.stderr


def test_the_losses_of_a_run_that_was_never_trained_are_found(copied):
    """All losses are made up, in the log and in the checkpoints: any segment shows it."""

    def better(found):
        for record in found:
            for name in ("loss", "val_loss", "best_val_loss", "raw_loss", "averaged_loss"):
                if record.get(name) is not None:
                    record[name] *= 0.9

    def better_too(made):
        for name in ("loss", "val_loss", "best_val_loss"):
            if made.counters[name] is not None:
                made.counters[name] *= 0.9
        for entry in made.history:
            entry["loss"], entry["val_loss"] = 0.9 * entry["loss"], 0.9 * entry["val_loss"]

    edit_log(copied, better)
    for path in copied.rglob("*.safetensors"):
        edit_checkpoint(path, better_too)
    compute_digests_anew(copied)
    assert invoke("verify", copied, "--quick").exit_code == 0
    result = invoke("verify", copied, "--segments", 1, "--anew", "--threads", 1)
    assert result.exit_code == 1
    assert "has loss" in result.stderr


def test_another_text_is_refused(copied, short_text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text(short_text.read_text().replace("a", "e", 1))
    result = invoke("verify", copied, "--text", other)
    assert result.exit_code == 1
    assert "not the text of the run" in result.stderr
    assert invoke("verify", copied, "--text", tmp_path / "none.txt").exit_code == 1


def test_damaged_files_are_one_line(copied):
    path = kept(copied, 12)
    path.write_bytes(path.read_bytes()[:100])
    result = invoke("verify", copied)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    shutil.copy(kept(copied, 9), path)
    log = copied / "metrics.jsonl"
    log.write_text(log.read_text().replace('{"event": "step", "step": 4', '{"event": step, "step": 4'))
    result = invoke("verify", copied)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "is no record" in result.stderr


@pytest.mark.parametrize("change", [{"files": 3}, {"files": {"../x": "0" * 64}}, {"log": "x"}, {"files": {"a": "b"}}])
def test_forged_digests_are_one_line(copied, change):
    found = records(copied)
    next(record for record in found if record["event"] == "sealed").update(change)
    edit_log(copied, lambda _: found)
    result = invoke("verify", copied, "--quick")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "has digests that no run writes" in result.stderr
