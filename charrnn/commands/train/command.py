"""``charrnn train``: a text in, a model that writes like it out."""

import time
from pathlib import Path
from typing import Any

import click

from charrnn.commands import signals
from charrnn.commands.options import (
    CheckpointPath,
    Duration,
    Number,
    Sectioned,
    Whole,
    announced_compilation,
    json_option,
    quiet_option,
    read_settings,
    section,
    threads_option,
    unknown_option,
)
from charrnn.commands.train import new_run, resumed_run
from charrnn.commands.train.options import check_learning, learning_options
from charrnn.config import INITS, PRESETS, TrainConfig
from charrnn.errors import ConfigError

_DEFAULTS = TrainConfig()
_STOPPING = "Stopping after this step, then saving … (again to leave at once)"


@click.command(cls=Sectioned)
@click.argument("text", nargs=-1, metavar="TEXT...")
@section("The run")
@click.option("--name", help="Name of the run.  [default: the text's name]")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default="checkpoints", show_default=True,
    help="Folder that holds the runs.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a run of the same name.")
@click.option(
    "--preset", type=click.Choice(tuple(PRESETS)),
    help="Settings that go together: quick (three minutes), balanced (the defaults), best (half an hour a megabyte). "
    "Flags win.",
)  # fmt: skip
@section("The network")
@click.option("--hidden", type=Whole(1, 65536), default=256, show_default=True, help="Units of a layer.")
@click.option("--layers", type=Whole(1, 64), default=2, show_default=True, help="Number of layers.")
@click.option(
    "--embedding", type=Whole(1, 65536),
    help="Learn an embedding of this size for the characters.  [default: none; they are looked up one-hot]",
)  # fmt: skip
@click.option(
    "--seq-len", type=Whole(1, 1_000_000), default=_DEFAULTS.seq_len, show_default=True,
    help="Steps that the gradient goes back. The state is carried on beyond them.",
)  # fmt: skip
@click.option(
    "--batch-size", type=Whole(1, 1_000_000), default=_DEFAULTS.batch_size, show_default=True,
    help="Stretches of the text that are read side by side.",
)  # fmt: skip
@click.option(
    "--init", type=click.Choice(INITS), default=_DEFAULTS.init, show_default=True,
    help="The first weights: unit, made for one-hot characters; uniform, PyTorch's; xavier; "
    "orthogonal recurrent matrices, the rest as unit.",
)  # fmt: skip
@click.option(
    "--forget-bias", type=Number(-100, 100), default=_DEFAULTS.forget_bias, show_default=True,
    help="The first bias of forget gates: the higher, the longer cells remember at first.",
)  # fmt: skip
@section("Against learning by heart")
@click.option(
    "--dropout", type=Number(0, 0.95),
    help="Part of every layer's outputs that is dropped while training.  "
    "[default: 0.5 for a small text, 0.2 for a million characters, 0 for many]",
)  # fmt: skip
@click.option("--variational", is_flag=True, help="Drop the same outputs in all steps of a window.")
@click.option(
    "--recurrent-dropout", type=Number(0, 0.95), default=_DEFAULTS.recurrent_dropout, show_default=True,
    help="Part of the recurrent weights that a window does without.",
)  # fmt: skip
@click.option(
    "--input-dropout", type=Number(0, 0.95), default=_DEFAULTS.input_dropout, show_default=True,
    help="Part of the characters that a window does not see.",
)  # fmt: skip
@click.option(
    "--label-smoothing", type=Number(0, 0.95), default=_DEFAULTS.label_smoothing, show_default=True,
    help="Part of the target that is spread over all characters.",
)  # fmt: skip
@section("How it learns")
@learning_options
@section("How long")
@click.option("--epochs", type=Number(1e-6, 1e6), help="Passes over the text.  [default: as many as suit its size]")
@click.option(
    "--effort", type=Number(0.01, 1000), default=_DEFAULTS.effort, show_default=True,
    help="Without --epochs: so many times as many of them as the default.",
)  # fmt: skip
@click.option("--steps", type=Whole(1), help="Updates, instead of epochs.")
@click.option("--time-budget", type=Duration(), metavar="DURATION", help="Time, instead of epochs: 90s, 3m, 1h30m.")
@click.option(
    "--patience",
    type=Whole(1),
    metavar="N",
    help="End after N evaluations without a better one.  [default: go on]",
)
@section("The text")
@click.option(
    "--split", default=_DEFAULTS.split, show_default=True, metavar="A/B/C",
    help="Percent of the text for training, validation and test, in this order.",
)  # fmt: skip
@unknown_option
@click.option("--bytes", "as_bytes", is_flag=True, help="Model bytes instead of characters.")
@click.option("--encoding", default="utf-8", show_default=True, help="Encoding of the text.")
@click.option(
    "--min-count", type=Whole(1), default=1, show_default=True,
    help="Characters seen less often become U+FFFD.",
)  # fmt: skip
@click.option(
    "--max-vocab", type=Whole(1, 1_114_112), default=1000, show_default=True,
    help="Refuse a text with more distinct characters.",
)  # fmt: skip
@section("Along the way")
@click.option(
    "--eval-every",
    type=Whole(1),
    metavar="STEPS",
    help="Steps between evaluations.  [default: about a twelfth of the run]",
)
@click.option(
    "--save-every",
    type=Whole(1),
    metavar="STEPS",
    help="Steps between saves.  [default: with every evaluation, and each minute]",
)
@click.option(
    "--sample-every",
    type=Whole(0),
    metavar="STEPS",
    help="Steps between samples; 0 for none.  [default: a few early ones, then with evaluations]",
)
@click.option(
    "--snapshots", is_flag=True,
    help="Keep the weights of steps with samples, two for each doubling of the steps, for `inspect --history`.",
)  # fmt: skip
@click.option(
    "--diagnose", is_flag=True,
    help="With every evaluation, show how far gradients reach back, how large updates are, how open the gates.",
)  # fmt: skip
@section("Going on, and starting from a model")
@click.option("--resume", is_flag=True, help="Go on with the run of this name, from its last checkpoint.")
@click.option(
    "--allow-different", is_flag=True,
    help="With --resume: go on though settings, text or program are not those that the run was begun with.",
)  # fmt: skip
@click.option(
    "--init-from", type=CheckpointPath(path_type=Path), metavar="CHECKPOINT",
    help="Start from the weights and characters of a model.",
)  # fmt: skip
@click.option(
    "--grow-vocabulary", is_flag=True,
    help="With --init-from: give the model the characters of the text that it does not know.",
)  # fmt: skip
@section("General")
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.toml", is_eager=True,
    callback=read_settings, expose_value=False, help="Options by their names, as TOML. Flags win.",
)  # fmt: skip
@click.option(
    "--seed", type=Whole(0, 2**63 - 1), default=_DEFAULTS.seed, show_default=True,
    help="The same seed trains the same model.",
)  # fmt: skip
@threads_option
@quiet_option
@json_option
@click.pass_context
def train(ctx: click.Context, text: tuple[str, ...], **options: Any) -> None:
    """Train a model on TEXT: files, folders, - for standard input, or names from `charrnn corpus list`.

    The run is kept in OUT/NAME: last.safetensors to resume from, best.safetensors with the best validation loss, and
    metrics.jsonl. Ctrl-C saves and stops; --resume goes on as if nothing had happened.

    \b
    charrnn train corpora/fables.txt
    charrnn train novel.txt --time-budget 10m --hidden 384 --dropout 0.4
    charrnn train novel.txt --resume
    """
    from charrnn.checkpoints.run_folder import RunFolder
    from charrnn.display.terminal.console import Terminal

    begun = time.monotonic()
    terminal = Terminal(options["quiet"], options["as_json"])
    _check_usage(text, options)
    folder = RunFolder(options["out"] / _run_name(options["name"], text))
    announced_compilation(terminal)
    with folder.locked():
        start = resumed_run.resume if options["resume"] else new_run.begin
        trainer = start(ctx, text, options, folder, terminal)
        trainer.begun = begun
        with signals.gently(trainer.stop, lambda: terminal.note(_STOPPING)) as stopped:
            _show(trainer, folder, terminal)
    if stopped:
        ctx.exit(128 + stopped[0])


