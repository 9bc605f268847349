"""Simulates a failing file system: the k-th call that changes files below a folder raises an OSError."""

import builtins
import contextlib
import io
import os
from pathlib import Path

_CALLS = ("mkdir", "link", "replace", "rename", "unlink", "rmdir", "fsync")


class Faults:
    """Counts the calls that change files below ``folder``, and lets chosen ones fail.

    Args:
        folder: calls on other files do not fail.
        at: the number of the first call that fails, from 1; with 0 none fails.
        error: the errno.
        lasting: whether all later calls fail too, as on a disk that stays full.
    """

    def __init__(self, folder, at=0, error=0, lasting=False):
        self._folder, self._at, self._error, self._lasting = os.path.realpath(folder), at, error, lasting
        self.calls = []

    def happened(self):
        """Whether a call has failed."""
        return 0 < self._at <= len(self.calls)

    def check(self, name, path):
        """Count a call, and raise OSError if it must fail."""
        if not os.path.realpath(os.fspath(path)).startswith(self._folder):
            return
        self.calls.append(f"{name} {Path(path).name}")
        number = len(self.calls)
        if self._at and (number == self._at or (self._lasting and number > self._at)):
            raise OSError(self._error, os.strerror(self._error), os.fspath(path))

    @contextlib.contextmanager
    def injected(self, monkeypatch):
        """A context in which calls are counted and fail."""
        with monkeypatch.context() as patch:
            for name in _CALLS:
                patch.setattr(os, name, self._failing(name, getattr(os, name)))
            for module in (io, builtins):
                patch.setattr(module, "open", self._open(io.open))
            yield self

    def _failing(self, name, call):
        def failing(path, *arguments, **named):
            if isinstance(path, int):
                self.check(name, f"/proc/self/fd/{path}")
            else:
                self.check(name, path)
            return call(path, *arguments, **named)

        return failing

    def _open(self, call):
        def open_(file, mode="r", *arguments, **named):
            if not set(mode) & set("wax+"):
                return call(file, mode, *arguments, **named)
            path = os.path.realpath(f"/proc/self/fd/{file}") if isinstance(file, int) else file
            try:
                self.check("open", path)
            except OSError:
                if isinstance(file, int):
                    os.close(file)
                raise
            return _File(call(file, mode, *arguments, **named), path, self)

        return open_


class _File:
    """An open file whose ``write``, ``flush`` and ``close`` may fail."""

    def __init__(self, file, path, faults):
        self._file, self._path, self._faults, self._written = file, path, faults, False

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def write(self, data):
        self._faults.check("write", self._path)
        self._written = True
        return self._file.write(data)

    def flush(self):
        self._faults.check("flush", self._path)
        self._file.flush()

    def close(self):
        if self._file.closed:
            return
        self._file.close()
        if self._written:  # some disks report a failed write only now
            self._faults.check("close", self._path)
