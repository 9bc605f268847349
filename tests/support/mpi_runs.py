"""Starts commands under MPI; no process of a test is left over."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest
from command_line import ROOT

MPIRUN = Path(sys.prefix, "bin", "mpirun")
OPEN_MPI = os.environ.get("CHARRNN_OPENMPI")  # the mpirun of an Open MPI, for the tests that need one
AT_MOST = 240  # seconds for a command, on a loaded machine
SOON = 30  # seconds in which all ranks have ended when one is lost

needs_mpi = pytest.mark.skipif(
    not (MPIRUN.exists() and importlib.util.find_spec("mpi4py") and Path("/proc/self/environ").exists()),
    reason="needs mpi4py, an MPI with mpirun beside Python, and /proc",
)
needs_open_mpi = pytest.mark.skipif(not OPEN_MPI, reason="needs CHARRNN_OPENMPI, the path of Open MPI's mpirun")


class Launched:
    """A command that mpirun has started; it ends with the block.

    Args:
        ranks: how many.
        arguments: what Python runs.
        launcher: the mpirun, with options.
        environment: variables beside those of this process.
    """

    def __init__(self, ranks, *arguments, launcher=(MPIRUN,), **environment):
        self._mark = f"CHARRNN_TEST_RUN={uuid.uuid4().hex}"
        name, value = self._mark.split("=")
        own = {**os.environ, "PYTHONPATH": str(ROOT), name: value, **environment}
        self._files = contextlib.ExitStack()
        self.stdout, self.stderr = (
            self._files.enter_context(file)
            for file in (tempfile.TemporaryFile(), tempfile.TemporaryFile())  # noqa: SIM115
        )
        command = [*launcher, "-n", ranks, sys.executable, *arguments]
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=self.stdout,
            stderr=self.stderr,
            env=own,
            start_new_session=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.wait()
        for process in self.others():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._files.close()

    def others(self):
        """The processes of the command beside mpirun, by the mark in their environment."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self._mark.encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
        return [number for number in found if number != self.process.pid]

    def wait_for(self, word):
        """Wait until ``word`` is on stderr."""
        deadline = time.monotonic() + AT_MOST
        while word not in self.said():
            assert time.monotonic() < deadline and self.process.poll() is None, self.said()
            time.sleep(0.01)

    def said(self):
        """What is on stderr."""
        return _all_of(self.stderr)

    def written(self):
        """What is on stdout."""
        return _all_of(self.stdout)

    def end(self, seconds=AT_MOST):
        """Wait for the end of all processes; the exit status."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"it hangs: {self.said()}")
        deadline = time.monotonic() + SOON
        while self.others():
            assert time.monotonic() < deadline, f"processes are left over: {self.said()}"
            time.sleep(0.01)
        return status


def _all_of(file):
    return os.pread(file.fileno(), 1 << 20, 0).decode("utf-8", "replace")
