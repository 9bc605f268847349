"""Scores of lines: how many bits a model needs for each, and how unusual that is beside the lines before."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt

from charrnn.config import LineLearningConfig
from charrnn.errors import ConfigError, VocabularyError
from charrnn.inference.ensemble import Ensemble
from charrnn.inference.guess_numbers import SAMPLES, Guesses, GuessNumbers, guess_numbers
from charrnn.inference.line_losses import line_losses
from charrnn.inference.loss import Scorer, losses
from charrnn.inference.mixture import Mixture
from charrnn.inference.online_mixture import OnlineMixture
from charrnn.inference.robust_z import COUNT, RobustZ
from charrnn.inference.word_peaks import UNKNOWN_BITS, WordPeaks
from charrnn.network.network import Network
from charrnn.records import ProgressCallback, no_progress
from charrnn.text.vocabulary import Vocabulary, code_points, utf8
from charrnn.training.dynamic_evaluation import DynamicLearner
from charrnn.training.rollback import restored_weights

if TYPE_CHECKING:
    from charrnn.model.model import Model, Text

BLOCK = 1 << 18  # characters of the lines that are read at a time
_BATCH = 64  # batch rows
_STEPS = 256  # of a window that one row reads

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
_Number = TypeVar("_Number", np.float64, np.int64)


@dataclass(frozen=True, eq=False)
class LineScore:
    """The score of one line.

    Attributes:
        text: the line, without its end.
        bits: -log2 of the probability of the line with its end, and 20 for each character that the model does not know.
        peak: the bits of the least expected character; 0 where none counts.
        z: the robust z of ``bits_per_character`` among the lines before; None for the first 20
            (:class:`charrnn.inference.robust_z.RobustZ`).
        unknown: the number of characters that the model does not know.
        character_bits: (M,) float32, the bits of each character, and of the line end if it counts.  For a model of
            bytes a character is a byte.
        guesses: how many lines are likelier, if that was asked for.
        words: how surprising its words are, compared with earlier words in the same place, if that was asked for
            (:class:`charrnn.inference.word_peaks.WordPeaks`).
    """

    text: Text
    bits: float
    peak: float
    z: float | None
    unknown: int
    character_bits: Floats = field(repr=False)
    guesses: Guesses | None = None
    words: float | None = None

    @property
    def characters(self) -> int:
        """M, how many characters count."""
        return len(self.character_bits)

    @property
    def bits_per_character(self) -> float:
        """The bits divided by the characters; 0 where none counts."""
        return self.bits / max(self.characters, 1)

    def kept(self) -> LineScore:
        """The same, without a hold on the memory of the lines around it."""
        return replace(self, character_bits=self.character_bits.copy())


class _Reader(Protocol):
    """A way to read lines."""

    def losses(self, ids: Ids, known: npt.NDArray[np.bool_], lengths: Sequence[int]) -> Floats:
        """The losses (M,) in nats of the ids (M,) of lines with these lengths, which follow those read before.

        A character that is not ``known`` has the id that is read in its place.
        """


class _InOrder:
    """Reads the lines as one text, several parts of it side by side.

    A part begins behind a warm-up, so that its state is practically that of a network that has read all before.
    """

    def __init__(self, model: Scorer, newline: int):
        self._model, self._read = model, np.array([newline], np.int32)

    def losses(self, ids: Ids, known: npt.NDArray[np.bool_], lengths: Sequence[int]) -> Floats:
        text = np.concatenate([self._read, ids])
        found = losses(self._model, text, batch=_BATCH)[-len(ids) :]
        self._read = text[-self._model.warm_up - 1 :]
        return found


class _EachAlone:
    """Reads each line for itself, as if nothing stood before it but a line end."""

    def __init__(self, model: Scorer, newline: int):
        self._model, self._newline = model, newline

    def losses(self, ids: Ids, known: npt.NDArray[np.bool_], lengths: Sequence[int]) -> Floats:
        lines = np.split(ids, np.cumsum(lengths)[:-1])
        return np.concatenate(line_losses(self._model, lines, self._newline, _BATCH))


class _OneRow:
    """Reads the lines as one text, one character after the other, as they come."""

    def __init__(self, model: Scorer, newline: int):
        self._model, self._last, self._state = model, newline, model.initial_state(1)

    def losses(self, ids: Ids, known: npt.NDArray[np.bool_], lengths: Sequence[int]) -> Floats:
        x = np.concatenate([[self._last], ids[:-1]]).astype(np.int32)[:, None]
        found = np.empty(len(ids), np.float32)
        for start in range(0, len(ids), _STEPS):
            window = slice(start, start + _STEPS)
            found[window] = self._model.losses(x[window], ids[window, None], self._state)[:, 0]
        self._last = int(ids[-1])
        return found


class _Learning:
    """Reads as :class:`_OneRow`, and learns from each line after it is scored (dynamic evaluation).

    Short lines are put together until they have as many characters as an update learns from.  n-grams that
    are mixed with the network learn each line, too, and so do the exponents of both.
    """

    def __init__(self, newline: int, learner: DynamicLearner, steps: int, mixture: OnlineMixture | None):
        self._network, self._learner, self._steps, self._mixture = learner.network, learner, steps, mixture
        self._state, self._last = self._network.initial_state(1), newline
        self._learnt = self._state.copy()  # the state before what is to be learnt next
        self._waiting: list[tuple[Ids, Ids]] = []

    def losses(self, ids: Ids, known: npt.NDArray[np.bool_], lengths: Sequence[int]) -> Floats:
        ends = np.cumsum([length for length in lengths if length])
        lines = zip(np.split(ids, ends[:-1]), np.split(known, ends[:-1]), strict=True)
        return np.concatenate([self._line(line, its_known) for line, its_known in lines])

    def _line(self, ids: Ids, known: npt.NDArray[np.bool_]) -> Floats:
        x = np.concatenate([[self._last], ids[:-1]]).astype(np.int32)
        self._last = int(ids[-1])
        found = np.empty(len(ids), np.float32)
        for start in range(0, len(ids), _STEPS):
            window = slice(start, start + _STEPS)
            found[window] = self._score(x[window], ids[window], known[window])
        if self._mixture is not None:
            self._mixture.learn(x)  # the last character is learnt with the next line
        self._waiting.append((x, np.where(known, ids, np.int32(-1))))
        if sum(len(x) for x, _ in self._waiting) >= self._steps:
            self._learn()
        if not np.isfinite(found).all():
            raise ConfigError("the weights are no longer numbers: choose a lower learning rate")
        return found

    def _score(self, x: Ids, y: Ids, known: npt.NDArray[np.bool_]) -> Floats:
        if self._mixture is None:
            found = self._network.losses(x[:, None], np.ascontiguousarray(y[:, None]), self._state)[:, 0]
            return cast("Floats", found.copy())
        logs = self._network.log_probabilities(x[:, None], self._state)[:, 0]
        return self._mixture.score(logs, x, np.where(known, y, -1), self._network.team).astype(np.float32)

    def _learn(self) -> None:
        x, y = (np.concatenate(parts)[:, None] for parts in zip(*self._waiting, strict=True))
        self._waiting.clear()
        pieces = max(len(x) // self._steps, 1)
        for piece in range(pieces):
            part = slice(len(x) * piece // pieces, len(x) * (piece + 1) // pieces)
            if (y[part] >= 0).any():
                self._network.loss_and_gradient(x[part], y[part], self._learnt)
                self._learner.update()
            else:
                self._network.read(x[part], self._learnt)
        # With the weights of now the state would be another one; it is carried on, as everywhere.
        self._state = self._learnt.copy()


class LineScorer:
    """Scores the lines of texts, one block of lines after the other.

    Args:
        model: scores the lines; with its n-grams if it is a mixture.
        how: ``"in order"``: the lines of a text follow each other, and are read side by side in parts.  ``"alone"``:
            each line for itself.  ``"as they come"``: in order, one after the other.
        count: each line is compared with so many lines before it.

    Attributes:
        guesses: if it is set, lines get guess numbers.
        words: if it is set, lines get a number for their words.
    """

    def __init__(self, model: Model, how: str = "in order", count: int = COUNT):
        self._vocabulary, self._network, self._how = model.vocabulary, model.network, how
        self._newline = self._vocabulary.line_start
        self._ends_lines = _has_newline(self._vocabulary)
        self._z = RobustZ(count)
        self._learning: tuple[DynamicLearner, int, Mixture | None] | None = None
        self.guesses: GuessNumbers | None = None
        self.words: WordPeaks | None = None
        self.begin()

    def begin(self) -> None:
        """Begin a new text: what was read before does not count, but for z and words."""
        self._reader = self._new_reader()

    def _new_reader(self) -> _Reader:
        if self._learning is not None:
            learner, steps, mixture = self._learning
            online = None if mixture is None else OnlineMixture(mixture, self._vocabulary)
            return _Learning(self._newline, learner, steps, online)
        if self._how == "alone":
            return _EachAlone(self._network, self._newline)
        if self._how == "as they come":
            return _OneRow(self._network, self._newline)
        return _InOrder(self._network, self._newline)

    @contextlib.contextmanager
    def learning(self, config: LineLearningConfig | None = None) -> Iterator[None]:
        """A block in which the model learns from each line after it is scored; then it has its old weights again.

        n-grams keep what they have learnt.

        Raises:
            ConfigError: the model is an ensemble, or lines are read alone.
        """
        config = config or LineLearningConfig()
        model = self._network
        mixture, network = (model, model.network) if isinstance(model, Mixture) else (None, model)
        if not isinstance(network, Network) or isinstance(model, Ensemble):
            raise ConfigError("only a single network learns on, not an ensemble")
        if self._how == "alone":
            raise ConfigError("a model learns from lines in their order, not from each line alone")
        with restored_weights(network) as original:
            self._learning = DynamicLearner(network, original, config), config.steps, mixture
            self.begin()
            try:
                yield
            finally:
                self._learning = None

    def draw_guesses(self, count: int = SAMPLES, seed: int = 0, progress: ProgressCallback = no_progress) -> None:
        """Have guess numbers from now on, from ``count`` lines drawn from the model.

        Raises:
            ConfigError: lines are not read alone, or the model has no line end.
        """
        if self._how != "alone":
            raise ConfigError("guess numbers are of lines that are read each alone")
        if not self._ends_lines:
            raise ConfigError("guess numbers need a model that knows a line end")
        self.guesses = guess_numbers(self._network, self._newline, count, seed, progress)

    def score(self, lines: Sequence[Text], ended: Sequence[bool] | None = None) -> list[LineScore]:
        """The scores of the next lines.

        Args:
            lines: str, or bytes for a model of bytes, without their line ends.
            ended: whether each line ends here; a line that does not is a part of a longer one.  None: all end.
        """
        if not lines:
            return []
        text, lengths = self._joined(lines, ended)
        ids = self._vocabulary.look_up(text)
        known = ids >= 0
        nats = np.zeros(0, np.float32)
        if len(ids):
            ids[~known] = self._vocabulary.replacement
            nats = self._reader.losses(ids, known, lengths)
        bits = nats.astype(np.float64) / math.log(2) + 0.0  # -0.0 becomes 0.0
        bits[~known] = UNKNOWN_BITS
        sums, peaks = _reduced(np.add, bits, lengths), _reduced(np.maximum, bits, lengths)
        unknown = _reduced(np.add, (~known).astype(np.int64), lengths)
        # An empty line of a model without a line end has no characters.
        rates = sums / np.maximum(lengths, 1)
        found, start, shown = [], 0, bits.astype(np.float32)
        for line, length, total, peak, rate, foreign in zip(
            lines, lengths, sums.tolist(), peaks.tolist(), rates.tolist(), unknown.tolist(), strict=True
        ):
            each = shown[start : start + length]
            words = self._words(line, each, foreign)
            guesses = self._guesses(total, foreign)
            found.append(LineScore(line, total, peak, self._z.add(rate), foreign, each, guesses, words))
            start += length
        return found

    def _guesses(self, bits: float, unknown: int) -> Guesses | None:
        if self.guesses is None:
            return None
        if unknown:  # the model never writes it
            return Guesses(math.inf, math.nan)
        return self.guesses.estimate(bits * math.log(2))

    def _words(self, line: Text, bits: Floats, unknown: int) -> float | None:
        if self.words is None:
            return None
        return self.words.add(_bytes(line) if self._vocabulary.is_bytes else line, bits, unknown)

    def _joined(
        self, lines: Sequence[Text], ended: Sequence[bool] | None
    ) -> tuple[npt.NDArray[np.unsignedinteger], list[int]]:
        """The code points or bytes of the lines with their ends, and how many of them each line has."""
        has_end = [self._ends_lines] * len(lines)
        if ended is not None:
            has_end = [self._ends_lines and each for each in ended]
        if self._vocabulary.is_bytes:
            data = [_bytes(line) + b"\n" * has for line, has in zip(lines, has_end, strict=True)]
            return np.frombuffer(b"".join(data), np.uint8), [len(line) for line in data]
        texts = [_required_str(line) + ("\n" if has else "") for line, has in zip(lines, has_end, strict=True)]
        return code_points("".join(texts)), [len(line) for line in texts]


def _bytes(line: Text) -> bytes:
    return utf8(line, VocabularyError) if isinstance(line, str) else line


def _required_str(line: Text) -> str:
    if isinstance(line, bytes):
        raise TypeError("a model of characters scores str, not bytes")
    return line


def _has_newline(vocabulary: Vocabulary) -> bool:
    """Whether the model knows where a line ends."""
    return (10 if vocabulary.is_bytes else "\n") in vocabulary


def _reduced(function: np.ufunc, numbers: npt.NDArray[_Number], lengths: Sequence[int]) -> npt.NDArray[_Number]:
    """What ``function`` makes of so many numbers each; 0 of none."""
    sizes = np.asarray(lengths)
    starts = np.cumsum(sizes) - sizes
    found = np.zeros(len(sizes), numbers.dtype)
    filled = sizes > 0
    if filled.any():
        found[filled] = function.reduceat(numbers, starts[filled])
    return found
