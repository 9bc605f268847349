"""From the options of ``train --resume`` to a trainer that goes on with a run, and how it differs from that run."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from charrnn.commands.options import given
from charrnn.commands.run_text import other_text, read_run_text
from charrnn.config import ENDS, TrainConfig
from charrnn.errors import CheckpointError, ConfigError
from charrnn.settings import LEARNING, MODEL, RUN, TEXT, flag

SETTLED = (*MODEL, *TEXT, "init", "forget_bias")  # by the weights, for good
HARMLESS = ("save_every", "sample_every", "keep_checkpoints")  # change no bit


def resume(ctx: click.Context, text: tuple[str, ...], options: dict[str, Any], folder, terminal, ranks):
    """A trainer that goes on from the folder's last checkpoint.

    Raises:
        CharRNNError: there is none, it is complete, or it would not be the same run and nobody allowed that.
    """
    from charrnn.network.cells import cell_of
    from charrnn.text.corpus import Parts
    from charrnn.training.new_run import where
    from charrnn.training.resuming import adapted, is_scored_anew

    path, checkpoint = _last(folder, terminal)
    different, longer = _different_options(ctx, options, checkpoint)
    config = _settings(ctx, options, checkpoint)
    cell_of(checkpoint.model).check(config)
    corpus, sources = ranks.first_then_others(lambda: read_run_text(text, checkpoint, terminal, options), on="all")
    is_other_text = corpus.sha256 != checkpoint.corpus["sha256"]
    if is_other_text:
        different.append(other_text(corpus, sources, checkpoint.corpus))
    different += _different_program(checkpoint)
    if different and not options["allow_different"]:
        raise ConfigError(
            f"{folder.path}: it would not go on as the same run: {'; '.join(different)}. "
            "Change that back, or go on all the same with --allow-different"
        )
    facts = checkpoint.corpus | (where(corpus, sources) if is_other_text else {})
    parts = Parts.of(corpus.ids, config.split)
    if is_scored_anew(checkpoint, config, is_other_text):
        different.append("its evaluations cannot be compared: best, patience and plateaus begin anew")
    if different:
        checkpoint = adapted(checkpoint, config, len(parts.train), is_other_text)
    notes = (*corpus.notes, *(f"going on otherwise than begun: {each}" for each in different), *longer)
    trainer = _trainer(path, checkpoint, config, parts, folder, facts, notes, options, ranks)
    _require_incomplete(trainer, folder, checkpoint)
    return trainer


def _last(folder, terminal):
    """The path and the checkpoint to go on from.

    Raises:
        CheckpointError: there is none, or it has only weights.
    """
    path, checkpoint = folder.load_last(terminal.warn)
    if checkpoint.training is None or checkpoint.state is None or not checkpoint.corpus:
        raise CheckpointError(f"{path}: it has no run to resume, only weights; start one with --init-from")
    return path, checkpoint


def _trainer(path: Path, checkpoint, config: TrainConfig, parts, folder, facts, notes, options, ranks):
    """The trainer, after a check of the memory that it needs.

    Raises:
        CharRNNError: there is not enough memory, or the checkpoint does not fit the run.
    """
    from charrnn.network.network import Network
    from charrnn.training import Run, Trainer, memory
    from charrnn.training.run import prepare_kernels

    memory.check(checkpoint.model, config, len(parts.train), ranks.size)
    ranks.first_then_others(lambda: prepare_kernels(checkpoint.model, config))
    network = Network(checkpoint.model, seed=None, threads=options["threads"])
    try:
        run = Run(network, config, parts, checkpoint.vocabulary, facts, checkpoint, ranks)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    return Trainer(run, folder, notes, options["diagnose"])


def _require_incomplete(trainer, folder, checkpoint) -> None:
    """Refuse to go on with a run that has reached its end.

    Raises:
        ConfigError: it says which option makes the run longer.
    """
    if trainer.is_complete or _has_used_its_time(folder, checkpoint, trainer.subject.config):
        more = "--patience" if trainer.is_out_of_patience else "--epochs, --steps or --time-budget"
        raise ConfigError(
            f"{folder.path}: the run is complete after {checkpoint.counters['step']:,} steps; give more {more} to go on"
        )


def _has_used_its_time(folder, checkpoint, config: TrainConfig) -> bool:
    """Whether the run has ended because its time was used up, and gets no more.

    The clock cannot tell: a run keeps some time free for its last evaluation and saves, and may need less.
    """
    from charrnn.checkpoints.run_log import last_record

    event, record = last_record(folder.path) or ("", {})
    return (event, record.get("reason")) == ("finished", "budget") and (
        config.time_budget == checkpoint.training.time_budget
    )


def _different_options(ctx: click.Context, options: dict[str, Any], checkpoint) -> tuple[list[str], list[str]]:
    """Two lists of sentences: the options that differ from the run's, and those that only make it longer.

    Raises:
        ConfigError: an option differs that the weights have settled.
    """
    was = _begun_with(checkpoint)
    different, longer = [], []
    for name in given(ctx, (*MODEL, *TEXT, *LEARNING, *RUN)):
        asked = _short(options[name]) if name == "split" else options[name]
        if asked == was[name] or name in HARMLESS:
            continue
        words = f"{flag(name)}: {_shown(was[name])} in the checkpoint, {_shown(asked)} asked"
        if name in SETTLED:
            raise ConfigError(f"{words}, which its weights cannot follow: leave {flag(name)} out, or start a new run")
        if name in RUN:
            longer.append(f"{words}: the result will differ from a run that was begun with this")
        else:
            different.append(words)
    return different, longer


def _begun_with(checkpoint) -> dict[str, Any]:
    """All options of the run, as they would be given. Defaults that depend on others are filled in."""
    training = checkpoint.training
    was = {**asdict(checkpoint.model), **checkpoint.corpus, **training.to_dict()}
    was |= {"lr": training.learning_rate, "decay_rate": training.lr_decay, "weight_decay": training.decay}
    return was | {"split": _short(training.split)}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)


def _different_program(checkpoint) -> list[str]:
    """In words, how the program that wrote the checkpoint differs from this one."""
    from charrnn.checkpoints.fingerprint import fingerprint

    was = checkpoint.program
    return [
        f"{name}: {was[name]} in the checkpoint, {here} here"
        if name in was
        else f"{name}: an earlier version wrote the checkpoint, and did not record them"
        for name, here in fingerprint().items()
        if was.get(name) != here
    ]


def _settings(ctx: click.Context, options: dict[str, Any], checkpoint) -> TrainConfig:
    """The run's settings, changed by the options that were given.

    Raises:
        ConfigError: --effort is given, and the run has another end.
    """
    settings = checkpoint.training.to_dict()
    changed = {name: options[name] for name in given(ctx, (*LEARNING, *RUN)) if name not in SETTLED}
    if _short(options["split"]) == _short(settings["split"]):
        changed.pop("split", None)
    if changed.keys() & set(ENDS):
        settings |= dict.fromkeys(ENDS)
    if changed.get("optimizer", settings["optimizer"]) != settings["optimizer"]:
        settings["lr"] = None  # the other optimizer's default
    settings |= changed
    ends = [f"{flag(name)} {settings[name]:g}" for name in ENDS if settings[name] is not None]
    if "effort" in changed and ends:
        raise ConfigError(f"--effort has no effect on a run of {ends[0]}: change that, or leave --effort out")
    return TrainConfig.from_dict(settings)


def _short(split: str) -> str:
    """A split without its third part, the test part, if that is 0."""
    parts = split.split("/")
    return "/".join(parts[:2] if parts[2:] == ["0"] else parts)
