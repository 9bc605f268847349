"""Sizes and speeds of compressors on texts, side by side.

python benchmarks/compression.py novel.txt code.py=RUN … [--lstm-compress PROGRAM] [--online] [--threads 2]

Each text is compressed, decompressed and compared.  A text with ``=CHECKPOINT`` is also compressed with this model,
whose size as an exported checkpoint is told apart: the model should have been trained on other text of the same kind.
zstd is run as a program if it is installed; brotli and pyppmd are used if they can be imported.  lstm-compress is
another network that learns from scratch (github.com/byronknoll/lstm-compress), built without a dictionary's help: its
option -c.  Seconds are of one run in one process, at one thread unless --threads says more; others use one thread.
"""

import argparse
import bz2
import gzip
import importlib
import io
import lzma
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import charrnn
from charrnn.compression.compressor import compress, decompress
from charrnn.compression.scratch import ScratchMethod
from charrnn.config import DynamicEvaluationConfig
from charrnn.model.compressing import method_of


def by_pipe(command):
    """A compressor that is a filter."""
    return lambda data: subprocess.run(command, input=data, capture_output=True, check=True).stdout


def by_files(program):
    """lstm-compress, which works on files; -c compresses and -d decompresses."""

    def work(flag):
        def run(data):
            with tempfile.TemporaryDirectory() as folder:
                source, target = Path(folder, "a"), Path(folder, "b")
                source.write_bytes(data)
                subprocess.run([program, flag, source, target], capture_output=True, check=True)
                return target.read_bytes()

        return run

    return work("-c"), work("-d")


def found_module(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def others(lstm_compress):
    """The other compressors by name: pairs of functions of bytes."""
    found = {
        "gzip -9": (lambda data: gzip.compress(data, 9), gzip.decompress),
        "bzip2 -9": (lambda data: bz2.compress(data, 9), bz2.decompress),
        "xz -9e": (lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME), lzma.decompress),
    }
    if shutil.which("zstd"):
        found["zstd --ultra -22"] = by_pipe(["zstd", "--ultra", "-22", "-c", "-q"]), by_pipe(["zstd", "-d", "-c", "-q"])
    if (brotli := found_module("brotli")) is not None:
        found["brotli -q 11 -w 24"] = lambda data: brotli.compress(data, quality=11, lgwin=24), brotli.decompress
    if (pyppmd := found_module("pyppmd")) is not None:
        how = {"max_order": 16, "mem_size": 256 << 20}
        found["ppmd (H, order 16)"] = (
            lambda data: pyppmd.compress(data, **how),
            lambda data: pyppmd.decompress(data, **how),
        )
        how6 = {"max_order": 6, "mem_size": 256 << 20}
        found["ppmd (H, order 6)"] = (
            lambda data: pyppmd.compress(data, **how6),
            lambda data: pyppmd.decompress(data, **how6),
        )
    if lstm_compress:
        found["lstm-compress"] = by_files(lstm_compress)
    return found


def ours(method_of):
    """charrnn as a pair of functions of bytes."""

    def forward(data):
        sink = io.BytesIO()
        compress(io.BytesIO(data), sink, method_of(), size=len(data))
        return sink.getvalue()

    def back(data):
        sink = io.BytesIO()
        decompress(io.BytesIO(data), sink, lambda header, packed: method_of())
        return sink.getvalue()

    return forward, back


def row(name, pair, data, note=""):
    """Measure a compressor, and print a row of a table."""
    begun = time.perf_counter()
    packed = pair[0](data)
    middle = time.perf_counter()
    assert pair[1](packed) == data, name
    end = time.perf_counter()
    speeds = [len(data) / seconds / 1000 for seconds in (middle - begun, end - middle)]
    bits = 8 * len(packed) / len(data)
    print(f"| {name} | {len(packed):,}{note} | {bits:.3f} | {speeds[0]:,.4g} | {speeds[1]:,.4g} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("texts", nargs="+", metavar="TEXT[=CHECKPOINT]")
    parser.add_argument("--lstm-compress", metavar="PROGRAM")
    parser.add_argument("--online", action="store_true", help="also with the model that learns on")
    parser.add_argument("--no-scratch", action="store_true", help="not from scratch, which is slow")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    for text in options.texts:
        path, _, checkpoint = text.partition("=")
        data = Path(path).read_bytes()
        print(f"\n{Path(path).name}, {len(data):,} bytes; load of the machine {os.getloadavg()[0]:.1f}\n")
        print("| compressor | bytes | bits a byte | kB/s | kB/s back |\n|---|---|---|---|---|")
        for name, pair in others(options.lstm_compress).items():
            row(name, pair, data)
        if not options.no_scratch:
            row("charrnn, from scratch", ours(lambda: ScratchMethod(threads=options.threads)), data)
        if checkpoint:
            model = charrnn.load(checkpoint, threads=options.threads)
            size = len(model.checkpoint.shared().to_bytes())
            method = method_of(model)
            row("charrnn --model", ours(lambda method=method: method), data, f" (with the model {size:,} more)")
            beside = method_of(model, ngrams=True)
            row("charrnn --model --ngrams", ours(lambda beside=beside: beside), data)
            if options.online:
                online = method_of(model, online=DynamicEvaluationConfig())
                row("charrnn --model --online", ours(lambda online=online: online), data)


if __name__ == "__main__":
    main()
