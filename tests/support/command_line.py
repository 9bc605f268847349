"""Runs commands in tests: in this process, or in a process of their own."""

import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from charrnn.commands import charrnn as command

ROOT = Path(__file__).parents[2]
FABLES = ROOT / "corpora" / "fables.txt"
SMALL = ["--hidden", "20", "--layers", "2", "--seq-len", "16", "--batch-size", "8", "--threads", "1"]


def invoke(*arguments, **options):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], **options)


def succeed(*arguments, **options):
    result = invoke(*arguments, **options)
    assert result.exit_code == 0, result.stderr
    return result


def run_cli(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "charrnn", *map(str, arguments)],
        capture_output=True,
        timeout=120,
        check=False,
        **options,
    )
