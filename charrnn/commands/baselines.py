"""``charrnn baselines``: what simpler models make of a text."""

from pathlib import Path
from typing import Any

import click

from charrnn.commands.help import Command, section
from charrnn.commands.options import (
    checkpoint_argument,
    fit_option,
    general_options,
    part_option,
    scored_text,
    with_option,
)
from charrnn.commands.scoring import Scoring
from charrnn.errors import ConfigError, CorpusError


@click.command(cls=Command)
@checkpoint_argument
@section("What is compared", part_option("validation; all of a text that is not the run's"), fit_option, with_option)
@scored_text
@general_options
def baselines(checkpoint: Path, **options: Any) -> None:
    """Compare the model in CHECKPOINT with n-grams of order 0 to 12 and with gzip, bzip2 and xz, on the same
    characters of TEXT. The n-grams, modified Kneser-Ney, learn from the run's training part.

    \b
    charrnn baselines checkpoints/fables
    charrnn baselines checkpoints/fables other.txt --fit corpora/fables.txt

    \f

    --json writes one object: part, loss, bpc, perplexity, characters; baselines: fitted_on (characters), ngrams (order,
    loss, bpc), best_order, compressors (name, and bits per character alone and after the training text).
    """
    scoring = Scoring(checkpoint, options, held_out=True)
    if not options["fit"] and scoring.texts.is_own and scoring.part.name in ("train", "all"):
        raise ConfigError("the baselines learn from the training part: score another --part, or --fit another text")
    training = scoring.texts.training
    report = scoring.report()
    scoring.show(report | {"baselines": _baselines(scoring, training)})


def _baselines(scoring: Scoring, training) -> dict[str, Any]:
    from charrnn.analysis.baselines import compressions, ngram_losses
    from charrnn.records import bits

    part = scoring.part
    if not len(training):
        raise CorpusError("there is no training text to fit the baselines on")
    # As for the model, a first character that nothing precedes is context, not scored.
    scored, before = (part.ids, part.before) if len(part.before) else (part.ids[1:], part.ids[:1])
    with scoring.bar("Counting n-grams") as progress:
        losses = ngram_losses(training, scored, before, len(scoring.model.vocabulary), progress)
    with scoring.bar("Compressing") as progress:
        found = compressions(training, part.ids, scoring.model.vocabulary, progress)
    return {
        "fitted_on": len(training),
        "ngrams": [{"order": order, "loss": loss, "bpc": bits(loss)} for order, loss in enumerate(losses)],
        "best_order": losses.index(min(losses)),
        "compressors": [{"name": each.name, "alone": each.alone, "after": each.after} for each in found],
    }
