"""Lists: whole lines that a model writes, each from the start of a line."""

from collections.abc import Iterator, Set
from typing import Any

from charrnn.commands.work import Work
from charrnn.errors import ConfigError, CorpusError

_ROUNDS = 20  # batches of as many lines as are asked for, before a model that writes no others is given up
_LEAST, _MOST = 16, 256  # lines of a batch


class Lines:
    """Lines that a model writes.

    Args:
        model: a :class:`charrnn.model.Model`.
        choice: how characters are chosen.
        how: ``prime``, which every line begins with; ``seed``; ``unknown``; and ``length``, the most characters that
            the model writes for a line.
        known: lines to leave out, str or bytes as the model writes them; then no line comes twice, either. None allows
            every line.

    Raises:
        ConfigError: the model has no character that ends a line.
    """

    def __init__(self, model, choice, how: dict[str, Any], known: Set | None = None):
        self._model, self._choice, self._how, self._known = model, choice, how, known
        self._end = _end(model)
        if not model.vocabulary.is_bytes and "\n" not in model.vocabulary.to_list():
            raise ConfigError("--lines: the model knows no line end")

    def write(self, count: int) -> Iterator:
        """Up to ``count`` lines without their prime and end.

        Lines that are empty, known, or do not end within the length are left out.
        """
        prime, length, seed = (self._how[name] for name in ("prime", "length", "seed"))
        written, left_out, batch = 0, set(self._known or ()), batch_of(count)
        for number in range(_ROUNDS * -(-count // batch)):
            texts = self._model.sample_many(
                batch, self._end + prime, length, self._choice, (seed + number) % 2**63, stop=self._end,
                unknown=self._how["unknown"],
            )  # fmt: skip
            for text in texts:
                line = prime + text
                if not line.strip() or len(text) == length or line in left_out:
                    continue
                if self._known is not None:
                    left_out.add(line)
                yield text
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
            "--novel: the text that the model was trained on is not there any more, or has changed: put it back, or "
            "leave --novel out"
        ) from None
    return frozenset(work.model.vocabulary.decode(training).split(_end(work.model)))


def _end(model) -> str | bytes:
    """What ends a line that the model writes."""
    return b"\n" if model.vocabulary.is_bytes else "\n"
