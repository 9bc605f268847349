"""``charrnn info``: what is in a checkpoint."""

from collections.abc import Iterator
from pathlib import Path

from charrnn.commands.options import checkpoint_argument, json_option
from charrnn.commands.work import Work, command


@command(
    Work,
    checkpoint_argument,
    json_option,
)
def info(work: Work) -> None:
    """Show what is in CHECKPOINT: sizes, training, history, and the text it comes from.

    \b
    charrnn info checkpoints/fables

    \f

    --json writes one object: path, parameters, config, vocabulary, training, progress, history, corpus, resumable.
    """
    from charrnn.checkpoints.run_folder import LAST, open_checkpoint

    path, found = open_checkpoint(work.options["checkpoint"], LAST, work.terminal.warn)
    work.show([_as_dict(path, found)], _lines(path, found, work.terminal.width))


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


def _lines(path: Path, found, width: int) -> Iterator:
    from charrnn.display.terminal import numbers
    from charrnn.display.terminal.tables import key_values, table
    from charrnn.network.cells import cell_of, parameter_count
    from charrnn.records import bits

    model, training, counters, corpus = found.model, found.training, found.counters, found.corpus
    symbols = found.vocabulary.to_list()
    unit = "bytes" if found.vocabulary.is_bytes else "characters"
    characters = bytes(symbols).decode("latin-1") if found.vocabulary.is_bytes else "".join(symbols)
    embedding = f", embedding {model.embedding}" if model.embedding else ""
    about = {
        "file": str(path),
        "model": f"{cell_of(model).title}, {model.layers} x {model.hidden}{embedding}",
        "parameters": f"{parameter_count(model):,}",
        "vocabulary": f"{len(symbols)} {unit}: {' '.join(characters.split())}",
    }
    if corpus:
        about["text"] = f"{', '.join(corpus['sources'])} ({corpus['characters']:,} {unit})"
        about["text's SHA-256"] = corpus["sha256"]
        if corpus.get("init_from"):
            about["started from"] = corpus["init_from"]
    if training:
        about["training"] = (
            f"{training.optimizer}, lr {training.learning_rate:g}, weight decay {training.decay:g}, "
            f"clip {training.clip:g}, dropout {'by default' if training.dropout is None else training.dropout}, "
            f"batch {training.batch_size} x {training.seq_len}, split {training.split}, seed {training.seed}"
        )
    if counters:
        time = numbers.duration(counters["elapsed_s"])
        about["trained for"] = f"{counters['step']:,} steps, {counters['characters']:,} {unit}, {time}"
        best, step = counters["best_val_loss"], counters["best_step"]
        if None not in (best, step):
            about["best validation"] = f"{best:.4f} ({bits(best):.4f} bpc) at step {step:,}"
    about["resumable"] = "yes" if found.optimizer else "no: weights only"
    yield from key_values(about.items(), width)
    if found.history:
        rows = [
            (entry["step"], f"{entry['epoch']:.2f}", numbers.loss(entry["loss"]), f"{entry['val_loss']:.4f}",
             f"{bits(entry['val_loss']):.4f}", numbers.duration(entry["elapsed_s"]))
            for entry in found.history
        ]  # fmt: skip
        yield from ("", *table(("step", "epoch", "training", "validation", "bpc", "time"), rows, width))
