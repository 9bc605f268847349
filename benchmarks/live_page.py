"""Live pages: their size, how near their probabilities are to the model's, their speed, and how fast they learn.

    python benchmarks/live_page.py checkpoints/fables.safetensors checkpoints/python.safetensors

For each checkpoint, and for untrained LSTMs 1x128 and 2x128 and a Transformer 4x128 with a context of 64, all of 96
characters, it writes pages of 8 and 16 bits by `charrnn export --page` and opens them in headless Chromium, which must
be installed, as must playwright (`pip install playwright`): characters a second without drawing, with WebAssembly
SIMD and without, the best of several runs; the best of a page, because other work on the machine only makes it slower.
Then it trains an LSTM in the page on the fable that the page offers, and says after how many seconds its loss (the mean
of 20 updates) is below 2 nats.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import ModelConfig
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary

RUNS = 5
UNITS = (16, 64)
UNTRAINED = (("lstm", 1, 128), ("lstm", 2, 128), ("transformer", 4, 128))
NO_SIMD = "compiled.module = null; use(makeNetwork(), page)"
BELOW = "learning.losses.length > 20 && recentLoss() < 2"


def untrained(cell: str, layers: int, hidden: int, folder: Path) -> Path:
    """A checkpoint of a network with starting values."""
    network = Network(ModelConfig(96, hidden, layers, cell=cell), seed=1, threads=1)
    path = folder / f"{cell}-{layers}x{hidden}.safetensors"
    vocabulary = Vocabulary(map(chr, range(32, 128)))
    Checkpoint(network.config, vocabulary, parameters=dict(network.parameters.items())).save(path)
    return path


def export(checkpoint: Path, bits: int, folder: Path) -> tuple[Path, str]:
    """The page and what the command says of it."""
    page = folder / f"{checkpoint.stem}-{bits}.html"
    command = [sys.executable, "-m", "charrnn", "export", str(checkpoint), str(page), "--bits", str(bits)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return page, re.search(r"within (\S+)", done.stderr)[1]


def opened(browser, page: Path):
    """The page in a window of its own, ready."""
    tab = browser.new_context(viewport={"width": 1200, "height": 800}).new_page()
    tab.goto(page.as_uri())
    tab.wait_for_selector("[data-ready]")
    return tab


def speed(tab) -> float:
    """Characters a second."""
    return max(tab.evaluate("measure()") for _ in range(RUNS))


def seconds_to_two_nats(tab, units: int) -> float:
    """Seconds of training, or infinity after two minutes."""
    tab.select_option("#units", str(units))
    tab.click("#learn")
    while not tab.evaluate(BELOW) and tab.evaluate("learningSeconds()") < 120:
        tab.wait_for_timeout(50)
    below, seconds = tab.evaluate(BELOW), tab.evaluate("learningSeconds()")
    tab.click("#learn")
    print(f"  1x{units} learns: {tab.inner_text('#learning-numbers')}", flush=True)
    return seconds if below else float("inf")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="*", type=Path)
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        folder, browser = Path(name), driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        print(f"Chromium {browser.version}")
        models = [untrained(*sizes, folder) for sizes in UNTRAINED]
        for checkpoint in [*models, *arguments.checkpoints]:
            for bits in (16, 8):
                page, within = export(checkpoint, bits, folder)
                line = f"{checkpoint.stem}, {bits} bits: {page.stat().st_size:,} bytes, probabilities within {within}"
                if bits == 16:
                    tab = opened(browser, page)
                    quick = speed(tab)
                    tab.evaluate(NO_SIMD)
                    line += f", {quick:,.0f} characters a second, {speed(tab):,.0f} without SIMD"
                print(line, flush=True)
        for units in UNITS:
            print(f"  below 2 nats after {seconds_to_two_nats(opened(browser, page), units):.1f} s", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
