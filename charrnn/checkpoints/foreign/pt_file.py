"""Reads files of PyTorch (``torch.save``): archives, and the older form of versions before 1.6.  PyTorch is not needed.

An archive is a zip file whose members are not compressed: ``data.pkl`` has the values (``pickled_values.py``), and
``data/KEY`` the numbers of a storage.  An older file is five pickles, one after another, and then the storages, each
with a count before its numbers.
"""

import io
import os
import zipfile
from functools import cache
from typing import IO, Any

import numpy as np

from charrnn.checkpoints.foreign import pickled_values
from charrnn.checkpoints.foreign.pickled_values import Storage
from charrnn.checkpoints.foreign.tensors import KINDS
from charrnn.errors import CheckpointError, brief

_OLD_NUMBER = 0x1950A86A20F9469CFC6C  # the first pickle of an older file
_OLD_START = b"\x8a\n" + _OLD_NUMBER.to_bytes(10, "little") + b"."
_PROTOCOL = 2  # bytes before it
_ZIP_START = b"PK\x03\x04"
_COUNT = 8  # bytes of the count before the numbers


def is_pytorch(start: bytes) -> bool:
    """Whether a file that begins with these bytes can be one of PyTorch."""
    return start.startswith(_ZIP_START) or start[_PROTOCOL:].startswith(_OLD_START)


def read(file: IO[bytes]) -> Any:
    """The value in a file, as :func:`pickled_values.read` says.  Its tensors read ``file`` when they are asked for.

    Raises:
        CheckpointError: the file is damaged, or is not one of PyTorch.
        OSError: it cannot be read.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(_ZIP_START)) != _ZIP_START:
        return _read_old(file, size)
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise CheckpointError(f"damaged or cut short ({brief(str(error))})") from None
    return _Archive(archive, size).read()


class _Archive:
    """A zip file of ``size`` bytes."""

    def __init__(self, archive: zipfile.ZipFile, size: int):
        self._archive, self._size = archive, size
        self._members = {member.filename: member for member in archive.infolist()}
        found = [name for name in self._members if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(found) != 1:
            raise CheckpointError("a zip file, but not one that torch.save wrote (it has no data.pkl)")
        self._folder = found[0].removesuffix("data.pkl")
        self._load = cache(lambda storage: _numbers(storage, self._content(f"data/{storage.key}")))

    def read(self) -> Any:
        if f"{self._folder}constants.pkl" in self._members:
            raise CheckpointError("a TorchScript program, not weights: save model.state_dict() with torch.save")
        if f"{self._folder}byteorder" in self._members and self._content("byteorder") != b"little":
            raise CheckpointError("written on a big-endian machine: its numbers cannot be read")
        pickle = self._content("data.pkl", pickled_values.LARGEST)
        return pickled_values.read(io.BytesIO(pickle), self._load, {})

    def _content(self, name: str, most: int | None = None) -> bytes:
        """The bytes of a member.  No more memory is asked for than the whole file has bytes."""
        member = self._members.get(self._folder + name)
        if member is None:
            raise CheckpointError(f"damaged (its archive has no {brief(name)})")
        size = member.file_size
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != size or member.flag_bits & 1:
            raise CheckpointError(f"{brief(name)} in its archive is packed, which torch.save never does")
        if size > (self._size if most is None else most):
            raise CheckpointError(f"damaged ({brief(name)} in its archive has {size:,} bytes)")
        try:
            return self._archive.read(member)
        except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
            raise CheckpointError(f"damaged ({brief(name)} in its archive: {brief(str(error))})") from None


def _read_old(file: IO[bytes], size: int) -> Any:
    file.seek(0)
    pickles = io.BytesIO(file.read(min(pickled_values.LARGEST, size)))
    storages: dict[str, Storage] = {}
    places: dict[str, int] = {}  # where the numbers of each storage begin

    @cache
    def load(storage: Storage) -> np.ndarray:
        if storage.key not in places:
            raise CheckpointError(f"damaged or cut short (it has no storage {brief(storage.key)})")
        file.seek(places[storage.key])
        return _numbers(storage, file.read(storage.length * KINDS[storage.kind].itemsize))

    number, protocol, machine, value, keys = (pickled_values.read(pickles, load, storages) for _ in range(5))
    if (number, protocol) != (_OLD_NUMBER, 1001) or not isinstance(machine, dict) or not isinstance(keys, list):
        raise CheckpointError("damaged, or a PyTorch file of a kind that is not known")
    if machine.get("little_endian") is not True:
        raise CheckpointError("written on a big-endian machine: its numbers cannot be read")
    at = pickles.tell()
    for key in keys:
        storage = storages.get(key) if isinstance(key, str) else None
        if storage is None:
            raise CheckpointError(f"damaged (the storage {brief(key)} is of a kind that is not known)")
        bytes_of_it = storage.length * KINDS[storage.kind].itemsize
        file.seek(at)
        count = int.from_bytes(file.read(_COUNT), "little")
        if count != storage.length or bytes_of_it > size - at - _COUNT:
            raise CheckpointError(f"damaged or cut short (a storage of {storage.length:,} numbers)")
        places[key] = at + _COUNT
        at += _COUNT + bytes_of_it
    return value


def _numbers(storage: Storage, data: bytes) -> np.ndarray:
    dtype = KINDS[storage.kind]
    if len(data) != storage.length * dtype.itemsize:
        raise CheckpointError(f"damaged (a storage of {storage.length:,} {storage.kind} has {len(data):,} bytes)")
    return np.frombuffer(data, dtype)
