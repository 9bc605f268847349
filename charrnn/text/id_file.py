"""Ids of a text in a file, read where they are needed.

Not memory-mapped: a process dies of SIGBUS where a mapped file is cut short or its disk fails, but reading raises.
"""

import itertools
import os
import threading
import weakref
import zlib
from pathlib import Path

import numpy as np

from charrnn.errors import CorpusError

_BLOCK = 1 << 20


class IdFile:
    """A read-only vector of ids (N,), like an array in what readers of texts do with one.

    Slices are again such vectors and read nothing; an array of places gives the ids there as an array of its shape, in
    as few reads as there are stretches in its columns; ``np.asarray`` reads everything.

    Args:
        path: the file; it is kept open, and so may be deleted.
        dtype: of an id.

    Raises:
        OSError: it cannot be opened.
    """

    ndim = 1

    def __init__(self, path: Path, dtype: np.dtype):
        self.path, self.dtype = path, dtype
        self._file = _Open(path)
        self._start, self._length = 0, os.fstat(self._file.handle).st_size // dtype.itemsize

    def __len__(self) -> int:
        return self._length

    @property
    def shape(self) -> tuple[int]:
        """(N,)."""
        return (self._length,)

    @property
    def size(self) -> int:
        """N."""
        return self._length

    @property
    def nbytes(self) -> int:
        """Bytes of the ids in the file."""
        return self._length * self.dtype.itemsize

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        if copy is False:
            raise ValueError("ids in a file cannot be had without reading them")
        return self._read(0, self._length).astype(dtype or self.dtype, copy=False)

    def astype(self, dtype, **how) -> np.ndarray:
        """All ids as an array of another type."""
        return np.asarray(self).astype(dtype, **how)

    def __getitem__(self, where):
        if isinstance(where, slice):
            start, stop, step = where.indices(self._length)
            return self._part(start, max(stop - start, 0)) if step == 1 else np.asarray(self)[where]
        places = np.asarray(where)
        if places.dtype == bool:
            return np.asarray(self)[places]
        if places.size and not -self._length <= places.min() <= places.max() < self._length:
            raise IndexError(f"there are {self._length:,} ids: none at {where}")
        found = self._gather(np.where(places < 0, places + self._length, places))
        return found[0] if places.ndim == 0 else found

    def _part(self, start: int, length: int) -> "IdFile":
        part = object.__new__(IdFile)
        part.path, part.dtype, part._file = self.path, self.dtype, self._file
        part._start, part._length = self._start + start, length
        return part

    def _gather(self, places: np.ndarray) -> np.ndarray:
        """The ids at places (…), column by column: batch rows of a text are stretches of it."""
        columns = np.atleast_1d(places).T.reshape(-1)
        found = np.empty(columns.shape, self.dtype)
        bounds = [0, *(np.flatnonzero(np.diff(columns) != 1) + 1).tolist(), len(columns)]
        for first, stop in itertools.pairwise(bounds):
            if stop > first:
                found[first:stop] = self._read(int(columns[first]), stop - first)
        return np.ascontiguousarray(found.reshape(places.T.shape).T)

    def _read(self, start: int, count: int) -> np.ndarray:
        size = count * self.dtype.itemsize
        try:
            data = self._file.read((self._start + start) * self.dtype.itemsize, size)
        except OSError as error:
            raise CorpusError(f"{self.path}: cannot read: {error.strerror or error}; delete it and try again") from None
        if len(data) < size:
            raise CorpusError(f"{self.path}: was cut short while it was in use; start again, and it is made anew")
        return np.frombuffer(data, self.dtype)


class _Open:
    """A file that is open as long as somebody needs it."""

    def __init__(self, path: Path):
        self.handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self.handle)
        self._lock = threading.Lock()

    def read(self, offset: int, size: int) -> bytes | bytearray:
        """``size`` bytes from ``offset`` on, fewer only where the file ends."""
        data = self._read_once(offset, size)
        while 0 < len(data) < size:  # a system reads no more than 2 GB at a time
            more = self._read_once(offset + len(data), size - len(data))
            if not more:
                break
            data = bytearray(data)
            data += more
        return data

    def _read_once(self, offset: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self.handle, size, offset)
        with self._lock:  # Windows
            os.lseek(self.handle, offset, os.SEEK_SET)
            return os.read(self.handle, size)


def checksum(path: Path) -> int:
    """The CRC-32 of a file: against accidents, not against people.

    Raises:
        OSError: it cannot be read.
    """
    crc = 0
    with path.open("rb") as file:
        while data := file.read(_BLOCK):
            crc = zlib.crc32(data, crc)
    return crc
