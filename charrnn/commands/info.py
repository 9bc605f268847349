"""``charrnn info``: what is in a checkpoint."""

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
    charrnn info fables

    \f

    --json writes one object: path, parameters, config, vocabulary, training, progress, history, corpus, imported,
    resumable (whether the file has more than weights, so that a run can go on), and ngrams: order, network_weight,
    ngram_weight and characters; or null.
    """
    from charrnn.checkpoints.run_folder import LAST, open_checkpoint
    from charrnn.display.reports.checkpoint import checkpoint_lines
    from charrnn.network.cells import cell_of

    path, found = open_checkpoint(work.options["checkpoint"], LAST, work.terminal.warn)
    record = _record(path, found)
    title, terminal = cell_of(found.model).title, work.terminal
    lines = checkpoint_lines(record, title, terminal.width, whole_words=not terminal.stdout_is_terminal)
    work.show([record], lines)


def _record(path: Path, found) -> dict:
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
        "imported": found.imported,
        "resumable": bool(found.optimizer),
        "ngrams": found.ngrams and vars(found.ngrams) | {"characters": len(found.ngram_text)},
    }
