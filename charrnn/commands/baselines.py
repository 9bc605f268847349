"""``charrnn baselines``: what simpler models make of a text."""

from charrnn.commands.help import section
from charrnn.commands.options import fit_option, part_option, with_option
from charrnn.commands.scoring import Scoring, scoring
from charrnn.errors import ConfigError, CorpusError


@scoring(
    section("What is compared", part_option, fit_option, with_option),
)
def baselines(work: Scoring) -> None:
    """Compare the model in CHECKPOINT with n-grams of order 0 to 12 and with gzip, bzip2 and xz, on the same
    characters of TEXT. The n-grams, modified Kneser-Ney, learn from the run's training part.

    \b
    charrnn baselines fables
    charrnn baselines fables other.txt --fit fables

    \f

    --json writes one object: part, learnt (is the training part in it), loss, bpc, perplexity, characters; baselines:
    fitted_on (characters), ngrams (order, loss, bpc), best_order, compressors (name, and bits per character alone and
    after the training text).
    """
    from dataclasses import asdict

    from charrnn.analysis.baselines import compressions, ngram_losses
    from charrnn.records import bits

    work.open()
    if work.learns_from_scored:
        raise ConfigError("the baselines learn from the training part: score another --part, or --fit another text")
    training, part, vocabulary = work.texts.training, work.part, work.model.vocabulary
    report = work.score()
    if not len(training):
        raise CorpusError("there is no training text to fit the baselines on")
    # As for the model, a first character that nothing precedes is context, not scored.
    scored, before = (part.ids, part.before) if len(part.before) else (part.ids[1:], part.ids[:1])
    with work.bar("Counting n-grams") as progress:
        losses = ngram_losses(training, scored, before, len(vocabulary), progress)
    with work.bar("Compressing") as progress:
        found = compressions(training, part.ids, vocabulary, progress)
    report["baselines"] = {
        "fitted_on": len(training),
        "ngrams": [{"order": order, "loss": loss, "bpc": bits(loss)} for order, loss in enumerate(losses)],
        "best_order": losses.index(min(losses)),
        "compressors": list(map(asdict, found)),
    }
    work.show_score(report)
