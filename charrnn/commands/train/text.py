"""The text of a run."""

from collections.abc import Mapping
from typing import Any

from charrnn.settings import TEXT


def read_text(sources: tuple[str, ...], options: Mapping[str, Any], vocabulary, terminal):
    """The corpus of ``sources``, read as the options say.

    Raises:
        CharRNNError: a source cannot be used.
    """
    from charrnn.commands.texts import open_text

    how = {name: options[name] for name in (*TEXT, "unknown")}
    return open_text(terminal, sources, vocabulary=vocabulary, grow=options["grow_vocabulary"], **how)
