"""The two streams of a command and the displays of a run, down to the bytes that reach a terminal."""

import io
import json
import math
import os
import re
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.display.terminal import numbers
from charrnn.display.terminal.colours import Depth
from charrnn.display.terminal.columns import side_by_side
from charrnn.display.terminal.console import Terminal
from charrnn.display.terminal.pager import show_paged
from charrnn.display.terminal.tables import key_values, table
from charrnn.display.terminal.text_width import text_width
from charrnn.display.training.displays import Display, JsonDisplay, PlainDisplay, training_display
from charrnn.display.training.live import LiveDisplay
from charrnn.display.training.live_area import LiveArea
from charrnn.display.training.run_state import RunState, facts, next_commands
from charrnn.records import Diagnosed, Evaluated, Finished, Sampled, Saved, Started, Step, bits
from charrnn.sanitise import visible

HOSTILE = (
    "\x1b[31mred\x1b]8;;http://evil\x1b\\link\x1b]52;c;cm0gLXJm\x07\x1bP+q\x1b\\\x9b2J\x85\x90x\x9c"
    "\u202egpj\u2066[red]markup[/] [/nothing] :skull:\r\b\x7f\ud800\U000e0041 漢字"
)
# Escape sequences that rich sends: styles, cursor moves and erasures of the live area, visibility of the cursor.
RICHS_OWN = re.compile(r"\x1b\[(?:[\d;]*m|\d*[ABGK]|\?25[lh])|\r")


def a_run(
    steps=500,
    per_epoch=50,
    reason="completed",
    text="The Fox said: no.\n\nTHE CROW",
    path="checkpoints/fables",
):
    """The records of a plausible run."""
    random = np.random.default_rng(3)
    best = math.inf
    yield Started(
        path, 0, steps, None, steps / per_epoch, 865_345, 65, 903_432, 100_381, 0, 256, 2, None, 64, 100, 2,
        False, ("A byte-order mark was dropped.",), "LSTM",
    )  # fmt: skip
    for step in range(1, steps + 1):
        epoch, now = step / per_epoch, step * 0.06
        loss = 1.3 + 2.8 * math.exp(-step / 20) + random.normal() * 0.03
        yield Step(
            step, epoch, step * 6400, loss, bits(loss), 0.002, abs(random.normal()), 34_212.0, now,
            (steps - step) * 0.06, step / steps,
        )  # fmt: skip
        if step % per_epoch == 0:
            score = loss + 0.1
            improved, best = score < best, min(best, score)
            yield Evaluated(step, epoch, score, bits(score), best, improved, now)
            yield Saved(step, path, "best" if improved else "periodic")
            yield Sampled(step, 0.8, text)
    yield Saved(steps, path, "interrupted" if reason == "interrupted" else "finished")
    yield Finished(
        steps, steps / per_epoch, steps * 6400, reason, path, loss, score, bits(score), best, steps * 0.06
    )  # fmt: skip


