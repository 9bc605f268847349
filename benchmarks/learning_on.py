"""The loss of models that go on learning from the text that they score, for several settings of ``evaluate --online``.

    python benchmarks/learning_on.py fables=corpora/fables.txt python=other.py \\
        --settings lr=7e-4,decay=2e-3,slow_factor=1 lr=3e-3 --part 0.9 1.0 --most 20000

Each model, a checkpoint or a run, scores a part of its text: by default the last tenth, at most ``--most`` characters
of it. A row has the loss in nats of the network as it was, and then for each of the settings that of the network and,
if the model has n-grams, that of the mixture. ``default`` stands for the settings of the program. Characters that the
model does not know are left out.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import charrnn
from charrnn.config import DynamicEvaluationConfig
from charrnn.inference.loss import evaluate
from charrnn.inference.online_mixture import OnlineMixture
from charrnn.training.dynamic_evaluation import evaluate_dynamically


def settings_of(text: str) -> DynamicEvaluationConfig:
    """The settings that a word of ``--settings`` names."""
    if text == "default":
        return DynamicEvaluationConfig()
    pairs = dict(pair.split("=") for pair in text.split(","))
    return DynamicEvaluationConfig(**{name: int(v) if name == "steps" else float(v) for name, v in pairs.items()})


def row(checkpoint: str, path: str, bounds: list[float], most: int, settings: list[DynamicEvaluationConfig]):
    """The losses of a model on a part of a text: one as it was, and a pair for each of the settings."""
    model = charrnn.load(checkpoint)
    ids = model.encode(Path(path).read_text("utf-8", "replace"), "skip")
    start, stop = (round(len(ids) * bound) for bound in bounds)
    before, ids = int(ids[start - 1]) if start else None, ids[start : min(stop, start + most)]
    found = [evaluate(model.network, ids, before).loss]
    for each in settings:
        model = charrnn.load(checkpoint)  # anew, because n-grams keep what they have learnt
        mixed = model.mixed()
        mixture = None if mixed is None else OnlineMixture(mixed.network, model.vocabulary)
        result = evaluate_dynamically(model.network, ids, before, each, mixture=mixture)
        found.append((result.network.loss, None if result.mixture is None else result.mixture.loss))
    return len(ids), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="CHECKPOINT=TEXT")
    parser.add_argument("--settings", nargs="+", default=["lr=7e-4,decay=2e-3,slow_factor=1", "default"])
    parser.add_argument("--part", nargs=2, type=float, default=[0.9, 1.0], metavar=("FROM", "TO"))
    parser.add_argument("--most", type=int, default=20_000, help="characters")
    given = parser.parse_args()
    settings = [settings_of(each) for each in given.settings]
    print("| model and text | characters | as it was |", *(f" {each} |" for each in given.settings), sep="")
    print("|---" * (3 + len(settings)) + "|")
    for each in given.models:
        count, (static, *others) = row(*each.split("=", 1), given.part, given.most, settings)
        cells = [f"{loss:.4f}" + ("" if mixed is None else f" ({mixed:.4f})") for loss, mixed in others]
        print(f"| {each} | {count:,} | {static:.4f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
