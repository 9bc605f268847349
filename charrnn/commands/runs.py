"""``charrnn runs``: a list of the runs in a folder."""

from pathlib import Path
from typing import Any

import click

from charrnn.checkpoints.run_names import RUNS
from charrnn.commands.options import json_option
from charrnn.commands.work import Work, command


@command(
    Work,
    click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=RUNS),
    json_option,
)
def runs(work: Work) -> None:
    """List the runs in FOLDER, the latest first: text, size, best validation loss, alone and with n-grams, state.

    FOLDER is checkpoints unless it is given. A run's name is enough for every other command.

    \b
    charrnn runs
    charrnn sample NAME

    \f

    --json writes an object for each run: name, path, state (complete, training, unfinished, unreadable, a file, a set:
    models of identify), problem, changed_at (seconds since 1970), and unless it is unreadable or a set: text,
    characters, cell, layers, hidden, heads, context, parameters, step, elapsed_s, best_val_loss, mixed_val_loss and
    resumable (whether it is unfinished).
    """
    from charrnn.checkpoints.runs import list_runs
    from charrnn.display.reports.runs import run_lines
    from charrnn.errors import CheckpointError

    folder = work.options["folder"]
    if not folder.is_dir() and folder != RUNS:
        raise CheckpointError(f"{folder}: no such folder")
    records = [run_record(run) for run in list_runs(folder)]
    if not records and not work.terminal.wants_json:
        work.terminal.note(f"{folder}: no runs yet; charrnn train TEXT makes one")
        return
    work.show(records, run_lines(records, work.terminal.width))


def run_record(run) -> dict[str, Any]:
    """A run as a JSON object."""
    from charrnn.network.cells import cell_of, parameter_count

    about = {"name": run.name, "path": str(run.path), "problem": run.problem, "changed_at": run.changed_at}
    found = run.description
    if found is None:
        return about | ({"state": "a set", "problem": ""} if run.is_set else {"state": "unreadable"})
    return about | {
        "state": _state(run),
        "text": ", ".join(Path(source).name for source in found.corpus.get("sources", ())),
        "characters": found.corpus.get("characters"),
        "cell": cell_of(found.model).title,
        "layers": found.model.layers,
        "hidden": found.model.hidden,
        "heads": found.model.heads,
        "context": found.model.context,
        "parameters": parameter_count(found.model),
        "step": found.counters.get("step"),
        "elapsed_s": found.counters.get("elapsed_s"),
        "best_val_loss": found.counters.get("best_val_loss"),
        "mixed_val_loss": run.mixed_val_loss,
        "resumable": run.is_resumable,
    }


def _state(run) -> str:
    """The state of a run that can be read, in a word or two."""
    if run.is_file:
        return "a file"
    if run.is_training:
        return "training"
    return "unfinished" if run.is_resumable else "complete"
