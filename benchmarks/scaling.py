"""Cost as work grows: time a character against every size, each alone, drawn as docs/scaling.svg.

pip install '.[benchmark]' && python benchmarks/scaling.py docs/scaling.svg
"""

import sys

import matplotlib.pyplot as plt

from charrnn.config import ModelConfig
from charrnn.threads import available_threads
from charrnn.timing import fma_peak, measure

BASE = {"hidden": 256, "layers": 2, "seq_len": 64, "batch_size": 32, "vocabulary": 65}
SIZES = {
    "hidden": (16, 32, 64, 100, 128, 200, 256, 384, 512, 768, 1024),
    "layers": (1, 2, 3, 4, 6, 8),
    "seq_len": (1, 4, 16, 32, 64, 128, 256, 512),
    "batch_size": (1, 2, 4, 8, 16, 32, 64, 128, 256),
    "vocabulary": (2, 16, 65, 128, 256, 512, 1000),
}


def main():
    threads = available_threads()
    peak = fma_peak(threads)
    figure, axes = plt.subplots(1, len(SIZES), figsize=(16, 3.4), layout="constrained")
    for axis, (name, values) in zip(axes, SIZES.items(), strict=True):
        times, shares = [], []
        print(f"\n| {name} | µs a character | of peak |\n|---|---|---|")
        for value in values:
            sizes = BASE | {name: value}
            config = ModelConfig(sizes["vocabulary"], sizes["hidden"], sizes["layers"])
            timing = measure(config, sizes["batch_size"], sizes["seq_len"], threads, 0.3, peak)
            times.append(1e6 / timing.training)
            shares.append(timing.flops / timing.peak)
            print(f"| {value} | {times[-1]:.2f} | {shares[-1]:.0%} |", flush=True)
        axis.loglog(values, times, "o-", color="#d9731a", label="measured")
        bound = [share * time for share, time in zip(shares, times, strict=True)]
        axis.loglog(values, bound, "--", color="#3b82c4", label="at the peak")
        axis.set_xlabel(name.replace("_", " "))
        axis.grid(alpha=0.3, which="both")
    axes[0].set_ylabel("µs a character, training")
    axes[0].legend(frameon=False)
    shown = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in BASE.items())
    figure.suptitle(f"Training, {threads} threads; what does not vary: {shown}", fontsize=10)
    figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "scaling.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
