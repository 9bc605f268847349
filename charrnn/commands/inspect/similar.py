"""``charrnn inspect similar``: the cells that are on in a passage, and other places where they are on."""

import re
from pathlib import Path
from typing import Any

import click

from charrnn.commands.help import Command, option, section
from charrnn.commands.inspect.cells import name, scale_of, signal_of, signal_option
from charrnn.commands.inspect.reading import opened, text_options
from charrnn.commands.options import checkpoint_argument, general_options
from charrnn.commands.types import Number, Whole

_AROUND = 100  # characters of context
_SHOWN = 6  # cells drawn over the span


@click.command(cls=Command)
@checkpoint_argument
@section(
    "The passage and its cells",
    option(
        "--span", required=True, metavar="REGEX|FROM:TO",
        help="The passage: a match of a regular expression, or characters FROM to TO.",
    ),
    option("--match", type=Whole(1), default=1, show_default=True, help="Which match of the expression."),
    option(
        "--threshold", type=Number(0, 1, min_open=True, max_open=True), default=0.5, show_default=True,
        help="A cell is on where its signal is further than this from zero, on either side.",
    ),
    signal_option,
    option("--places", type=Whole(1, 256), default=10, show_default=True, help="Similar places to show."),
)  # fmt: skip
@text_options
@general_options
def similar(checkpoint: Path, **options: Any) -> None:
    """Select a passage of TEXT: find the cells of the model in CHECKPOINT that are on throughout it and off around it,
    and other places where these cells are on.

    \b
    charrnn inspect similar checkpoints/fables corpora/fables.txt --span 'said the fox'
    charrnn inspect similar checkpoints/fables corpora/fables.txt --span 120:134

    \f

    --json writes an object with record "selection": start, stop, signal, threshold, cells, values, before, text,
    behind; and one with record "moment" for each place: start, stop, score, shared, extra, before, text, behind.
    """
    from charrnn.display.terminal.progress_bar import progress_bar
    from charrnn.inspection.similar_places import on_set
    from charrnn.inspection.similar_places import similar as similar_places

    terminal, model, ids = opened(checkpoint, options)
    signal = signal_of(model, options["signal"])
    start, stop = _span(model, ids, options)
    selected = on_set(model.network, ids, start, stop, options["threshold"], signal.name)
    with progress_bar(terminal, "Looking for places") as progress:
        places = similar_places(model.network, ids, selected, options["places"], progress)
    if options["as_json"]:
        _as_json(terminal, model, ids, selected, places)
    else:
        _show(terminal, model, ids, signal, selected, places)


def _span(model, ids, options: dict[str, Any]) -> tuple[int, int]:
    """The first character of the selected span, and the one behind its last."""
    from charrnn.errors import ConfigError
    from charrnn.inspection.passage import EncodedText
    from charrnn.inspection.patterns import spans

    wish = options["span"]
    if offsets := re.fullmatch(r"(\d{1,15}):(\d{1,15})", wish):
        return int(offsets[1]), int(offsets[2])
    encoded, left = EncodedText(model.vocabulary, ids), options["match"]
    for start, stop in encoded.parts():
        found = spans(wish, encoded.passage(start, stop).string)
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


def _as_json(terminal, model, ids, selected, places) -> None:
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
    for place in places:
        before, span, behind = _context(model, ids, place.start, place.stop)
        terminal.json({"record": "moment", **asdict(place), "before": before, "text": span, "behind": behind})


def _show(terminal, model, ids, signal, selected, places) -> None:
    import numpy as np

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
        signal.meaning,
        legend(scale_of(signal), depth=terminal.depth),
        "",
    )
    room = text_room(names[:_SHOWN], terminal.width)
    begin = max(selected.start - min(room // 4, _AROUND), 0)
    reading = read(model, ids, selected.signal, begin, min(selected.stop - begin + room // 4, 4 * room))
    values = np.stack([reading.cell(*cell) for cell in cells], axis=1)
    look = {"width": terminal.width, "depth": terminal.depth}
    for block in stacked_rows(reading.text, names[:_SHOWN], values, scale=scale_of(signal), **look):
        terminal.show(*block, "")
    if not places:
        terminal.show("No other place has these cells on for a time like it.")
        return
    labels = [f"{'':5} {'':7} {selected.start:>10,}"]
    labels += [f"{each.score:5.2f} {each.shared:>3}+{each.extra:<3} {each.start:>10,}" for each in places]
    contexts = [_context(model, ids, each.start, each.stop) for each in (selected, *places)]
    terminal.show("like it, the same cells + others, from character")
    terminal.show(*place_rows(labels, contexts, **look))