class Pty:
    """A pseudo-terminal: the stream that a command writes to, and the bytes that the terminal has received."""

    def __init__(self, encoding="utf-8"):
        self._master, slave = os.openpty()
        self.stream = os.fdopen(slave, "w", encoding=encoding)
        self._chunks = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                chunk = os.read(self._master, 65536)
            except OSError:  # on Linux: the other side is closed
                return
            if not chunk:
                return
            self._chunks.append(chunk)

    def received(self):
        self.stream.close()
        self._reader.join(10)
        os.close(self._master)
        return b"".join(self._chunks)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """The environment of a terminal of 100 x 30 with all colours, wherever the tests are started."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "COLUMNS": "100",
        "LINES": "30",
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def pty(environment):
    if not hasattr(os, "openpty"):
        pytest.skip("needs a pseudo-terminal")
    return Pty()


def piped(**options):
    """A terminal whose streams are files."""
    out, err = io.TextIOWrapper(io.BytesIO(), "cp1252"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    return Terminal(**options, stdout=out, stderr=err), out, err


def content(stream):
    stream.flush()
    return stream.buffer.getvalue()


def assert_harmless(sent):
    """No character of ``sent`` (bytes) acts on a terminal, except the escape sequences of rich."""
    rest = RICHS_OWN.sub("", sent.decode("utf-8"))
    assert visible(rest, "\n\t") == rest


# Streams


def test_text_on_a_terminal_is_harmless_and_sent_at_once(pty):
    terminal = Terminal(stdout=pty.stream, stderr=pty.stream)
    terminal.write(HOSTILE)
    terminal.write("one\n\ttwo")
    sent = pty.received()
    assert b"\x1b" not in sent and b"\x9b" not in sent.replace("␛".encode(), b"")
    assert_harmless(sent)
    assert sent.decode() == (visible(HOSTILE) + "one\n\ttwo").replace("\n", "\r\n")


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_text_is_harmless_however_the_stream_is_cut(pty, size):
    terminal = Terminal(stdout=pty.stream, stderr=pty.stream)
    for start in range(0, len(HOSTILE), size):
        terminal.write(HOSTILE[start : start + size], style="bold #ff8000")
    sent = pty.received()
    assert b"\x1b[1;38;2;255;128;0m" in sent
    assert_harmless(sent)
    assert RICHS_OWN.sub("", sent.decode()) == visible(HOSTILE)


def test_bytes_on_a_terminal_are_text_even_if_a_piece_ends_within_a_character(pty):
    terminal = Terminal(stdout=pty.stream, stderr=pty.stream)
    data = "漢é\x1b".encode() + b"\xff"
    for byte in data:
        terminal.write_bytes(bytes([byte]))
    assert pty.received().decode() == "漢é␛\ufffd"


def test_messages_tables_and_columns_on_a_terminal_are_harmless(pty):
    terminal = Terminal(stdout=pty.stream, stderr=pty.stream)
    terminal.note(HOSTILE)
    terminal.warn(HOSTILE)
    terminal.error(HOSTILE)
    terminal.json({HOSTILE: HOSTILE})
    terminal.show(HOSTILE, *table([HOSTILE, "n"], [[HOSTILE, 3], [HOSTILE, 12345]], 60))
    terminal.show(*key_values([(HOSTILE, HOSTILE)], 60), *side_by_side([HOSTILE] * 2, [HOSTILE] * 2, 80))
    sent = pty.received()
    assert_harmless(sent)
    assert sent.decode().count("[red]markup[/] [/nothing] :skull:") >= 5


def test_a_character_that_the_encoding_lacks_becomes_one_ascii_character(environment):
    if not hasattr(os, "openpty"):
        pytest.skip("needs a pseudo-terminal")
    pty = Pty("ascii")
    terminal = Terminal(stdout=pty.stream, stderr=pty.stream)
    terminal.write("a漢\x1bé\n")
    terminal.note("2 × 256 … ⠋━─●")
    assert pty.received() == b"a????\r\n2 x 256 . *=-o\r\n".replace(b"????", b"???")


def test_piped_text_is_exact():
    terminal, out, _ = piped()
    terminal.write(HOSTILE.replace("\ud800", "") + "\r\n")
    terminal.write_bytes(b"\x00\xff\x1b")
    terminal.write("\udcff")
    assert content(out) == HOSTILE.replace("\ud800", "").encode() + b"\r\n\x00\xff\x1b\xff"


@given(st.text(st.characters(codec=None)))
def test_any_text_can_be_piped(text):
    terminal, out, _ = piped()
    terminal.write(text + "\n")
    terminal.json({"text": text})
    line = content(out).decode("utf-8", "surrogateescape").split("\n")[-2]
    assert json.loads(line)["text"] == json.loads(json.dumps(text))


def test_json_has_no_nan_and_takes_numpy():
    terminal, out, _ = piped(json=True)
    terminal.json({"a": np.float32("nan"), "b": np.arange(2), "c": [math.inf, np.int64(3)], "d": "é\x1b\u2028"})
    assert content(out) == '{"a":null,"b":[0,1],"c":[null,3],"d":"é\\u001b\\u2028"}\n'.encode()


def test_messages_off_a_terminal_are_single_plain_lines():
    terminal, out, err = piped()
    terminal.note("a path\nof two lines " + "and long " * 40)
    terminal.warn("beware")
    terminal.error("no")
    lines = content(err).decode().splitlines()
    assert lines[0].startswith("a path␊of two lines and long")
    assert lines[1:] == ["Warning: beware", "Error: no"]
    assert content(out) == b""


def test_quiet_drops_notes_but_not_warnings():
    terminal, _, err = piped(quiet=True)
    terminal.note("note")
    terminal.warn("warning")
    terminal.error("error")
    assert content(err).decode().splitlines() == ["Warning: warning", "Error: error"]


def test_colours_and_motion_follow_the_environment(pty, environment):
    def made():
        return Terminal(stdout=pty.stream, stderr=pty.stream)

    assert made().depth == Depth.TRUECOLOUR and made().is_live
    environment.setenv("NO_COLOR", "1")
    assert made().depth == Depth.NONE and made().is_live
    environment.delenv("NO_COLOR")
    environment.delenv("COLORTERM")
    assert made().depth == Depth.ANSI256
    environment.setenv("TERM", "linux")
    assert made().depth == Depth.ANSI16
    environment.setenv("TERM", "dumb")
    assert made().depth == Depth.NONE and not made().is_live
    pty.received()


def test_forced_colours_do_not_make_a_file_move_its_cursor(environment):
    environment.setenv("FORCE_COLOR", "1")
    terminal, _, _ = piped()
    assert terminal.depth == Depth.TRUECOLOUR
    assert isinstance(training_display(terminal), PlainDisplay)


def test_the_width_off_a_terminal_can_be_set(environment):
    assert piped()[0].width == 100
    environment.setenv("COLUMNS", "60")
    assert piped()[0].width == 60
    environment.delenv("COLUMNS")
    assert piped()[0].width == 100


@pytest.mark.parametrize(("pager", "least", "most"), [("cat", 9000, 9000), ("head -n 3", 24, 8000)])
def test_lines_are_made_no_faster_than_the_pager_takes_them(monkeypatch, capfd, pager, least, most):
    monkeypatch.setenv("PAGER", pager)
    terminal = Terminal()
    terminal.stdout_is_terminal = True
    terminal.out._height = 24
    made = 0

    def lines():
        nonlocal made
        for made in range(1, 9001):
            yield f"line {made} {'x' * 100}"

    show_paged(terminal, lines())
    assert least <= made <= most
    assert capfd.readouterr().out.startswith("line 1 ")


# Displays


def test_the_display_fits_the_terminal(pty):
    terminal = Terminal(stdout=pty.stream, stderr=pty.stream)
    assert isinstance(training_display(terminal), LiveDisplay)
    terminal.quiet = True
    assert type(training_display(terminal)) is Display
    terminal.wants_json = True
    assert isinstance(training_display(terminal), JsonDisplay)
    pty.received()


def shown(records, **options):
    terminal, out, err = piped(**options)
    with training_display(terminal) as display:
        for record in records:
            display.handle(record)
    return content(out).decode(), content(err).decode()


def test_json_lines_are_the_records():
    records = list(a_run())
    out, err = shown(records, json=True)
    assert [json.loads(line) for line in out.splitlines()] == [
        json.loads(json.dumps(record.to_dict())) for record in records
    ]
    assert err == ""


def test_quiet_shows_nothing():
    assert shown(a_run(), quiet=True) == ("", "")


def test_plain_lines_describe_a_run_without_escape_codes():
    out, err = shown(a_run())
    assert out == ""
    assert "\x1b" not in err and "\r" not in err
    lines = err.splitlines()
    assert lines[0] == (
        "fables: LSTM 2 × 256, 865 k parameters, 65 characters, trains on 903 k, validates on 100 k, "
        "batch 64 × 100, 10 epochs, 2 threads"
    )
    assert lines[1] == "A byte-order mark was dropped."
    assert re.fullmatch(
        r"step 1  epoch 0\.02  loss \d\.\d{4} \(\d\.\d{3} bits/char\)  lr 0\.002  grad \S+  "
        r"34\.2 k chars/s  0 %  30 s left",
        lines[2],
    )
    steps = [line for line in lines if "chars/s" in line]
    assert len(steps) == 2  # the run takes 30 s: the first line, and one for every 15 s
    assert sum("validation" in line and line.startswith("step") for line in lines) == 10
    assert [line for line in lines if line.startswith("saved")] == ["saved checkpoints/fables"]
    assert "sample at step 50, temperature 0.8:" in lines
    assert "    The Fox said: no." in lines
    assert "Finished" in lines
    assert lines[-1] == "next: charrnn sample fables  or  charrnn inspect fables"


def test_plain_lines_of_hostile_records_are_harmless():
    _, err = shown(a_run(50, text=HOSTILE, path=HOSTILE))
    assert visible(err) == err


def live(pty, records, **options):
    terminal = Terminal(stdout=pty.stream, stderr=pty.stream)
    with training_display(terminal) as display:
        for record in records:
            display.handle(record)
            if isinstance(record, (Sampled, Evaluated)):
                display._live.refresh()
    return pty.received()


def test_the_live_display_of_hostile_records_is_harmless(pty):
    sent = live(pty, a_run(100, text=HOSTILE, path=HOSTILE))
    assert_harmless(sent)
    assert sent.decode().count("[red]markup[/] [/nothing] :skull:") >= 2


def test_the_live_display_leaves_evaluations_and_a_summary(pty):
    sent = live(pty, a_run()).decode()
    assert sent.count("\x1b[?25l") == sent.count("\x1b[?25h") == 1  # the cursor comes back
    after = RICHS_OWN.sub("", sent[sent.index("\x1b[?25h") :])
    for words in ("✓ Finished", "500 steps, 10.00 epochs", "bits per character", "checkpoints/fables"):
        assert words in after
    assert after.rstrip().splitlines()[-2:] == [
        "   charrnn sample fables",
        "   charrnn inspect fables",
    ]
    assert "⠒" in after or "⣀" in after


def test_a_diagnosis_stays_above_the_live_area(pty):
    diagnosed = Diagnosed(
        50, (0, 1), ((1.0, 0.5),), (4.2,), {"w_out": 1e-3}, ({**dict.fromkeys("ifo", (0, 0)), "g": 0, "tanh_c": 0},),
        {"i": "input gate", "f": "forget gate", "o": "output gate"},
    )  # fmt: skip
    records = list(a_run(60))
    place = next(number for number, record in enumerate(records) if isinstance(record, Evaluated)) + 1
    sent = RICHS_OWN.sub("", live(pty, [*records[:place], diagnosed, *records[place:]]).decode())
    # The live area is redrawn between the lines of the diagnosis.
    places = [sent.index(words) for words in ("★ best", "halves in", "█▇ 1 to 0.5", "w_out 1.0e-03", "✓ All is well")]
    assert places == sorted(places)


def test_an_interrupted_run_says_how_to_go_on(pty):
    sent = live(pty, a_run(60, reason="interrupted")).decode()
    after = RICHS_OWN.sub("", sent[sent.index("\x1b[?25h") :])
    assert "Interrupted, and saved" in after
    assert "charrnn train --resume --name fables" in after


def test_the_live_display_gives_the_cursor_back_after_an_error(pty):
    terminal = Terminal(stdout=pty.stream, stderr=pty.stream)
    with pytest.raises(RuntimeError), training_display(terminal) as display:
        for record in a_run():
            display.handle(record)
            if isinstance(record, Sampled):
                raise RuntimeError
    sent = pty.received().decode()
    assert sent.count("\x1b[?25h") == 1
    assert "The Fox said" in sent


def test_without_colours_the_live_display_sends_none(pty, environment):
    environment.setenv("NO_COLOR", "1")
    sent = live(pty, a_run(100)).decode()
    for style in re.findall(r"\x1b\[([\d;]*)m", sent):
        assert style in {"", "0", "1", "2"}  # bold and dim


def observed(records):
    run = RunState()
    for record in records:
        run.observe(record)
    return run


@given(st.integers(1, 160), st.integers(1, 60), st.integers(0, 560))
def test_the_live_area_fits_every_size_at_every_point_of_a_run(width, height, count):
    records = list(a_run())[:count]
    lines = LiveArea(observed(records)).lines(width, height, now=1.0)
    assert len(lines) <= height
    if width >= 40:
        assert all(text_width(line.plain) <= width for line in lines)


def test_the_live_area_shows_the_important_numbers():
    area = "\n".join(line.plain for line in LiveArea(observed(list(a_run())[:-2])).lines(99, 28, now=1.0))
    for words in (
        "── fables ──", "LSTM 2 × 256, 865 k parameters", "65 characters · trains on 903 k", "100 % ━",
        "step   epoch     loss  bits/char  validation", "500   10.00", "34.2 k", "● validation", "training",
        "sample at step 500, temperature 0.8", "▏ The Fox said: no.", "▏ THE CROW",
    ):  # fmt: skip
        assert words in area


def test_a_loss_that_is_not_a_number_is_shown():
    records = list(a_run())[:20]
    nan = math.nan
    run = observed([*records, Step(20, 0.4, 1, nan, nan, 0.002, nan, 1.0, 2.0, None, 0.1)])
    assert "nan" in "\n".join(line.plain for line in LiveArea(run).lines(99, 28, now=1.0))
    assert len(run.curve.training.points()) == 19
    assert "nan" in shown([*records[:1], Step(1, 0.0, 1, nan, nan, 0.002, nan, 1.0, 2.0, None, 0.1)])[1]


def test_the_clock_goes_on_between_steps():
    records = [record for record in a_run() if isinstance(record, (Started, Step))]
    area = LiveArea(observed(records[:301]))
    area.seen_at = 10.0
    assert "18 s · 12 s left" in "\n".join(line.plain for line in area.lines(99, 28, now=10.0))
    assert "28 s · 2 s left" in "\n".join(line.plain for line in area.lines(99, 28, now=20.0))
    assert "0 s left" in "\n".join(line.plain for line in area.lines(99, 28, now=90.0))


def test_commands_quote_their_paths():
    finished = list(a_run(50, path="my runs/one"))[-1]
    assert next_commands(finished)[0] in {"charrnn sample 'my runs/one'", 'charrnn sample "my runs/one"'}


def test_after_a_resume_the_curve_has_the_losses_before_it():
    records = list(a_run())
    whole, resumed = (
        RunState(),
        RunState(
            [
                (r.step, isinstance(r, Evaluated), r.val_loss if isinstance(r, Evaluated) else r.loss)
                for r in records
                if isinstance(r, Step | Evaluated) and r.step <= 300
            ]
        ),
    )
    bare = RunState()
    for record in records:
        whole.observe(record)
        if isinstance(record, Started):
            record = replace(record, step=300, resumed=True)
        elif record.step <= 300:
            continue
        resumed.observe(record)
        bare.observe(record)
    shown = [[line.plain for line in state.curve.lines(90, 8, 20)] for state in (whole, resumed, bare)]
    assert shown[0] == shown[1] != shown[2]
    assert resumed.loss == whole.loss


def test_one_duration_at_the_end_of_a_run():
    """The time that n-grams take at the end is not in the checkpoint, and so not in the other commands."""
    state = RunState()
    for record in a_run():
        state.observe(record)
    finished = replace(state.finished, elapsed_s=state.step.elapsed_s + 31, mixed_val_loss=1.2)
    found = dict(facts(finished, state))
    assert found["trained"].endswith(f" in {numbers.duration(state.step.elapsed_s)}")
    assert found["with n-grams"].startswith("1.2000")
