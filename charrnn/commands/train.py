"""``charrnn train``: a text in, a model that writes like it out."""

import contextlib
import signal
import tomllib
from pathlib import Path
from typing import Any

import click

from charrnn.commands.options import (
    Duration,
    Number,
    Whole,
    announced_compilation,
    json_option,
    quiet_option,
    threads_option,
)
from charrnn.config import DEFAULT_LR, DEFAULT_WEIGHT_DECAY, OPTIMIZERS, TrainConfig
from charrnn.errors import CheckpointError, ConfigError

# Options that say what the model is or how it learns: a resumed run has them from its checkpoint.
_MODEL = ("hidden", "layers", "embedding")
_TEXT = ("as_bytes", "encoding", "min_count", "max_vocab")
_LEARNING = (
    *("seq_len", "batch_size", "dropout", "lr", "optimizer", "clip", "weight_decay", "warmup", "split", "seed"),
)
_RUN = ("epochs", "steps", "time_budget", "eval_every", "save_every", "sample_every")

_DEFAULTS = TrainConfig()


def _read_config(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Make the settings of a TOML file the defaults of the options, so that flags win."""
    if path is None:
        return None
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML ({error})") from None
    names = {option.name: option for option in ctx.command.params if isinstance(option, click.Option)}
    spelled = {"bytes": "as_bytes", "json": "as_json"}
    known = {
        next((short for short, name in spelled.items() if name == option), option).replace("_", "-"): option
        for option in names
        if option not in ("config", "help")
    }
    defaults: dict[str, Any] = {}
    for name, value in settings.items():
        key = name.replace("_", "-")
        if key not in known:
            import difflib

            near = difflib.get_close_matches(key, known, 1)
            raise ConfigError(f"{path}: unknown setting {name!r}" + (f": did you mean {near[0]!r}?" if near else ""))
        if isinstance(value, dict | list):
            raise ConfigError(f"{path}: {name} must be a single value")
        defaults[known[key]] = value
    ctx.default_map = {**(ctx.default_map or {}), **defaults}
    return path


@click.command(short_help="Train a model on a text.")
@click.argument("text", nargs=-1, metavar="TEXT...")
@click.option("--name", help="Name of the run.  [default: the text's name]")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default="checkpoints", show_default=True,
    help="Folder that holds the runs.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a run of the same name.")
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
    "--dropout", type=Number(0, 0.95),
    help="Part of every layer's outputs that is dropped while training.  "
    "[default: 0.5 for a small text, 0.2 for a million characters, 0 for many]",
)  # fmt: skip
@click.option(
    "--optimizer", type=click.Choice(OPTIMIZERS), default=_DEFAULTS.optimizer, show_default=True,
    help="How the gradient changes the weights.",
)  # fmt: skip
@click.option(
    "--lr", type=Number(0, 1000),
    help="Peak learning rate.  [default: " + ", ".join(f"{name} {lr:g}" for name, lr in DEFAULT_LR.items()) + "]",
)  # fmt: skip
@click.option(
    "--warmup", type=Whole(0), default=_DEFAULTS.warmup, show_default=True,
    help="Steps in which the learning rate rises; it then falls along a cosine.",
)  # fmt: skip
@click.option(
    "--clip", type=Number(0), default=_DEFAULTS.clip, show_default=True,
    help="Bound on the gradient's norm; 0 for none.",
)  # fmt: skip
@click.option(
    "--weight-decay", type=Number(0, 100),
    help=f"Pull of the weights to zero.  [default: adamw {DEFAULT_WEIGHT_DECAY['adamw']:g}, others 0]",
)  # fmt: skip
@click.option("--epochs", type=Number(1e-6, 1e6), help="Passes over the text.  [default: as many as suit its size]")
@click.option("--steps", type=Whole(1), help="Updates, instead of epochs.")
@click.option("--time-budget", type=Duration(), metavar="DURATION", help="Time, instead of epochs: 90s, 3m, 1h30m.")
@click.option(
    "--split", default=_DEFAULTS.split, show_default=True, metavar="A/B/C",
    help="Percent of the text for training, validation and test, in this order.",
)  # fmt: skip
@click.option(
    "--seed", type=Whole(0, 2**63 - 1), default=_DEFAULTS.seed, show_default=True,
    help="The same seed trains the same model.",
)  # fmt: skip
@threads_option
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
@click.option("--resume", is_flag=True, help="Go on with the run of this name, from its last checkpoint.")
@click.option(
    "--init-from", type=click.Path(path_type=Path), metavar="CHECKPOINT",
    help="Start from the weights and characters of a model.",
)  # fmt: skip
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.toml", is_eager=True,
    callback=_read_config, expose_value=False, help="Options by their names, as TOML. Flags win.",
)  # fmt: skip
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
    from charrnn.runs import RunFolder
    from charrnn.terminal.console import Terminal
    from charrnn.terminal.training import training_display

    terminal = Terminal(options["quiet"], options["as_json"])
    if not text and not (options["resume"] and options["name"]):
        raise click.UsageError("Missing argument 'TEXT...': a file to learn from (or --resume with --name).")
    if options["resume"] and (options["init_from"] or options["force"]):
        raise click.UsageError("--resume goes on with a run; --init-from and --force start one.")
    folder = RunFolder(options["out"] / _run_name(options["name"], text))
    announced_compilation(terminal)
    trainer = _resumed(ctx, text, options, folder, terminal) if options["resume"] else None
    if trainer is None:
        trainer = _begun(text, options, folder, terminal)
    with _stopping_gently(trainer, terminal) as stopped, training_display(terminal) as display:
        for record in trainer.run():
            folder.record(record)
            display.handle(record)
    if stopped:
        ctx.exit(128 + stopped[0])


def _run_name(name: str | None, text: tuple[str, ...]) -> str:
    """The name of the run's folder: one plain component of a path."""
    if name is None:
        name = "stdin" if text[0] == "-" else Path(text[0]).resolve().stem
    if not name or name in (".", "..") or any(sign in name for sign in '/\\:*?"<>|') or not name.isprintable():
        raise ConfigError(f"{name!r} cannot be a folder's name: choose one with --name")
    return name


def _open_text(sources: tuple[str, ...], options: dict[str, Any], vocabulary, terminal):
    from charrnn.terminal.progress import progress_bar
    from charrnn.text.corpus import open_corpus

    with progress_bar(terminal, "Reading the text") as progress:
        return open_corpus(
            sources,
            as_bytes=options["as_bytes"],
            encoding=options["encoding"],
            min_count=options["min_count"],
            max_vocab=options["max_vocab"],
            vocabulary=vocabulary,
            progress=progress,
        )


def _begun(text, options, folder, terminal):
    """A trainer for a new run."""
    from charrnn.config import ModelConfig
    from charrnn.network import CharLSTM
    from charrnn.runs import load_checkpoint
    from charrnn.training import Parts, Trainer

    config = TrainConfig(**{name: options[name] for name in (*_LEARNING, *_RUN)})
    if folder.exists() and not options["force"]:
        raise CheckpointError(
            f"{folder.path}: a run is there; --resume to go on, --force to replace it, or --name another"
        )
    source = load_checkpoint(options["init_from"]) if options["init_from"] else None
    reading = dict(options)
    if source is not None:
        reading["as_bytes"] = source.vocabulary.is_bytes
    corpus = _open_text(text, reading, source.vocabulary if source else None, terminal)
    if source is not None:
        model = source.model
        for name in _MODEL:
            given = click.get_current_context().get_parameter_source(name)
            if given is click.core.ParameterSource.COMMANDLINE and options[name] != getattr(model, name):
                raise ConfigError(
                    f"{options['init_from']} has {name} {getattr(model, name)}, not {options[name]}: leave --{name} out"
                )
    else:
        model = ModelConfig(len(corpus.vocabulary), *(options[name] for name in _MODEL))
    network = CharLSTM(model, seed=config.seed, threads=options["threads"])
    if source is not None:
        for name, value in source.parameters.items():
            network.parameters[name][:] = value
    facts = {
        "sources": list(corpus.sources),
        "sha256": corpus.sha256,
        "characters": len(corpus),
        **{name: reading[name] for name in _TEXT},
        "init_from": str(options["init_from"]) if source is not None else None,
    }
    trainer = Trainer(
        network, config, Parts.of(corpus.ids, config.split), corpus.vocabulary, folder, facts, corpus.notes
    )
    folder.create()
    return trainer


def _resumed(ctx, text, options, folder, terminal):
    """A trainer that goes on from the folder's last checkpoint."""
    from charrnn.checkpoint import Checkpoint
    from charrnn.network import CharLSTM
    from charrnn.training import Parts, Trainer

    if not folder.last.is_file():
        raise CheckpointError(f"{folder.last}: nothing to resume; leave --resume out to start the run")
    checkpoint = Checkpoint.load(folder.last)
    if checkpoint.training is None or checkpoint.state is None:
        raise CheckpointError(f"{folder.last}: it has no run to resume, only weights; start one with --init-from")
    given = {
        name: options[name]
        for name in (*_MODEL, *_TEXT, *_LEARNING, *_RUN)
        if ctx.get_parameter_source(name)
        in (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.DEFAULT_MAP)
    }
    before = {**checkpoint.model.to_dict(), **checkpoint.corpus, **checkpoint.training.to_dict()}
    for name, value in given.items():
        if name not in _RUN and before[name] != value:
            flag = name.removeprefix("as_").replace("_", "-")
            raise ConfigError(
                f"the run was started with --{flag} {before[name]}, not {value}: leave --{flag} out to resume"
            )
    settings = checkpoint.training.to_dict()
    if any(name in given for name in ("epochs", "steps", "time_budget")):
        settings.update(epochs=None, steps=None, time_budget=None)
    settings.update({name: value for name, value in given.items() if name in _RUN})
    config = TrainConfig.from_dict(settings)
    sources = text or tuple(checkpoint.corpus["sources"])
    if sources == ("-",) and not text:
        raise ConfigError("the run's text came from standard input: pipe it in again and name it with -")
    reading = {**options, **{name: checkpoint.corpus[name] for name in _TEXT}}
    corpus = _open_text(sources, reading, checkpoint.vocabulary, terminal)
    if corpus.sha256 != checkpoint.corpus["sha256"]:
        raise ConfigError(
            f"{', '.join(sources)}: not the text that the run was started with "
            f"({checkpoint.corpus['characters']:,} characters then, {len(corpus):,} now, or other ones); "
            "to train on another text use --init-from"
        )
    network = CharLSTM(checkpoint.model, seed=None, threads=options["threads"])
    parts = Parts.of(corpus.ids, config.split)
    trainer = Trainer(
        network, config, parts, checkpoint.vocabulary, folder, checkpoint.corpus, corpus.notes, checkpoint
    )
    if trainer.is_complete:
        raise ConfigError(
            f"{folder.path}: the run is complete after {checkpoint.progress['step']:,} steps; "
            "give more --epochs, --steps or --time-budget to go on"
        )
    folder.rewind(checkpoint.progress["step"])
    return trainer


@contextlib.contextmanager
def _stopping_gently(trainer, terminal):
    """The first Ctrl-C or SIGTERM ends the run after its step, saved; the second at once."""
    stopped: list[int] = []

    def stop(number, frame):
        if stopped:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        stopped.append(number)
        trainer.stop()
        terminal.note("Stopping after this step, then saving … (again to leave at once)")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
