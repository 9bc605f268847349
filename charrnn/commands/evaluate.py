"""``charrnn evaluate``: how well a model predicts a text, and what that is worth."""

from pathlib import Path
from typing import Any

import click

from charrnn.commands.options import (
    Number,
    Whole,
    checkpoint_argument,
    json_option,
    load_model,
    quiet_option,
    threads_option,
    unknown_option,
    with_option,
)
from charrnn.commands.train.new_run import given
from charrnn.config import DynamicEvaluationConfig
from charrnn.errors import ConfigError, CorpusError

_ONLINE = DynamicEvaluationConfig()
# Parameters that only these flags heed.
_HEEDED_WITH = {
    **dict.fromkeys(("lr", "steps", "decay"), ("online",)),
    **dict.fromkeys(("length", "temperature", "seed"), ("novelty",)),
    "fit": ("baselines", "novelty"),
}
_CHUNK = 512  # characters drawn between two reports of progress


@click.command()
@checkpoint_argument
@click.argument("text", nargs=-1, metavar="[TEXT]...")
@with_option
@click.option(
    "--part",
    type=click.Choice(("train", "validation", "test", "all")),
    help="Part of the run's own text to score.  [default: all; with --baselines, --online or --novelty validation]",
)
@click.option("--baselines", is_flag=True, help="Compare with n-grams of order 0 to 12 and with gzip, bzip2 and xz.")
@click.option(
    "--fit",
    metavar="TEXT",
    multiple=True,
    help="Text for baselines and novelty to learn from. May be repeated.  [default: the run's training part]",
)
@click.option("--online", is_flag=True, help="Score a second time, learning from each segment after it is scored.")
@click.option(
    "--online-lr", "lr", type=Number(0, 1), default=_ONLINE.lr, show_default=True, help="Learning rate of --online."
)
@click.option(
    "--online-steps",
    "steps",
    type=Whole(1, 1_000_000),
    default=_ONLINE.steps,
    show_default=True,
    help="Characters in a segment of --online.",
)
@click.option(
    "--online-decay",
    "decay",
    type=Number(0, 1),
    default=_ONLINE.decay,
    show_default=True,
    help="How much of the way back to the first weights --online goes after a segment.",
)
@click.option("--novelty", is_flag=True, help="Write a text, and tell how much of it stands in the training text.")
@click.option(
    "--novelty-length",
    "length",
    type=Whole(1, 200_000),
    default=20_000,
    show_default=True,
    help="Characters that --novelty writes, at most 200,000.",
)
@click.option(
    "-t", "--temperature", type=Number(0), default=1.0, show_default=True, help="Temperature that --novelty writes at."
)
@click.option("--seed", type=Whole(0, 2**63 - 1), default=1, show_default=True, help="Seed of what --novelty writes.")
@click.option("--encoding", help="Encoding of the text.  [default: that of the training text]")
@unknown_option
@threads_option
@quiet_option
@json_option
@click.pass_context
def evaluate(ctx: click.Context, checkpoint: Path, **options: Any) -> None:
    """Score TEXT with the model in CHECKPOINT: loss in nats and bits per character, and perplexity.

    Every character is scored once, with the state carried from the beginning; the first, where nothing precedes it, is
    not. Without TEXT it is the one that the model was trained on, where that is still to be found.

    \b
    charrnn evaluate checkpoints/fables corpora/fables.txt
    charrnn evaluate checkpoints/fables --part validation --baselines --online
    charrnn evaluate checkpoints/fables --novelty --temperature 0.7
    charrnn evaluate checkpoints/one corpora/fables.txt --with checkpoints/two

    --json writes one object: part, loss, bpc, perplexity, characters; online: loss, bpc, perplexity, characters, lr,
    steps, decay; baselines: fitted_on (characters), ngrams (order, loss, bpc), best_order, compressors (name, and bits
    per character alone and after the training text); novelty: characters, temperature, seed, ngrams (n, and shares
    that are new, generated and held_out), longest (length, text, start, offset, line), held_out (characters, longest)
    or null.
    """
    from charrnn.commands.texts import Texts
    from charrnn.display.reports.scores import score_lines
    from charrnn.display.terminal.console import Terminal
    from charrnn.display.terminal.progress_bar import progress_bar

    _check_heeded(ctx, options)
    if options["online"] and options["others"]:
        raise click.UsageError("--online teaches one model: leave --with out.")
    terminal = Terminal(options["quiet"], options["as_json"])
    model = load_model(checkpoint, options["threads"], terminal, options["others"])
    texts = Texts(model, options, terminal)
    part = texts.scored(held_out=options["baselines"] or options["online"] or options["novelty"])
    if options["baselines"] and not options["fit"] and texts.is_own and part.name in ("train", "all"):
        raise ConfigError("the baselines learn from the training part: score another --part, or --fit another text")
    training = texts.training if options["baselines"] or options["novelty"] else None

    def bar(message: str):
        return progress_bar(terminal, message)

    report = {"part": part.name, **_score(model, part, bar)}
    if options["online"]:
        report["online"] = _online(model, part, options, bar)
    if options["baselines"]:
        report["baselines"] = _baselines(model, part, training, bar)
    if options["novelty"]:
        report["novelty"] = _novelty(model, training, texts.held_out, options, bar)
    if options["as_json"]:
        terminal.json(report)
    else:
        terminal.show(*score_lines(report, terminal.width))


