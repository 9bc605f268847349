"""``charrnn score``: columns, JSON, choosing, several files, hostile texts, following, signals, the terminal."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import invoke, run_cli, succeed

import charrnn
from charrnn.commands import score as module
from charrnn.display.reports.line_scores import LONGEST, coloured_line, columns, heading
from charrnn.display.terminal.colours import SEQUENTIAL, Depth, Look
from charrnn.display.terminal.console import Terminal
from charrnn.model.line_scores import LineScorer

LINES = ["The fox and the hen.", "", "the heron", "XQZ%%#~", "a fox", "\tit was"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with a text of a few lines, and one with many."""
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("".join(f"{line}\n" for line in LINES))
    Path("many.txt").write_text("".join(f"The fox number {k % 7} and the hen\n" for k in range(60)) + "ZZZQQQ\n")
    return tmp_path


def objects(*arguments, **options):
    return [json.loads(line) for line in succeed("score", *arguments, "--json", **options).stdout.splitlines()]


def refusal(*arguments, status=1):
    result = invoke("score", *arguments)
    assert result.exit_code == status, result.stderr
    return result.stderr


def test_json_has_a_line_s_score(folder, model):
    found = objects(model, "a.txt", "--characters", "--ngrams", "off")
    wanted = charrnn.load(model).score(LINES)
    assert [each["text"] for each in found] == LINES
    assert [each["line"] for each in found] == [1, 2, 3, 4, 5, 6]
    assert {each["file"] for each in found} == {"a.txt"}
    for each, score in zip(found, wanted, strict=True):
        assert each["bits"] == score.bits
        assert each["bits_per_character"] == score.bits_per_character
        assert each["peak"] == pytest.approx(score.peak)
        assert each["characters"] == score.characters == len(score.text) + 1
        assert each["unknown"] == score.unknown
        assert each["z"] is None
        assert each["character_bits"] == pytest.approx(score.character_bits, abs=1e-3)
    assert found[3]["unknown"] > 2
    zs = [each["z"] for each in objects(model, "many.txt")]
    assert zs[:20] == [None] * 20 and zs[-1] > 5 > max(map(abs, zs[20:60]))
    assert "character_bits" not in objects(model, "a.txt")[0]


def test_plain_lines_have_aligned_columns_and_the_line_as_it_is(folder, model):
    lines = succeed("score", model, "many.txt").stdout.splitlines()
    records = objects(model, "many.txt")
    assert len(lines) == 61
    for line, record in zip(lines, records, strict=True):
        bits, rate, peak, z, number, text = line.split(maxsplit=5)
        assert (bits, rate, peak) == (
            f"{record['bits']:.1f}", f"{record['bits_per_character']:.3f}", f"{record['peak']:.1f}",
        )  # fmt: skip
        assert z == ("–" if record["z"] is None else f"{record['z']:+.1f}")
        assert (number, text) == (str(record["line"]), record["text"])
    assert len({line.index("The") for line in lines[:-1]}) == 1


def test_columns_take_large_numbers():
    record = {"bits": 12345.67, "bits_per_character": 20.0, "peak": 31.4, "z": 1234567.0}
    assert columns(record, "7") == " 12345.7  20.000  31.4  +1e+06      7"
    for log2, shown in (
        (None, "∞"),
        (float("-inf"), "0"),
        (3.0, "8"),
        (9.97, "1003"),
        (16.61, "1.0e5"),
        (2000, "1.1e602"),
    ):
        assert columns(record | {"guesses_log2": log2, "guesses_error": 0.1}, "7").split()[4] == shown
    assert columns(record | {"guesses_log2": 3.0, "guesses_error": 0.9}, "7").split()[4] == ">8"


def test_the_most_unusual_lines(folder, model):
    for by, name in module.MEASURES.items():
        if by == "z":
            continue
        found = objects(model, "a.txt", "--by", by)
        order = sorted(found, key=lambda each: -each[name])
        assert objects(model, "a.txt", "--sort", "--by", by) == order
        for count in (1, 3, 100):
            assert objects(model, "a.txt", "--top", count, "--by", by) == order[:count]
        above = found[0][name]
        assert objects(model, "a.txt", "--above", above, "--by", by) == [each for each in found if each[name] > above]
    assert [each["line"] for each in objects(model, "many.txt", "--by", "z", "--above", 5)] == [61]
    assert [each["line"] for each in objects(model, "many.txt", "--by", "z", "--top", 1)] == [61]
    assert objects(model, "a.txt", "--top", 2) == objects(model, "a.txt", "--sort")[:2]
    Path("same.txt").write_text("the fox\n" * 9)
    assert [each["line"] for each in objects(model, "same.txt", "--alone", "--top", 3)] == [1, 2, 3]


