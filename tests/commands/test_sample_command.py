"""``charrnn sample``: exactly the text that was asked for."""

import json
import re
import shutil

import pytest
from command_line import invoke, succeed
from teams import every_thread_works

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.commands import lines
from charrnn.commands.sampling import unescaped
from charrnn.commands.work import Work
from charrnn.inference.stream_team import TOGETHER, FastestStrategy


def test_exactly_the_length_on_stdout_and_the_same_for_a_seed(model, monkeypatch):
    first = succeed("sample", model, "--length", 137, "--seed", 5)
    assert len(first.stdout) == 137
    assert first.stderr == ""
    with monkeypatch.context() as patch:
        patch.setattr(FastestStrategy, "next", lambda self: TOGETHER)
        for threads in (2, 3):
            with every_thread_works(threads) as watch:
                together = succeed("sample", model, "--length", 137, "--seed", 5, "--threads", threads)
            assert watch.workers("sampler") == {threads}
            assert together.stdout == first.stdout
    assert succeed("sample", model, "--length", 137, "--seed", 6).stdout != first.stdout
    longer = succeed("sample", model, "--length", 200, "--seed", 5).stdout
    assert longer.startswith(first.stdout)


def test_json_and_count(model):
    result = succeed("sample", model, "--count", 3, "--json", "--seed", 5, "--length", 40, "--prime", "The ")
    texts = [json.loads(line) for line in result.stdout.splitlines()]
    assert [text["number"] for text in texts] == [0, 1, 2]
    assert all(text["prime"] == "The " and len(text["text"]) == 40 for text in texts)
    assert len({text["text"] for text in texts}) == 3
    one = succeed("sample", model, "--seed", 5, "--length", 40, "--prime", "The ").stdout
    assert texts[0]["text"] == one


def test_temperature_zero_is_greedy(model):
    texts = {succeed("sample", model, "-t", 0, "-n", 50, "--seed", seed).stdout for seed in range(3)}
    assert len(texts) == 1


def test_stop(model):
    whole = succeed("sample", model, "--length", 300, "--seed", 5).stdout
    stop = whole[100:103]
    assert succeed("sample", model, "--length", 300, "--seed", 5, "--stop", stop).stdout == whole.partition(stop)[0]
    assert succeed("sample", model, "--length", 300, "--seed", 5, "--stop", "☃").stdout == whole


def test_unknown_characters_of_the_prime(model, tmp_path):
    result = invoke("sample", model, "--prime", "Ω☃")
    assert result.exit_code == 1
    assert "U+03A9" in result.stderr
    assert "U+2603" in result.stderr
    skipped = succeed("sample", model, "--prime", "TheΩ ", "--unknown", "skip", "--seed", 1, "--length", 30)
    assert skipped.stdout == succeed("sample", model, "--prime", "The ", "--seed", 1, "--length", 30).stdout
    succeed("sample", model, "--prime", "TheΩ ", "--unknown", "replace", "--length", 5)
    prime = tmp_path / "prime.txt"
    prime.write_text("The ")
    assert succeed("sample", model, "--prime-file", prime, "--seed", 1, "--length", 30).stdout == skipped.stdout
    piped = succeed("sample", model, "--prime-file", "-", "--seed", 1, "--length", 30, input="The ")
    assert piped.stdout == skipped.stdout


