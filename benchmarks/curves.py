"""Loss against minutes for any number of runs, drawn as one SVG: validation thick, training thin.

    pip install '.[benchmark]' && python benchmarks/curves.py OUT.svg "default=checkpoints/one" small=checkpoints/two

The figures are those of each run's metrics.jsonl; the training loss is a running mean, as on the terminal.
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt

from charrnn.checkpoints.run_folder import METRICS

COLOURS = ("#d9731a", "#3b82c4", "#3f9b57", "#a04fb5", "#c43b4c", "#6b6b6b", "#b59a00", "#2aa5a0")
MEMORY = 0.98  # of the running mean
POINTS = 400  # of a training curve: more would make the file large, not the picture finer


def labelled(argument):
    """(label, log) of LABEL=RUNFOLDER."""
    label, equals, folder = argument.partition("=")
    log = Path(folder) / METRICS
    if not (equals and label and log.is_file()):
        raise argparse.ArgumentTypeError(f"{argument!r} is not LABEL=RUNFOLDER with a {METRICS} in the folder")
    return label, log


def read(log):
    """(minutes, loss) of the training, smoothed and thinned out, and of the validations, each as a list of pairs."""
    training, validations, mean = [], [], None
    for line in log.read_text("utf-8").splitlines():
        record = json.loads(line)
        if record["event"] == "step":
            mean = record["loss"] if mean is None else MEMORY * mean + (1 - MEMORY) * record["loss"]
            training.append((record["elapsed_s"] / 60, mean))
        elif record["event"] == "evaluated":
            validations.append((record["elapsed_s"] / 60, record["val_loss"]))
    return training[:: max(1, len(training) // POINTS)], validations


def draw(output, runs, highest=None):
    """Draw the (label, log) of every run into the file ``output``; ``highest`` is the top of the scale."""
    figure, axis = plt.subplots(figsize=(9, 4.5), layout="constrained")
    axis.margins(y=0.01)
    scored = []
    for number, (label, log) in enumerate(runs):
        training, validations = read(log)
        colour = COLOURS[number % len(COLOURS)]
        if validations:
            label = f"{label}: {min(loss for _, loss in validations):.3f}"
            axis.plot(*zip(*validations, strict=True), "o-", color=colour, markersize=3.5, linewidth=1.8, label=label)
        if training:
            name = None if validations else f"{label}: no validation"
            axis.plot(*zip(*training, strict=True), color=colour, linewidth=0.7, alpha=0.55, label=name)
        scored += [loss for _, loss in validations]
    axis.set_ylim(top=highest or (1.05 * max(scored) if scored else None))
    axis.set_xlim(left=0)
    axis.set_xlabel("minutes of training")
    axis.set_ylabel("nats per character")
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, title="validation, and its best (thin: training)")
    figure.savefig(output, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, metavar="OUT.svg")
    parser.add_argument("runs", nargs="+", type=labelled, metavar="LABEL=RUNFOLDER")
    parser.add_argument("--highest", type=float, help="top of the scale  [default: a little over the validations]")
    options = parser.parse_args()
    draw(options.output, options.runs, options.highest)


if __name__ == "__main__":
    main()