def test_words_are_told_when_they_are_asked_for(folder, model):
    from charrnn.inference.word_peaks import WordPeaks

    assert all("words" not in each for each in objects(model, "a.txt"))
    found, words = objects(model, "a.txt", "--by", "words", "--characters"), WordPeaks()
    wanted = [words.add(each["text"], np.array(each["character_bits"]), each["unknown"]) for each in found]
    assert [each["words"] for each in found] == pytest.approx(wanted, abs=0.01)
    assert any(each["unknown"] for each in found)
    # What is usual is learnt from the file before, too.
    wanted += [words.add(each["text"], np.array(each["character_bits"]), each["unknown"]) for each in found]
    twice = objects(model, "a.txt", "a.txt", "--by", "words")
    assert [each["words"] for each in twice] == pytest.approx(wanted, abs=0.01) and wanted[0] != wanted[len(LINES)]
    for how in ("--learn", "--alone", "--guesses"):
        assert all(each["words"] > 0 for each in objects(model, "a.txt", "--by", "words", how))
    # The column stands between the peak and z.
    lines = succeed("score", model, "a.txt", "--by", "words").stdout.splitlines()
    assert [line.split()[3] for line in lines] == [f"{each['words']:.2f}" for each in found]
    assert heading(found[0], names=False).plain.split() == ["bits", "/char.", "peak", "words", "z", "line"]


def test_sort_does_not_take_all_memory(folder, model, monkeypatch):
    monkeypatch.setattr(module, "_MEMORY_SHARE", 1e-9)
    assert "use --top N" in refusal(model, "many.txt", "--sort")
    assert "many.txt: --both-ways keeps all lines, and 61 take " in refusal(model, "many.txt", "--both-ways")
    assert len(objects(model, "many.txt", "--top", 5)) == 5


def test_several_files_and_one_that_is_missing(folder, model):
    result = invoke("score", model, "a.txt", "none.txt", "many.txt", "/dev/zero")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert len(lines) == 6 + 61
    assert " a.txt:1  The fox" in lines[0] and " many.txt:61  ZZZ" in lines[-1]
    errors = result.stderr.splitlines()
    assert len(errors) == 2 and "none.txt" in errors[0] and "/dev/zero" in errors[1]
    assert "no such file or text: give a file, or a name from" in invoke("score", model, "qqqq").stderr
    alone = [each for name in ("a.txt", "many.txt") for each in objects(model, name)]
    both = objects(model, "a.txt", "many.txt")
    assert [each["bits"] for each in both] == [each["bits"] for each in alone]


def test_alone_and_in_order_and_with_another_model(folder, model):
    alone = objects(model, "many.txt", "--alone", "--ngrams", "off")
    assert len({each["bits"] for each in alone}) == 8
    assert len({each["bits"] for each in objects(model, "many.txt")}) > 8
    both = objects(model, "many.txt", "--alone", "--with", model, "--ngrams", "off")
    for one, other in zip(alone, both, strict=True):
        assert other["bits"] == pytest.approx(one["bits"], rel=1e-5)


def test_learning(folder, model):
    options = (
        [],
        ["--learn"],
        ["--ngrams", "off"],
        ["--ngrams", "off", "--learn"],
        ["--ngrams", "off", "--online-lr", "0.01"],
    )
    sums = [sum(each["bits"] for each in objects(model, "many.txt", *each)[30:60]) for each in options]
    assert sums[0] > 2 * sums[1]
    assert sums[2] > sums[3] > sums[4]
    slow, usual = (objects(model, "many.txt", "--learn", "--online-lr", rate) for rate in ("0.0007", "0.006"))
    assert (
        objects(model, "many.txt", "--learn") == usual != slow
    )  # lines of a log repeat: faster than evaluate --online


