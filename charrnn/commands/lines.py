"""Lists: whole lines that a model writes, each from the start of a line."""

from collections.abc import Iterator, Set
from typing import Any

from charrnn.commands.masking import Tally
from charrnn.commands.work import Work
from charrnn.errors import ConfigError, CorpusError

_ROUNDS = 20  # batches in a row without a new line, or batches of all lines, before the model is given up
_LEAST, _MOST = 16, 256  # lines of a batch


class Lines:
    """Different lines that a model writes.

    Args:
        model: a :class:`charrnn.model.Model`.
        choice: how characters are chosen.
        how: ``prime``, which every line begins with; ``seed``; ``unknown``; and ``length``, the most characters that
            the model writes for a line.
        known: lines to leave out, str or bytes as the model writes them.
        constraint: what a line must be like, from the end of the prime on; None if every line will do.

    Attributes:
        tally: how much the constraint has forced the lines that were written.

    Raises:
        ConfigError: the model has no character that ends a line.
    """

    def __init__(self, model, choice, how: dict[str, Any], known: Set = frozenset(), constraint=None):
        self._model, self._choice, self._how, self._known = model, choice, how, known
        self._constraint, self.tally = constraint, Tally()
        self._end = _end(model)
        if not model.vocabulary.is_bytes and "\n" not in model.vocabulary:
            raise ConfigError("--lines: the model knows no line end")

    def write(self, count: int) -> Iterator[tuple[str | bytes, dict[str, float]]]:
        """Up to ``count`` lines without their prime and end, each with what :meth:`Tally.add` says of it.

        Lines that are empty, known, written already, or do not end within the length are left out.
        """
        prime, length, seed, unknown = (self._how[name] for name in ("prime", "length", "seed", "unknown"))
        # A text that matches an expression is whole when its length is used up.
        ends = self._constraint is not None and self._constraint.length == length
        written, left_out, batch, since = 0, set(self._known), batch_of(count), 0
        for number in range(_ROUNDS * -(-count // batch)):
            if since == _ROUNDS:
                return
            since += 1
            seed_of_batch = (seed + number) % 2**63
            sampler = self._model.sampler(
                self._end + prime, batch, self._choice, seed_of_batch, unknown, self._constraint
            )
            for stream, text in enumerate(self._model.texts(sampler, length, self._end)):
                line = prime + text
                if not line.strip() or (len(text) == length and not ends) or line in left_out:
                    continue
                left_out.add(line)
                since = 0
                yield text, self.tally.add(sampler.masked, stream)
                written += 1
                if written == count:
                    return


def batch_of(count: int) -> int:
    """How many lines are drawn at once, where ``count`` are asked for."""
    return min(max(count, _LEAST), _MOST)


def lines_of(work: Work) -> frozenset:
    """The lines of the training part of the model's own text, as the model writes them.

    Raises:
        ConfigError: that text cannot be read any more.
    """
    from charrnn.commands.texts import Texts

    try:
        training = Texts(work.model, work.terminal).training
    except CorpusError:
        raise ConfigError(
            "--unlike: the text that the model was trained on is not there any more, or has changed: put it back, or "
            "leave --unlike out"
        ) from None
    return frozenset(work.model.vocabulary.decode(training).split(_end(work.model)))


def _end(model) -> str | bytes:
    """What ends a line that the model writes."""
    return b"\n" if model.vocabulary.is_bytes else "\n"
