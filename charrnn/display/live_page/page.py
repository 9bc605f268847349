"""The live page: the weights of a network, an engine that runs it, and the style, in one file.

No text of a model becomes markup: symbols are JSON in ASCII, the scripts put them into text nodes only, and a content
security policy allows the page's own script and style, by their hashes, and WebAssembly, which cannot touch the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from charrnn.display.live_page.wasm import module
from charrnn.display.live_page.weights import Quantised
from charrnn.display.page.parts import bytes_block, document, escaped, file_text, json_block, value_colours
from charrnn.errors import ConfigError
from charrnn.sanitise import visible

CELLS = ("lstm", "capped-lstm", "coupled-lstm", "gru", "rnn", "transformer")
"""The kinds of cell that engine.js and transformer.js compute."""

ENGINE = ("arena.js", "engine.js", "transformer.js", "sampler.js", "tape.js", "decode.js", "trainer.js")
"""Scripts that need no page: they also run in Node.js."""

SCRIPTS = (*ENGINE, "words.js", "writing.js", "cells.js", "machine.js", "heads.js", "learning.js", "controls.js")
_OF_ATTENTION = ("transformer.js", "heads.js")  # only in the page of a Transformer


@dataclass(frozen=True)
class LiveModel:
    """A network as the engine reads it.

    ``cell`` is one of :data:`CELLS`; ``layers`` layers of ``hidden`` units read ``embedding`` columns (0: none), of a
    vocabulary of ``vocabulary`` symbols. ``arrays`` are the parameters by name, ``signals`` what a cell shows (each a
    :class:`charrnn.network.cell.Signal`), the most telling first. A Transformer has ``heads`` in every layer, which
    look at the last ``context`` characters.

    Raises:
        ConfigError: the engine does not compute the cell.
    """

    cell: str
    layers: int
    hidden: int
    embedding: int
    vocabulary: int
    arrays: Mapping[str, Quantised]
    signals: Sequence[Any]
    heads: int = 0
    context: int = 0

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise ConfigError(f"a page has no engine for the cell {self.cell}: export it as .safetensors")

    def about(self) -> dict[str, Any]:
        """What the page says of the network in JSON: its ``model`` and its ``parameters``."""
        names = ("cell", "layers", "hidden", "embedding", "vocabulary", *(("heads", "context") if self.heads else ()))
        return {
            "model": {name: getattr(self, name) for name in names} | {"signals": _facts(self.signals)},
            "parameters": [
                {"name": name, "shape": array.numbers.shape, "axis": array.axis, "type": array.numbers.dtype.str[1:]}
                for name, array in self.arrays.items()
            ],
        }

    def blocks(self) -> list[str]:
        """The elements ``data-code``, for WebAssembly, and ``data-weights``."""
        weights = b"".join(array.to_bytes() for array in self.arrays.values())
        return [bytes_block("code", module()), bytes_block("weights", weights)]


@dataclass(frozen=True)
class LivePage:
    """The contents of a page.

    ``title`` and ``subtitle`` stand at its top, ``facts`` at its end, a sentence or two each. ``model`` is the network,
    ``symbols`` are its symbols by id, characters or bytes; ``line_start`` is the id that is read before a text without
    a beginning. ``prime`` is the text that the page opens with, and ``lstm_signals`` are those of the LSTM that it can
    train.
    """

    title: str
    subtitle: str
    model: LiveModel
    symbols: Sequence[str | int]
    line_start: int
    lstm_signals: Sequence[Any]
    prime: str = ""
    facts: Sequence[str] = ()

    def html(self) -> str:
        """The text of the file, in ASCII."""
        attention = self.model.heads > 0
        style = _file("page.css") + (_file("heads.css") if attention else "") + value_colours()
        script = _source(SCRIPTS, attention)
        more = {
            "facts": "".join(f"<p>{escaped(fact)}</p>" for fact in self.facts),
            "heads": _file("heads.html") if attention else "",
        }
        about = (_file("page.html"), self.title, self.subtitle)
        return document(*about, style, script, self.data(), has_engine=True, **more)

    def data(self) -> str:
        """The data, in script elements of types that browsers do not run."""
        is_bytes = isinstance(self.symbols[0], int)
        characters = [chr(symbol) if isinstance(symbol, int) else symbol for symbol in self.symbols]
        about = self.model.about() | {
            "title": visible(self.title, ""),
            "symbols": [visible(character) for character in characters],
            "points": list(map(ord, characters)),
            "isBytes": is_bytes,
            "lineStart": self.line_start,
            "prime": self.prime,
        }
        blocks = [
            json_block("about", about),
            json_block("lstm", _facts(self.lstm_signals)),
            json_block("fable", fable()),
            *self.model.blocks(),
        ]
        return "\n".join(blocks)


def engine_source(attention: bool = True) -> str:
    """The scripts that need no page, one after the other; without ``attention`` those of recurrent networks."""
    return _source(ENGINE, attention)


def _source(names: Sequence[str], attention: bool) -> str:
    return "".join(_file(name) for name in names if attention or name not in _OF_ATTENTION)


def fable() -> str:
    """The text that the page offers for training: a fable of corpora/fables.txt."""
    return _file("fable.txt")


def _facts(signals: Sequence[Any]) -> list[dict[str, Any]]:
    """What the page says of the signals of a cell. ``unit`` means that a signal is from 0 to 1 instead of -1 to 1."""
    return [
        {"name": each.name, "meaning": each.meaning, "unit": each.low == 0, "unbounded": each.unbounded}
        for each in signals
    ]


def _file(name: str) -> str:
    return file_text(__package__, name)
