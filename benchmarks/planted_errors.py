"""Plant the errors of scanning and of typing in held-out lines, and measure how well ``charrnn score`` finds them.

    charrnn train novel-begin.txt --name novel
    python benchmarks/planted_errors.py novel novel-begin.txt novel-end.txt

A tenth of the lines of the last text get one error each, seeded.  For each kind of error the table has the area under
the ROC curve by the bits of the least expected character (AUC: the probability that such a line has a higher score than
one that was left alone, ties counting half).  It also says how often that character is where the error is: within it,
or at most two characters behind it, because an error is often noticed only when the word goes on.

Two baselines are counted on the text before: the rarity of the line's rarest word, and of its rarest three characters.

``--rates`` scores the lines again with ``score --learn`` at each of these learning rates, and with ``score
--both-ways``.
"""

import argparse
import contextlib
import math
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from log_anomalies import auc

import charrnn
from charrnn.config import LineLearningConfig
from charrnn.model.line_scores import LineScorer

SHARE = 1 / 10  # of the lines that get an error
BEHIND = 2  # characters behind an error at which it still counts as found
LEAST = 12  # characters of a line that gets an error

# What scanners take for one another, in both directions.
ALIKE = (
    *(("rn", "m"), ("cl", "d"), ("vv", "w"), ("ii", "u"), ("li", "h"), ("l", "1"), ("I", "l"), ("O", "0"), ("o", "0")),
    *(("e", "c"), ("h", "b"), ("f", "t"), ("S", "5"), ("B", "8"), ("s", "5"), ("a", "o"), ("u", "n"), ("i", "j")),
)
# Letters of Latin and Cyrillic that look the same.
TWINS = dict(zip("aceopxyABCEHKMOPTX", "асеорхуАВСЕНКМОРТХ", strict=True))
TWINS |= {cyrillic: latin for latin, cyrillic in TWINS.items()}


# Each kind takes a random generator and a line, and returns where the error is, what stood there and what stands there;
# or None where the line cannot have it.


def scanned(rng, line):
    """Letters that a scanner takes for others."""
    pairs = [*ALIKE, *((b, a) for a, b in ALIKE)]
    found = [(k, a, b) for a, b in pairs for k in range(len(line)) if line.startswith(a, k)]
    return found[rng.integers(len(found))] if found else None


def space_lost(rng, line):
    """A space between two words is missing."""
    found = [k for k in range(1, len(line) - 1) if line[k] == " " and line[k - 1].isalpha() and line[k + 1].isalpha()]
    return (found[rng.integers(len(found))], " ", "") if found else None


def space_added(rng, line):
    """A space within a word."""
    found = [k for k in range(1, len(line)) if line[k - 1 : k + 1].isalpha()]
    return (found[rng.integers(len(found))], "", " ") if found else None


def swapped(rng, line):
    """Two neighbouring letters have changed places."""
    found = [k for k in range(len(line) - 1) if line[k : k + 2].isalpha() and line[k] != line[k + 1]]
    if not found:
        return None
    k = found[rng.integers(len(found))]
    return k, line[k : k + 2], line[k + 1] + line[k]


def letter_lost(rng, line):
    """A letter is missing."""
    found = [k for k in range(1, len(line)) if line[k - 1 : k + 1].isalpha()]
    if not found:
        return None
    k = found[rng.integers(len(found))]
    return k, line[k], ""


def letter_doubled(rng, line):
    """A letter stands twice."""
    found = [k for k in range(1, len(line)) if line[k].isalpha() and line[k] != line[k - 1]]
    if not found:
        return None
    k = found[rng.integers(len(found))]
    return k, "", line[k]


def twin(rng, line):
    """A letter of the other alphabet that looks the same."""
    found = [k for k in range(len(line)) if line[k] in TWINS]
    if not found:
        return None
    k = found[rng.integers(len(found))]
    return k, line[k], TWINS[line[k]]


KINDS = (scanned, space_lost, space_added, swapped, letter_lost, letter_doubled, twin)


