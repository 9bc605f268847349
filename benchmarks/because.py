"""Are the characters that ``inspect because`` names the ones that made a prediction?

    python benchmarks/because.py checkpoints/python.safetensors charrnn/training/trainer.py --cases 500
    python benchmarks/because.py fables fables --cases 500 --length 48

For places at random in the last tenth of a text, the likeliest next character is explained.  Then the three characters
with the largest contributions are deleted from what the model reads, or three others at random.  Shown is the share of
the cases in which the first deletion changes the probabilities of the next character more (half the sum of the absolute
changes), an interval of 95 % for it (Wilson), and the largest error of the sum of the contributions.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np

from charrnn.checkpoints.run_folder import open_checkpoint
from charrnn.explanation.attribution import Attributor
from charrnn.text.catalog import find_text

DELETED = 3


def probabilities(attributor: Attributor, ids: np.ndarray) -> np.ndarray:
    scores = attributor.scores(ids)
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def wilson(share: float, cases: int, z: float = 1.96) -> tuple[float, float]:
    middle, half = share + z * z / (2 * cases), z * math.sqrt(share * (1 - share) / cases + (z / (2 * cases)) ** 2)
    return (middle - half) / (1 + z * z / cases), (middle + half) / (1 + z * z / cases)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("text", help="a file, or a name of the catalog")
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--length", type=int, default=48, help="characters that the model reads")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    _, checkpoint = open_checkpoint(options.checkpoint)
    attributor = Attributor(checkpoint.model, checkpoint.parameters)
    ids = checkpoint.vocabulary.encode(Path(find_text(options.text)).read_text("utf-8"), "skip")
    rng, wins, errors, begun = np.random.default_rng(options.seed), 0, [], time.perf_counter()
    for _ in range(options.cases):
        at = int(rng.integers(max(len(ids) * 9 // 10, options.length), len(ids)))
        read = ids[at - options.length : at]
        before = probabilities(attributor, read)
        found = attributor.attribute(read, int(before.argmax()))
        errors.append(abs(found.contributions.sum() + found.score_of_nothing - found.score))
        strongest = np.argsort(-np.abs(found.contributions))[:DELETED]
        others = rng.choice(np.setdiff1d(np.arange(len(read)), strongest), DELETED, replace=False)
        changes = [
            np.abs(probabilities(attributor, np.delete(read, which)) - before).sum() / 2
            for which in (strongest, others)
        ]
        wins += changes[0] > changes[1]
    share = wins / options.cases
    low, high = wilson(share, options.cases)
    print(
        f"{options.checkpoint}: the strongest {DELETED} change more in {share:.1%} ({low:.1%}-{high:.1%}) of "
        f"{options.cases} cases"
    )
    print(f"largest error of a sum {max(errors):.1e}; {(time.perf_counter() - begun) / options.cases:.2f} s a case")


if __name__ == "__main__":
    main()
