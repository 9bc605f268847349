"""``charrnn novelty``: how much of what a model writes stands in its training text."""

from pathlib import Path
from typing import Any

import click

from charrnn.commands.help import Command, option, section
from charrnn.commands.options import checkpoint_argument, fit_option, general_options, scored_text, with_option
from charrnn.commands.scoring import Scoring
from charrnn.commands.types import Number, Whole

_CHUNK = 512  # characters drawn between two reports of progress


@click.command(cls=Command)
@checkpoint_argument
@section(
    "What is written",
    option(
        "-n", "--length", type=Whole(1, 200_000), default=20_000, show_default=True,
        help="Characters to write, at most 200,000.",
    ),
    option("-t", "--temperature", type=Number(0), default=1.0, show_default=True, help="Temperature to write at."),
    option(
        "--seed", type=Whole(0, 2**63 - 1), default=1, show_default=True, help="The same seed writes the same text."
    ),
    fit_option,
    with_option,
)  # fmt: skip
@scored_text
@general_options
def novelty(checkpoint: Path, **options: Any) -> None:
    """Have the model in CHECKPOINT write, and tell how much of it stands in the training text: the share of n-grams
    that are new, beside held-out text, and the longest copy.

    The training text is the run's own, where that is still to be found; TEXT says where it is now.

    \b
    charrnn novelty checkpoints/fables
    charrnn novelty checkpoints/fables corpora/fables.txt --temperature 0.7

    \f

    --json writes one object: part, loss, bpc, perplexity, characters, which score the held-out text; novelty:
    characters, temperature, seed, ngrams (n, and shares that are new, generated and held_out), longest (length, text,
    start, offset, line), held_out (characters, longest) or null.
    """
    scoring = Scoring(checkpoint, options, held_out=True)
    training = scoring.texts.training
    report = scoring.report()
    scoring.show(report | {"novelty": _novelty(scoring, training, options)})


def _novelty(scoring: Scoring, training, options: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    from charrnn.analysis.novelty import novelty as copies

    ids = _write(scoring, options)
    with scoring.bar("Looking for copies") as progress:
        found = copies(ids, training, progress=progress)
    real, held_out = None, scoring.texts.held_out
    if held_out is not None:
        with scoring.bar("Looking for copies in real text") as progress:
            real = copies(held_out[: options["length"]], training, progress=progress)
    copied = scoring.model.vocabulary.decode(ids[found.start : found.start + found.longest])
    line_end = scoring.model.vocabulary.line_start
    return {
        "characters": found.characters,
        "temperature": options["temperature"],
        "seed": options["seed"],
        "ngrams": [
            {"n": n, "generated": share, "held_out": None if real is None else real.shares[n]}
            for n, share in found.shares.items()
        ],
        "longest": {
            "length": found.longest,
            "text": copied.decode("utf-8", "replace") if isinstance(copied, bytes) else copied,
            "start": found.start,
            "offset": found.place,
            "line": 1 + int((np.asarray(training[: found.place]) == line_end).sum()),
        },
        "held_out": None if real is None else {"characters": real.characters, "longest": real.longest},
    }


def _write(scoring: Scoring, options: dict[str, Any]):
    """Ids (length,) that the model writes from the start of a line."""
    import numpy as np

    from charrnn.inference.sampler import Choice

    length = options["length"]
    sampler = scoring.model.sampler(choice=Choice(options["temperature"]), seed=options["seed"])
    pieces = []
    with scoring.bar("Writing") as progress:
        for start in range(0, length, _CHUNK):
            pieces.append(sampler.draw(min(_CHUNK, length - start))[:, 0])
            progress(min(start + _CHUNK, length), length)
    return np.concatenate(pieces)
