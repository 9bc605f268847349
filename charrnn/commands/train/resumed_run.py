"""From the options of ``train --resume`` to a trainer that goes on with a run, and what of it would not be the same."""

from pathlib import Path
from typing import Any

import click

from charrnn.commands.train.new_run import ENDS, LEARNING, MODEL, RUN, TEXT, flag, given, open_text
from charrnn.config import TrainConfig
from charrnn.errors import CheckpointError, ConfigError, VocabularyError

SETTLED = (*MODEL, *TEXT, "init", "forget_bias")  # by the weights, for good
HARMLESS = ("save_every", "sample_every")  # change no bit


def resume(ctx: click.Context, text: tuple[str, ...], options: dict[str, Any], folder, terminal):
    """A trainer that goes on from the folder's last checkpoint.

    Raises:
        CharRNNError: there is none, it is complete, or it would not be the same run and nobody allowed that.
    """
    from charrnn.network.network import CharLSTM
    from charrnn.text.corpus import Parts
    from charrnn.training import Trainer, memory
    from charrnn.training.resuming import adapted, is_scored_anew

    path, checkpoint = folder.load_last(terminal.warn)
    facts = checkpoint.corpus
    if checkpoint.training is None or checkpoint.state is None or not facts:
        raise CheckpointError(f"{path}: it has no run to resume, only weights; start one with --init-from")
    different, longer = _different_options(ctx, options, checkpoint)
    config = _settings(ctx, options, checkpoint)
    reading = {name: facts[name] for name in TEXT} | {"unknown": facts.get("unknown")}
    sources = _sources(text, facts)
    corpus = _read(sources, options | reading, checkpoint, terminal)
    is_other_text = corpus.sha256 != facts["sha256"]
    if is_other_text:
        different.append(
            f"the text: {facts['characters']:,} characters, SHA-256 {facts['sha256'][:12]}… in the checkpoint, "
            f"{len(corpus):,}, {corpus.sha256[:12]}… in {', '.join(sources)}"
        )
        facts = facts | {
            **{"sources": list(sources), "sha256": corpus.sha256, "characters": len(corpus), "bytes": corpus.size},
            "paths": [path if path == "-" else str(Path(path).absolute()) for path in sources],
        }
    different += _different_program(checkpoint)
    parts = Parts.of(corpus.ids, config.split)
    if different and not options["allow_different"]:
        raise ConfigError(
            f"{folder.path}: it would not go on as the same run: {'; '.join(different)}. "
            "Change that back, or go on all the same with --allow-different"
        )
    if is_scored_anew(checkpoint, config, is_other_text):
        different.append("its evaluations are of another text or part: best, patience and plateaus begin anew")
    if different:
        checkpoint = adapted(checkpoint, config, len(parts.train), is_other_text)
    memory.check(checkpoint.model, config, len(parts.train))
    network = CharLSTM(checkpoint.model, seed=None, threads=options["threads"])
    notes = (*corpus.notes, *(f"going on otherwise than begun: {each}" for each in different), *longer)
    try:
        trainer = Trainer(
            *(network, config, parts, checkpoint.vocabulary, folder, facts, notes, checkpoint),
            diagnose=options["diagnose"],
        )
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    if trainer.is_complete:
        more = "--patience" if trainer.is_out_of_patience else "--epochs, --steps or --time-budget"
        raise ConfigError(
            f"{folder.path}: the run is complete after {checkpoint.counters['step']:,} steps; give more {more} to go on"
        )
    return trainer


def _different_options(ctx: click.Context, options: dict[str, Any], checkpoint) -> tuple[list[str], list[str]]:
    """In words, what was asked for and is not what the run was begun with: what is different, and what is only longer.

    Raises:
        ConfigError: it is something that the weights have settled.
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
            longer.append(f"{words}: it will not be the same as one that was begun so")
        else:
            different.append(words)
    return different, longer


def _begun_with(checkpoint) -> dict[str, Any]:
    """All options of the run, as they would be given; what stands for a default is the same as the default."""
    training = checkpoint.training
    was = {**checkpoint.model.to_dict(), **checkpoint.corpus, **training.to_dict()}
    was |= {"lr": training.learning_rate, "decay_rate": training.lr_decay, "weight_decay": training.decay}
    return was | {"split": _short(training.split)}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)


def _different_program(checkpoint) -> list[str]:
    """In words, what of the program that wrote the checkpoint is not what it is here."""
    from charrnn.checkpoints.fingerprint import fingerprint

    return [
        f"{name}: {checkpoint.program.get(name, 'not known')} in the checkpoint, {here} here"
        for name, here in fingerprint().items()
        if checkpoint.program.get(name) != here
    ]


def _settings(ctx: click.Context, options: dict[str, Any], checkpoint) -> TrainConfig:
    """The run's settings, with those that were asked for in place of its own.

    Raises:
        ConfigError: one would not be heeded.
    """
    settings = checkpoint.training.to_dict()
    changed = {name: options[name] for name in given(ctx, (*LEARNING, *RUN)) if name not in SETTLED}
    if _short(options["split"]) == _short(settings["split"]):
        changed.pop("split", None)
    if changed.keys() & set(ENDS):
        settings |= dict.fromkeys(ENDS)
    settings |= changed
    ends = [f"{flag(name)} {settings[name]:g}" for name in ENDS if settings[name] is not None]
    if "effort" in changed and ends:
        raise ConfigError(f"--effort has no effect on a run of {ends[0]}: change that, or leave --effort out")
    return TrainConfig.from_dict(settings)


def _short(split: str) -> str:
    """A split without its third part, the test part, if that is 0."""
    parts = split.split("/")
    return "/".join(parts[:2] if parts[2:] == ["0"] else parts)


def _sources(text: tuple[str, ...], facts: dict[str, Any]) -> tuple[str, ...]:
    """Where the run's text is: as named now, as named then, or where it was then.

    Raises:
        ConfigError: it is not there any more.
    """
    from charrnn.text.provenance import may_match

    sources, paths = text or tuple(facts["sources"]), tuple(facts["paths"])
    if not text and "-" in sources:
        raise ConfigError("the run's text came from standard input: pipe it in again and name it with -")
    if text or may_match(sources, facts):
        return sources
    if may_match(paths, facts):
        return paths
    missing = [path for path in paths if not Path(path).exists()]
    name = Path(sources[0])
    if len(missing) == len(paths) == 1 and not name.suffix and not name.exists():
        return sources  # a name of the catalog, which knows what to do
    if missing:
        raise ConfigError(f"the run's text {missing[0]} is not there any more: name it as TEXT where it is now")
    named = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1:,} more"
    raise ConfigError(f"the run's text {named} cannot be what is there now, by the size: name it as TEXT")


def _read(sources: tuple[str, ...], options: dict[str, Any], checkpoint, terminal):
    try:
        return open_text(sources, options, checkpoint.vocabulary, terminal)
    except VocabularyError as error:
        raise ConfigError(
            f"not the text that the run was started with: {error}; a new run can go on from its weights on another "
            "text, with --init-from and --grow-vocabulary"
        ) from None
