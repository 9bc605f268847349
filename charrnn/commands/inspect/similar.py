"""Similar moments: what is on during a span, and where else that is so."""

import re
from typing import Any

import click

from charrnn.commands.inspect.cell_names import name
from charrnn.commands.options import Number, Whole

_AROUND = 100  # characters of context
_SHOWN = 6  # cells drawn over the span

TITLE = "Similar moments"
OPTIONS = (
    click.option(
        "--moments", metavar="REGEX|FROM:TO",
        help="Find the cells that are on throughout a span, a match or characters FROM to TO, and places like it.",
    ),
    click.option("--match", type=Whole(1), default=1, show_default=True, help="Which match of the expression."),
    click.option(
        "--threshold", type=Number(0, 1, min_open=True, max_open=True), default=0.5, show_default=True,
        help="A cell is on where its signal is so far from zero, to either side.",
    ),
    click.option("--places", type=Whole(1, 256), default=10, show_default=True, help="Places to show."),
)  # fmt: skip
OWN, FOR = ("match", "threshold", "places"), "--moments"
IDLE = ("cell", "cells", "offset", "length")


def wanted(options: dict[str, Any]) -> str | None:
    """The option that asks for this view, if it is given."""
    return "--moments" if options["moments"] is not None else None


def show(terminal, model, ids, options: dict[str, Any]) -> None:
    """Select a span of ids (N,), and show its cells and the places that are like it."""
    from charrnn.display.terminal.progress_bar import progress_bar
    from charrnn.inspection.similar_places import on_set, similar

    start, stop = _span(model, ids, options)
    selected = on_set(model.network, ids, start, stop, options["threshold"], options["signal"])
    with progress_bar(terminal, "Looking for places") as progress:
        moments = similar(model.network, ids, selected, options["places"], progress)
    if options["as_json"]:
        _as_json(terminal, model, ids, selected, moments)
    else:
        _show(terminal, model, ids, selected, moments)


def _span(model, ids, options: dict[str, Any]) -> tuple[int, int]:
    """The characters that are selected."""
    from charrnn.errors import ConfigError
    from charrnn.inspection.passage import Script
    from charrnn.inspection.patterns import spans

    wish = options["moments"]
    if offsets := re.fullmatch(r"(\d{1,15}):(\d{1,15})", wish):
        return int(offsets[1]), int(offsets[2])
    script, left = Script(model.vocabulary, ids), options["match"]
    for start, stop in script.parts():
        found = spans(wish, script.passage(start, stop).string)
        if len(found) >= left:
            first, last = found[left - 1].tolist()
            return start + first, start + last
        left -= len(found)
    seen = options["match"] - left
    raise ConfigError(
        f"{wish!r} has {seen:,} match{'es' * (seen != 1)} in the text" + (f", no {left + seen:,}th" if seen else "")
    )


def _text(model, ids, start: int, stop: int) -> str:
    from charrnn.inspection.reading import symbol_text

    return "".join(symbol_text(model.vocabulary.symbols[index]) for index in ids[max(start, 0) : stop])


def _context(model, ids, start: int, stop: int) -> tuple[str, str, str]:
    """The text before, within and behind a span."""
    return (
        _text(model, ids, start - _AROUND, start),
        _text(model, ids, start, stop),
        _text(model, ids, stop, stop + _AROUND),
    )


def _as_json(terminal, model, ids, selected, moments) -> None:
    from dataclasses import asdict

    before, span, behind = _context(model, ids, selected.start, selected.stop)
    terminal.json(
        {
            "record": "selection",
            "start": selected.start,
            "stop": selected.stop,
            "signal": selected.signal,
            "threshold": selected.threshold,
            "cells": list(map(name, selected.cells)),
            "values": selected.values,
            "before": before,
            "text": span,
            "behind": behind,
        }
    )
    for moment in moments:
        before, span, behind = _context(model, ids, moment.start, moment.stop)
        terminal.json({"record": "moment", **asdict(moment), "before": before, "text": span, "behind": behind})


def _show(terminal, model, ids, selected, moments) -> None:
    import numpy as np

    from charrnn.commands.inspect.read import MEANINGS, scale_of
    from charrnn.display.reports.similar_places import place_rows
    from charrnn.display.reports.stacked import stacked_rows, text_room
    from charrnn.display.terminal.heatmap import legend
    from charrnn.display.terminal.text_width import wrap
    from charrnn.inspection.reading import read

    cells, names = selected.cells[:_SHOWN], list(map(name, selected.cells))
    total = model.network.config.layers * model.network.config.hidden
    found = (
        f"characters {selected.start:,} to {selected.stop:,}: {len(names)} of {total:,} cells are on throughout and "
        "off around"
    )
    terminal.show(
        *wrap(found, terminal.width),
        *wrap(", ".join(names[:20]) + (" …" if len(names) > 20 else ""), terminal.width),
        "",
        MEANINGS[selected.signal],
        legend(scale_of(selected.signal), depth=terminal.depth),
        "",
    )
    room = text_room(names[:_SHOWN], terminal.width)
    begin = max(selected.start - min(room // 4, _AROUND), 0)
    reading = read(model, ids, selected.signal, begin, min(selected.stop - begin + room // 4, 4 * room))
    values = np.stack([reading.cell(*cell) for cell in cells], axis=1)
    look = {"width": terminal.width, "depth": terminal.depth}
    for block in stacked_rows(reading.text, names[:_SHOWN], values, scale=scale_of(selected.signal), **look):
        terminal.show(*block, "")
    if not moments:
        terminal.show("No other place has these cells on for a time like it.")
        return
    places = [(f"{'':5} {'':7} {selected.start:>10,}", selected)]
    places += [(f"{m.score:5.2f} {m.shared:>3}+{m.extra:<3} {m.start:>10,}", m) for m in moments]
    contexts = [_context(model, ids, place.start, place.stop) for _, place in places]
    terminal.show("like it, the same cells + others, from character")
    terminal.show(*place_rows([label for label, _ in places], contexts, **look))
