"""``charrnn evaluate``: how well a model predicts a text."""

from pathlib import Path
from typing import Any

import click

from charrnn.commands.help import Command, option, section
from charrnn.commands.options import checkpoint_argument, general_options, part_option, scored_text, with_option
from charrnn.commands.scoring import Scoring, as_dict
from charrnn.commands.types import Number, Whole
from charrnn.config import DynamicEvaluationConfig

_ONLINE = DynamicEvaluationConfig()


@click.command(cls=Command)
@checkpoint_argument
@section("What is scored", with_option, part_option("all; with --online validation"))
@section(
    "Learning while it reads",
    option("--online", is_flag=True, help="Score a second time, learning from each segment after it is scored."),
    option(
        "--online-lr", type=Number(0, 1), rare=True,
        help=f"--online with this learning rate.  [default: {_ONLINE.lr:g}]",
    ),
    option(
        "--online-steps", type=Whole(1, 1_000_000), rare=True,
        help=f"--online with so many characters in a segment.  [default: {_ONLINE.steps}]",
    ),
    option(
        "--online-decay", type=Number(0, 1), rare=True,
        help="--online, going so much of the way back to the first weights after each segment.  "
        f"[default: {_ONLINE.decay:g}]",
    ),
)  # fmt: skip
@scored_text
@general_options
def evaluate(checkpoint: Path, **options: Any) -> None:
    """Score TEXT with the model in CHECKPOINT: loss in nats and bits per character, and perplexity.

    The state is carried from the beginning, and every character is scored once; the first one is not scored, because
    nothing precedes it. Without TEXT the text that the model was trained on is scored, where it is still to be found.

    \b
    charrnn evaluate checkpoints/fables corpora/fables.txt
    charrnn evaluate checkpoints/fables --part validation --online
    charrnn evaluate checkpoints/one corpora/fables.txt --with checkpoints/two

    \f

    --json writes one object: part, loss, bpc, perplexity, characters; and online: loss, bpc, perplexity, characters,
    lr, steps, decay.
    """
    online = _online_config(options)
    if online and options["others"]:
        raise click.UsageError("--online teaches one model: leave --with out.")
    scoring = Scoring(checkpoint, options, held_out=online is not None)
    report = scoring.report()
    if online:
        report["online"] = _online(scoring, online)
    scoring.show(report)


def _online_config(options: dict[str, Any]) -> DynamicEvaluationConfig | None:
    """How to learn while reading; None if no option of --online is given."""
    given = {name: options[f"online_{name}"] for name in ("lr", "steps", "decay")}
    given = {name: value for name, value in given.items() if value is not None}
    return DynamicEvaluationConfig(**given) if given or options["online"] else None


def _online(scoring: Scoring, config: DynamicEvaluationConfig) -> dict[str, Any]:
    from charrnn.training.dynamic_evaluation import evaluate_dynamically

    with scoring.bar("Learning on") as progress:
        found = evaluate_dynamically(scoring.model.network, scoring.part.ids, scoring.before, config, progress)
    return as_dict(found) | config.to_dict()
