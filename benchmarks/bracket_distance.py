"""The loss at closing brackets and quotation marks by the distance to the opening sign, for several models.

    python benchmarks/bracket_distance.py python rnn=checkpoints/python-rnn lstm=checkpoints/python.safetensors
    python benchmarks/bracket_distance.py fables fables=checkpoints/fables.safetensors --kinds '""' --limit 5000

This is ``charrnn inspect distance`` for several models side by side (charrnn/analysis/distance.py; after Karpathy,
Johnson & Li 2015, section 4.3).  All models are scored on the part of TEXT that a split holds out: on its validation
part, as the runs were that trained on it with this split.  An n-gram, which sees only a few characters, stands beside
them.  The table has the mean loss in nats at the closing sign and how many signs there are.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import series
from time_to_loss import table

from charrnn.analysis.distance import Distances, distances
from charrnn.model import load
from charrnn.text.corpus import Parts, open_corpus

KINDS = ("()", "[]", "{}", '""')


def labelled(argument: str) -> tuple[str, str]:
    """(label, checkpoint) of LABEL=CHECKPOINT."""
    label, equals, checkpoint = argument.partition("=")
    if not (label and equals and checkpoint):
        raise argparse.ArgumentTypeError(f"{argument!r} is not LABEL=CHECKPOINT")
    return label, checkpoint


def measure(checkpoint: str, options: argparse.Namespace) -> Distances:
    """The losses of one model."""
    model = load(checkpoint)
    corpus = open_corpus([options.text], vocabulary=model.vocabulary, unknown="skip")
    parts = Parts.of(corpus.ids, options.split)
    ids = np.asarray(parts.validation)[: options.limit]
    training = np.asarray(parts.train)
    return distances(model, ids, training, training[-1:], options.order)


def rows(kind: str, found: dict[str, Distances], least: int) -> list[list[str]]:
    """The rows of a kind of sign: one for each bin of distances with ``least`` signs or more."""
    bins = [each.kinds.get(kind, ()) for each in found.values()]
    return [
        [
            f"{kind[-1]}, {same[0].start}-{same[0].stop - 1}",
            f"{same[0].count:,}",
            f"{same[0].baseline:.3f}",
            *(shown(each.loss, each.loss_error) for each in same),
        ]
        for same in zip(*bins, strict=True)
        if same[0].count >= least
    ]


def shown(loss: float, error: float | None) -> str:
    """A loss and its standard error."""
    return f"{loss:.3f}" if error is None else f"{loss:.3f} ± {error:.3f}"


def main() -> None:
    """Measure, print the table, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", metavar="TEXT", help="a file, a folder, or a name of the catalog")
    parser.add_argument("models", metavar="LABEL=CHECKPOINT", nargs="+", type=labelled)
    parser.add_argument("--split", default="90/10/0", help="of the text, as the models were trained")
    parser.add_argument("--limit", type=int, help="characters of the validation part  [default: all]")
    parser.add_argument("--order", type=int, default=8, help="of the n-gram")
    parser.add_argument("--least", type=int, default=10, help="signs of a row of the table, and of a point")
    parser.add_argument("--kinds", nargs="+", default=KINDS)
    parser.add_argument("--results", type=Path, help="write all numbers to this file, as JSON")
    parser.add_argument("-o", dest="output", type=Path, help="draw the brackets of the first kind: a file .svg")
    options = parser.parse_args()
    found = {label: measure(checkpoint, options) for label, checkpoint in options.models}
    first = next(iter(found.values()))
    if any(each.characters != first.characters for each in found.values()):
        parser.error("the models do not know the same characters: give models that were trained on one text")
    print(f"Loss in nats at closing signs of {first.characters:,} characters, by the distance to the opening sign:\n")
    table(
        ["sign, distance", "signs", f"{first.order}-gram", *found],
        [row for kind in options.kinds for row in rows(kind, found, options.least)],
    )
    print("\nOf all characters: " + ", ".join(f"{label} {each.loss:.4f}" for label, each in found.items()))
    if options.results:
        report = {label: asdict(each) for label, each in found.items()}
        options.results.write_text(json.dumps(report, indent=1), "utf-8")
    if options.output:
        kind = options.kinds[0]
        bins = {
            label: [each for each in of.kinds.get(kind, ()) if each.count >= options.least]
            for label, of in found.items()
        }
        curves = {label: [(each.start, each.loss) for each in of] for label, of in bins.items()}
        curves[f"{first.order}-gram"] = [(each.start, each.baseline) for each in next(iter(bins.values()))]
        title = f"loss at {kind[-1]} by the distance to {kind[0]}"
        series.draw(options.output, title, curves, "distance in characters, at least", "nats", log_across=True)


if __name__ == "__main__":
    main()
