"""A writing session: a draft, what the model would write next, what it expects, and what a cell does; no terminal.

What a session says depends on the text before the cursor and on its settings, and not on the edits that led there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inference.mixture import networks_of
from charrnn.inference.sampler import Choice, Sampler
from charrnn.model import Model
from charrnn.network.cell import Signal
from charrnn.text.vocabulary import Unknown, code_points
from charrnn.writing.draft import Draft
from charrnn.writing.states import States, copied, has_cells

LEAST, MOST = 1000, 3000  # characters before the cursor that the model reads, at least and at most
GUESSES = 5
_HASHED = 8  # characters before a place that decide whether the model begins to read there
_AHEAD = 8, 24, 64, 120, 200  # characters: that the cursor may soon have gone on
_STRIDE, _AROUND = 512, 16  # characters; strides to either side that are read ahead
_LOOKS = 8  # places that one call of prepare() looks at
_WORD = re.compile(r"\n|[^\S\n]*\S+|[^\S\n]+")


@dataclass(frozen=True)
class Guess:
    """A next character that the model expects with this probability; a byte of a model of bytes may be no character."""

    character: str
    probability: float


@dataclass(frozen=True)
class Shown:
    """The cell (layer, unit) whose values colour the text, and its signal."""

    cell: tuple[int, int]
    signal: Signal


class Session:
    """A draft and a model beside it.

    Args:
        model: any model, also a mixture or an ensemble.
        text, cursor: of the draft; the cursor is at the end by default.
        choice: how the characters of drawn continuations are chosen.
        seed: of their random numbers.
        length: characters of a continuation, or bytes for a model of bytes.
        unknown: what the model reads for a character that it does not know: "replace", or nothing ("skip").

    Attributes:
        draft: the text and the cursor.
        choice, seed: as above; both may be set.
        number: which continuation :meth:`continuation` and the two ``take`` methods mean: 0 is the most probable one,
            character by character; the others are drawn.
        shown: the cell whose values :meth:`values` has, or None.
    """

    def __init__(
        self,
        model: Model,
        text: str = "",
        cursor: int | None = None,
        *,
        choice: Choice | None = None,
        seed: int = 0,
        length: int = 40,
        unknown: Unknown = "replace",
    ):
        self.model, self.draft = model, Draft(text, cursor)
        self.choice, self.seed, self.length, self.unknown = choice or Choice(), seed, length, unknown
        self.number = 0
        self.shown: Shown | None = None
        self.least = max(LEAST, model.network.warm_up)
        self.most = self.least + MOST - LEAST
        bytes_each = 4 if model.vocabulary.is_bytes else 1
        self.states = States(model, bytes_each * self.most)
        self._read: tuple[tuple[int, int, int], np.ndarray] = ((-1, 0, 0), np.zeros(0, np.int32))
        self._plan: Iterator[np.ndarray] = iter(())
        self._plan_for: tuple[int, int] | None = None
        self._goal: np.ndarray | None = None
        self._guessed: tuple[bytes, np.ndarray] = (b"", np.zeros(0))
        self._drawn: tuple[tuple[object, ...], str] = ((), "")

    # ---- what the model reads

    def origin(self, place: int) -> int:
        """From which character on the model reads the text before ``place``.

        Short texts are read from their beginning.  In a long one the model begins between ``least`` and ``most``
        characters before the place, where a hash of the characters before the beginning is smallest (minimizers;
        Schleimer et al. 2003).  So most places have the same beginning as their neighbours, also after an edit further
        up.
        """
        if place <= self.most:
            return 0
        first, last = max(place - self.most, _HASHED), place - self.least
        points = code_points(self.draft.text[first - _HASHED : last]).astype(np.uint64)
        hashes = np.zeros(last - first, np.uint64)
        for k in range(_HASHED):
            hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + points[k : k + last - first]
            hashes ^= hashes >> np.uint64(29)
        ties = np.flatnonzero(hashes == hashes.min()) + first
        return int(ties[np.argmax(ties & -ties)])  # in a text that repeats itself, a round number

    def ids(self, place: int | None = None, ahead: int = 0) -> np.ndarray:
        """The ids (N,), N >= 1, that the model has read at ``place``, by default at the cursor.

        They begin where they will begin ``ahead`` characters later.
        """
        place = self.draft.cursor if place is None else place
        key = (self.draft.version, place, ahead)
        if self._read[0] != key:
            text = self.draft.text[self.origin(place + ahead) : place]
            self._read = key, self.model.prime(text, self.unknown)
        return self._read[1]

    @property
    def unknown_characters(self) -> int:
        """How many of the characters that the model reads before the cursor it does not know."""
        text = self.draft.text[self.origin(self.draft.cursor) : self.draft.cursor]
        return int((self._counts(text, replaced=False) == 0).sum())

    def ready(self, most: int) -> bool:
        """Read at most ``most`` characters of what the cursor needs; whether nothing is left to read."""
        return not self.states.read(self.ids(), most)

    def prepare(self, most: int) -> bool:
        """Read at most ``most`` characters where the cursor may go next; whether more is left to read.

        It is for the time between two keys: the cursor then moves as quickly as a character is typed.
        """
        at = (self.draft.version, self.draft.cursor)
        if self._plan_for != at:
            self._plan_for, self._plan, self._goal = at, self._goals(), None
        for _ in range(_LOOKS):
            if self._goal is None:
                self._goal = next(self._plan, None)
                if self._goal is None:
                    return False
            if self.states.unread(self._goal):
                self.states.read(self._goal, most)
                return True
            self._goal = None
        return True

    def _goals(self) -> Iterator[np.ndarray]:
        """What to read ahead, the most urgent first."""
        cursor, size = self.draft.cursor, len(self.draft.text)
        yield self.ids()
        for ahead in _AHEAD:
            if cursor + ahead > self.most:
                yield self.ids(cursor, ahead)
        strides = min(_AROUND, self.states.room // (8 * self.most))
        for k in range(1, strides + 1):
            for place in (cursor - k * _STRIDE, cursor + k * _STRIDE):
                if 0 < place <= size:
                    yield self.ids(place)
        if strides == _AROUND and size:
            yield self.ids(size)

    # ---- what the model says

    def log_probabilities(self) -> np.ndarray:
        """log p (V,) float64 in nats of every symbol after the cursor."""
        ids = self.ids()
        data = ids.tobytes()
        if self._guessed[0] != data:
            state = copied(self.states.before_last(ids))
            self._guessed = data, self.model.network.log_probabilities(ids[-1:, None], state)[0, 0]
        return self._guessed[1]

    def guesses(self, count: int = GUESSES) -> list[Guess]:
        """The ``count`` most probable next characters, the most probable first."""
        logs = self.log_probabilities()
        order = np.argsort(-logs, kind="stable")[:count]
        symbols = (self.model.vocabulary.symbols[index] for index in order)
        return [Guess(_symbol(each), float(np.exp(logs[index]))) for each, index in zip(symbols, order, strict=True)]

    def continuation(self, number: int | None = None, length: int | None = None) -> str:
        """What the model would write at the cursor: :attr:`length` characters, or ``length``.

        It depends on the text before the cursor, ``choice``, ``seed`` and ``number``.  The random number of a character
        belongs to its place in the text: whoever takes the first character finds the rest unchanged.  Of a model of
        bytes, the text ends before bytes that are not UTF-8.
        """
        number, length = self.number if number is None else number, self.length if length is None else length
        key = (self.draft.version, self.draft.cursor, number, self.seed, self.choice, length)
        if self._drawn[0] != key:
            self._drawn = key, self._draw(number, length)
        return self._drawn[1]

    def _draw(self, number: int, length: int) -> str:
        ids = self.ids()
        choice = replace(self.choice, temperature=0.0) if number == 0 else self.choice
        generator = np.random.default_rng([self.seed, number])
        generator.bit_generator.advance(self._place())  # type: ignore[attr-defined]
        state = self.states.before_last(ids)
        sampler = Sampler(self.model.network, ids[-1:], choice=choice, state=state, generators=[generator])
        drawn = self.model.vocabulary.decode(sampler.draw(length)[:, 0])
        return drawn if isinstance(drawn, str) else _begin_in_utf8(drawn)

    def word(self, number: int | None = None) -> str:
        """The first word of the continuation with the space before it; or a line break, or spaces."""
        found = _WORD.match(self.continuation(number))
        return found[0] if found else ""

    def take_word(self) -> str:
        """Insert the first word of the continuation at the cursor, and return it."""
        word = self.word()
        self.draft.insert(word)
        return word

    def take_character(self) -> str:
        """Insert the first character of the continuation at the cursor; the character."""
        character = self.continuation()[:1]
        if character:
            self.draft.type(character)
        return character

    def _place(self) -> int:
        """The place of the cursor in symbols of the model."""
        before = self.draft.before
        return len(before.encode()) if self.model.vocabulary.is_bytes else len(before)

    # ---- what a cell does

    def show(self, cell: tuple[int, int] | None, signal: str | None = None) -> None:
        """Have :meth:`values` show a cell (layer, unit), or none.

        Raises:
            ConfigError: there is no such cell or signal, or the model is an ensemble.
        """
        if cell is None:
            self.shown = None
            return
        if not has_cells(self.model):
            raise ConfigError("an ensemble has no cells of its own: leave out --with to see those of one model")
        (network,) = networks_of(self.model.network)
        layers, units = network.config.layers, network.config.hidden
        if not (0 <= cell[0] < layers and 0 <= cell[1] < units):
            raise ConfigError(
                f"there is no cell {cell[0]}:{cell[1]}: layers are 0 to {layers - 1}, units 0 to {units - 1}"
            )
        self.shown = Shown(cell, network.cell.signal(signal))

    def values(self, first: int, last: int, most: int) -> tuple[np.ndarray, bool]:
        """The shown cell's value after each character from ``first`` to below ``last``: (last - first,) float32.

        At most about ``most`` characters are read.  A value is NaN where more is left to read, and where the model does
        not read a character.  The second result says whether something is left to read.
        """
        found = np.full(last - first, np.nan, np.float32)
        if self.shown is None:
            return found, False
        left = False
        for stop in range(last, first, -self.least):
            start = max(first, stop - self.least)  # so far the reading of any place reaches back
            origin = self.origin(stop)
            text = self.draft.text[origin:stop]
            ids = self.model.encode(text, self.unknown)
            counts = self._counts(text, replaced=True)
            ends = np.cumsum(counts)[start - origin :]
            wanted = counts[start - origin :] > 0
            begin = int(ends[0] - counts[start - origin])
            if begin < len(ids):
                known, more = self.states.values(ids, begin, self.shown.cell, self.shown.signal.name, most)
                part = found[start - first : stop - first]
                part[wanted] = known[ends[wanted] - 1 - begin]
                left = left or more > 0
            if left:
                break
        return found, left

    def _counts(self, text: str, replaced: bool) -> np.ndarray:
        """How many ids the model reads for each character of a text, (N,); ``replaced`` counts also replacements."""
        vocabulary, points = self.model.vocabulary, code_points(text)
        keeps_all = replaced and self.unknown == "replace"
        if not vocabulary.is_bytes:
            return np.ones(len(points), int) if keeps_all else (vocabulary.look_up(points) >= 0).astype(int)
        sizes = 1 + (points > 0x7F).astype(int) + (points > 0x7FF) + (points > 0xFFFF)
        if keeps_all or not len(points):
            return sizes
        known = vocabulary.look_up(np.frombuffer(text.encode(), np.uint8)) >= 0
        return np.add.reduceat(known.astype(int), np.cumsum(sizes) - sizes)


def _symbol(symbol: str | int) -> str:
    """A symbol as text; a byte that is no character of its own as in 0xE2."""
    if isinstance(symbol, int):
        return chr(symbol) if symbol < 0x80 else f"0x{symbol:02X}"
    return symbol


def _begin_in_utf8(data: bytes) -> str:
    """The text that bytes begin with, up to the first that are not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        return data[: error.start].decode()
