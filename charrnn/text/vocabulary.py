"""The symbols that a model knows, and the conversion of texts to ids and back.

A symbol is a character (a Unicode code point) or, in bytes mode, a byte.  Its id is its position in the vocabulary.
"""

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from charrnn.errors import CharRNNError, CheckpointError, ConfigError, CorpusError, VocabularyError

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
Unknown = Literal["error", "skip", "replace"]
OR_SKIP = ", or pass --unknown skip or --unknown replace"
"""Ends messages about unknown symbols. What has no --unknown removes it."""

_MOST_NAMED = 5  # unknown characters that one message names
_BLOCK = 1 << 18  # symbols looked up at a time; their indices, of 8 bytes each, fit in the processor's cache


@dataclass(frozen=True)
class Vocabulary:
    """Distinct symbols in a fixed order: one-character strings, or integers 0 to 255 (bytes mode).

    The symbols are sorted, except in a vocabulary that ``from_list`` read: it keeps the order of the list, because the
    rows of a model's weights have this order.  Two vocabularies are equal if their symbols and the order are equal.

    Raises:
        TypeError: the symbols are neither all one-character strings nor all integers.
        ValueError: there are no symbols, or one comes twice, is a lone surrogate, or is an integer but not a byte.
    """

    symbols: tuple[str, ...] | tuple[int, ...]

    def __init__(self, symbols: Iterable[str] | Iterable[int]):
        symbols = tuple(symbols)
        _check(symbols)
        object.__setattr__(self, "symbols", tuple(sorted(symbols)))

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[str, int] | Mapping[int, int],
        min_count: int = 1,
        max_size: int = 1000,
        known: Sequence[str] | Sequence[int] = (),
    ) -> Self:
        """The vocabulary of a text.

        Args:
            counts: how often each symbol occurs in the text.
            min_count: characters that occur fewer times are left out; one symbol, U+FFFD, stands for all of them. Bytes
                are all kept, because no byte could stand for the rare ones.
            max_size: the largest number of symbols.
            known: symbols of a vocabulary to extend.  They come first, in their order, however often they occur.

        Raises:
            ConfigError: ``min_count`` or ``max_size`` is below 1.
            CorpusError: there are no symbols, only rare ones, lone surrogates, or more than ``max_size`` symbols.
        """
        for option, value in (("--min-count", min_count), ("--max-vocab", max_size)):
            if value < 1:
                raise ConfigError(f"{option} must be at least 1, not {value}")
        if not counts:
            raise CorpusError("there is no text to take characters from")
        learnt = set(known)
        new = {symbol: count for symbol, count in counts.items() if symbol not in learnt}
        if isinstance(next(iter(counts)), int):
            kept = set(new)
        else:
            kept = {symbol for symbol, count in new.items() if count >= min_count}
            if not kept and not known:
                raise CorpusError(f"every character is rarer than --min-count {min_count}: lower it")
            if len(kept) < len(new):
                kept |= {REPLACEMENT} - learnt
            for symbol in kept:
                if _is_surrogate(symbol):
                    raise CorpusError(f"half a character, U+{ord(symbol):04X}, occurs alone: check --encoding")
        if kept and len(known) + len(kept) > max_size:
            raise CorpusError(_too_many(new, len(known) + len(kept), max_size, len(known)))
        return cls.from_list([*known, *sorted(kept)])

    @classmethod
    def from_list(cls, symbols: object) -> Self:
        """The vocabulary that ``to_list`` wrote, in the list's own order.

        Args:
            symbols: a JSON value; every property is checked, because it may come from a stranger's file.

        Raises:
            CheckpointError: ``symbols`` is not a list of distinct one-character strings, or of distinct bytes.
        """
        if not isinstance(symbols, list):
            raise CheckpointError(f"damaged vocabulary: a list was expected, not {type(symbols).__name__}")
        try:
            vocabulary = cls(symbols)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"damaged vocabulary: {error}") from None
        object.__setattr__(vocabulary, "symbols", tuple(symbols))
        return vocabulary

    def to_list(self) -> list[str] | list[int]:
        """The symbols in order, ready for JSON."""
        return list(self.symbols)

    def __len__(self) -> int:
        return len(self.symbols)

    def __repr__(self) -> str:
        kind = "bytes" if self.is_bytes else "characters"
        shown = ", ".join(map(repr, self.symbols[:_MOST_NAMED]))
        return f"<Vocabulary of {len(self):,} {kind}: {shown}{', …' if len(self) > _MOST_NAMED else ''}>"

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._ids

    @property
    def is_bytes(self) -> bool:
        """Whether the symbols are bytes rather than characters."""
        return isinstance(self.symbols[0], int)

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """The smallest unsigned integer type that holds every id."""
        return np.min_scalar_type(len(self) - 1)

    @property
    def line_start(self) -> int:
        """The id after which a line begins: the id of the newline, or 0 if there is no newline."""
        return self._ids.get(10 if self.is_bytes else "\n", 0)

    @cached_property
    def replacement(self) -> int:
        """The id that replaces an unknown symbol.

        It is the id of the first of U+FFFD, question mark, space and newline that the vocabulary has, or else 0.
        """
        wanted = b"? \n" if self.is_bytes else REPLACEMENT + "? \n"
        return next((self._ids[symbol] for symbol in wanted if symbol in self._ids), 0)

    def encode(self, text: str | bytes, unknown: Unknown = "error") -> npt.NDArray[np.int32]:
        """The ids of a text.

        Args:
            text: a string.  In bytes mode also bytes; a string is encoded as UTF-8 first.
            unknown: what to do with a symbol that is not in the vocabulary: raise an error ("error"), leave it out
                ("skip"), or put ``replacement`` in its place ("replace").

        Returns:
            int32 array of shape (length,).

        Raises:
            TypeError: bytes were given to a vocabulary of characters.
            ValueError: ``unknown`` is not one of the three.
            VocabularyError: a symbol is unknown, or in bytes mode a lone surrogate cannot be encoded.
        """
        if unknown not in ("error", "skip", "replace"):
            raise ValueError(f"unknown must be 'error', 'skip' or 'replace', not {unknown!r}")
        points = self._points(text)
        ids = self.look_up(points)
        missing = ids < 0
        if missing.any():
            if unknown == "error":
                raise VocabularyError(self.describe_unknown(points[missing]))
            if unknown == "skip":
                return ids[~missing]
            ids[missing] = self.replacement
        return ids

    def decode(self, ids: Sequence[int] | npt.NDArray[np.integer]) -> str | bytes:
        """The text of some ids, the reverse of ``encode``: a string, or bytes in bytes mode.

        Raises:
            TypeError: the ids are not integers.
            ValueError: an id is not in the vocabulary.
        """
        ids = np.asarray(ids).reshape(-1)
        if not ids.size:
            return b"" if self.is_bytes else ""
        if ids.dtype.kind not in "iu":
            raise TypeError(f"ids must be integers, not {ids.dtype}")
        if ids.min() < 0 or ids.max() >= len(self):
            raise ValueError(f"ids must be from 0 to {len(self) - 1}; found {ids.min()} to {ids.max()}")
        data = self.points[ids].tobytes()
        return data if self.is_bytes else data.decode("utf-32-le")

    def characters(self, ids: Sequence[int] | npt.NDArray[np.integer]) -> str:
        """The text of some ids, a character for each: a byte becomes the character with its number."""
        text = self.decode(ids)
        return text.decode("latin-1") if isinstance(text, bytes) else text

    def name(self, index: int) -> str:
        """The symbol of an id as messages write it, with control characters escaped: ``'é' (U+00E9)``."""
        return _describe(int(self.points[index]), self.is_bytes)

    def look_up(self, points: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.int32]:
        """The ids of code points, or of bytes.

        Args:
            points: unsigned integers of shape (length,).

        Returns:
            int32 array of shape (length,), -1 where the symbol is unknown.
        """
        ids = np.empty(len(points), np.int32)
        for start in range(0, len(points), _BLOCK):
            block = slice(start, start + _BLOCK)
            # Points beyond the table are clipped to its last entry, which is -1: unknown.
            np.take(self._table, points[block], out=ids[block], mode="clip")
        return ids

    def describe_unknown(self, points: npt.NDArray[np.unsignedinteger]) -> str:
        """The message about symbols that are not in the vocabulary, in one line.

        Args:
            points: (n,) code points or bytes of these symbols in the order of the text; they may repeat.
        """
        distinct = list(dict.fromkeys(points[: 1 << 16].tolist()))
        named = ", ".join(_describe(point, self.is_bytes) for point in distinct[:_MOST_NAMED])
        if len(distinct) > _MOST_NAMED:
            named += f" and {len(distinct) - _MOST_NAMED:,} more"
        kind = ("byte" if self.is_bytes else "character") + ("" if len(self) == 1 else "s")
        return (
            f"the model does not know {named}: it learned {len(self):,} other {kind}; "
            f"remove {'it' if len(distinct) == 1 else 'them'} from the text{OR_SKIP}"
        )

    def _points(self, text: str | bytes) -> npt.NDArray[np.unsignedinteger]:
        """The code points of a text, or in bytes mode its bytes."""
        if not self.is_bytes:
            if not isinstance(text, str):
                raise TypeError(f"a vocabulary of characters encodes str, not {type(text).__name__}")
            return code_points(text)
        if isinstance(text, str):
            text = utf8(text, VocabularyError)
        return np.frombuffer(text, np.uint8)

    @cached_property
    def _ids(self) -> dict[Any, int]:
        return {symbol: index for index, symbol in enumerate(self.symbols)}

    @cached_property
    def points(self) -> npt.NDArray[np.unsignedinteger]:
        """The code points of the symbols (V,) uint32, or the bytes, uint8."""
        if self.is_bytes:
            return np.array(self.symbols, np.uint8)
        return np.array([ord(symbol) for symbol in self.symbols], "<u4")

    @cached_property
    def _table(self) -> npt.NDArray[np.int32]:
        """The id of every code point or byte up to the largest known one and the next one; -1 if unknown."""
        points = self.points.astype(np.intp)
        table = np.full(points.max() + 2, -1, np.int32)
        table[points] = np.arange(len(points), dtype=np.int32)
        return table


