"""Scores of lines: how many bits a model needs for each, and how unusual that is beside the lines before."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from charrnn.config import LineLearningConfig
from charrnn.errors import ConfigError, VocabularyError
from charrnn.inference.guess_numbers import SAMPLES, Guesses, GuessNumbers, guess_numbers
from charrnn.inference.mixture import Mixture
from charrnn.inference.online_mixture import OnlineMixture
from charrnn.inference.robust_z import COUNT, RobustZ
from charrnn.inference.word_peaks import UNKNOWN_BITS, WordPeaks
from charrnn.model.line_readers import BothWays, EachAlone, Floats, InOrder, Learning, LineReader, OneRow
from charrnn.network.network import Network
from charrnn.records import ProgressCallback, no_progress
from charrnn.text.vocabulary import code_points, utf8
from charrnn.training.dynamic_evaluation import DynamicLearner
from charrnn.training.rollback import restored_weights

if TYPE_CHECKING:
    from charrnn.model.model import Model, Text

BLOCK = 1 << 18  # characters of the lines that are read at a time
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
        self._ends_lines = (10 if self._vocabulary.is_bytes else "\n") in self._vocabulary  # knows where a line ends
        self._z = RobustZ(count)
        self._new_learning: Callable[[], LineReader] | None = None
        self.guesses: GuessNumbers | None = None
        self.words: WordPeaks | None = None
        self.begin()

    def begin(self) -> None:
        """Begin a new text: what was read before does not count, but for z and words."""
        self._reader = self._new_reader()

    def _new_reader(self) -> LineReader:
        if self._new_learning is not None:
            return self._new_learning()
        if self._how == "alone":
            return EachAlone(self._network, self._newline)
        if self._how == "as they come":
            return OneRow(self._network, self._newline)
        return InOrder(self._network, self._newline)

    @contextlib.contextmanager
    def learning(self, config: LineLearningConfig | None = None, both_ways: bool = False) -> Iterator[None]:
        """A block in which the model learns from each line after it is scored; then it has its old weights again.

        n-grams keep what they have learnt.  ``both_ways`` reads each text from its end, too
        (:class:`charrnn.model.line_readers.BothWays`): give all lines of a text to one call of :meth:`score`.

        Raises:
            ConfigError: the model is an ensemble, or lines are read alone.
        """
        config = config or LineLearningConfig()
        model = self._network
        mixture, network = (model, model.network) if isinstance(model, Mixture) else (None, model)
        if not isinstance(network, Network):
            raise ConfigError("only a single network learns on, not an ensemble")
        if self._how == "alone":
            raise ConfigError("a model learns from lines in their order, not from each line alone")
        with restored_weights(network) as original:
            learner = DynamicLearner(network, original, config)

            def new_reader(learner: DynamicLearner, ngrams_learn: bool) -> Learning:
                online = None if mixture is None else OnlineMixture(mixture, self._vocabulary, ngrams_learn)
                return Learning(self._newline, learner, config.steps, online)

            def from_the_end() -> Learning:
                return new_reader(DynamicLearner(network, original, config), ngrams_learn=False)

            def new_learning() -> LineReader:
                in_order = new_reader(learner, ngrams_learn=True)
                newline = self._newline if self._ends_lines else None
                return BothWays(network, in_order, from_the_end, newline) if both_ways else in_order

            self._new_learning = new_learning
            self.begin()
            try:
                yield
            finally:
                self._new_learning = None
                self.begin()

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

    def score(
        self,
        lines: Sequence[Text],
        ended: Sequence[bool] | None = None,
        progress: ProgressCallback = no_progress,
    ) -> list[LineScore]:
        """The scores of the next lines.

        Args:
            lines: str, or bytes for a model of bytes, without their line ends.
            ended: whether each line ends here; a line that does not is a part of a longer one.  None: all end.
            progress: called with the work done and all work while the model learns.
        """
        if not lines:
            return []
        text, lengths = self._joined(lines, ended)
        ids = self._vocabulary.look_up(text)
        known = ids >= 0
        nats = np.zeros(0, np.float32)
        if len(ids):
            ids[~known] = self._vocabulary.replacement
            nats = self._reader.losses(ids, known, lengths, progress)
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


def _reduced(function: np.ufunc, numbers: npt.NDArray[_Number], lengths: Sequence[int]) -> npt.NDArray[_Number]:
    """What ``function`` makes of so many numbers each; 0 of none."""
    sizes = np.asarray(lengths)
    starts = np.cumsum(sizes) - sizes
    found = np.zeros(len(sizes), numbers.dtype)
    filled = sizes > 0
    if filled.any():
        found[filled] = function.reduceat(numbers, starts[filled])
    return found
