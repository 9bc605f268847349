"""What a run that can be verified costs: disk, time of training, and the time of a segment that is trained again.

    python benchmarks/verification.py TEXT
    python benchmarks/verification.py TEXT --shapes 2x128,2x256 --keep 64 --rounds 2
    python benchmarks/verification.py TEXT --log-against OTHER_CHECKOUT

Each shape is trained with kept checkpoints, and in --rounds turns without them. Then every segment is trained again.
All times are seconds of the processor, on one thread, so that other work beside does not count; the time of a run is
without that of a run of one step, which starts as much.  The share of a segment is its time over the time
of the run.  With ``--log-against`` only the digests in the log are measured: a small network, whose steps are short, is
trained without kept checkpoints here and in another checkout, in turns.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

HERE = Path(__file__).parent.parent


def charrnn(*arguments, checkout=HERE, folder):
    """Run a command; the seconds of the processor that it takes."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "CHARRNN_CACHE": str(folder.parent / "cache")}
    command = [sys.executable, "-m", "charrnn", *map(str, arguments)]
    before = os.times()
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def train(text, folder, name, *options, checkout=HERE):
    """Seconds of the processor for a run, without those that Python and the compiler take to start."""
    how = ("--name", name, "--force", "-q", "--threads", 1)
    charrnn("train", text, *how, *options, "--steps", 1, checkout=checkout, folder=folder)  # compiles
    least = ("--steps", 1, "--ngrams", "off", "--ngram-targets", 0)
    start = charrnn("train", text, *how, *options, *least, checkout=checkout, folder=folder)
    return charrnn("train", text, *how, *options, checkout=checkout, folder=folder) - start


def segments_of(path, text):
    """(segment, seconds of the processor) for each segment of a run, trained again in this process."""
    sys.path.insert(0, str(HERE))
    from charrnn.text.corpus import open_corpus
    from charrnn.verification.history import History
    from charrnn.verification.verifier import Verifier

    history = History(path)
    corpus = open_corpus([text], vocabulary=history.last.vocabulary)
    verifier = Verifier(history, corpus, 1, False, warnings.warn)
    assert verifier.check_start().is_equal
    segments = history.segments()
    verifier.check(segments[1])  # n-grams read the text, once for all segments
    found = []
    for segment in segments:
        begun = time.process_time()
        outcome = verifier.check(segment)
        assert outcome.is_equal, outcome
        found.append((segment, time.process_time() - begun))
    return found


def measure(text, shape, keep, rounds, folder):
    layers, hidden = shape.split("x")
    options = ["--layers", layers, "--hidden", hidden]
    run_s = train(text, folder, "run", *options, "--keep-checkpoints", keep)
    ratios = []
    for number in range(rounds):
        without = train(text, folder, "without", *options)
        again = run_s if number == 0 else train(text, folder, "again", *options, "--keep-checkpoints", keep)
        ratios.append(again / without)
    run = folder / "checkpoints" / "run"
    sizes = [path.stat().st_size for path in (run / "kept").iterdir()]
    quick = charrnn("verify", run, "--quick", folder=folder)
    found = segments_of(run, text)
    (_, end_s), found = found[-1], found[:-1]
    shares = [100 * seconds / run_s for _, seconds in found]
    over = sum(share > 2 for share in shares)
    ratio = f"{statistics.median(ratios):.3f}" if ratios else "-"
    print(
        f"| {shape} | {found[-1][0].last:,} | {run_s:.1f} s | {ratio} | {max(sizes) / 1e6:.1f} MB | "
        f"{sum(sizes) / 1e6:,.0f} MB | {quick:.1f} s | {statistics.median(shares):.2f} % | "
        f"{max(shares):.2f} % | {over} of {len(shares)} | {100 * end_s / run_s:.2f} % |",
        flush=True,
    )


def compare_logs(text, other, rounds, folder):
    """The time of a run of short steps here over its time in another checkout."""
    options = ("--layers", 1, "--hidden", 32, "--ngrams", "off", "--sample-every", 0)
    ratios = []
    for number in range(rounds):
        order = [HERE, other][:: -1 if number % 2 else 1]
        found = {checkout: train(text, folder, "log", *options, checkout=checkout) for checkout in order}
        ratios.append(found[HERE] / found[other])
        print(f"{found[HERE]:.2f} s here, {found[other]:.2f} s there", flush=True)
    print(f"ratio: {statistics.median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--shapes", default="2x128,2x256", help="layers x hidden, with commas")
    parser.add_argument("--keep", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=1, help="of comparing with a run without kept checkpoints")
    parser.add_argument("--log-against", type=Path, metavar="OTHER_CHECKOUT")
    options = parser.parse_args()
    text = options.text.absolute()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "here"
        folder.mkdir()
        if options.log_against is not None:
            compare_logs(text, options.log_against.absolute(), options.rounds, folder)
            return
        print(
            "| model | steps | run | over a run without | a checkpoint | all | quick check | a segment, median | "
            f"longest | above 2 % | the end (n-grams) |\n|{'---|' * 11}",
            flush=True,
        )
        for shape in options.shapes.split(","):
            measure(text, shape, options.keep, options.rounds, folder)


if __name__ == "__main__":
    main()
