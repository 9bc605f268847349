"""Cost as work grows: time a character against every size, each alone, drawn as docs/scaling.svg.

    pip install '.[benchmark]' && python benchmarks/scaling.py docs/scaling.svg

The size of the text is that of files which whole `charrnn train` processes read, encoded before.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from corpus_size import enlarge, train
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter

from charrnn.config import ModelConfig
from charrnn.system.threads import available_threads
from charrnn.training.speed import measure

BASE = {"hidden": 256, "layers": 2, "seq_len": 64, "batch_size": 32, "vocabulary": 65}
SIZES = {
    "hidden": (16, 32, 64, 100, 128, 200, 256, 384, 512, 768, 1024),
    "layers": (1, 2, 3, 4, 6, 8),
    "seq_len": (1, 4, 16, 32, 64, 128, 256, 512),
    "batch_size": (1, 2, 4, 8, 16, 32, 64, 128, 256),
    "vocabulary": (2, 16, 65, 128, 256, 512, 1000),
}
TEXT = Path(__file__).parent.parent / "corpora" / "fables.txt"
BYTES = (100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)


def against(name, values, threads):
    """Microseconds a character for each value of one size, and at the peak."""
    times, bounds = [], []
    print(f"\n| {name} | µs a character | of peak |\n|---|---|---|")
    for value in values:
        sizes = BASE | {name: value}
        config = ModelConfig(sizes["vocabulary"], sizes["hidden"], sizes["layers"])
        timing = measure(config, sizes["batch_size"], sizes["seq_len"], threads, 0.3)
        times.append(1e6 / timing.training)
        bounds.append(times[-1] * timing.flops / timing.peak)
        print(f"| {value} | {times[-1]:.2f} | {bounds[-1] / times[-1]:.0%} |", flush=True)
    return times, bounds


def against_text():
    """Microseconds a character for each size of the text."""
    times = []
    print("\n| bytes of text | µs a character |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for size in BYTES:
            text = Path(folder, "text.txt")
            enlarge(TEXT, text, size)
            train(text, Path(folder), 1)
            times.append(1e6 / train(text, Path(folder), 200)[1])
            print(f"| {size:,} | {times[-1]:.2f} |", flush=True)
    return times


def panel(axis, name, values, times, bounds=None):
    """Draw what was measured, and what the peak allows, on two logarithmic axes with plain numbers."""
    axis.loglog(values, times, "o-", color="#d9731a", label="measured")
    if bounds:
        axis.loglog(values, bounds, "--", color="#3b82c4", label="at the peak")
    axis.set_ylim(min(bounds or times) / 1.5, max(times) * 1.5)
    axis.xaxis.set_major_locator(FixedLocator(values[:: -(-len(values) // 5)]))
    axis.xaxis.set_major_formatter("{x:g}" if max(values) < 10_000 else "{x:.0e}")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")
    for side in (axis.xaxis, axis.yaxis):
        side.set_minor_formatter(NullFormatter())
    axis.set_xlabel(name.replace("_", " "))
    axis.grid(alpha=0.3, which="both")


def main():
    threads = available_threads()
    figure, axes = plt.subplots(2, 3, figsize=(11, 6.4), layout="constrained")
    axes = axes.ravel()
    for axis, (name, values) in zip(axes, SIZES.items(), strict=False):
        times, bounds = against(name, values, threads)
        panel(axis, name, values, times, bounds)
    panel(axes[-1], "bytes of text", BYTES, against_text())
    axes[0].set_ylabel("µs a character, training")
    axes[0].legend(frameon=False)
    shown = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in BASE.items())
    figure.suptitle(f"Training, {threads} threads; what does not vary: {shown}", fontsize=10)
    figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "scaling.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