def test_compare(model):
    result = succeed("sample", model, "--compare", "0.3,1", "--length", 60, "--seed", 2)
    assert "temperature 0.3" in result.stdout
    assert "temperature 1" in result.stdout
    lines = succeed("sample", model, "--compare", "0.3,1", "--length", 60, "--seed", 2, "--json").stdout.splitlines()
    assert [json.loads(line)["temperature"] for line in lines] == [0.3, 1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["-t", "-1"],
        ["-t", "nan"],
        ["-t", "inf"],
        ["-n", "0"],
        ["--top-p", "0"],
        ["--min-p", "2"],
        ["--compare", "a"],
        ["--compare", "0.5,1", "-t", "0.5"],
    ],
)
def test_wrong_usage(model, arguments):
    result = invoke("sample", model, *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_a_missing_checkpoint_is_one_line_with_what_is_there(runs):
    result = invoke("sample", runs / "fabels")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "fables" in result.stderr


def test_absurd_options_do_no_harm(model):
    text = succeed("sample", model, "-n", 20, "--seed", 1, "--top-k", 99999999999999999999).stdout
    assert text == succeed("sample", model, "-n", 20, "--seed", 1).stdout
    assert len(succeed("sample", model, "-n", 20, "-t", 1e300).stdout) == 20
    stopped = succeed("sample", model, "-n", 10**9, "--count", 2, "--stop", "e", "--seed", 1).stdout
    assert len(stopped) < 10_000


def test_a_prime_that_is_not_utf8(model, tmp_path):
    result = invoke("sample", model, "--prime", "\udcff")
    assert result.exit_code == 1
    assert "not UTF-8" in result.stderr
    marked = tmp_path / "marked.txt"
    marked.write_text("The ", encoding="utf-8-sig")
    expected = succeed("sample", model, "--prime", "The ", "--seed", 1, "-n", 9).stdout
    assert succeed("sample", model, "--prime-file", marked, "--seed", 1, "-n", 9).stdout == expected


def test_escapes_of_prime_and_stop(model):
    line_break = succeed("sample", model, "--prime", "fox\n", "--seed", 1, "--length", 60).stdout
    assert succeed("sample", model, "--prime", r"fox\n", "--seed", 1, "--length", 60).stdout == line_break
    whole = succeed("sample", model, "--seed", 5, "--length", 400).stdout
    assert "\n" in whole
    assert succeed("sample", model, "--seed", 5, "--length", 400, "--stop", r"\n").stdout == whole.partition("\n")[0]
    assert unescaped(r"a\tb\\n \d") == "a\tb\\n \\d"


def test_a_seed_that_was_not_given_is_told(model):
    first = succeed("sample", model, "-n", 60)
    seed = re.search(r"--seed (\d+)", first.stderr)[1]
    assert succeed("sample", model, "-n", 60, "--seed", seed).stdout == first.stdout
    assert succeed("sample", model, "-n", 60, "-q").stderr == ""


def test_lines(model):
    found = succeed("sample", model, "--lines", 7, "--seed", 3)
    assert found.stderr == ""
    lines = found.stdout.splitlines()
    assert len(lines) == 7
    assert all(line.strip() for line in lines)
    assert succeed("sample", model, "--lines", 3, "--seed", 3).stdout.splitlines() == lines[:3]
    primed = succeed("sample", model, "--lines", 4, "--seed", 3, "--prime", "The ").stdout.splitlines()
    assert all(line.startswith("The ") for line in primed)
    records = [
        json.loads(line) for line in succeed("sample", model, "--lines", 7, "--seed", 3, "--json").stdout.splitlines()
    ]
    assert [record["text"] for record in records] == lines
    few = succeed("sample", model, "--lines", 5, "--seed", 3, "--length", 1)
    assert "of 5 lines" in few.stderr


def test_unlike_lines_are_not_of_the_training_text(model, monkeypatch):
    plain = succeed("sample", model, "--lines", 6, "--seed", 3).stdout.splitlines()
    monkeypatch.setattr(lines, "lines_of", lambda work: frozenset(plain[:2]))
    unlike = succeed("sample", model, "--lines", 6, "--seed", 3, "--unlike").stdout.splitlines()
    assert unlike[:4] == plain[2:]
    assert len(set(unlike)) == 6


def test_lines_differ(model):
    found = succeed("sample", model, "--lines", 3, "--seed", 3, "-t", 0, "--match", "[a-z]{5}")  # greedy: one line
    assert len(found.stdout.splitlines()) == 1
    assert "1 of 3 lines: nearly all others were empty or there already" in found.stderr
    few = succeed("sample", model, "--lines", 5, "--seed", 3, "--length", 1)
    assert "nearly all others were empty, there already or longer than --length" in few.stderr


def test_the_lines_of_the_training_text(model, text):
    work = Work({"checkpoint": model, "threads": None})
    work.load()
    found = lines.lines_of(work)
    assert text.read_text().split("\n")[3] in found


def test_unlike_without_the_training_text(model, tmp_path):
    shutil.copytree(model, tmp_path / "run")
    for file in ("last", "best"):
        path = tmp_path / "run" / f"{file}.safetensors"
        found = Checkpoint.load(path)
        found.corpus["sha256"] = "0" * 64
        found.save(path)
    result = invoke("sample", tmp_path / "run", "--lines", 3, "--unlike")
    assert result.exit_code == 1
    assert "leave --unlike out" in result.stderr


def test_lines_beyond_the_memory_are_refused(model):
    result = invoke("sample", model, "--lines", 100_000, "--length", 1_000_000_000)
    assert result.exit_code == 1
    assert "at once need" in result.stderr


def test_the_highest_seed_has_a_next_one(model):
    assert succeed("sample", model, "--lines", 40, "--length", 60, "--seed", 2**63 - 1).stdout


@pytest.mark.parametrize("arguments", [("--lines", 3, "--count", 2), ("--lines", 3, "--stop", "x"), ("--unlike",)])
def test_lines_exclude_other_ends(model, arguments):
    assert invoke("sample", model, *arguments).exit_code == 2
