"""A hypothesis from a file that another program wrote: one number for every character of the text."""

import io
import warnings
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.lib import format

from charrnn.errors import ConfigError, brief, os_errors_as
from charrnn.inspection.hypotheses import Hypothesis
from charrnn.inspection.passage import Passage
from charrnn.system.files import read_regular

FLOAT32_MAX = np.finfo(np.float32).max

_LONGEST, _LONGEST_NUMBER = 2**20, 64  # bytes of a file, and for each number in it
_MAGIC = b"\x93NUMPY"
_HEADERS = {(1, 0): format.read_array_header_1_0, (2, 0): format.read_array_header_2_0}


def read_mask(path: str | Path, characters: int) -> Hypothesis:
    """The hypothesis whose labels are in the file at ``path``, for a text of N = ``characters``.

    The file is a ``.npy`` of shape (N,), or text: N numbers with white space between them, or N signs 0 and 1. If all
    numbers are 0 or 1, the hypothesis is a mask.

    Raises:
        ConfigError: the file cannot be read, has another length, or numbers that are not finite in float32.
    """
    path = Path(path)
    with os_errors_as(ConfigError, f"{path}: cannot be read"):
        content = read_regular(path, _LONGEST + _LONGEST_NUMBER * characters)
    values = _array(path, content, characters) if content.startswith(_MAGIC) else _numbers(path, content, characters)
    if values.shape != (characters,):
        raise _other_shape(path, values.shape, characters)
    usable = np.abs(values) <= FLOAT32_MAX if values.dtype.kind == "f" else np.ones(characters, bool)
    if not usable.all():
        raise ConfigError(
            f"{path}: the value of character {int(np.argmin(usable)):,} is not finite, or beyond ±{FLOAT32_MAX:.2g}"
        )
    is_mask = bool(np.isin(values, (0, 1)).all())
    values = values.astype(bool) if is_mask else values.astype(np.float32)

    def label(passage: Passage) -> np.ndarray:
        return values[passage.start : passage.start + len(passage)]

    return Hypothesis(path.name, f"the mask {path.name}", label, is_mask)


def _array(path: Path, content: bytes, characters: int) -> np.ndarray:
    """The array in a .npy file. Its header is compared with the text before any memory is allocated for it."""
    file = io.BytesIO(content)
    try:
        with warnings.catch_warnings(action="ignore"):  # about headers that Python 2 wrote
            shape, _, kind = _HEADERS[format.read_magic(file)](file)
    except (ValueError, TypeError, KeyError, EOFError, SyntaxError, RecursionError, MemoryError, TokenError):
        raise ConfigError(f"{path}: is not a whole .npy file of numbers") from None
    if kind.kind not in "biuf":
        raise ConfigError(f"{path}: has values of type {brief(kind)}: numbers are wanted")
    if shape != (characters,):
        raise _other_shape(path, shape, characters)
    if len(content) - file.tell() < characters * kind.itemsize:
        raise ConfigError(f"{path}: is not a whole .npy file of numbers")
    return np.frombuffer(content, kind, characters, file.tell())


def _other_shape(path: Path, shape: tuple[int, ...], characters: int) -> ConfigError:
    has = f"{brief(shape[0])} values" if len(shape) == 1 else f"the shape {brief(shape)}"
    return ConfigError(f"{path}: has {has}, and the text {characters:,} characters: give one for each")


def _numbers(path: Path, content: bytes, characters: int) -> np.ndarray:
    """The numbers in a text file."""
    words = content.split()
    signs = b"".join(words)
    if len(words) != characters and not signs.strip(b"01"):
        return np.frombuffer(signs, np.uint8) - ord("0")
    try:
        return np.array(words, np.float64)
    except ValueError as error:
        wrong = next(word for word in words if not _is_number(word))[:40]
        raise ConfigError(f"{path}: {wrong!r} is not a number") from error


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
