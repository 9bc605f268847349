"""A vector of ids in a file, of which only the parts that are needed are read.

The file is not memory-mapped: if a mapped file is cut short or its disk fails, SIGBUS kills the process; a failed read
raises an exception.
"""

import itertools
import os
import threading
import weakref
import zlib
from pathlib import Path

import numpy as np

from charrnn.errors import CorpusError, os_errors_as
from charrnn.system.files import open_regular

_BLOCK = 1 << 20


class IdFile:
    """A read-only vector of ids (N,) that can be indexed like an array.

    A slice of step 1 is again an ``IdFile`` and reads nothing.  An array of positions gives an array of ids of the same
    shape; consecutive positions in a column of it take one read.  ``np.asarray`` reads everything.

    Args:
        path: the file.  It is kept open, so it may be deleted.
        dtype: of an id.
        part: an open file, the first id of a part of it, and the number of ids in the part; None opens the file.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, dtype: np.dtype, part: tuple["_OpenFile", int, int] | None = None):
        self.path, self.dtype = path, dtype
        if part is None:
            file = _OpenFile(path)
            part = file, 0, os.fstat(file.handle).st_size // dtype.itemsize
        self._file, self._start, self._length = part

    def __len__(self) -> int:
        return self._length

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        if copy is False:
            raise ValueError("ids in a file cannot become an array without a copy")
        return self._read(0, self._length).astype(dtype or self.dtype, copy=False)

    def astype(self, dtype, **how) -> np.ndarray:
        """All ids as an array of another type."""
        return np.asarray(self).astype(dtype, **how)

    def __getitem__(self, where):
        if isinstance(where, slice):
            start, stop, step = where.indices(self._length)
            if step != 1:
                return np.asarray(self)[where]
            return IdFile(self.path, self.dtype, (self._file, self._start + start, max(stop - start, 0)))
        positions = np.asarray(where)
        if positions.dtype == bool:
            return np.asarray(self)[positions]
        if positions.size and not -self._length <= positions.min() <= positions.max() < self._length:
            raise IndexError(f"there are {self._length:,} ids: none at {where}")
        found = self._gather(np.where(positions < 0, positions + self._length, positions))
        return found[0] if positions.ndim == 0 else found

    def _gather(self, positions: np.ndarray) -> np.ndarray:
        """The ids at positions (…), read column by column: a column of a window (T, B) is contiguous in the text."""
        columns = np.atleast_1d(positions).T.reshape(-1)
        found = np.empty(columns.shape, self.dtype)
        bounds = [0, *(np.flatnonzero(np.diff(columns) != 1) + 1).tolist(), len(columns)]
        for first, stop in itertools.pairwise(bounds):
            if stop > first:
                found[first:stop] = self._read(int(columns[first]), stop - first)
        return np.ascontiguousarray(found.reshape(positions.T.shape).T)

    def _read(self, start: int, count: int) -> np.ndarray:
        size = count * self.dtype.itemsize
        with os_errors_as(CorpusError, f"{self.path}: delete this file and try again, it cannot be read"):
            data = self._file.read((self._start + start) * self.dtype.itemsize, size)
        if len(data) < size:
            raise CorpusError(f"{self.path}: was cut short while it was in use; start again, and it is made anew")
        return np.frombuffer(data, self.dtype)


class _OpenFile:
    """A regular file that stays open until the last ``IdFile`` on it is deleted."""

    def __init__(self, path: Path):
        with open_regular(path) as file:
            self.handle = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.handle)
        self._lock = threading.Lock()

    def read(self, offset: int, size: int) -> bytes | bytearray:
        """``size`` bytes from ``offset`` on, or fewer if the file ends before."""
        data = self._read_once(offset, size)
        while 0 < len(data) < size:  # one call reads at most 2 GB
            more = self._read_once(offset + len(data), size - len(data))
            if not more:
                break
            data = bytearray(data)
            data += more
        return data

    def _read_once(self, offset: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self.handle, size, offset)
        with self._lock:  # Windows has no pread
            os.lseek(self.handle, offset, os.SEEK_SET)
            return os.read(self.handle, size)


def checksum(path: Path) -> int:
    """The CRC-32 of a file. It finds accidental damage, not forgery.

    Raises:
        OSError: the file cannot be read.
    """
    crc = 0
    with open_regular(path) as file:
        while data := file.read(_BLOCK):
            crc = zlib.crc32(data, crc)
    return crc
