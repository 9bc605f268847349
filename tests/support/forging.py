"""Edits of a run, by one who leaves its digests as they are, and by one who computes them anew."""

import hashlib
import json

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_names import METRICS, PREVIOUS

# Options of a run of 24 steps with 8 kept checkpoints: steps 3, 6, … begin a segment.
SHORT = [
    *("--hidden", 12, "--layers", 2, "--seq-len", 8, "--batch-size", 8, "--threads", 1, "--steps", 24),
    *("--keep-checkpoints", 8, "--eval-every", 5, "--warmup", 4, "-q"),
]


def edit_checkpoint(path, change):
    """Call ``change`` with a checkpoint, and save it with a checksum that is right."""
    checkpoint = Checkpoint.load(path)
    change(checkpoint)
    checkpoint.save(path)


def flip_a_bit(array):
    """Change the lowest bit of the first number of an array."""
    at = (0,) * array.ndim
    array[at] = (array[at].view(np.int32) ^ np.int32(1)).view(np.float32)


def records(run):
    """The records of a log."""
    return [json.loads(line) for line in (run / METRICS).read_text().splitlines()]


def write_records(run, found):
    """Write the log anew."""
    (run / METRICS).write_text("".join(json.dumps(record) + "\n" for record in found))


def edit_log(run, change):
    """Call ``change`` with the list of a log's records, and write what it returns, or the list."""
    found = records(run)
    write_records(run, change(found) or found)


def compute_digests_anew(run):
    """Make all digests in the log those of the log and the files as they are now: what a forger does."""
    (run / PREVIOUS).unlink(missing_ok=True)  # of no use to a forger
    found = records(run)
    latest = {}
    for number, record in enumerate(found):
        if record["event"] == "sealed":
            latest |= dict.fromkeys(record["files"], number)
    digest = hashlib.sha256()
    for number, record in enumerate(found):
        if record["event"] == "sealed":
            record["log"] = digest.hexdigest()
            for name in record["files"]:
                if latest[name] == number and (run / name).exists():
                    record["files"][name] = hashlib.sha256((run / name).read_bytes()).hexdigest()
        digest.update((json.dumps(record) + "\n").encode())
    write_records(run, found)
