"""From the settings of a new run to its trainer: the text, the sizes that suit it, the network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_folder import load_checkpoint
from charrnn.checkpoints.run_store import RunStore, Warn
from charrnn.checkpoints.vocabulary_growth import describe_growth, grow
from charrnn.config import CELL_SETTINGS, ENDS, PRESETS, ModelConfig, TrainConfig
from charrnn.errors import CheckpointError, ConfigError, ContradictionError, CorpusError, VocabularyError
from charrnn.network.cells import cell_of
from charrnn.network.network import Network
from charrnn.settings import DEFAULTS, MODEL, TEXT, Options, training_config
from charrnn.text.corpus import Corpus, Parts, split
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import memory
from charrnn.training.plan import MOST_TAUGHT, fitting_batch, fitting_hidden, hidden_for_budget, whole_heads
from charrnn.training.ranks import Ranks
from charrnn.training.run import Run, prepare_kernels, training_rate, windows_of
from charrnn.training.trainer import Trainer

ReadText = Callable[[Options, Vocabulary | None], Corpus]
"""Reads the run's text as the options say, with the vocabulary of the model that it starts from, if it does."""


def begin(
    options: Options,
    read: ReadText,
    folder: RunStore,
    warn: Warn,
    *,
    force: bool = False,
    threads: int | None = None,
    ranks: Ranks | None = None,
) -> Trainer:
    """A trainer for a new run.

    Args:
        options: of the run.
        read: reads the text.
        folder: where checkpoints are saved.
        warn: called with a line about a damaged checkpoint of the model that the run starts from.
        force: whether to replace a run that is in ``folder``.
        threads: how many to use; None for all that this process may use.
        ranks: the processes that train the run; without them this one alone.

    Raises:
        CharRNNError: a run is there, or the text or the options cannot be used.
    """
    ranks = Ranks() if ranks is None else ranks
    options = _with_preset(options)
    if options.values["init_from"] is None:
        options = _with_settings_of_cell(options, options.values)
    config = training_config(options.values)
    _check_cell(options, config)
    if ranks.from_first(folder.exists) and not force:
        raise CheckpointError(
            f"{folder.path}: a run is there; --resume to go on, --force to replace it, or --name another"
        )
    source = None
    if options.values["init_from"] is not None:
        source = load_checkpoint(Path(options.values["init_from"]), warn=warn)
        options = _with_settings_of_cell(_settings_of_source(options, source), vars(source.model))
        config = training_config(options.values)
        cell_of(source.model).check(config)
    try:
        corpus = ranks.first_then_others(lambda: read(options, source and source.vocabulary), on="all")
    except VocabularyError as error:
        raise VocabularyError(f"{error}, or --grow-vocabulary to have the model learn new ones") from None
    _require_enough(corpus, config.split, "split" in options.given)
    notes = tuple(corpus.notes)
    if source is not None and options.values["grow_vocabulary"]:
        notes = (*notes, describe_growth(source.vocabulary, corpus.vocabulary))
        source = grow(source, corpus.vocabulary, config.seed)
    parts = Parts.of(corpus.ids, config.split)
    if "batch_size" not in options.given:
        config = replace(config, batch_size=fitting_batch(len(parts.train)))
    if "teachers" not in options.given and len(parts.train) > MOST_TAUGHT:
        config = replace(config, teachers=0)  # those of a preset
    hidden = options.values["hidden"]
    if "hidden" not in options.given and hidden is not None:  # by a preset
        hidden = min(hidden, 2 * fitting_hidden(len(parts.train)))
        options = options.replaced({"hidden": whole_heads(hidden, options.values["heads"])})
    network = _network(source, corpus, options, config, parts.train, threads, ranks)
    run = Run(network, config, parts, corpus.vocabulary, _facts(corpus, options), ranks=ranks)
    return Trainer(run, folder, notes, options.values["diagnose"])


def _network(
    source: Checkpoint | None,
    corpus: Corpus,
    options: Options,
    config: TrainConfig,
    training: np.ndarray,
    threads: int | None,
    ranks: Ranks,
) -> Network:
    """The network to train on ids ``training``: with new weights, or the source's.

    Raises:
        ConfigError: this machine has not enough memory for it.
    """
    ranks.first_then_others(lambda: prepare_kernels(source.model if source else _with_any_hidden(options), config))
    model = source.model if source else _sizes(len(corpus.vocabulary), options, config, training, threads, ranks)
    memory.check(model, config, len(training), ranks.size)
    network = Network(model, config.seed, threads, config.init, config.forget_bias)
    if source is not None:
        network.set_parameters(source.parameters)
    return network


def _with_any_hidden(options: Options) -> ModelConfig:
    """The network of the options, of one character; where the user leaves the units to the text, with any number."""
    sizes = {name: options.values[name] for name in MODEL}
    if "hidden" not in options.given:
        sizes["hidden"] = whole_heads(ModelConfig.hidden, sizes["heads"])
    return ModelConfig(1, **sizes)