def test_lines_appear_while_the_model_learns(folder, model, monkeypatch):
    """Some of them at a time, with the same numbers."""
    whole = objects(model, "many.txt", "--learn")
    monkeypatch.setattr(module, "_LEARNT_AT_ONCE", 100)
    sizes, scored = [], LineScorer.score

    def score(scorer, lines, *more):
        sizes.append(len(lines))
        return scored(scorer, lines, *more)

    monkeypatch.setattr(LineScorer, "score", score)
    assert objects(model, "many.txt", "--learn") == whole
    assert sum(sizes) == len(whole)
    assert len(sizes) > 5


def test_both_ways(folder, model):
    """Each file is read from its end, too; what was learnt of one in order stays for the next."""
    found = objects(model, "many.txt", "a.txt", "--both-ways")
    assert [each["line"] for each in found] == [*range(1, 62), *range(1, 7)]
    assert found[:61] == objects(model, "many.txt", "--learn", "--both-ways")
    of_the_second = [
        sum(each["bits"] for each in part) for part in (found[61:], objects(model, "a.txt", "--both-ways"))
    ]
    assert of_the_second[0] < of_the_second[1]
    in_order = objects(model, "many.txt", "--learn")
    assert sum(each["bits"] for each in found[:10]) < 0.9 * sum(each["bits"] for each in in_order[:10])
    assert len(objects(model, "many.txt", "--both-ways", "--by", "words", "--top", 5)) == 5
    with Path("many.txt").open("rb") as file:
        result = subprocess.run(
            [sys.executable, "-m", "charrnn", "score", model, "--both-ways", "--json", "-q"],
            stdin=file, capture_output=True, check=True,
        )  # fmt: skip
    piped = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["bits"] for each in piped] == [each["bits"] for each in found[:61]]


def test_a_run_with_ngrams(tmp_path, text, monkeypatch):
    """They take part, but for the text that they have learnt."""
    monkeypatch.chdir(tmp_path)
    succeed("train", text, "--name", "mixed", "--steps", 60, "--hidden", 8, "--seq-len", 16, "--batch-size", 4, "-q")
    Path("other.txt").write_text("The fox and the hen\n" * 30)
    assert charrnn.load("checkpoints/mixed").mixed() is not None

    def bits(*arguments):
        return sum(each["bits"] for each in objects("mixed", *arguments))

    assert bits("other.txt") == bits("other.txt", "--ngrams", "on") < bits("other.txt", "--ngrams", "off")
    assert bits(text) == bits(text, "--ngrams", "off") > bits(text, "--ngrams", "on")
    assert bits("other.txt", "--learn") < 0.5 * bits("other.txt")
    assert bits("other.txt", text) == bits("other.txt", text, "--ngrams", "off")
    said = "N-grams take no part: they have learnt one of the files."
    assert said in succeed("score", "mixed", "other.txt", text).stderr
    for unsaid in (("other.txt",), (text,), ("other.txt", text, "--ngrams", "on")):
        assert said not in succeed("score", "mixed", *unsaid).stderr


def test_guesses(folder, model):
    found = objects(model, "a.txt", "--guesses", "--samples", 300)
    again = objects(model, "a.txt", "--samples", 300, "--seed", 1)
    for each in found:
        assert each["guesses"] is None or each["guesses"] >= 0
    unknown = found[3]
    assert unknown["unknown"] and unknown["guesses"] is unknown["guesses_log2"] is unknown["guesses_error"] is None
    known = [each for each in found if not each["unknown"]]
    known.sort(key=lambda each: each["bits"])
    assert [each["guesses"] for each in known] == sorted(each["guesses"] for each in known)
    assert [each["guesses"] for each in again] != [each["guesses"] for each in found]
    lines = succeed("score", model, "a.txt", "--guesses", "--samples", 300).stdout.splitlines()
    assert "∞" in lines[3].split()[4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--learn", "--alone"], "leave --alone out"),
        (["--learn", "--guesses"], "leave --guesses out"),
        (["--online-lr", "0.1", "--alone"], "leave --alone out"),
        (["--learn", "--with", "MODEL"], "leave --with out"),
        (["-f", "--top", "3"], "--top needs the end"),
        (["-f", "--sort"], "--sort needs the end"),
        (["-f", "many.txt"], "-f follows one file, and 2"),
        (["--top", "3", "--sort"], "leave --sort out"),
        (["--learn", "--samples", "300"], "leave --guesses out"),
        (["--seed", "3"], "--seed needs --guesses"),
        (["--both-ways", "-f"], "--both-ways needs the end"),
        (["--both-ways", "--alone"], "--both-ways reads lines in their order: leave --alone out"),
        (["--learn", "--both-ways", "--with", "MODEL"], "--both-ways teaches one model: leave --with out"),
        (["--characters"], "--characters needs --json"),
        (["-", "-"], "only once"),
        (["--top", "0"], "at least 1"),
        (["--above", "nan"], "not a finite number"),
        (["--by", "size"], "--by"),
    ],
)
def test_options_that_contradict_each_other(folder, model, arguments, message):
    words = [str(model) if word == "MODEL" else word for word in arguments]
    assert message in refusal(model, "a.txt", *words, status=2)


