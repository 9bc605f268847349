"""``charrnn evaluate``: how well a model predicts a text."""

from typing import Any

import click

from charrnn.commands import compiled
from charrnn.commands.help import option, section
from charrnn.commands.options import ngrams_option, online_config, online_options, part_option, with_option
from charrnn.commands.scoring import Scoring, as_dict, scoring
from charrnn.config import DynamicEvaluationConfig


@scoring(
    section(
        "What is scored",
        with_option,
        part_option,
        ngrams_option(
            "Score the model also together with its n-grams.", "on, but for text that the n-grams have learnt"
        ),
        option(
            "--no-carry", is_flag=True,
            help="Begin every window with an empty state, as in training with --no-carry. A window is as long as the "
            "run's.",
        ),
    ),
    section(
        "Learning while it reads",
        option("--online", is_flag=True, help="Score a second time, learning from each segment after it is scored."),
        *online_options(DynamicEvaluationConfig, "--online", "characters in a segment", "each segment"),
    ),
)  # fmt: skip
def evaluate(work: Scoring) -> None:
    """Score TEXT with the model in CHECKPOINT: loss in nats and bits per character, and perplexity.

    The state is carried from the beginning, and every character is scored once; the first one is not scored, because
    nothing precedes it. Of the text that the model was trained on, which is read without TEXT, only the part is scored
    that was held out.

    \b
    charrnn evaluate fables
    charrnn evaluate fables novel.txt --online
    charrnn evaluate fables --with another --part test

    \f

    --json writes one object: part, learnt (is the training part in it), loss (nats per character), bpc (bits per
    character), perplexity, characters; mixed, with n-grams: loss, bpc, perplexity, characters; and online: loss, bpc,
    perplexity, characters, lr, steps, decay, slow_factor, and mixed_loss and mixed_bpc.
    """
    options = work.options
    online = online_config(DynamicEvaluationConfig, options, options["online"])
    if online:
        if options["others"]:
            raise click.UsageError("--online teaches one model: leave --with out.")
        if options["no_carry"]:
            raise click.UsageError("--online carries the state on: leave --no-carry out.")
    work.open(compiled.mixing, *([compiled.learning_on] if online else []))
    report, mixed = work.score(), work.mixed(wanted=not work.is_learnt)
    if mixed is not None:
        report["mixed"] = work.score_of(mixed)
    if online:
        report["online"] = _online(work, online, mixed)
    work.show_score(report)


def _online(work: Scoring, config: DynamicEvaluationConfig, mixed) -> dict[str, Any]:
    """The score of a model that learns while it reads, as a JSON object. ``mixed`` is it with n-grams."""
    from charrnn.inference.online_mixture import OnlineMixture
    from charrnn.records import bits
    from charrnn.training.dynamic_evaluation import evaluate_dynamically

    mixture = None if mixed is None else OnlineMixture(mixed.network, work.model.vocabulary)
    with work.bar("Learning on") as progress:
        found = evaluate_dynamically(work.model.network, work.part.ids, work.before, config, progress, mixture)
    report = as_dict(found.network) | config.to_dict()
    if found.mixture is not None:
        report |= {"mixed_loss": found.mixture.loss, "mixed_bpc": bits(found.mixture.loss)}
    return report
