"""``charrnn train``: a text in, a model that writes like it out."""

import time
from pathlib import Path
from typing import Any

import click

from charrnn.commands import signals
from charrnn.commands.help import Command, option, section
from charrnn.commands.options import general_options, unknown_option
from charrnn.commands.settings import read_settings
from charrnn.commands.train import new_run, resumed_run
from charrnn.commands.train.names import flag
from charrnn.commands.train.options import learning_options
from charrnn.commands.types import CheckpointPath, Duration, Number, Whole
from charrnn.config import INITS, PRESETS, TrainConfig
from charrnn.errors import ConfigError

_DEFAULTS = TrainConfig()
_STOPPING = "Stopping after this step, then saving … (again to leave at once)"


@click.command(cls=Command)
@click.argument("text", nargs=-1, metavar="TEXT...")
@section(
    "The run",
    option("--name", help="Name of the run.  [default: the text's name]"),
    option(
        "--out", type=click.Path(path_type=Path, file_okay=False), default="checkpoints", show_default=True,
        help="Folder that holds the runs.",
    ),
    option("--force", is_flag=True, help="Replace a run of the same name."),
    option(
        "--preset", type=click.Choice(tuple(PRESETS)),
        help="Settings that go together: quick (three minutes), balanced (the defaults), best (half an hour a "
        "megabyte). Flags win.",
    ),
)  # fmt: skip
@section(
    "The network",
    option("--hidden", type=Whole(1, 65536), default=256, show_default=True, help="Units of a layer."),
    option("--layers", type=Whole(1, 64), default=2, show_default=True, help="Number of layers."),
    option(
        "--embedding", type=Whole(1, 65536), rare=True,
        help="Learn an embedding of this size for the characters.  [default: none; characters are looked up one-hot]",
    ),
    option(
        "--seq-len", type=Whole(1, 1_000_000), default=_DEFAULTS.seq_len, show_default=True, rare=True,
        help="Steps that the gradient goes back. The state is carried on beyond them.",
    ),
    option(
        "--batch-size", type=Whole(1, 1_000_000), default=_DEFAULTS.batch_size, show_default=True, rare=True,
        help="Stretches of the text that are read side by side.",
    ),
    option(
        "--init",
        type=click.Choice(INITS),
        default=_DEFAULTS.init,
        show_default=True,
        rare=True,
        help="The first weights: unit, made for one-hot characters; uniform, PyTorch's; xavier; orthogonal, with "
        "orthogonal recurrent matrices and the rest as unit.",
    ),
    option(
        "--forget-bias", type=Number(-100, 100), default=_DEFAULTS.forget_bias, show_default=True, rare=True,
        help="The first bias of forget gates: the higher it is, the longer cells remember at first.",
    ),
)  # fmt: skip
@section(
    "Regularisation",
    option(
        "--dropout", type=Number(0, 0.95),
        help="Share of every layer's outputs to drop while training.  "
        "[default: 0.5 for a small text, 0.2 for a million characters, 0 for many]",
    ),
    option("--variational", is_flag=True, rare=True, help="Drop the same outputs in all steps of a window."),
    option(
        "--recurrent-dropout", type=Number(0, 0.95), default=_DEFAULTS.recurrent_dropout, show_default=True, rare=True,
        help="Share of the recurrent weights to drop for a window.",
    ),
    option(
        "--input-dropout", type=Number(0, 0.95), default=_DEFAULTS.input_dropout, show_default=True, rare=True,
        help="Share of the characters to hide from a window.",
    ),
    option(
        "--label-smoothing", type=Number(0, 0.95), default=_DEFAULTS.label_smoothing, show_default=True, rare=True,
        help="Share of the target to spread over all characters.",
    ),
)  # fmt: skip
@learning_options
@section(
    "How long",
    option("--epochs", type=Number(1e-6, 1e6), help="Passes over the text.  [default: as many as suit its size]"),
    option(
        "--effort", type=Number(0.01, 1000), default=_DEFAULTS.effort, show_default=True, rare=True,
        help="The default number of epochs, times this.",
    ),
    option("--steps", type=Whole(1), help="Updates, instead of epochs."),
    option("--time-budget", type=Duration(), metavar="DURATION", help="Time, instead of epochs: 90s, 3m, 1h30m."),
    option(
        "--patience", type=Whole(1), metavar="N", rare=True,
        help="End after N evaluations without a better one.  [default: go on]",
    ),
)  # fmt: skip
@section(
    "The text",
    option(
        "--split", default=_DEFAULTS.split, show_default=True, metavar="A/B/C", rare=True,
        help="Percent of the text for training, validation and test, in this order.",
    ),
    unknown_option,
    option("--bytes", "as_bytes", is_flag=True, rare=True, help="Model bytes instead of characters."),
    option("--encoding", default="utf-8", show_default=True, rare=True, help="Encoding of the text."),
    option(
        "--min-count", type=Whole(1), default=1, show_default=True, rare=True,
        help="Characters seen less often become U+FFFD.",
    ),
    option(
        "--max-vocab", type=Whole(1, 1_114_112), default=1000, show_default=True, rare=True,
        help="Refuse a text with more distinct characters.",
    ),
)  # fmt: skip
@section(
    "Along the way",
    option(
        "--eval-every", type=Whole(1), metavar="STEPS", rare=True,
        help="Steps between evaluations.  [default: about a twelfth of the run]",
    ),
    option(
        "--save-every", type=Whole(1), metavar="STEPS", rare=True,
        help="Steps between saves.  [default: with every evaluation, and each minute]",
    ),
    option(
        "--sample-every", type=Whole(0), metavar="STEPS", rare=True,
        help="Steps between samples; 0 for none.  [default: a few early ones, then with evaluations]",
    ),
    option("--snapshots", is_flag=True, help="Keep weights along the way, for `charrnn inspect history`."),
    option(
        "--diagnose", is_flag=True, rare=True,
        help="With every evaluation, show how far gradients reach back, how large updates are, how open the gates.",
    ),
)  # fmt: skip
@section(
    "Resuming, and starting from a model",
    option("--resume", is_flag=True, help="Go on with the run of this name, from its last checkpoint."),
    option(
        "--allow-different", is_flag=True, rare=True,
        help="With --resume: go on though settings, text or program differ from those that the run was begun with.",
    ),
    option(
        "--init-from", type=CheckpointPath(), metavar="CHECKPOINT",
        help="Start from the weights and characters of a model.",
    ),
    option(
        "--grow-vocabulary", is_flag=True, rare=True,
        help="With --init-from: give the model the characters of the text that it does not know.",
    ),
)  # fmt: skip
@section(
    "General",
    option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE.toml",
        is_eager=True,
        callback=read_settings,
        expose_value=False,
        help="Options by their names, as TOML. Flags win.",
    ),
    option(
        "--seed", type=Whole(0, 2**63 - 1), default=_DEFAULTS.seed, show_default=True,
        help="The same seed trains the same model.",
    ),
)  # fmt: skip
@general_options
@click.pass_context
def train(ctx: click.Context, text: tuple[str, ...], **options: Any) -> None:
    """Train a model on TEXT: files, folders, - for standard input, or names from `charrnn corpus list`.

    The run is kept in OUT/NAME: last.safetensors to resume from, best.safetensors with the best validation loss, and
    metrics.jsonl. Ctrl-C saves and stops; --resume goes on as if nothing had happened.

    \b
    charrnn train corpora/fables.txt
    charrnn train novel.txt --time-budget 10m --hidden 384 --dropout 0.4
    charrnn train novel.txt --resume

    \f

    Snapshots are kept at steps with samples, two for each doubling of the steps.

    --json writes the run's records, one a line, as they stand in metrics.jsonl.
    """
    from charrnn.checkpoints.run_folder import RunFolder
    from charrnn.commands.loading import announced_compilation
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
    """Refuse options that contradict each other.

    Raises:
        click.UsageError: there are such options.
    """
    from charrnn.text.corpus import split

    if not text and not (options["resume"] and options["name"]):
        raise click.UsageError("Missing argument 'TEXT...': a file to learn from (or --resume with --name).")
    if options["resume"] and (options["init_from"] or options["force"] or options["preset"]):
        raise click.UsageError("--resume goes on with a run; --init-from, --preset and --force start one.")
    if options["allow_different"] and not options["resume"]:
        raise click.UsageError("--allow-different goes with --resume.")
    if options["as_bytes"] and options["min_count"] > 1:
        raise click.UsageError("--bytes and --min-count exclude each other.")
    if options["grow_vocabulary"] and (options["unknown"] or not options["init_from"]):
        raise click.UsageError("--grow-vocabulary goes with --init-from and without --unknown.")
    if options["unknown"] and not options["init_from"]:
        raise click.UsageError("--unknown goes with --init-from: a new model knows all characters of its text.")
    if options["snapshots"] and options["sample_every"] == 0:
        raise click.UsageError("--snapshots are kept where samples are drawn: leave --sample-every 0 out.")
    _require_one_end(options)
    try:
        split(100, options["split"])
    except ConfigError as error:
        raise click.BadParameter(str(error), param_hint="--split") from None


def _require_one_end(options: dict[str, Any]) -> None:
    """Refuse two answers to how long the run is."""
    ends = [flag(name) for name in ("epochs", "steps", "time_budget") if options[name] is not None]
    if options["effort"] != _DEFAULTS.effort and not options["resume"]:
        ends.append("--effort")
    if len(ends) > 1:
        raise click.UsageError(f"{' and '.join(ends)} exclude each other.")


def _show(trainer, folder, terminal) -> None:
    """Go through the run and show it. If the display breaks, the run saves and stops, and then the error is raised."""
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