def _check_cell(options: Options, config: TrainConfig) -> None:
    """Refuse settings that the cell of a new network has no use for, before the text is read.

    Raises:
        ConfigError: there are some, or the cell is not known.
    """
    if not options.values["init_from"]:
        cell_of(_with_any_hidden(options)).check(config)


def _sizes(
    vocabulary: int, options: Options, config: TrainConfig, training: np.ndarray, threads: int | None, ranks: Ranks
) -> ModelConfig:
    """The sizes of a new network; without ``hidden`` what suits the text, and the time budget if there is one."""
    sizes, hidden = {name: options.values[name] for name in MODEL}, options.values["hidden"]
    if hidden is None:
        sizes["hidden"] = whole_heads(fitting_hidden(len(training)), sizes["heads"])
    model = ModelConfig(vocabulary, **sizes)
    model = cell_of(model).completed(model, config.seq_len)
    if hidden is not None or config.time_budget is None or len(training) < 2:
        return model
    memory.check(model, config, len(training), ranks.size)
    network = Network(model, config.seed, threads)
    network.prepare_training()
    rate = training_rate(network, windows_of(training, config, ranks), ranks, config)
    return replace(model, hidden=hidden_for_budget(model, len(training), rate, config.time_budget))


def _facts(corpus: Corpus, options: Options) -> dict[str, Any]:
    """What a checkpoint says of the text, so that a resume finds and recognises it."""
    source = options.values["init_from"]
    return {
        **where(corpus, corpus.sources),
        **{name: options.values[name] for name in (*TEXT, "unknown")},
        "init_from": str(source) if source else None,
    }


def where(corpus: Corpus, sources: Sequence[str]) -> dict[str, Any]:
    """The names, places, size and SHA-256 of a text."""
    return {
        "sources": list(sources),
        "paths": [path if path == "-" else str(Path(path).absolute()) for path in sources],
        "sha256": corpus.sha256,
        "characters": len(corpus),
        "bytes": corpus.size,
    }


def _require_enough(corpus: Corpus, fractions: str, is_given: bool) -> None:
    """Refuse a text with nothing to predict, and a split of the user's that leaves too little of it for a part.

    Raises:
        CharRNNError: it says how much text there is.
    """
    named, length = ", ".join(corpus.sources), len(corpus)
    if length < 2:
        raise CorpusError(f"{named}: fewer than 2 characters: there is nothing to predict; give a longer text")
    if not is_given:
        return
    shares = (float(share) for share in fractions.split("/"))
    for share, part, name in zip(shares, split(length, fractions), ("training", "validation"), strict=False):
        found = part.stop - part.start
        if share and found < 2:
            raise ConfigError(
                f"{named}: --split {fractions} leaves {found} of {length:,} characters for {name}, "
                "and 2 are the least: give that part more, or another text"
            )


def _with_preset(options: Options) -> Options:
    """The options, with the preset's values for options that nothing else settles."""
    settled = set(options.given)
    if "time_budget" in settled:
        settled.add("teachers")
    if settled.intersection(ENDS):
        settled.update(ENDS, ["effort"])
    if options.values["init_from"]:
        settled.update(MODEL, ["teachers"])
    values = PRESETS.get(options.values["preset"], {})
    return options.replaced({name: value for name, value in values.items() if name not in settled})


def _with_settings_of_cell(options: Options, model: Mapping[str, Any]) -> Options:
    """The options, with the cell's values for settings that have their defaults; ``model`` has the cell and its sizes.

    Where no window of a Transformer knows anything of the one before, a window is as long as the context.
    """
    values, wanted = options.values, CELL_SETTINGS.get(model["cell"], {})
    found = {name: value for name, value in wanted.items() if values[name] == DEFAULTS[name]}
    if values["optimizer"] != TrainConfig.optimizer:
        found.pop("lr", None)  # it was found with the default optimiser
    if model["context"] is not None and values["no_carry"]:
        found["seq_len"] = model["context"]
    return options.replaced({name: value for name, value in found.items() if name not in options.given})


def _settings_of_source(options: Options, source: Checkpoint) -> Options:
    """The options of a run with ``init_from``, which settles the sizes and whether the text is read as bytes.

    Raises:
        ConfigError: the user gave an option that it settles.
    """
    is_bytes = source.vocabulary.is_bytes
    settled = asdict(source.model) | {"as_bytes": is_bytes}
    if not options.values["grow_vocabulary"]:
        settled["min_count"] = 1
    for name, value in settled.items():
        if name in options.given and options.values[name] != value:
            raise ContradictionError(f"the model settles {{{name}}}: leave it out with {{init_from}}")
    for name in ("init", "forget_bias"):
        if name in options.given:
            raise ContradictionError(f"{{{name}}} is for new weights: leave it out with {{init_from}}")
    return options.replaced({"as_bytes": is_bytes})
