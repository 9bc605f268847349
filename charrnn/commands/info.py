"""``charrnn info``: what is in a checkpoint."""

from pathlib import Path

import click

from charrnn.commands.help import Command
from charrnn.commands.options import checkpoint_argument, json_option


@click.command(cls=Command)
@checkpoint_argument
@json_option
def info(checkpoint: Path, as_json: bool) -> None:
    """Show what is in CHECKPOINT: sizes, training, history, and the text it comes from.

    \b
    charrnn info checkpoints/fables

    \f

    --json writes one object: path, parameters, config, vocabulary, training, progress, history, corpus, resumable.
    """
    from charrnn.checkpoints.run_folder import LAST, open_checkpoint
    from charrnn.display.terminal.console import Terminal

    terminal = Terminal(json=as_json)
    path, found = open_checkpoint(checkpoint, LAST, terminal.warn)
    if as_json:
        terminal.json(_as_dict(path, found))
    else:
        _show(terminal, path, found)


def _as_dict(path: Path, found) -> dict:
    from charrnn.network.cells import parameter_count

    return {
        "path": str(path),
        "parameters": parameter_count(found.model),
        "config": found.model.to_dict(),
        "vocabulary": found.vocabulary.to_list(),
        "training": found.training.to_dict() if found.training else None,
        "progress": found.counters,
        "history": found.history,
        "corpus": found.corpus,
        "resumable": bool(found.optimizer),
    }


def _show(terminal, path: Path, found) -> None:
    from charrnn.display.terminal import numbers
    from charrnn.display.terminal.tables import key_values, table
    from charrnn.network.cells import cell_of, parameter_count
    from charrnn.records import bits

    model, training, counters, corpus = found.model, found.training, found.counters, found.corpus
    symbols = found.vocabulary.to_list()
    unit = "bytes" if found.vocabulary.is_bytes else "characters"
    characters = bytes(symbols).decode("latin-1") if found.vocabulary.is_bytes else "".join(symbols)
    pairs = [
        ("file", str(path)),
        (
            "model",
            f"{cell_of(model).title}, {model.layers} x {model.hidden}"
            + (f", embedding {model.embedding}" if model.embedding else ""),
        ),
        ("parameters", f"{parameter_count(model):,}"),
        ("vocabulary", f"{len(symbols)} {unit}: {' '.join(characters.split())}"),
    ]
    if corpus:
        pairs.append(("text", f"{', '.join(corpus['sources'])} ({corpus['characters']:,} {unit})"))
        pairs.append(("text's SHA-256", corpus["sha256"]))
        if corpus.get("init_from"):
            pairs.append(("started from", corpus["init_from"]))
    if training:
        pairs.append(
            (
                "training",
                f"{training.optimizer}, lr {training.learning_rate:g}, weight decay {training.decay:g}, "
                f"clip {training.clip:g}, dropout {'by default' if training.dropout is None else training.dropout}, "
                f"batch {training.batch_size} x {training.seq_len}, split {training.split}, seed {training.seed}",
            )
        )
    if counters:
        pairs.append(
            (
                "trained for",
                f"{counters['step']:,} steps, {counters['characters']:,} {unit}, "
                f"{numbers.duration(counters['elapsed_s'])}",
            )
        )
        if None not in (counters["best_val_loss"], counters["best_step"]):
            best = counters["best_val_loss"]
            pairs.append(("best validation", f"{best:.4f} ({bits(best):.4f} bpc) at step {counters['best_step']:,}"))
    pairs.append(("resumable", "yes" if found.optimizer else "no: weights only"))
    terminal.show(*key_values(pairs, terminal.width))
    if found.history:
        terminal.show("")
        rows = [
            (entry["step"], f"{entry['epoch']:.2f}", numbers.loss(entry["loss"]), f"{entry['val_loss']:.4f}",
             f"{bits(entry['val_loss']):.4f}", numbers.duration(entry["elapsed_s"]))
            for entry in found.history
        ]  # fmt: skip
        terminal.show(*table(("step", "epoch", "training", "validation", "bpc", "time"), rows, terminal.width))
