"""A list of runs, as lines: the objects that ``runs`` writes with ``--json``."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from charrnn.display.reports.names import sources
from charrnn.display.terminal import numbers
from charrnn.display.terminal.tables import table
from charrnn.display.terminal.text_width import plain
from charrnn.display.training.run_state import resume_command

_COLUMNS = ("run", "model", "validation", "with n-grams", "trained", "changed", "state", "text")
_STYLES = {"training": "green", "unfinished": "yellow", "unreadable": "red"}


def run_lines(records: Sequence[Mapping[str, Any]], width: int) -> list[Text]:
    """A table with a line for each run, and the command that goes on with the latest one that is not finished.

    The text that was piped in, ``-``, is called standard input.
    """
    lines = table(_COLUMNS, [_row(record) for record in records], width)
    unfinished = [record for record in records if record["state"] == "unfinished"]
    if unfinished:
        name = unfinished[0]["name"]
        said = f"{name} is not finished"
        if len(unfinished) > 1:
            said = f"{len(unfinished)} runs are not finished; go on with one"
        lines += [Text(), Text(f"{plain(said)}: {resume_command(unfinished[0]['path'])}")]
    return lines


def _row(record: Mapping[str, Any]) -> list:
    state = Text(record["state"], _STYLES.get(record["state"], ""))
    if record["state"] == "unreadable":
        return [record["name"], None, None, None, None, None, state, record["problem"]]
    ago = f"{numbers.clock(time.time() - record['changed_at'])} ago"
    if record["state"] == "a set":
        return [record["name"], None, None, None, None, ago, state, "models for charrnn identify"]
    model = f"{record['cell']} {record['layers']}x{record['hidden']}"
    trained = None if record["elapsed_s"] is None else numbers.duration(record["elapsed_s"])
    losses = [numbers.loss(record[name]) for name in ("best_val_loss", "mixed_val_loss")]
    return [record["name"], model, *losses, trained, ago, state, sources(record["text"].split(", "))]
