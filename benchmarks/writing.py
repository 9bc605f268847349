"""Measure how long a key takes in ``charrnn write``: in the session, and on a pseudo-terminal.

    taskset -c 1 python benchmarks/writing.py corpora/fables.txt --shapes 2x256 --characters 10000 --keys 200

A network of each shape with random weights (or the model of --checkpoint) writes with a text of so many characters.
Kinds of keys: a character typed at the end; a character removed; a word of the continuation taken; undo; the cursor one
to the left; the cursor to any place of the text; a character typed there.  A time of the session is that of the edit,
the five guesses, and the continuation of 40 characters; with --cell also of the values of a screen of 1,200 characters.
Between two keys the session reads ahead for as long as a person pauses (--pause).  A time on the pseudo-terminal is
from the key to the last byte that the program sends because of it, with 60 columns and 20 rows.  Figures are
milliseconds: the median, the 99th percentile, the longest.  Those of the session are given by the clock, and of the
processor, which other work on the machine changes less.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

import numpy as np
from terminal_screen import Program

import charrnn
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import ModelConfig
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary
from charrnn.writing.session import Session

SCREEN = 1200  # characters
LEFT, RIGHT_END, HOME_END = "\x1b[D", "\x1b[1;5F", "\x1b[1;5H"
QUIET = 0.05  # seconds without output, after which a key has had its effect


def checkpoint(shape, cell, vocabulary, folder):
    """The file of a model with random weights."""
    layers, hidden = map(int, shape.split("x"))
    config = ModelConfig(len(vocabulary), hidden, layers, cell=cell)
    network = Network(config, seed=1)
    path = Path(folder, f"{cell}-{shape}.safetensors")
    Checkpoint(config, vocabulary, parameters=dict(network.parameters.items())).save(path)
    return path


def session_keys(session, rng):
    """Kinds of keys by name, each a function that does one."""
    draft = session.draft

    def type_there():
        draft.type("e")

    return {
        "type": lambda: (draft.move(len(draft.text)), draft.type("e")),
        "remove": lambda: (draft.move(len(draft.text)), draft.erase(1)),
        "word": lambda: (draft.move(len(draft.text)), session.take_word()),
        "undo": draft.undo,
        "left": lambda: draft.move(draft.cursor - 1),
        "jump": lambda: draft.move(int(rng.integers(len(draft.text)))),
        "type there": type_there,
    }


def ahead(session, pause):
    """Read ahead, as the screen does while no key comes."""
    end = time.perf_counter() + pause
    while time.perf_counter() < end and session.prepare(256):
        pass


def in_session(path, text, keys, pause, cell):
    """Milliseconds that keys take in a session: for each kind of key (keys, 2), by the clock and of the processor."""
    session, rng = Session(charrnn.load(path), text), np.random.default_rng(1)
    if cell:
        session.show(cell)
    session.continuation()  # loads the kernels, as the command does before the screen appears
    while session.prepare(1024):
        pass
    found = {}
    for name, act in session_keys(session, rng).items():
        times = []
        for _ in range(keys):
            begun, before = time.perf_counter(), time.process_time()
            act()
            session.guesses()
            session.continuation()
            if cell:
                stop = session.draft.cursor
                session.values(max(stop - SCREEN, 0), stop, 32)
            times.append((1e3 * (time.perf_counter() - begun), 1e3 * (time.process_time() - before)))
            ahead(session, pause)
        found[name] = np.array(times)
    return found


def last_byte(program, key):
    """Milliseconds from a key to the last byte that it makes the program send."""
    program.read()
    begun = last = time.perf_counter()
    program.type(key)
    while time.perf_counter() - last < QUIET or last == begun:
        if program.read(0.001):
            last = time.perf_counter()
        if time.perf_counter() - begun > 5:
            break
    return 1e3 * (last - begun)


def on_terminal(path, text, keys, pause, cell, folder):
    """Milliseconds of each kind of key on a pseudo-terminal: (keys, 1) by its name."""
    file = Path(folder, "text.txt")
    file.write_text(text)
    extra = ("--cell", f"{cell[0]}:{cell[1]}") if cell else ()
    found = {}
    with Program("write", path, file, *extra, columns=60, rows=20, environment={"COLORTERM": "truecolor"}) as program:
        program.wait("temperature", 120)
        program.settle(2)
        for name, key in {"type": "e", "remove": "\x7f", "word": "\t", "undo": "\x1a", "left": LEFT}.items():
            times = []
            for _ in range(keys):
                times.append(last_byte(program, key))
                time.sleep(max(pause - QUIET, 0))
            found[name] = np.array(times)[:, None]
        found["type there"] = np.array([last_byte(program, "e") for _ in range(keys)])[:, None]
        found["jump"] = np.array([last_byte(program, (HOME_END, RIGHT_END)[k % 2]) for k in range(keys)])[:, None]
        program.type("\x11")
        program.end()
    return found


def report(title, found):
    """Print the figures of some kinds of keys."""
    print(title)
    for name, times in found.items():
        parts = [
            f"{what} median {np.median(own):6.1f}  99 % {np.percentile(own, 99):6.1f}  longest {own.max():6.1f}"
            for what, own in zip(("clock", "processor"), times.T, strict=False)
        ]
        print(f"  {name:<11} {'   '.join(parts)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--shapes", nargs="+", default=["2x256"])
    parser.add_argument("--kind", default="lstm")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--characters", type=int, default=10_000)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--pause", type=float, default=0.1)
    parser.add_argument("--cell", action="store_true")
    given = parser.parse_args()
    whole = given.text.read_text("utf-8")
    text = (whole * (given.characters // len(whole) + 1))[: given.characters]
    cell = (1, 37) if given.cell else None
    with tempfile.TemporaryDirectory() as folder:
        for shape in given.shapes:
            path = given.checkpoint or checkpoint(shape, given.kind, Vocabulary(set(whole)), folder)
            what = given.checkpoint or f"{given.kind} {shape}"
            report(f"{what}, {len(text):,} characters, session", in_session(path, text, given.keys, given.pause, cell))
            found = on_terminal(path, text, given.keys, given.pause, cell, folder)
            report(f"{what}, {len(text):,} characters, pseudo-terminal", found)


if __name__ == "__main__":
    main()
