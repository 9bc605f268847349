"""What is in a checkpoint, as lines: they lay out the object that ``info`` writes with ``--json``."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from charrnn.config import TrainConfig
from charrnn.display.reports.names import sources
from charrnn.display.terminal import numbers
from charrnn.display.terminal.tables import key_values, table
from charrnn.records import bits


def checkpoint_lines(
    record: Mapping[str, Any], cell: str, width: int, *, whole_words: bool = False
) -> Iterator[Text | str]:
    """The sizes, the text and the training, then a table of the evaluations. ``cell`` is the title of the cell.

    With ``whole_words`` a path or a checksum is not broken into lines where it is longer than ``width``.
    """
    yield from key_values(_about(record, cell).items(), width, whole_words=whole_words)
    if record["history"]:
        rows = [
            (entry["step"], f"{entry['epoch']:.2f}", numbers.loss(entry["loss"]), f"{entry['val_loss']:.4f}",
             f"{bits(entry['val_loss']):.4f}", numbers.duration(entry["elapsed_s"]))
            for entry in record["history"]
        ]  # fmt: skip
        yield from ("", *table(("step", "epoch", "training", "validation", "bits/char", "time"), rows, width))


def _about(record: Mapping[str, Any], cell: str) -> dict[str, str]:
    model, corpus, progress, symbols = (record[each] for each in ("config", "corpus", "progress", "vocabulary"))
    is_bytes = isinstance(symbols[0], int)
    unit = "bytes" if is_bytes else "characters"
    characters = bytes(symbols).decode("latin-1") if is_bytes else "".join(symbols)
    symbol = unit.removesuffix("s") if len(symbols) == 1 else unit
    embedding = f", embedding {model['embedding']}" if model["embedding"] else ""
    attention = f", {numbers.attention(model['heads'], model['context'])}" if model.get("heads") else ""
    about = {
        "file": record["path"],
        "model": f"{cell}, {model['layers']} x {model['hidden']}{embedding}{attention}",
        "parameters": f"{record['parameters']:,}",
        "vocabulary": f"{len(symbols)} {symbol}: {' '.join(characters.split())}",
    }
    if record["imported"]:
        about["imported from"] = record["imported"]
    if corpus:
        about["text"] = f"{sources(corpus['sources'])} ({corpus['characters']:,} {unit})"
        about["text's SHA-256"] = corpus["sha256"]
        if corpus.get("init_from"):
            about["started from"] = corpus["init_from"]
    if record["training"]:
        training = TrainConfig.from_dict(record["training"])
        about["training"] = (
            f"{training.optimizer}, lr {training.learning_rate:g}, weight decay {training.decay:g}, "
            f"clip {training.clip:g}, dropout {'by default' if training.dropout is None else training.dropout}, "
            f"{f'tar {training.tar:g}, ' if training.tar else ''}"
            f"batch {training.batch_size} x {training.seq_len}, split {training.split}, seed {training.seed}"
        )
        if training.teachers:
            about["teachers"] = f"{training.teachers}, {training.teacher_weight:.0%} of the target"
        elif training.ngram_targets:
            about["teachers"] = f"n-grams, {training.ngram_targets:.0%} of the target at first"
    if progress:
        time = numbers.duration(progress["elapsed_s"])
        about["trained for"] = f"{progress['step']:,} steps, {progress['characters']:,} {unit}, {time}"
        best, step = progress["best_val_loss"], progress["best_step"]
        if None not in (best, step):
            about["best validation"] = f"{best:.4f} ({bits(best):.4f} bits/char) at step {step:,}"
    ngrams = record["ngrams"]
    if ngrams is not None:
        about["n-grams"] = (
            f"up to {ngrams['order']} {unit}, which learn {ngrams['characters']:,} {unit} of the text; "
            f"exponents {ngrams['network_weight']:.2f} (network) and {ngrams['ngram_weight']:.2f}"
        )
    return about | {"resumable": "yes" if record["resumable"] else "no: weights only"}
