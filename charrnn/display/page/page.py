"""The HTML page of a read text: its data in base64, eight bits a value, with the style and the scripts.

No text of a model or a corpus becomes markup: symbols are stored as JSON in ASCII, the scripts put them into text nodes
only, and a content security policy allows nothing but the page's own script and style, by their hashes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.display.live_page.page import LiveModel, engine_source
from charrnn.display.page.parts import bytes_block, document, escaped, file_text, json_block, value_colours
from charrnn.display.reports.names import NOT_SIGNIFICANT
from charrnn.inspection.reading import CellReading, symbol_text
from charrnn.sanitise import visible

SCRIPTS = ("data.js", "text.js", "heads.js", "panel.js", "signals.js", "controls.js")
BITS = 16  # steps for each bit of surprise
_ENGINE = "return { compile, bytesOf, decodeArrays, networkOf, choose, uniform };"
UNKNOWN = 255  # the surprise is not known


@dataclass(frozen=True, eq=False)
class Looks:
    """Where K heads of a Transformer look from each of N characters: at Q characters that have the largest weights.

    ``backs`` (N, K, Q) says how many places back these are, ``weights`` (N, K, Q) float32 are from 0 to 1. ``names``
    (K,) are the heads, as 0:3, and ``notes`` (K,) what each looks at, or "".
    """

    names: Sequence[str]
    notes: Sequence[str]
    backs: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Page:
    """The contents of a page.

    ``title`` and ``subtitle`` stand at its top. ``symbols`` are the model's symbols by id. ``tracks`` are the values of
    K cells, of one signal or several; ``notes`` (K,) has a short text for each cell, or "", and ``names`` (K,) what it
    tracks, or "". ``explanation`` says what these texts mean. ``offset`` is the position of the first character in the
    whole text. With ``by_surprise`` the page opens coloured by surprise. ``looks`` is for a Transformer. With a
    ``live`` model the page can write on from a place.
    """

    title: str
    subtitle: str
    symbols: Sequence[str | int]
    tracks: CellReading
    notes: Sequence[str] = ()
    offset: int = 0
    by_surprise: bool = False
    names: Sequence[str] = ()
    explanation: str = ""
    looks: Looks | None = None
    live: LiveModel | None = None

    def html(self) -> str:
        """The text of the file, in ASCII."""
        style = _file("page.css") + value_colours() + _strips(1 + len(self.tracks.others))
        scripts = [*map(_file, SCRIPTS)]
        if self.live is not None:
            engine = engine_source(attention=self.live.heads > 0)  # in a function: it has names of its own
            scripts[-1:-1] = [f"const engine = (() => {{\n{engine}\n{_ENGINE}\n}})();\n", _file("live.js")]
        script = "".join(scripts)
        explanation, has_engine = escaped(self.explanation), self.live is not None
        about = (_file("page.html"), self.title, self.subtitle)
        return document(*about, style, script, self._data(), has_engine=has_engine, explanation=explanation)

    def _data(self) -> str:
        """The data, in script elements of types that browsers do not run."""
        tracks, wide = self.tracks, len(self.symbols) > 256
        kind = "<u2" if wide else "u1"
        symbols = [symbol_text(symbol) for symbol in self.symbols]
        signals = {tracks.signal: tracks.values, **tracks.others}
        notes, names = ([*texts, *[""] * (len(tracks.cells) - len(texts))] for texts in (self.notes, self.names))
        about = {
            "offset": self.offset,
            "signals": [
                {"name": signal.name, "meaning": signal.meaning, "unit": signal.low == 0} for signal in signals
            ],
            "bySurprise": self.by_surprise,
            "wide": wide,
            "guesses": tracks.guesses.shape[1],
            "newline": symbols.index("\n") if "\n" in symbols else -1,
            "tab": symbols.index("\t") if "\t" in symbols else -1,
            "symbols": [visible(symbol) for symbol in symbols],
            "cells": [
                {"name": f"{layer}:{unit}", "note": visible(note, ""), "tracks": visible(name, "")}
                | {"weak": NOT_SIGNIFICANT in note}
                for (layer, unit), note, name in zip(tracks.cells, notes, names, strict=True)
            ],
        }
        about |= {"heads": [], "looks": 0}
        looks = []
        if self.looks is not None:
            far = int(self.looks.backs.max(initial=0)) > 255
            heads = zip(self.looks.names, self.looks.notes, strict=True)
            about["heads"] = [{"name": name, "note": visible(note, "")} for name, note in heads]
            about |= {"looks": self.looks.backs.shape[2], "far": far}
            for k in range(len(about["heads"])):
                backs, weights = self.looks.backs[:, k], self.looks.weights[:, k]
                looks.append((f"backs-{k}", backs.astype("<u4" if far else "u1")))
                looks.append((f"weights-{k}", eight_bits(weights, unit=True)))
        about["live"] = self.live.about() if self.live is not None else None
        arrays = [
            ("ids", tracks.ids.astype(kind)),
            ("surprise", eight_bits_of_surprise(tracks.surprise)),
            ("guesses", tracks.guesses.astype(kind)),
            ("chances", np.rint(tracks.chances * 255).astype(np.uint8)),
            *(
                (f"cell-{k}-{s}" if s else f"cell-{k}", eight_bits(column, signal.low == 0))
                for s, (signal, values) in enumerate(signals.items())
                for k, column in enumerate(values.T)
            ),
            *looks,
        ]
        blocks = [json_block("about", about), *(bytes_block(name, values.tobytes()) for name, values in arrays)]
        return "\n".join(blocks + (self.live.blocks() if self.live is not None else []))


def eight_bits(values: np.ndarray, unit: bool) -> np.ndarray:
    """Values from -1 to 1 as int8 in steps of 1/127; with ``unit``, values from 0 to 1 as uint8 in steps of 1/255."""
    return np.rint(values * 255).astype(np.uint8) if unit else np.rint(values * 127).astype(np.int8)


def eight_bits_of_surprise(bits: np.ndarray) -> np.ndarray:
    """Surprise as uint8 in sixteenths of a bit, at most 254; 255 where it is not known."""
    steps = np.minimum(np.rint(np.nan_to_num(bits) * BITS), UNKNOWN - 1)
    return np.where(np.isnan(bits), UNKNOWN, steps).astype(np.uint8)


def _file(name: str) -> str:
    return file_text(__package__, name)


def _strips(count: int) -> str:
    """The style of characters with up to ``count`` strips under them; ``--rows`` says how many there are."""
    below = "calc(var(--rows)*7px)"
    layers = [
        (f"var(--r{row},transparent)", f"calc(100% - (var(--rows) - {row + 1})*7px)", "6px") for row in range(count)
    ]
    layers.append(("var(--sheet)", "100%", below))
    images = ",".join(f"linear-gradient({ink},{ink})" for ink, _, _ in layers)
    places = ",".join(f"0 {place}" for _, place, _ in layers)
    sizes = ",".join(f"100% {size}" for _, _, size in layers)
    return (
        f"#text.rows{{line-height:calc(1.62em + var(--rows)*7px)}}\n"
        f"#text.rows .chunk span{{padding-bottom:calc(.16em + var(--rows)*7px);background-image:{images};"
        f"background-position:{places};background-size:{sizes};background-repeat:no-repeat}}\n"
    )
