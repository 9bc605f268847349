"""From the options of ``train`` to a trainer for a new run."""

from pathlib import Path
from typing import Any

import click

from charrnn.config import PRESETS, TrainConfig
from charrnn.errors import CheckpointError, ConfigError, CorpusError, VocabularyError

# What the model is, how the text is read, how the model learns, and what a run that is resumed may change.
MODEL = ("hidden", "layers", "embedding")
TEXT = ("as_bytes", "encoding", "min_count", "max_vocab")
LEARNING = (
    "seq_len",
    "batch_size",
    "init",
    "forget_bias",
    "dropout",
    "variational",
    "recurrent_dropout",
    "input_dropout",
    "label_smoothing",
    "lr",
    "optimizer",
    "beta1",
    "beta2",
    "epsilon",
    "nesterov",
    "weight_decay",
    "l1",
    "clip",
    "clip_value",
    "ema",
    "warmup",
    "schedule",
    "final_lr",
    "decay_rate",
    "decay_after",
    "decay_every",
    "plateau_patience",
    "split",
    "seed",
)
ENDS = ("epochs", "steps", "time_budget")
RUN = ("patience", "effort", *ENDS, "eval_every", "save_every", "sample_every", "snapshots")


def flag(name: str) -> str:
    """How an option is written."""
    return "--" + name.removeprefix("as_").replace("_", "-")


def given(ctx: click.Context, names: tuple[str, ...]) -> list[str]:
    """Those of the options that the user gave, as flags or in a file."""
    sources = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.DEFAULT_MAP)
    return [name for name in names if ctx.get_parameter_source(name) in sources]


def begin(ctx: click.Context, text: tuple[str, ...], options: dict[str, Any], folder, terminal):
    """A trainer for a new run.

    Raises:
        CharRNNError: a run is there, or the text or the options cannot be used.
    """
    from charrnn.checkpoints.run_folder import load_checkpoint
    from charrnn.checkpoints.vocabulary_growth import describe_growth, grow
    from charrnn.config import ModelConfig
    from charrnn.network.network import Network
    from charrnn.text.corpus import Parts
    from charrnn.training import Trainer, memory

    options = _with_preset(ctx, options)
    config = TrainConfig(**{name: options[name] for name in (*LEARNING, *RUN)})
    if folder.exists() and not options["force"]:
        raise CheckpointError(
            f"{folder.path}: a run is there; --resume to go on, --force to replace it, or --name another"
        )
    source = load_checkpoint(options["init_from"], warn=terminal.warn) if options["init_from"] else None
    if source is not None:
        options = _settings_of_source(ctx, options, source)
    try:
        corpus = open_text(text, options, source.vocabulary if source else None, terminal)
    except VocabularyError as error:
        raise VocabularyError(f"{error}, or --grow-vocabulary to have the model learn new ones") from None
    _require_enough(ctx, corpus, config.split)
    notes = corpus.notes
    if source is not None and options["grow_vocabulary"]:
        notes += (describe_growth(source.vocabulary, corpus.vocabulary),)
        source = grow(source, corpus.vocabulary, config.seed)
    sizes = [options[name] for name in MODEL]
    model = source.model if source is not None else ModelConfig(len(corpus.vocabulary), *sizes)
    parts = Parts.of(corpus.ids, config.split)
    memory.check(model, config, len(parts.train))
    network = Network(model, config.seed, options["threads"], config.init, config.forget_bias)
    if source is not None:
        network.set_parameters(source.parameters)
    facts = {
        "sources": list(corpus.sources),
        "paths": [path if path == "-" else str(Path(path).absolute()) for path in corpus.sources],
        "sha256": corpus.sha256,
        "characters": len(corpus),
        "bytes": corpus.size,
        **{name: options[name] for name in TEXT},
        "unknown": options["unknown"],
        "init_from": str(options["init_from"]) if source is not None else None,
    }
    return Trainer(network, config, parts, corpus.vocabulary, folder, facts, notes, diagnose=options["diagnose"])


def _require_enough(ctx: click.Context, corpus, fractions: str) -> None:
    """Refuse a text with nothing to predict, and a split that the user gave and that leaves too little of it.

    Raises:
        CharRNNError: with how much there is.
    """
    from charrnn.text.corpus import split

    named, length = ", ".join(corpus.sources), len(corpus)
    if length < 2:
        raise CorpusError(f"{named}: fewer than 2 characters: there is nothing to predict; give a longer text")
    if not given(ctx, ("split",)):
        return
    shares = (float(share) for share in fractions.split("/"))
    for share, part, name in zip(shares, split(length, fractions), ("training", "validation"), strict=False):
        found = part.stop - part.start
        if share and found < 2:
            raise ConfigError(
                f"{named}: --split {fractions} leaves {found} of {length:,} characters for {name}, "
                "and 2 are the least: give that part more, or another text"
            )


def _with_preset(ctx: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    """The options, with a preset's values for those that nothing else settles."""
    settled = given(ctx, tuple(options))
    if any(name in settled for name in ENDS):
        settled += [*ENDS, "effort"]
    if options["init_from"]:
        settled += MODEL
    values = PRESETS.get(options["preset"], {})
    return options | {name: value for name, value in values.items() if name not in settled}


def _settings_of_source(ctx: click.Context, options: dict[str, Any], source) -> dict[str, Any]:
    """The options, with the sizes and the way to read that ``--init-from`` settles."""
    settled = source.model.to_dict() | {"as_bytes": source.vocabulary.is_bytes}
    if not options["grow_vocabulary"]:
        settled["min_count"] = 1
    for name in given(ctx, tuple(settled)):
        if options[name] != settled[name]:
            raise ConfigError(f"{options['init_from']} settles {flag(name)}: leave it out with --init-from")
    for name in given(ctx, ("init", "forget_bias")):
        raise ConfigError(f"{flag(name)} is for new weights: leave it out with --init-from")
    return {**options, "as_bytes": source.vocabulary.is_bytes}


def open_text(sources: tuple[str, ...], options: dict[str, Any], vocabulary, terminal):
    """The corpus that ``sources`` name, read as the options say, with a progress bar.

    Raises:
        CharRNNError: it cannot be used.
    """
    from charrnn.display.terminal.progress_bar import progress_bar
    from charrnn.text.corpus import open_corpus

    with progress_bar(terminal, "Reading the text") as progress:
        return open_corpus(
            sources,
            as_bytes=options["as_bytes"],
            encoding=options["encoding"],
            min_count=options["min_count"],
            max_vocab=options["max_vocab"],
            vocabulary=vocabulary,
            grow=options["grow_vocabulary"],
            unknown=options["unknown"],
            progress=progress,
        )
