"""The errors that users see. Each message is one line: what is wrong, where, and what to do."""

import contextlib
import re
import reprlib
from collections.abc import Callable, Iterator


class CharRNNError(Exception):
    """A problem with the data, a file or a request. The user can solve it.

    ``exit_code`` is the exit status of a command that it ends.
    """

    exit_code = 1


class ConfigError(CharRNNError):
    """A setting is unusable: an absurd size, an unknown name, or two settings that contradict each other."""


class ContradictionError(ConfigError):
    """Settings that exclude each other.

    Args:
        rule: the message, with the names of settings in braces: ``"{epochs} and {steps} exclude each other"``. The
            error has them as they are in Python; :meth:`written` writes them in another way.
    """

    exit_code = 2

    def __init__(self, rule: str):
        self._rule = rule
        super().__init__(self.written(str))

    def written(self, name: Callable[[str], str]) -> str:
        """The message, in which ``name`` writes each name of a setting."""
        return re.sub(r"\{(\w+)\}", lambda found: name(found[1]), self._rule)


class CorpusError(CharRNNError):
    """A text cannot be read, decoded or trained on."""


class VocabularyError(CharRNNError):
    """A text has characters that a model does not know."""


class CheckpointError(CharRNNError):
    """A checkpoint is missing, damaged or of another kind."""


class VerificationError(CharRNNError):
    """A run is not what it claims to be."""


class CompressedError(CharRNNError):
    """A compressed file is damaged, or of another kind, or its model is missing."""


@contextlib.contextmanager
def os_errors_as(kind: type[CharRNNError], what: str) -> Iterator[None]:
    """Turn an OSError of the block into an error of ``kind`` with the message ``what (reason)``.

    Raises:
        CharRNNError: of the class ``kind``.
    """
    try:
        yield
    except OSError as error:
        raise kind(f"{what} ({error.strerror or error})") from None


_LONGEST_SHOWN = 80  # characters
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = _LONGEST_SHOWN
_REPR.maxlevel = 2
_LARGEST_SHOWN = 256  # bits; Python refuses to print integers of more than some thousand digits


def brief(value: object) -> str:
    """``repr`` for a message, shortened, because a value from a stranger's file may be megabytes long."""
    if isinstance(value, int) and value.bit_length() > _LARGEST_SHOWN:
        return "a huge number"
    shown = _REPR.repr(value)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"
