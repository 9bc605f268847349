"""``charrnn verify``: what it says, remembers and refuses."""

import hashlib
import itertools
import json
import os
import re
import shutil
import signal

import pytest
from command_line import FABLES, invoke, succeed
from forging import SHORT, edit_log, records

from charrnn.checkpoints.run_folder import RunFolder
from charrnn.commands import verify
from charrnn.system import files
from charrnn.verification import odds, verified, verifier


@pytest.fixture(autouse=True)
def without_waiting_for_disks(monkeypatch):
    monkeypatch.setattr(files.os, "fsync", lambda handle: None)


@pytest.fixture(autouse=True)
def own_memory(monkeypatch, tmp_path):
    """What was verified is remembered for one test only."""
    monkeypatch.setattr(verified, "cache_folder", lambda: tmp_path / "cache")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("short") / "short.txt"
    path.write_text(FABLES.read_text()[:3000])
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory, text):
    out = tmp_path_factory.mktemp("verified")
    succeed("train", text, "--out", out, "--name", "run", *SHORT)
    return out / "run"


def test_the_summary_says_what_was_verified(run):
    result = succeed("verify", run, "--segments", 2, "--seed", 3)
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"digests: 11 files and [0-9]+ lines of the log are what was written", lines[0])
    assert lines[1] == "first weights: those of seed 1"
    assert all("equal in every byte and digit" in line for line in lines[2:4])
    assert re.fullmatch(r"verified: steps [0-9]+-[0-9]+(, [0-9]+-[0-9]+)? of 24 \(25 %\)", lines[4])
    assert "an edit in 1 of the 8 segments with a probability of 75 %, and 4 with" in lines[-1]


def test_json(run):
    parts = [json.loads(line) for line in succeed("verify", run, "--json", "--segments", 1).stdout.splitlines()]
    assert [part["part"] for part in parts] == ["digests", "start", "segment", "summary"]
    assert parts[0]["digest"] == hashlib.sha256((run / "metrics.jsonl").read_bytes()).hexdigest()
    assert parts[1]["equal"] is parts[2]["equal"] is True
    assert parts[3]["verified"] == [[parts[2]["first"], parts[2]["last"]]]
    assert parts[3]["missed"] == {"1": 7 / 8, "4": 4 / 8}


def test_the_next_check_goes_on_with_other_segments(run):
    for count in range(1, 9):
        summary = json.loads(succeed("verify", run, "--json", "--segments", 1).stdout.splitlines()[-1])
        assert summary["checked"] == count
    assert "verified: all 24 steps" in succeed("verify", run).stdout
    assert "verified: steps" in succeed("verify", run, "--anew", "--segments", 1).stdout


def test_a_seed_draws_the_same_segments(run):
    def drawn(*options):
        found = [json.loads(line) for line in succeed("verify", run, "--json", *options).stdout.splitlines()]
        return [part["first"] for part in found if part["part"] == "segment"]

    assert drawn("--seed", 5) == drawn("--seed", 5) != drawn("--seed", 6)
    assert len({tuple(drawn("--anew", "--segments", 1)) for _ in range(12)}) > 1


def test_the_digest_is_the_sum_of_the_log(run, tmp_path):
    digest = succeed("verify", run, "--digest").stdout
    assert digest == hashlib.sha256((run / "metrics.jsonl").read_bytes()).hexdigest() + "\n"
    assert json.loads(succeed("verify", run, "--digest", "--json").stdout) == {"digest": digest.strip()}
    assert "published digest: " in succeed("verify", run, "--quick", "--expect", digest.upper()).stdout
    # A digest from the middle of a run is one of the run that went on.
    start = b"".join((run / "metrics.jsonl").read_bytes().splitlines(keepends=True)[:20])
    assert succeed("verify", run, "--quick", "--expect", hashlib.sha256(start).hexdigest()).exit_code == 0
    assert invoke("verify", run, "--quick", "--expect", "0" * 64).exit_code == 1
    assert invoke("verify", run, "--expect", "abc").exit_code == 2


def test_the_best_checkpoint_is_verified_when_asked(run):
    assert "not verified" in succeed("verify", run, "--segments", 0).stdout
    assert re.search("best checkpoint: of step [0-9]+; verified", succeed("verify", run, "--best").stdout)


def test_a_run_without_kept_checkpoints(tmp_path, text, run):
    path = shutil.copytree(run, tmp_path / "old")
    shutil.rmtree(path / "kept")
    for file in path.rglob("*.safetensors"):
        from forging import edit_checkpoint

        edit_checkpoint(file, lambda made: None)
    edit_log(path, lambda found: [record for record in found if record["event"] != "sealed"])
    result = succeed("verify", path)
    assert "metrics.jsonl has no digests" in result.stderr
    assert "only the whole run can be trained again, with --all" in result.stderr
    assert "verified by training again: none of 24 steps" in result.stdout
    assert "Next time: charrnn train … --keep-checkpoints 64" in result.stderr
    assert "verified: all 24 steps" in succeed("verify", path, "--all").stdout
    edit_log(path, lambda found: [record | {"loss": 1.0} if record["event"] == "step" else record for record in found])
    assert invoke("verify", path, "--all", "--anew").exit_code == 1


