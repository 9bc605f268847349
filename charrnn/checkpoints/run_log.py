"""Reads ``metrics.jsonl``, the log of a run: one record a line.  Anybody may have written it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from charrnn.checkpoints.run_folder import LONGEST_LOG, METRICS
from charrnn.errors import CheckpointError, os_errors_as
from charrnn.system import strict_json
from charrnn.system.files import read_regular

_NUMBER = (int, float, type(None))
_LARGEST = 1e38  # a run computes in float32
_MOST_STEPS = 2**63

# What the readers of a log rely on. A record may have further fields.
_REQUIRED = {
    "step": {"step": (int,), "epoch": _NUMBER, "loss": _NUMBER},
    "evaluated": {"step": (int,), "val_loss": _NUMBER},
    "sampled": {"step": (int,), "temperature": (int, float), "text": (str,)},
}
_OPTIONAL = dict.fromkeys(
    ("epoch", "elapsed_s", "characters", "bpc", "lr", "grad_norm", "chars_per_s", "val_bpc"), _NUMBER
)


def read_log(run: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the event and the record of every line in the log of the run in the folder ``run``.

    In the records step, evaluated and sampled the fields that this package reads have been checked: steps are whole
    numbers from 0 to 2^63, other numbers are finite and of a size that a run can have, or None.

    Raises:
        CheckpointError: there is no log, or a line is damaged. The last one may be: a crash may have cut it short.
    """
    log = run / METRICS
    with os_errors_as(CheckpointError, f"{log}: no log of a run"):
        lines = read_regular(log, LONGEST_LOG).splitlines()
    for number, line in enumerate(lines, 1):
        try:
            record = strict_json.parse(line)
            event = record["event"]
            _check(event, record)
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):
                return
            raise CheckpointError(f"{log}: line {number:,} is no record ({error})") from None
        yield event, record


def _check(event: str, record: dict[str, Any]) -> None:
    """Check the fields of a record.

    Raises:
        KeyError: one is missing.
        ValueError, TypeError: one has a value that no run writes.
    """
    required = _REQUIRED.get(event)
    if required is None:
        return
    fields = {name: (record[name], kinds) for name, kinds in required.items()}
    fields |= {name: (record[name], kinds) for name, kinds in _OPTIONAL.items() if name in record}
    if any(type(value) not in kinds for value, kinds in fields.values()):
        raise ValueError("a field has the wrong type")
    if any(isinstance(value, int | float) and abs(value) > _LARGEST for value, _ in fields.values()):
        raise ValueError("a number is too large to come from a run")
    if not 0 <= record["step"] < _MOST_STEPS:
        raise ValueError("a step that no run makes")