def test_an_encoding(folder, model):
    Path("a.txt").write_bytes("Thé fox\n".encode("latin-1"))
    assert objects(model, "a.txt")[0]["text"] == "Th\udce9 fox"
    assert objects(model, "a.txt", "--encoding", "latin-1")[0]["text"] == "Thé fox"
    assert "did you mean" in refusal(model, "a.txt", "--encoding", "latn-1")
    Path("a.txt").write_text("The fox\nhen\n", "utf-16")
    assert [each["text"] for each in objects(model, "a.txt")] == ["The fox", "hen"]


# ---- hostile texts

HOSTILE = {
    "nul": bytes(200_000),
    "noise": bytes(np.random.default_rng(1).integers(256, size=100_000, dtype=np.uint8)),
    "no end": b"The fox and the hen. " * 20_000,
    "blank": b"\n" * 5000,
    "crlf": b"The fox\r\n\r\nthe hen\r\n",
    "escapes": b"\x1b]0;t\x07\x1b[2J\x9b31m [red]x[/] \xe2\x80\xae\xef\xbb\xbf\r\b\x7f\n" * 30,
    "empty": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "options", [[], ["--json"], ["--alone", "--top", "5"], ["--learn", "--sort"], ["--both-ways"]], ids=str
)
def test_hostile_texts(folder, model, name, options):
    learns = options[:1] in (["--learn"], ["--both-ways"])
    data = HOSTILE[name][:3000] if learns else HOSTILE[name]
    Path("a").write_bytes(data)
    result = succeed("score", model, "a", "-q", *options)
    assert not result.stderr
    if options == ["--json"]:
        found = [json.loads(line) for line in result.stdout.splitlines()]
        parts = [each["text"].encode("utf-8", "surrogateescape") for each in found]
        if name == "crlf":
            assert parts == [b"The fox", b"", b"the hen"]
        else:
            followed = [*(each["line"] for each in found[1:]), 0]
            ends = [b"\n" * (each["line"] != after) for each, after in zip(found, followed[: len(found)], strict=True)]
            joined = b"".join(part + end for part, end in zip(parts, ends, strict=True))
            data = data.replace(b"\r\n", b"\n")  # the model does not know the carriage return
            assert joined == data + b"\n" * (bool(data) and not data.endswith(b"\n"))
        assert all(each["bits"] >= 0 for each in found)