def _check_usage(text: tuple[str, ...], options: dict[str, Any]) -> None:
    """Refuse options that do not go together."""
    from charrnn.text.corpus import split

    if not text and not (options["resume"] and options["name"]):
        raise click.UsageError("Missing argument 'TEXT...': a file to learn from (or --resume with --name).")
    if options["resume"] and (options["init_from"] or options["force"] or options["preset"]):
        raise click.UsageError("--resume goes on with a run; --init-from, --preset and --force start one.")
    if options["allow_different"] and not options["resume"]:
        raise click.UsageError("--allow-different goes with --resume.")
    if not options["resume"]:
        check_learning(options)
        _check_heeded(options)
    ends = [new_run.flag(name) for name in ("epochs", "steps", "time_budget") if options[name] is not None]
    if len(ends) > 1:
        raise click.UsageError(f"{' and '.join(ends)} exclude each other.")
    if options["as_bytes"] and options["min_count"] > 1:
        raise click.UsageError("--bytes and --min-count exclude each other.")
    if options["grow_vocabulary"] and (options["unknown"] or not options["init_from"]):
        raise click.UsageError("--grow-vocabulary goes with --init-from and without --unknown.")
    if options["unknown"] and not options["init_from"]:
        raise click.UsageError("--unknown goes with --init-from: a new model knows all characters of its text.")
    try:
        split(100, options["split"])
    except ConfigError as error:
        raise click.BadParameter(str(error), param_hint="--split") from None


def _check_heeded(options: dict[str, Any]) -> None:
    """Refuse what other options leave without effect."""
    if options["effort"] != _DEFAULTS.effort and (options["epochs"] or options["steps"]):
        raise click.UsageError("--effort goes without --epochs and --steps: it is for the default number of epochs.")
    if options["snapshots"] and options["sample_every"] == 0:
        raise click.UsageError("--snapshots are kept where samples are drawn: leave --sample-every 0 out.")
    if options["variational"] and options["dropout"] == 0:
        raise click.UsageError("--variational goes with a --dropout above 0.")


def _show(trainer, folder, terminal) -> None:
    """Go through the run; when nobody can be shown it any more, save and then say so."""
    from charrnn.display.training.displays import training_display

    broken: OSError | None = None
    with training_display(terminal) as display:
        for record in trainer.run():
            folder.record(record)
            if broken is None:
                try:
                    display.handle(record)
                except OSError as error:
                    broken = error
                    trainer.stop()
    if broken is not None:
        raise broken


def _run_name(name: str | None, text: tuple[str, ...]) -> str:
    """The name of the run's folder: one plain component of a path."""
    if name is None:
        name = "stdin" if text[0] == "-" else Path(text[0]).resolve().stem
    if not name or name in (".", "..") or any(sign in name for sign in '/\\:*?"<>|') or not name.isprintable():
        raise click.BadParameter(f"{name!r} cannot be a folder's name.", param_hint="--name")
    return name
