"""From the options of ``train`` to a trainer for a new run."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from charrnn.commands.train.names import ENDS, LEARNING, MODEL, RUN, TEXT, flag, given
from charrnn.config import PRESETS, TrainConfig
from charrnn.errors import CheckpointError, ConfigError, CorpusError, VocabularyError


def begin(ctx: click.Context, text: tuple[str, ...], options: dict[str, Any], folder, terminal):
    """A trainer for a new run.

    Raises:
        CharRNNError: a run is there, or the text or the options cannot be used.
    """
    from charrnn.checkpoints.run_folder import load_checkpoint
    from charrnn.checkpoints.vocabulary_growth import describe_growth, grow
    from charrnn.text.corpus import Parts
    from charrnn.training import Run, Trainer
    from charrnn.training.plan import MOST_TAUGHT, fitting_batch, fitting_hidden

    options = _with_preset(ctx, options)
    config = TrainConfig(**{name: options[name] for name in (*LEARNING, *RUN)})
    if folder.exists() and not options["force"]:
        raise CheckpointError(
            f"{folder.path}: a run is there; --resume to go on, --force to replace it, or --name another"
        )
    source = None
    if options["init_from"] is not None:
        source = load_checkpoint(options["init_from"], warn=terminal.warn)
        options = _settings_of_source(ctx, options, source)
    try:
        corpus = read_text(text, options, source and source.vocabulary, terminal)
    except VocabularyError as error:
        raise VocabularyError(f"{error}, or --grow-vocabulary to have the model learn new ones") from None
    _require_enough(ctx, corpus, config.split)
    notes = corpus.notes
    if source is not None and options["grow_vocabulary"]:
        notes = (*notes, describe_growth(source.vocabulary, corpus.vocabulary))
        source = grow(source, corpus.vocabulary, config.seed)
    parts = Parts.of(corpus.ids, config.split)
    if not given(ctx, ("batch_size",)):
        config = replace(config, batch_size=fitting_batch(len(parts.train)))
    if not given(ctx, ("teachers",)) and len(parts.train) > MOST_TAUGHT:
        config = replace(config, teachers=0)  # those of a preset
    if not given(ctx, ("hidden",)) and options["hidden"] is not None:  # by a preset
        options["hidden"] = min(options["hidden"], 2 * fitting_hidden(len(parts.train)))
    network = _network(source, corpus, options, config, parts.train)
    facts = _facts(corpus, options)
    run = Run(network, config, parts, corpus.vocabulary, facts)
    return Trainer(run, folder, notes, options["diagnose"])


def _network(source, corpus, options: dict[str, Any], config: TrainConfig, training):
    """The network to train on ids ``training``: with new weights, or the source's.

    Raises:
        ConfigError: this machine has not enough memory for it.
    """
    from charrnn.config import ModelConfig
    from charrnn.network.network import Network
    from charrnn.training import memory
    from charrnn.training.run import prepare_kernels

    sizes = {name: options[name] for name in MODEL if options[name] is not None}
    prepare_kernels(source.model if source else ModelConfig(len(corpus.vocabulary), **sizes), config)
    model = source.model if source else _sizes(len(corpus.vocabulary), options, config, training)
    memory.check(model, config, len(training))
    network = Network(model, config.seed, options["threads"], config.init, config.forget_bias)
    if source is not None:
        network.set_parameters(source.parameters)
    return network


def _sizes(vocabulary: int, options: dict[str, Any], config: TrainConfig, training):
    """The sizes of a new network; without ``--hidden`` what suits the text, and the time budget if there is one."""
    from charrnn.config import ModelConfig
    from charrnn.network.network import Network
    from charrnn.training import memory
    from charrnn.training.plan import fitting_hidden, hidden_for_budget
    from charrnn.training.run import training_rate, windows_of

    sizes = {name: options[name] for name in MODEL}
    if sizes["hidden"] is not None:
        return ModelConfig(vocabulary, **sizes)
    model = ModelConfig(vocabulary, **sizes | {"hidden": fitting_hidden(len(training))})
    if config.time_budget is None or len(training) < 2:
        return model
    memory.check(model, config, len(training))
    network = Network(model, config.seed, options["threads"])
    network.prepare_training()
    rate = training_rate(network, windows_of(training, config))
    return replace(model, hidden=hidden_for_budget(model, len(training), rate, config.time_budget))


def _facts(corpus, options: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of the text, so that a resume finds and recognises it."""
    return {
        **where(corpus, corpus.sources),
        **{name: options[name] for name in TEXT},
        "unknown": options["unknown"],
        "init_from": str(options["init_from"]) if options["init_from"] else None,
    }


def where(corpus, sources) -> dict[str, Any]:
    """The names, places, size and SHA-256 of a text."""
    return {
        "sources": list(sources),
        "paths": [path if path == "-" else str(Path(path).absolute()) for path in sources],
        "sha256": corpus.sha256,
        "characters": len(corpus),
        "bytes": corpus.size,
    }


def _require_enough(ctx: click.Context, corpus, fractions: str) -> None:
    """Refuse a text with nothing to predict, and a --split that leaves too little of it for a part.

    Raises:
        CharRNNError: it says how much text there is.
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
    """The options, with the preset's values for options that nothing else settles."""
    settled = given(ctx, tuple(options))
    if "time_budget" in settled:
        settled.append("teachers")
    if any(name in settled for name in ENDS):
        settled += [*ENDS, "effort"]
    if options["init_from"]:
        settled += [*MODEL, "teachers"]
    values = PRESETS.get(options["preset"], {})
    return options | {name: value for name, value in values.items() if name not in settled}


def _settings_of_source(ctx: click.Context, options: dict[str, Any], source) -> dict[str, Any]:
    """The options of a run with ``--init-from``, which settles the sizes and whether the text is read as bytes.

    Raises:
        ConfigError: the user gave an option that it settles.
    """
    settled = asdict(source.model) | {"as_bytes": source.vocabulary.is_bytes}
    if not options["grow_vocabulary"]:
        settled["min_count"] = 1
    for name in given(ctx, tuple(settled)):
        if options[name] != settled[name]:
            raise ConfigError(f"{options['init_from']} settles {flag(name)}: leave it out with --init-from")
    for name in given(ctx, ("init", "forget_bias")):
        raise ConfigError(f"{flag(name)} is for new weights: leave it out with --init-from")
    return {**options, "as_bytes": source.vocabulary.is_bytes}


def read_text(sources: tuple[str, ...], options: dict[str, Any], vocabulary, terminal):
    """The corpus of ``sources``, read as the options say.

    Raises:
        CharRNNError: a source cannot be used.
    """
    from charrnn.commands.texts import open_text

    how = {name: options[name] for name in (*TEXT, "unknown")}
    return open_text(terminal, sources, vocabulary=vocabulary, grow=options["grow_vocabulary"], **how)