def test_the_memory_for_a_line_without_end_is_bounded(folder, model):
    script = (
        "import resource, sys; from charrnn.commands import main; sys.argv[0] = 'charrnn'\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    peaks = []
    for size in (3 * 10**5, 3 * 10**6):
        command = [sys.executable, "-c", script, "score", str(model), "-q", "--top", "3"]
        with Path("long").open("wb") as file:
            file.truncate(size)
        with Path("long").open("rb") as file:
            process = subprocess.run(command, stdin=file, capture_output=True, check=True)
        peaks.append(int(process.stderr) / 1024)
    assert peaks[1] < peaks[0] + 20, peaks  # MB; ids and losses of all characters would be 24


def test_bytes_go_through_a_pipe_as_they_are(folder, tmp_path):
    Path("b").write_bytes(bytes(range(256)) * 8 + b"\n")
    succeed(
        "train", "b", "--bytes", "--name", "bytes", "--steps", 3, "--hidden", 6, "--seq-len", 8, "--batch-size", 4, "-q"
    )
    Path("c").write_bytes(b"a\xff\xe9 \0\xc3\xa9\nb\n")
    process = run_cli("score", "bytes", "c", "-q")
    lines = process.stdout.split(b"\n")
    assert lines[0].endswith(b"     1  a\xff\xe9 \0\xc3\xa9") and lines[1].endswith(b"     2  b")
    found = objects("bytes", "c", "--characters")
    assert found[0]["text"] == "a\udcff\udce9 \0é" and len(found[0]["character_bits"]) == found[0]["characters"] == 8


# ---- pipes, signals, files that grow


class Process:
    """``charrnn score`` as a process, whose lines are read one by one."""

    def __init__(self, *arguments, **options):
        command = [sys.executable, "-m", "charrnn", "score", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def line(self):
        return self.process.stdout.readline().decode()

    def text(self):
        """The text of the next line, and its number."""
        words = self.line().split(maxsplit=4)
        number, _, text = words[4].partition("  ")
        return int(number), text.rstrip("\n")

    def end(self, number):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture
def process():
    """Makes processes, and ends those that are left."""
    made = []

    def make(*arguments, **options):
        made.append(Process(*arguments, **options))
        return made[-1]

    yield make
    for each in made:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and files")


def test_standard_input(folder, model):
    data = Path("a.txt").read_bytes()
    wanted = succeed("score", model, "a.txt").stdout.encode()
    for arguments in ([], ["-"], ["-f"], ["-f", "-"]):
        found = run_cli("score", model, *arguments, "-q", input=data)
        assert found.returncode == 0 and found.stdout.count(b"\n") == 6
        assert found.stdout.split()[0] == wanted.split()[0]
    assert objects(model, input=data)[0]["file"] == "-"


@posix
def test_a_closed_pipe_is_quiet(folder, model, process):
    Path("big.txt").write_text("The fox and the hen\n" * 100_000)
    running = process(model, "big.txt", "-q")
    running.line()
    running.process.stdout.close()
    assert running.process.stderr.read() == b""
    assert running.process.wait(60) == 141


@posix
def test_a_closed_pipe_ends_following(folder, model, process):
    running = process(model, "-f", "a.txt", "-q")
    running.line()
    running.process.stdout.close()
    assert running.process.wait(60) == 141
    assert running.process.stderr.read() == b""


@posix
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("options", [[], ["--learn"], ["--json"]], ids=str)
def test_a_signal_ends_following(folder, model, process, number, status, options):
    running = process(model, "-f", "a.txt", "-q", *options)
    running.line()
    found, _, errors = running.end(number)
    assert (found, errors.strip()) == (status, b"")


@posix
def test_a_signal_ends_scoring(folder, model, process):
    Path("big.txt").write_text("The fox and the hen\n" * 500_000)
    running = process(model, "big.txt", "-q")
    running.line()
    reader = threading.Thread(target=running.process.stdout.read, daemon=True)
    reader.start()
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(30) == 130
    reader.join(10)
    assert running.process.stderr.read().strip() == b""


@posix
def test_following_a_file_that_grows_is_cut_off_and_replaced(folder, model, process):
    log = Path("log")
    log.write_text("".join(f"the fox {k}\n" for k in range(30)))
    running = process(model, "-f", "log")
    assert [running.text() for _ in range(10)] == [(k + 1, f"the fox {k}") for k in range(20, 30)]
    with log.open("a") as file:
        file.write("the hen\nthe he")
        file.flush()
        assert running.text() == (31, "the hen")
        file.write("ron\n")
    assert running.text() == (32, "the heron")
    log.write_text("a new one\n")
    assert running.text() == (1, "a new one")
    log.rename("log.1")
    time.sleep(0.5)
    log.write_text("another\n")
    assert running.text() == (1, "another")
    status, _, errors = running.end(signal.SIGINT)
    assert status == 130
    assert [line for line in errors.decode().splitlines() if line and "Compiling" not in line] == [
        "log was cut off: it is read from its new beginning",
        "log was replaced: the new file is read from its beginning",
    ]


@posix
def test_a_followed_line_is_shown_when_it_comes_and_learnt(folder, model, process):
    Path("log").write_text("")
    running = process(model, "-f", "log", "--learn", "--json", "-q")
    found = []
    for k in range(40):
        with Path("log").open("a") as file:
            file.write("zebra zebra\n")
        found.append(json.loads(running.line()))
        assert found[-1]["line"] == k + 1
    assert found[-1]["bits"] < found[0]["bits"]
    assert running.end(signal.SIGINT)[0] == 130


# ---- the terminal


def shown(folder, model, *options, width=70, **environment):
    """What a terminal gets: the process has one, in which the cursor is never moved."""
    import pty

    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(width), "TERM": "xterm-256color", **environment}
    command = [sys.executable, "-m", "charrnn", "score", str(model), "a.txt", "-q", *options]
    with subprocess.Popen(command, stdout=slave, stderr=slave, stdin=subprocess.DEVNULL, env=environment) as process:
        os.close(slave)
        parts = []
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # the end, on Linux
                break
            if not part:
                break
            parts.append(part)
    os.close(master)
    assert process.returncode == 0
    return b"".join(parts).replace(b"\r\n", b"\n")


@posix
def test_colours_on_a_terminal(folder, model):
    out = shown(folder, model).decode()
    assert out.startswith("\x1b[1m    bits  /char.  peak       z   line")
    assert "\x1b[48;5;223m" in out or ";48;5;223m" in out.replace("[48", ";48")
    plain = shown(folder, model, NO_COLOR="1").decode()
    assert "\x1b[38" not in plain and "\x1b[48" not in plain
    assert "The fox and the hen.↵" in plain
    rows = plain.splitlines()
    place = next(k for k, row in enumerate(rows) if "XQZ%%#~" in row)
    assert "@" in rows[place + 1]  # the row of symbols under it


def rendered(numbers, text, bits, width=60, depth=Depth.NONE):
    lines = coloured_line(numbers, text, bits, Look(width, depth, SEQUENTIAL))
    return [line.plain for line in lines]


def test_a_line_is_wrapped_behind_its_numbers():
    rows = rendered("  12.0      7", "abc " * 20, np.zeros(80), width=40, depth=Depth.ANSI256)
    assert rows[0].startswith("  12.0      7  abc abc") and all(row.startswith(" " * 15) for row in rows[1:])
    assert max(map(len, rows)) <= 40
    assert "".join(row[15:] for row in rows).replace(" ", "") == "abc" * 20


def test_in_a_narrow_terminal_the_text_stands_beneath():
    rows = rendered("  12.0      7", "abcdefgh" * 4, np.zeros(32), width=20, depth=Depth.ANSI256)
    assert rows[0] == "  12.0      7" and rows[1] == "  " + ("abcdefgh" * 4)[:18]


def test_of_a_long_line_the_least_expected_part_is_shown():
    bits = np.zeros(10_000)
    for place, before, after in ((5000, "4,000", "4,000"), (3, "", "8,000"), (9999, "8,000", "")):
        bits[:] = 0
        bits[place] = 9
        text = "".join(rendered("1", "." * place + "X" + "." * (9999 - place), bits, width=3000, depth=Depth.ANSI256))
        assert "X" in text
        assert (f"… {before} characters … " in text) == bool(before)
        assert (f" … {after} characters …" in text) == bool(after)
        assert text.count(".") == LONGEST - 1


def test_control_characters_of_a_line_and_a_name_are_shown_not_sent(folder, model):
    out = io.StringIO()
    out.isatty = lambda: True
    Terminal(stdout=out).show(*coloured_line("a\x1b[2J", "x\x1b]0;t\x07\u202e", [1.0] * 8, Look(80, Depth.NONE)))
    assert "\x1b]" not in out.getvalue() and "\x1b[2J" not in out.getvalue()
    assert "a␛[2J" in out.getvalue() and "x␛]0;t␇\ufffd" in out.getvalue()


def test_a_character_of_several_bytes_has_the_bits_of_all():
    from charrnn.model.line_scores import LineScore
    from charrnn.text.vocabulary import Vocabulary

    score = LineScore("aé\n".encode()[:3] + b"\xff", 15.0, 5.0, None, 0, np.array([1, 2, 3, 4, 5], np.float32))
    text, bits = module.characters_of(score, Vocabulary([10, 97]))
    assert text == "aé\udcff\n" and bits.tolist() == [1, 5, 4, 5]