def code_points(text: str) -> npt.NDArray[np.unsignedinteger]:
    """The code points of a string, (length,): uint8 if all are ASCII, else uint32. Lone surrogates are allowed."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def utf8(text: str, kind: type[CharRNNError]) -> bytes:
    """The bytes of a string in UTF-8.

    Raises:
        CharRNNError: of the class ``kind``: the string has half a character (a lone surrogate), which has no bytes.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        point = ord(text[error.start])
        raise kind(f"the text: half a character, U+{point:04X}, at {error.start}: remove it") from None


def _describe(point: int, is_byte: bool) -> str:
    return f"byte 0x{point:02X}" if is_byte else f"{chr(point)!r} (U+{point:04X})"


def _is_surrogate(symbol: str) -> bool:
    return "\ud800" <= symbol <= "\udfff"


def _check(symbols: tuple[Any, ...]) -> None:
    """Raise TypeError or ValueError unless the symbols are distinct characters, or distinct bytes."""
    if not symbols:
        raise ValueError("there are no symbols")
    kind = str if isinstance(symbols[0], str) else int
    for symbol in symbols:
        # type() instead of isinstance(), because True is an int, but not a byte
        if type(symbol) is not kind:
            raise TypeError(f"all symbols must be {kind.__name__}, found {type(symbol).__name__}")
        if kind is int and not 0 <= symbol <= 255:
            raise ValueError("a byte is out of range 0 to 255")
        if kind is str and len(symbol) != 1:
            raise ValueError(f"a symbol has {len(symbol)} characters instead of one")
        if kind is str and _is_surrogate(symbol):
            raise ValueError(f"half a character, U+{ord(symbol):04X}, is not a symbol")
    if len(set(symbols)) < len(symbols):
        raise ValueError("a symbol occurs twice")


def _too_many(counts: Mapping[Any, int], size: int, max_size: int, known: int) -> str:
    """The message about ``size`` symbols, ``known`` of them from before, where ``max_size`` are allowed.

    ``counts`` says how often each new symbol occurs.  The message advises the smallest ``--min-count`` that is enough.
    """
    message = f"{size:,} distinct symbols are more than {max_size:,}, which often means a wrong encoding: "
    if known:
        message = f"{size:,} symbols, {known:,} of which the model knows already, are more than {max_size:,}: "
    if isinstance(next(iter(counts)), int):
        return message + f"pass --max-vocab {size}"
    advice = f"pass --max-vocab {size}" if known else f"check --encoding, or pass --bytes, --max-vocab {size}"
    others = sorted((count for symbol, count in counts.items() if symbol != REPLACEMENT), reverse=True)
    # All but the room - 1 most frequent symbols must become rare, because U+FFFD needs a place, too.
    room = max_size - known
    enough = operator.index(others[room - 1]) + 1 if room > 0 else math.inf
    if enough <= others[0]:
        advice += f", or --min-count {enough}"
    return message + advice
