"""Targets of fuzzing: functions of bytes that accept them or refuse them in one short line."""

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
from forgeries import header_of, make, with_header

from charrnn.errors import CharRNNError

REFUSALS = (CharRNNError, click.ClickException, click.exceptions.Exit, click.Abort)
LONGEST_MESSAGE = 1000

TARGETS: dict[str, "Target"] = {}


@dataclass(frozen=True)
class Target:
    """A function to fuzz, and inputs to start from.

    If ``repeats``, its messages quote the input, and so may be longer.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    repeats: bool = False

    def __call__(self, data: bytes) -> bool:
        """Whether ``data`` was accepted. An exception other than a refusal in one line is a bug."""
        try:
            self.run(data)
        except REFUSALS as error:
            message = error.format_message() if isinstance(error, click.ClickException) else str(error)
            most = LONGEST_MESSAGE + 12 * len(data) * self.repeats
            assert len(message) <= most, f"a message of {len(message):,} characters"
            return False
        return True


def target(*seeds, repeats=False):
    """A decorator that registers a target with its seeds: bytes, or a function that makes them."""

    def register(function):
        made = Target(function, lambda: [each() if callable(each) else each for each in seeds], repeats)
        TARGETS[function.__name__] = made
        return function

    return register


@cache
def healthy(**options) -> bytes:
    """The bytes of a valid checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a")
        make(**options).save(path)
        data = path.read_bytes()
    # The library writes the metadata in an order that differs between processes.
    return with_header(data, json.dumps(header_of(data), sort_keys=True).encode())


@cache
def scratch() -> Path:
    """The path of a file for a target, in /dev/shm if the system has it."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = tempfile.TemporaryDirectory(dir=place)
    scratch.folder = folder  # this keeps the folder until the process ends
    return Path(folder.name, "input")


def in_file(data: bytes) -> Path:
    """The path of a file with these bytes."""
    scratch().write_bytes(data)
    return scratch()
