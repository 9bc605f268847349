"""``charrnn novelty``: how much of what a model writes stands in its training text."""

from charrnn.commands import compiled
from charrnn.commands.help import option, section
from charrnn.commands.options import fit_option, ngrams_option, with_option
from charrnn.commands.scoring import Scoring, scoring
from charrnn.commands.types import Number, Whole
from charrnn.commands.work import picked, readable

_CHUNK = 512  # characters drawn between two reports of progress


@scoring(
    section(
        "What is written",
        option("-n", "--length", type=Whole(1, 200_000), default=20_000, help="Characters to write, at most 200,000."),
        option("-t", "--temperature", type=Number(0), default=1.0, help="Temperature to write at."),
        option("--seed", type=Whole(0, 2**63 - 1), default=1, help="The same seed writes the same text."),
        fit_option,
        with_option,
        ngrams_option("Write with the model together with its n-grams.", "off"),
    ),
)  # fmt: skip
def novelty(work: Scoring) -> None:
    """Have the model in CHECKPOINT write, and tell how much of it stands in the training text: the share of n-grams
    that are new, beside held-out text, and the longest copy.

    The training text is the run's own, where that is still to be found; TEXT says where it is now.

    \b
    charrnn novelty fables
    charrnn novelty fables --temperature 0.7

    \f

    --json writes one object: part, learnt (is the training part in it), loss, bpc, perplexity, characters, which score
    the held-out text; novelty: characters, temperature, seed, ngrams (n, and shares that are new, generated and
    held_out), longest (length, text, start, offset, line), held_out (characters, longest) or null.
    """
    import numpy as np

    from charrnn.analysis.novelty import novelty as compare

    def copied(text, message: str):
        with work.bar(message) as progress:
            return compare(text, training, progress=progress)

    work.open(compiled.writing, compiled.finding_copies)
    training, options, vocabulary = work.texts.training, work.options, work.model.vocabulary
    report, ids, held_out = work.score(), _write(work), work.texts.held_out
    found = copied(ids, "Looking for copies")
    real = None if held_out is None else copied(held_out[: options["length"]], "Looking for copies in real text")
    report["novelty"] = {
        "characters": found.characters,
        "temperature": options["temperature"],
        "seed": options["seed"],
        "ngrams": [
            {"n": n, "generated": share, "held_out": None if real is None else real.shares[n]}
            for n, share in found.shares.items()
        ],
        "longest": {
            "length": found.longest,
            "text": readable(vocabulary.decode(ids[found.start : found.start + found.longest])),
            "start": found.start,
            "offset": found.place,
            "line": 1 + int((np.asarray(training[: found.place]) == vocabulary.line_start).sum()),
        },
        "held_out": real and picked(real, "characters", "longest"),
    }
    work.show_score(report)


def _write(work: Scoring):
    """Ids (length,) that the model writes from the start of a line."""
    import numpy as np

    from charrnn.inference.sampler import Choice

    options, length = work.options, work.options["length"]
    writer = work.mixed(wanted=False) or work.model
    sampler = writer.sampler(choice=Choice(options["temperature"]), seed=options["seed"])
    pieces = []
    with work.bar("Writing") as progress:
        for start in range(0, length, _CHUNK):
            pieces.append(sampler.draw(min(_CHUNK, length - start))[:, 0])
            progress(min(start + _CHUNK, length), length)
    return np.concatenate(pieces)