def test_a_kept_checkpoint_that_was_removed_joins_two_segments(tmp_path, run):
    path = shutil.copytree(run, tmp_path / "run")
    (path / "kept" / "00000012.safetensors").unlink()
    result = succeed("verify", path, "--all")
    assert "kept/00000012.safetensors, kept in training: not there any more" in result.stderr
    assert "steps 9-15: trained again" in result.stdout


def test_a_run_that_is_still_trained(tmp_path, run):
    path = shutil.copytree(run, tmp_path / "run")
    with RunFolder(path).locked():
        (path / "last.safetensors").write_bytes(b"half")
        result = succeed("verify", path, "--all")
    assert "the run is being trained" in result.stderr
    assert "verified: all 21 steps" in result.stdout


def test_a_killed_run(tmp_path, text, run):
    """The log ends in the middle of a line, and lacks the digest of the last checkpoint."""
    path = shutil.copytree(run, tmp_path / "run")
    log = path / "metrics.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    last = next(number for number, record in enumerate(records(path)) if record.get("reason") == "finished")
    log.write_bytes(b"".join(lines[:last]) + lines[last][:9])
    result = succeed("verify", path, "--quick")
    assert "last.safetensors: saved when the run was killed" in result.stderr
    assert "verified: all 24 steps" in succeed("verify", path, "--all", "--anew").stdout
    (path / "previous.safetensors").replace(path / "last.safetensors")  # it was killed earlier
    succeed("train", text, "--out", tmp_path, "--name", "run", *SHORT, "--resume")
    assert "verified: all 24 steps" in succeed("verify", path, "--all").stdout


def test_another_program_is_said(monkeypatch, run):
    here = verifier.fingerprint()
    monkeypatch.setattr(verifier, "fingerprint", lambda: here | {"numpy": "9.9"})
    result = invoke("verify", run)
    assert result.exit_code == 1
    assert f"trained with numpy {here['numpy']} (here 9.9)" in result.stderr
    assert succeed("verify", run, "--allow-different").exit_code == 0


@pytest.mark.parametrize("place", range(8))
def test_ctrl_c_tells_what_was_verified(monkeypatch, run, place):
    """A Ctrl-C is heeded in every segment, also in the one behind the last step, which has no steps to train."""
    check = verifier.Verifier.check

    class Rotated:
        def sample(self, segments, count):
            return (segments[place:] + segments[:place])[:count]

    def interrupted(self, segment):
        os.kill(os.getpid(), signal.SIGINT)
        return check(self, segment)

    monkeypatch.setattr(verify.secrets, "SystemRandom", Rotated)
    calls = itertools.count()
    monkeypatch.setattr(
        verifier.Verifier, "check", lambda self, each: (interrupted if next(calls) == 2 else check)(self, each)
    )
    result = invoke("verify", run, "--all")
    assert result.exit_code == 130
    assert "Stopping after this step" in result.stderr
    assert result.stdout.count("equal in every byte and digit") == 2
    assert "missed an edit in 1 of the 8 segments" in result.stdout


def test_a_damaged_memory_is_ignored(tmp_path, run):
    succeed("verify", run, "--segments", 1)
    (file,) = (tmp_path / "cache" / "verified").glob("*.json")
    file.write_text('{"format": 1, "verified": ["x"]}')
    result = succeed("verify", run, "--segments", 1)
    assert f"{file}: ignored" in result.stderr


@pytest.mark.parametrize(
    "options",
    [("--quick", "--all"), ("--all", "--segments", 3), ("--digest", "--quick"), ("--all", "--seed", 1)],
)
def test_options_that_exclude_each_other(run, options):
    result = invoke("verify", run, *options)
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr


def test_what_is_no_run(tmp_path, run):
    for path in (run / "best.safetensors", tmp_path, tmp_path / "none"):
        result = invoke("verify", path)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


def test_checkpoints_are_not_kept_in_memory():
    import charrnn
    from charrnn.errors import ConfigError

    with pytest.raises(ConfigError, match="keep_checkpoints"):
        charrnn.train("a text " * 50, steps=2, keep_checkpoints=4)


def test_the_run_tells_how_much_it_will_keep(text, tmp_path):
    result = succeed("train", text, "--out", tmp_path, *SHORT[:-1], "--json", "--steps", 6)
    notes = json.loads(result.stdout.splitlines()[0])["notes"]
    size = sum(file.stat().st_size for file in (tmp_path / "short" / "kept").iterdir()) / 6e6
    (note,) = [note for note in notes if "keeps" in note]
    assert note == f"keeps 6 checkpoints of {float(note.split()[4]):.1f} MB, 0 MB in all, for charrnn verify"
    assert abs(float(note.split()[4]) - size) < 0.06


def test_the_probability_to_miss_an_edit_is_that_of_all_draws():
    for segments, checked, edited in [(6, 2, 1), (6, 2, 3), (7, 3, 2), (5, 5, 1), (4, 0, 2)]:
        draws = list(itertools.combinations(range(segments), checked))
        free = sum(all(each >= edited for each in draw) for draw in draws)
        assert odds.missed(segments, checked, edited) == free / len(draws)
