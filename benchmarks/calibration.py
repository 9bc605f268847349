"""Whether ``inspect find`` gives random labels a small p no more often than it says.

    python benchmarks/calibration.py                                  # an hour
    python benchmarks/calibration.py --characters 20000 --runs 1500 --masks 40 -o calibration.svg

A random telegraph mask holds and does not hold in turns, each time for a random number of characters with the mean
that ``--runs`` names.  A clustered mask holds at a few characters, and at more of them where such a telegraph mask
holds.  No cell can know either.  Each mask goes through the command, ``charrnn inspect find CHECKPOINT TEXT --mask
FILE``, and the smallest p of all cells is taken: of these, a share of at most about α may be α or less.  The last rows
do the same for p_of_all, with thirteen masks of all kinds at a time, as ``--track all`` has thirteen hypotheses.
``none`` counts masks for which the command said that no p can be had.  (``inspect similar`` ranks places, without p.)

The text is the source of this package; the model is the one of the clone.
"""

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from charrnn.commands import charrnn
from charrnn.display.figures import save
from charrnn.display.figures.axes import Axes
from charrnn.display.figures.drawing import FAINT_INK, INK, Drawing, Label, Line
from charrnn.display.palette import PAPER_BLUE
from charrnn.inspection.hypotheses import Hypothesis
from charrnn.inspection.search import find
from charrnn.model import load

HERE = Path(__file__).parent.parent
MODEL = HERE / "checkpoints" / "python.safetensors"
LEVELS = (0.01, 0.05, 0.1, 0.2, 0.5)
AT_ONCE = 13  # masks, as many as the hypotheses of --track all
PERMUTATIONS = 99


def telegraph(generator: np.random.Generator, characters: int, run: int) -> np.ndarray:
    """A mask (N,) that changes at random, on average after ``run`` characters."""
    return (np.cumsum(generator.random(characters) < 1 / run) + generator.integers(2)) % 2 == 1


def clustered(generator: np.random.Generator, characters: int, run: int) -> np.ndarray:
    """A mask (N,) that holds at 2 % of the characters where a telegraph mask holds, and at 0.2 % elsewhere."""
    return generator.random(characters) < np.where(telegraph(generator, characters, run), 0.02, 0.002)


KINDS = {"telegraph": telegraph, "clustered": clustered}


def useful(make, generator: np.random.Generator, characters: int, run: int) -> np.ndarray:
    """A mask that changes at least once."""
    while (mask := make(generator, characters, run)).all() or not mask.any():
        pass
    return mask


def passage(text: str, characters: int, generator: np.random.Generator) -> str:
    """So many characters from anywhere in the text."""
    start = int(generator.integers(len(text) - characters + 1))
    return text[start : start + characters]


def by_command(make, text: str, characters: int, run: int, masks: int, folder: Path) -> list[float | None]:
    """The smallest p of all cells for each of ``masks`` masks; None where there is no p."""
    generator, runner, found = np.random.default_rng([characters, run, masks]), CliRunner(), []
    passage_file, mask_file = folder / "text.py", folder / "mask.npy"
    for number in range(masks):
        if number % 10 == 0:
            passage_file.write_text(passage(text, characters, generator), newline="\n")
        np.save(mask_file, useful(make, generator, characters, run))
        wish = ["inspect", "find", MODEL, passage_file, "--mask", mask_file, "--permutations", PERMUTATIONS]
        wish += ["--no-probe", "--cells", 1000, "--seed", number, "--json"]
        result = runner.invoke(charrnn, list(map(str, wish)), catch_exceptions=False)
        if result.exit_code:
            raise SystemExit(result.stderr)
        record = json.loads(result.stdout)
        found.append(None if record["why_no_p"] else min(cell["p"] for cell in record["cells"]))
    return found


def of_all(text: str, characters: int, runs: list[int], times: int) -> list[float | None]:
    """The smallest p_of_all of all cells and of thirteen masks, ``times`` times."""
    generator, model, found = np.random.default_rng(characters), load(MODEL), []
    for number in range(times):
        ids = model.encode(passage(text, characters, generator))
        masks = [
            useful(KINDS[("telegraph", "clustered")[k % 2]], generator, characters, runs[k % len(runs)])
            for k in range(AT_ONCE)
        ]

        def label(passage, mask):
            return mask[passage.start : passage.start + len(passage)]

        hypotheses = [
            Hypothesis(str(k), "random", lambda passage, mask=mask: label(passage, mask))
            for k, mask in enumerate(masks)
        ]
        tested = find(model, ids, hypotheses, permutations=PERMUTATIONS, with_probe=False, seed=number).found
        with_p = [each.p_of_all.min() for each in tested if each.block is not None]
        found.append(min(with_p) if with_p else None)
    return found


def row(title: str, found: list[float | None]) -> list[float]:
    """Print observed shares at the nominal levels; returns them."""
    known = np.array([p for p in found if p is not None])
    shares = [float(np.mean(known <= level)) if len(known) else np.nan for level in LEVELS]
    print(
        f"| {title} | {len(known)} | {len(found) - len(known)} | {' | '.join(f'{x:.2f}' for x in shares)} |", flush=True
    )
    return shares


def figure(rows: dict[str, list[float]]) -> Drawing:
    """Observed against nominal: a line for each row, and the diagonal."""
    sheet, ends = Drawing(380, 400, "observed against nominal"), [(0, "0"), (0.5, "0.5"), (1, "1")]
    axes = Axes(60, 34, 290, 290)
    axes.draw(sheet, "random labels", ends, ends)
    sheet.add(Line([(axes.x(0), axes.y(0)), (axes.x(1), axes.y(1))], FAINT_INK, 1, (3, 3)))
    for shares in rows.values():
        if not np.isnan(shares).any():
            points = [(0.0, 0.0), *zip(LEVELS, shares, strict=True), (1.0, 1.0)]
            sheet.add(Line([(axes.x(x), axes.y(y)) for x, y in points], PAPER_BLUE, 0.8))
    sheet.add(Label(205, 370, "nominal: p at most this", 11, INK, "middle"))
    sheet.add(Label(18, 180, "observed: share of the masks", 11, INK, "middle", turned=True))
    return sheet


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--characters", type=int, nargs="+", default=[5000, 20_000, 200_000])
    parser.add_argument("--runs", type=int, nargs="+", default=[3, 30, 300, 1500, 5000])
    parser.add_argument("--masks", type=int, default=100, help="for each row")
    parser.add_argument("-o", dest="output", type=Path, help="also draw it: a file that ends in .svg")
    options = parser.parse_args()
    known, files = set(load(MODEL).vocabulary.symbols), sorted((HERE / "charrnn").rglob("*.py"))
    random.Random(1).shuffle(files)
    text = "".join(sign for path in files for sign in path.read_text("utf-8") if sign in known)
    print(f"| random labels | with p | none | {' | '.join(f'p ≤ {level:g}' for level in LEVELS)} |")
    print(f"|---|---|---|{'---|' * len(LEVELS)}")
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for characters in options.characters:
            for kind, make in KINDS.items():
                for run in options.runs:
                    title = f"{characters:,} characters, {kind}, mean run {run:,}"
                    rows[title] = row(title, by_command(make, text, characters, run, options.masks, Path(folder)))
            title = f"{characters:,} characters, {AT_ONCE} masks at a time"
            rows[title] = row(title, of_all(text, characters, options.runs, options.masks))
    if options.output:
        save(figure(rows), options.output)
        print(f"wrote {options.output}", file=sys.stderr)


if __name__ == "__main__":
    main()
