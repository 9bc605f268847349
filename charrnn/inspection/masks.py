"""A hypothesis from a file: one number for every character of the text, from elsewhere."""

from pathlib import Path

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inspection.hypotheses import Hypothesis
from charrnn.inspection.passage import Passage

_MAGIC = b"\x93NUMPY"


def read_mask(path: str | Path, characters: int) -> Hypothesis:
    """The hypothesis that the file at ``path`` writes down for a text of so many ``characters``.

    The file is a ``.npy`` of shape (N,), or text: numbers with white space between them, or the signs 0 and 1.

    Raises:
        ConfigError: it cannot be read, has another length, or numbers that are not finite.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    values = _array(path) if content.startswith(_MAGIC) else _numbers(path, content, characters)
    if values.shape != (characters,):
        shape = f"{len(values):,} values" if values.ndim == 1 else f"the shape {values.shape}"
        raise ConfigError(f"{path}: has {shape}, and the text {characters:,} characters: give one for each")
    if not np.isfinite(values).all():
        raise ConfigError(f"{path}: the value of character {int(np.argmin(np.isfinite(values))):,} is not finite")
    is_mask = bool(np.isin(values, (0, 1)).all())
    values = values.astype(bool) if is_mask else values.astype(np.float32)

    def of(passage: Passage) -> np.ndarray:
        return values[passage.start : passage.start + len(passage)]

    return Hypothesis(path.name, f"the mask {path.name}", of, is_mask)


def _array(path: Path) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ConfigError(f"{path}: is not a whole .npy file of numbers") from error
    if values.dtype.kind not in "biuf":
        raise ConfigError(f"{path}: has values of type {values.dtype}: numbers are wanted")
    return values


def _numbers(path: Path, content: bytes, characters: int) -> np.ndarray:
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
