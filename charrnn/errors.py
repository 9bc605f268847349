"""The errors a user can meet. Each message is one line: what is wrong, where, and what to do."""

import reprlib


class CharRNNError(Exception):
    """A problem with the data, a file or a request that the user can put right."""


class ConfigError(CharRNNError):
    """A setting that cannot be used: an absurd size, an unknown name, two settings that contradict."""


class CorpusError(CharRNNError):
    """A text that cannot be read, decoded or trained on."""


class VocabularyError(CharRNNError):
    """Characters that a model does not know."""


class CheckpointError(CharRNNError):
    """A checkpoint that is missing, damaged or of another kind."""


_LONGEST_SHOWN = 80  # characters
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = _LONGEST_SHOWN
_REPR.maxlevel = 2
_LARGEST_SHOWN = 256  # bits; Python refuses to spell out whole numbers beyond some thousand digits


def brief(value: object) -> str:
    """``repr`` for a message, cut in the middle: what a stranger's file says may be megabytes long."""
    if isinstance(value, int) and value.bit_length() > _LARGEST_SHOWN:
        return "a huge number"
    shown = _REPR.repr(value)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"
