"""The losses in a run's log as CSV, for spreadsheets, pandas and gnuplot."""

import csv
import io
import itertools
from collections.abc import Iterator
from pathlib import Path

from charrnn.checkpoints.run_log import read_log

COLUMNS = (
    *("event", "step", "epoch", "elapsed_s", "characters", "loss", "bpc", "lr", "grad_norm", "chars_per_s"),
    *("val_loss", "val_bpc"),
)
"""The fields of the records step and evaluated; docs/FORMAT.md describes them."""

_ROWS_AT_ONCE = 1000


def csv_parts(run: Path) -> Iterator[str]:
    """Yield the text of the table in parts of many lines: the columns, then a row for each step and each evaluation.

    A field that a record does not have, or that is not a number, is empty.

    Raises:
        CheckpointError: there is no log in the folder ``run``, or it is damaged.
    """
    rows = (record for event, record in read_log(run) if event in ("step", "evaluated"))
    part = io.StringIO()
    writer = csv.DictWriter(part, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    while chunk := list(itertools.islice(rows, _ROWS_AT_ONCE)):
        writer.writerows(chunk)
        yield part.getvalue()
        part.seek(0)
        part.truncate()
    yield part.getvalue()
