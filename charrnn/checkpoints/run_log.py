"""Reads ``metrics.jsonl``, the log of a run: one record a line.  Anybody may have written it."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from charrnn.checkpoints.run_names import METRICS
from charrnn.errors import CheckpointError, os_errors_as
from charrnn.system import strict_json
from charrnn.system.files import open_regular

LONGEST_LINE = 2**24  # bytes: more than the longest sample takes, of a million characters of up to 12 bytes
_LOG_END = 65_536  # bytes of a log that are searched for its last record

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
    with os_errors_as(CheckpointError, f"{log}: no log of a run"), open_regular(log) as file:
        for number, (line, is_last) in enumerate(_lines(file), 1):
            try:
                found = parsed(line)
            except (ValueError, KeyError, TypeError) as error:
                if is_last:
                    return
                raise CheckpointError(f"{log}: line {number:,} is no record ({error})") from None
            yield found


class Position(NamedTuple):
    """A line of a log: its number from 1, its event, its step, and its bytes from ``start`` to ``stop``."""

    number: int
    event: str
    step: int
    start: int
    stop: int


def positions(log: Path) -> Iterator[tuple[Position, bytes, dict[str, Any]]]:
    """Yield the place, the bytes and the record of every line of a log, checked as by :func:`read_log`.

    A last line without an end, which a run still writes or which a crash has cut short, is left out.

    Raises:
        CheckpointError: there is no log, or a line is damaged.
    """
    end = 0
    with os_errors_as(CheckpointError, f"{log}: no log of a run"), open_regular(log) as file:
        for number, (line, _) in enumerate(_lines(file), 1):
            if not line.endswith(b"\n"):
                return
            try:
                event, record = parsed(line)
                step = record["step"]
                if not isinstance(event, str) or type(step) is not int or not 0 <= step < _MOST_STEPS:
                    raise ValueError("it has no step")
            except (ValueError, KeyError, TypeError) as error:
                raise CheckpointError(f"{log}: line {number:,} is no record ({error})") from None
            start, end = end, end + len(line)
            yield Position(number, event, step, start, end), line, record


def last_record(run: Path) -> tuple[str, dict[str, Any]] | None:
    """The event and the record of the last line of a log, checked as by :func:`read_log`.

    None if there is no log, or its last line is damaged or longer than 64 KiB, which no record of an end is.
    """
    try:
        with open_regular(run / METRICS) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_END))
            return parsed(file.read(_LOG_END).splitlines()[-1])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _lines(file: IO[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each line of a file, and whether it is the last one. Two lines at a time are in memory.

    A line without an end is the last one, even if a run that goes on to write completes it meanwhile.

    Raises:
        OSError: the file cannot be read, or has a line that is too long.
    """
    line = _line(file)
    while line:
        following = _line(file) if line.endswith(b"\n") else b""
        yield line, not following
        line = following


def _line(file: IO[bytes]) -> bytes:
    line = file.readline(LONGEST_LINE + 1)
    if len(line) > LONGEST_LINE:
        raise OSError(errno.EFBIG, f"it has a line of more than {LONGEST_LINE:,} bytes")
    return line


def parsed(line: bytes) -> tuple[str, dict[str, Any]]:
    """The event and the record of a line, checked as by :func:`read_log`.

    Raises:
        ValueError, KeyError, TypeError: it is no record.
    """
    record = strict_json.parse(line)
    event = record["event"]
    _check(event, record)
    return event, record


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
