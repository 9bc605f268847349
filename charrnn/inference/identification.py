"""Which of several models explains a line best: the losses of its characters become a posterior probability.

The models may have different alphabets, so a character of the line is the unit in which they are compared: the
probability of a character is the product of those of its bytes for a model of bytes, and 0 for a model of characters
that does not know it.

**None of them.**  What no model explains is compared with a background in which each character is written by any of the
models, or by none.  With p_m the probability that model m gives a character after those before it,

    q = (Σ_m p_m + u) / (M + 1)

where u is a simple model that counts the characters of the line itself.  A line of one model's kind is likelier under
that model than under q, because the others share q.  A line of another kind is likelier under q: where each model is
right now and then, their mean has a smaller loss than each of them.  What is like nothing at all, as random bytes, is
likelier under u alone, of which q has only one part in M + 1.  So the background of a line has a share of both:

    p(line | none) = (1 - ε) Π q + ε Π u

**Robustness.**  A name, a number or a foreign word would count too much against the right model.  Each model therefore
takes a share of each probability from the background: (1 - ε) p_m + ε q.  So a character that only some of the models
know costs the others no more than -ln(ε q).

**Calibration.**  The losses of neighbouring characters are not independent, and n-grams and networks are too sure of
themselves.  The posterior is

    P(m | line) ∝ P(m) p(line | m)^(1/τ)

with a temperature τ (Guo et al. 2017).  docs/LOG.md says how ε and τ were found.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from charrnn.inference.byte_ngrams import ByteNgrams
from charrnn.inference.line_losses import line_losses
from charrnn.inference.loss import Scorer
from charrnn.system.threads import Team
from charrnn.text.vocabulary import REPLACEMENT, Vocabulary, code_points

TEMPERATURE = 3.0
MOST_CHARACTERS = 2**16  # that are scored at once
_SHARE = 0.03  # ε
_BYTES = (0xDC80, 0xDCFF)  # lone surrogates that stand for bytes from 0x80, which are no part of a character
_UNICODE = 150_000  # characters, about, that Unicode has given a meaning
_PRIOR = 32.0  # characters that the first guess of the line's own model counts for
_ASCII, _BYTE, _OTHERS = 0.5 / 96, 0.25 / 128, 0.25 / _UNICODE  # that first guess; a byte is none of UTF-8


@dataclass(frozen=True)
class Lines:
    """Lines as bytes and as characters.

    Attributes:
        data: (N,) uint8, all lines without their ends.
        bounds: (R + 1,) int64, where the lines begin in ``data``.
        text: the characters of all lines; a byte that is no part of a character in UTF-8 is a lone surrogate.
        points: (C,) their code points.
        firsts: (C,) int64, where the characters begin in ``data``.
        ends: (R + 1,) int64, where the lines begin in ``points``.
    """

    data: npt.NDArray[np.uint8]
    bounds: npt.NDArray[np.int64]
    text: str = field(repr=False)
    points: npt.NDArray[np.uint32]
    firsts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]

    @classmethod
    def of(cls, lines: Sequence[bytes]) -> "Lines":
        """Lines from their bytes."""
        texts = [line.decode("utf-8", "surrogateescape") for line in lines]
        text = "".join(texts)
        points = code_points(text).astype(np.uint32)
        escaped = (points >= _BYTES[0]) & (points <= _BYTES[1])
        sizes = np.where(escaped, 1, 1 + (points > 0x7F) + (points > 0x7FF) + (points > 0xFFFF).astype(np.int64))
        return cls(
            data=np.frombuffer(b"".join(lines), np.uint8),
            bounds=_sums(np.array([len(line) for line in lines], np.int64)),
            text=text,
            points=points,
            firsts=_sums(sizes)[:-1],
            ends=_sums(np.array([len(each) for each in texts], np.int64)),
        )


class LineModel(Protocol):
    """A model that scores lines."""

    def losses(self, lines: Lines) -> npt.NDArray[np.floating]:
        """The loss of every character in nats, (C,); infinite where the model does not know the character."""


class NgramLines:
    """Byte n-grams as a :class:`LineModel`."""

    is_parallel = True  # one thread scores lines with one model

    def __init__(self, ngrams: ByteNgrams):
        self._ngrams = ngrams

    def losses(self, lines: Lines) -> npt.NDArray[np.floating]:
        """See :class:`LineModel`."""
        found = self._ngrams.losses(lines.data, lines.bounds)
        if len(lines.points) == len(lines.data):
            return found
        return np.add.reduceat(found.astype(np.float64), lines.firsts) if len(found) else found


class NetworkLines:
    """A network, an ensemble or a mixture as a :class:`LineModel`.

    A model that has learnt U+FFFD in place of rare characters expects one of all characters that it does not know.
    """

    is_parallel = False  # the network has threads of its own

    def __init__(self, model: Scorer, vocabulary: Vocabulary):
        self._model, self._vocabulary = model, vocabulary

    def losses(self, lines: Lines) -> npt.NDArray[np.floating]:
        """See :class:`LineModel`."""
        vocabulary = self._vocabulary
        symbols, ends = (lines.data, lines.bounds) if vocabulary.is_bytes else (lines.points, lines.ends)
        ids = vocabulary.look_up(symbols)
        unknown = ids < 0
        ids[unknown] = vocabulary.replacement
        each = line_losses(self._model, np.split(ids, ends[1:-1]), vocabulary.line_start)
        found = np.concatenate([np.zeros(0), *each])
        learnt = not vocabulary.is_bytes and REPLACEMENT in vocabulary
        found[unknown] = found[unknown] + np.log(_UNICODE) if learnt else np.inf
        return np.add.reduceat(found, lines.firsts) if vocabulary.is_bytes and len(found) else found


def own_losses(lines: Lines) -> npt.NDArray[np.float64]:
    """The loss (C,) in nats of each character under the counts of the characters before it in its line.

    p = (n_c + a b_c) / (n + a), where n characters stand before it, n_c of them the same, and b_c is a first guess.
    """
    count = len(lines.points)
    line = np.repeat(np.arange(len(lines.ends) - 1), np.diff(lines.ends))
    keys = line.astype(np.int64) << 21 | lines.points.astype(np.int64)
    order = np.argsort(keys, kind="stable")
    begins = np.ones(count, bool)
    np.not_equal(keys[order][1:], keys[order][:-1], out=begins[1:])
    first = np.maximum.accumulate(np.where(begins, np.arange(count), 0))
    same = np.empty(count)
    same[order] = np.arange(count) - first
    before = np.arange(count) - lines.ends[line]
    is_byte = (lines.points >= _BYTES[0]) & (lines.points <= _BYTES[1])
    guess = np.where(lines.points < 0x7F, _ASCII, np.where(is_byte, _BYTE, _OTHERS))
    return -np.log((same + _PRIOR * guess) / (before + _PRIOR))


def totals(models: Sequence[LineModel], lines: Lines, team: Team | None = None) -> npt.NDArray[np.float64]:
    """The loss of each line in nats under each model, and last under the background: (R, M + 1)."""
    result = np.zeros((len(lines.ends) - 1, len(models) + 1))
    if not len(lines.points):
        return result
    losses = np.empty((len(models) + 1, len(lines.points)))
    losses[-1] = own_losses(lines)

    def score(worker: int, number: int) -> None:
        losses[number] = models[number].losses(lines)

    parallel = [(number,) for number, model in enumerate(models) if getattr(model, "is_parallel", False)]
    for number in range(len(models)):
        if (number,) not in parallel or team is None:
            score(0, number)
    if team is not None:
        team.run(score, parallel)
    p = np.exp(-losses)
    background = p.mean(axis=0)
    p[:-1] += _SHARE * (background - p[:-1])
    p[-1] = background
    filled = np.flatnonzero(np.diff(lines.ends))
    sums = np.add.reduceat(np.vstack([np.log(p), -losses[-1]]), lines.ends[filled], axis=1)
    result[filled, :-1] = -sums[:-2].T
    result[filled, -1] = -np.logaddexp(np.log(1 - _SHARE) + sums[-2], np.log(_SHARE) + sums[-1])
    return result


def posteriors(
    losses: npt.NDArray[np.float64], prior: npt.NDArray[np.float64], temperature: float = TEMPERATURE
) -> npt.NDArray[np.float64]:
    """The posterior probabilities (R, M + 1) of each model, and last of none, from losses (R, M + 1) in nats.

    ``prior`` (M + 1,) has their probabilities before anything is read; one that is 0 stays 0.
    """
    with np.errstate(divide="ignore"):
        logs = np.log(prior) - losses / temperature
    p = np.exp(logs - logs.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def _sums(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0, and the sums of the first one, two, … of the sizes."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