def planted(lines, seed):
    """The lines with errors, and for each its kind and the range of its characters, or None."""
    rng, found, errors = np.random.default_rng([5, seed]), list(lines), [None] * len(lines)
    places = [k for k in rng.permutation(len(lines)).tolist() if len(lines[k]) >= LEAST]
    for number, k in enumerate(places[: round(SHARE * len(lines))]):
        kind = KINDS[number % len(KINDS)]
        error = kind(rng, lines[k])
        if error is not None:
            place, old, new = error
            found[k] = lines[k][:place] + new + lines[k][place + len(old) :]
            errors[k] = kind.__name__, place, place + max(len(new), 1)
    return found, errors


def rarest(parts, text):
    """A function of a line: the largest -log2 of the share of its ``parts``, one half added to each count."""
    counts = Counter(part for line in text.splitlines() for part in parts(line))
    total = sum(counts.values()) + 0.5 * (len(counts) + 1)
    return lambda line: max((-math.log2((counts[part] + 0.5) / total) for part in parts(line)), default=0.0)


def threes(line):
    """The strings of three characters in a line."""
    return [line[k : k + 3] for k in range(len(line) - 2)]


def is_found(score, error):
    """Whether the least expected character is where the error is."""
    _, start, stop = error
    return start <= int(np.argmax(score.character_bits)) < stop + BEHIND


def scored(model, lines, rate, both_ways=False):
    """The scores of lines.

    The model learns from each line with the learning rate ``rate``; with None it does not learn.  With ``both_ways`` it
    also reads and learns the lines from the last to the first.
    """
    scorer = LineScorer(model)
    with contextlib.nullcontext() if rate is None else scorer.learning(LineLearningConfig(lr=rate), both_ways):
        return scorer.score(lines)


def learning_at(rate, both_ways):
    """The name of a column."""
    return f"peak, learning at {rate:g}{' both ways' * both_ways}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("before", type=Path, help="the text that the model was trained on")
    parser.add_argument("held_out", type=Path, help="a text of the same kind that it has not seen")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rates", type=float, nargs="+", default=[], help="of models that learn")
    given = parser.parse_args()
    before, model = given.before.read_text("utf-8"), charrnn.load(given.checkpoint)
    lines = given.held_out.read_text("utf-8").splitlines()
    counted = {"words": rarest(str.split, before), "three characters": rarest(threes, before)}
    areas, places, number = {}, {}, 0
    for seed in given.seeds:
        texts, errors = planted(lines, seed)
        scores = scored(model, texts, None)
        number += sum(error is not None for error in errors)
        ways = {"peak": [score.peak for score in scores]} | {
            name: [rarity(line) for line in texts] for name, rarity in counted.items()
        }
        for rate in given.rates:
            for both_ways in (False, True):
                ways[learning_at(rate, both_ways)] = [score.peak for score in scored(model, texts, rate, both_ways)]
        for kind in ("all", *(each.__name__ for each in KINDS)):
            wanted = [error is not None and kind in ("all", error[0]) for error in errors]
            rows = [k for k, error in enumerate(errors) if error is None or wanted[k]]
            for name, numbers in ways.items() if any(wanted) else ():
                area = auc([numbers[k] for k in rows], [wanted[k] for k in rows])
                areas.setdefault((kind, name), []).append(area)
            places.setdefault(kind, []).extend(is_found(scores[k], errors[k]) for k in rows if wanted[k])
    print(f"{len(lines):,} lines, {number:,} errors in {len(given.seeds)} plantings\n")
    names = ["peak", *counted, *(learning_at(rate, both) for rate in given.rates for both in (False, True))]
    print(f"| error | AUC by the {' | '.join(names)} | the peak is at the error |")
    print(f"|{'---|' * (len(names) + 2)}")
    for kind in ("all", *(each.__name__ for each in KINDS)):
        if places[kind]:
            cells = [f"{np.mean(areas[kind, name]):.3f}" for name in names]
            print(f"| {kind.replace('_', ' ')} | {' | '.join(cells)} | {np.mean(places[kind]):.0%} |")


if __name__ == "__main__":
    main()
