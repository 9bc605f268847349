"""The losses in a run's log for TensorBoard.

TensorBoard's own writer brings a web server, and the smaller libraries that write its files put the name of the machine
into them.  The file is simple, so it is written here: records, each with its length and two checksums, and in each
record an ``Event``, a message of protocol buffers.  An event has the fields wall_time = 1, step = 2, file_version = 3
and summary = 5; a summary has a value = 1 for each curve, with tag = 1 and simple_value = 2.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from charrnn.checkpoints.run_log import read_log
from charrnn.checkpoints.run_names import METRICS
from charrnn.errors import CheckpointError, os_errors_as

FILE = "events.out.tfevents.charrnn"  # TensorBoard reads files with "tfevents" in their names

# For each event of the log a folder, which is a run of TensorBoard's, and the curves by the names of the fields. Curves
# of the same name lie over each other.
_CURVES = {
    "step": {"loss": "loss", "lr": "learning rate", "grad_norm": "gradient norm", "chars_per_s": "characters per s"},
    "evaluated": {"val_loss": "loss"},
}
_FOLDERS = {"step": "training", "evaluated": "validation"}

# Wire types of protocol buffers, the lower three bits of a key; the number of the field is above them.
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5


def event_files(run: Path) -> dict[str, bytes]:
    """The contents of an event file for training and one for validation, by their paths in the folder to write.

    The log has seconds of training and no dates.  The last record is taken to be as old as the file, so that the times
    are about right, and the same log gives the same bytes.

    Raises:
        CheckpointError: there is no log in the folder ``run``, or it is damaged.
    """
    records = [(event, record) for event, record in read_log(run) if event in _CURVES]
    with os_errors_as(CheckpointError, f"{run / METRICS}: no log of a run"):
        ended_at = (run / METRICS).stat().st_mtime
    times = [record.get("elapsed_s") or 0.0 for _, record in records]
    started_at = ended_at - (times[-1] if times else 0.0)
    parts = {event: [_framed(_event(started_at, 0, _bytes(3, b"brain.Event:2")))] for event in _CURVES}
    for (event, record), elapsed in zip(records, times, strict=True):
        values = {tag: record[name] for name, tag in _CURVES[event].items() if record.get(name) is not None}
        summary = b"".join(_bytes(1, _bytes(1, tag.encode()) + _float(2, value)) for tag, value in values.items())
        parts[event].append(_framed(_event(started_at + elapsed, record["step"], _bytes(5, summary))))
    return {f"{_FOLDERS[event]}/{FILE}": b"".join(each) for event, each in parts.items() if len(each) > 1}


def _event(wall_time: float, step: int, rest: bytes) -> bytes:
    return _key(1, _DOUBLE) + struct.pack("<d", wall_time) + _key(2, _VARINT) + _varint(step) + rest


def _float(field: int, value: float) -> bytes:
    return _key(field, _FLOAT) + struct.pack("<f", value)


def _bytes(field: int, value: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(value)) + value


def _key(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit of a byte says that more follow."""
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _framed(data: bytes) -> bytes:
    """A record: the length, its checksum, the data, their checksum."""
    length = struct.pack("<Q", len(data))
    return length + _checksum(length) + data + _checksum(data)


def _crc_table() -> Iterator[int]:
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # the polynomial of CRC-32C, bits reversed
        yield value


_CRC = tuple(_crc_table())


def _checksum(data: bytes) -> bytes:
    """CRC-32C, rotated and moved by a constant, because a checksum of data that hold their own checksum is weak."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