def _check_heeded(ctx: click.Context, options: dict[str, Any]) -> None:
    """Refuse options that nothing heeds without others."""
    spellings = {param.name: param.opts[-1] for param in ctx.command.params}
    for name in given(ctx, tuple(_HEEDED_WITH)):
        if not any(options[flag] for flag in _HEEDED_WITH[name]):
            flags = " or ".join(f"--{flag}" for flag in _HEEDED_WITH[name])
            raise click.UsageError(f"{spellings[name]} goes with {flags}.")


def _as_dict(result) -> dict[str, Any]:
    return {name: getattr(result, name) for name in ("loss", "bpc", "perplexity", "characters")}


def _before(part) -> int | None:
    return int(part.before[-1]) if len(part.before) else None


def _score(model, part, bar) -> dict[str, Any]:
    from charrnn.inference.loss import evaluate as score

    with bar("Evaluating") as progress:
        return _as_dict(score(model.network, part.ids, _before(part), progress=progress))


def _online(model, part, options: dict[str, Any], bar) -> dict[str, Any]:
    from charrnn.training.dynamic_evaluation import evaluate_dynamically

    config = DynamicEvaluationConfig(options["lr"], options["steps"], options["decay"])
    with bar("Learning on") as progress:
        found = evaluate_dynamically(model.network, part.ids, _before(part), config, progress)
    return _as_dict(found) | config.to_dict()


def _baselines(model, part, training, bar) -> dict[str, Any]:
    from charrnn.analysis.baselines import compressions, ngram_losses
    from charrnn.records import bits

    if not len(training):
        raise CorpusError("there is no training text to fit the baselines on")
    # As for the model, a first character that nothing precedes is context, not scored.
    scored, before = (part.ids, part.before) if len(part.before) else (part.ids[1:], part.ids[:1])
    with bar("Counting n-grams") as progress:
        losses = ngram_losses(training, scored, before, len(model.vocabulary), progress)
    with bar("Compressing") as progress:
        found = compressions(training, part.ids, model.vocabulary, progress)
    return {
        "fitted_on": len(training),
        "ngrams": [{"order": order, "loss": loss, "bpc": bits(loss)} for order, loss in enumerate(losses)],
        "best_order": losses.index(min(losses)),
        "compressors": [{"name": each.name, "alone": each.alone, "after": each.after} for each in found],
    }


def _novelty(model, training, held_out, options: dict[str, Any], bar) -> dict[str, Any]:
    import numpy as np

    from charrnn.analysis.novelty import novelty

    ids = _write(model, options, bar)
    with bar("Looking for copies") as progress:
        found = novelty(ids, training, progress=progress)
    real = None
    if held_out is not None:
        with bar("Looking for copies in real text") as progress:
            real = novelty(held_out[: options["length"]], training, progress=progress)
    copied = model.vocabulary.decode(ids[found.start : found.start + found.longest])
    line_end = model.vocabulary.line_start
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


def _write(model, options: dict[str, Any], bar):
    """Ids (length,) that the model writes from the start of a line."""
    import numpy as np

    from charrnn.inference.sampler import Choice

    sampler, length = model.sampler(choice=Choice(options["temperature"]), seed=options["seed"]), options["length"]
    pieces = []
    with bar("Writing") as progress:
        for start in range(0, length, _CHUNK):
            pieces.append(sampler.draw(min(_CHUNK, length - start))[:, 0])
            progress(min(start + _CHUNK, length), length)
    return np.concatenate(pieces)
