"""``charrnn inspect similar``: the cells that are on in a passage, and other places where they are on."""

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from charrnn.commands.help import option, section
from charrnn.commands.inspect.cells import name, signal_option
from charrnn.commands.inspect.inspection import Inspection, inspecting
from charrnn.commands.inspect.naming import names_option
from charrnn.commands.types import Number, Whole
from charrnn.commands.work import picked

_AROUND = 100  # characters of context
_LISTED, _SHOWN = 20, 6  # cells named, and drawn over the span


@inspecting(
    section(
        "The passage and its cells",
        option(
            "--span", required=True, metavar="REGEX|FROM:TO",
            help="The passage: a match of a regular expression, or characters FROM to TO.",
        ),
        option("--match", type=Whole(1), default=1, help="Which match of the expression."),
        option(
            "--threshold", type=Number(0, 1, min_open=True, max_open=True), default=0.5,
            help="A cell is on where its signal is further than this from zero, on either side.",
        ),
        signal_option,
        option("--places", type=Whole(1, 256), default=10, help="Similar places to show."),
        names_option,
    ),
)  # fmt: skip
def similar(work: Inspection) -> None:
    """Select a passage of TEXT: find the cells of the model in CHECKPOINT that are on throughout it and off around it,
    and other places where these cells are on.

    \b
    charrnn inspect similar fables --span said
    charrnn inspect similar fables novel.txt --span 120:134

    \f

    --json writes an object with record "selection": start, stop, signal, threshold, cells, values, before, text,
    behind, tracks (by cell: hypothesis, measure, value, or null); and one with record "moment" for each place: start,
    stop, score, shared, extra, before, text, behind.
    """
    from charrnn.inspection.similar_places import on_set
    from charrnn.inspection.similar_places import similar as similar_places

    model, ids = work.open()
    signal = work.signal.name
    selected = on_set(model.network, ids, *_span(work), work.options["threshold"], signal)
    with work.bar("Looking for places") as progress:
        places = similar_places(model.network, ids, selected, work.options["places"], progress)
    work.show(_records(work, selected, places), _lines(work, selected, places, work.tracked))


def _span(work: Inspection) -> tuple[int, int]:
    """The first character of the selected span, and the one behind its last."""
    from charrnn.errors import ConfigError
    from charrnn.inspection.passage import EncodedText
    from charrnn.inspection.patterns import spans

    wish, match = work.options["span"], work.options["match"]
    if offsets := re.fullmatch(r"(\d{1,15}):(\d{1,15})", wish):
        return int(offsets[1]), int(offsets[2])
    encoded, seen = EncodedText(work.model.vocabulary, work.ids), 0
    for start, stop in encoded.parts():
        found = spans(wish, encoded.passage(start, stop).string)
        if len(found) >= match - seen:
            first, last = found[match - seen - 1].tolist()
            return start + first, start + last
        seen += len(found)
    missing = f", no {match:,}th" if seen else ""
    raise ConfigError(f"{wish!r} has {seen:,} match{'es' * (seen != 1)} in the text{missing}")


def _context(work: Inspection, place) -> dict[str, str]:
    """The text before, within and behind a place."""
    start, stop, symbols = place.start, place.stop, work.symbols
    bounds = {"before": (max(start - _AROUND, 0), start), "text": (start, stop), "behind": (stop, stop + _AROUND)}
    return {part: "".join(symbols[index] for index in work.ids[slice(*where)]) for part, where in bounds.items()}


def _records(work: Inspection, selected, places) -> Iterator[dict[str, Any]]:
    """The selection as a JSON object, and one for each place."""
    about = picked(selected, "start", "stop", "signal", "threshold")
    about |= {"cells": list(map(name, selected.cells)), "values": selected.values}
    tracks = {name(cell): work.tracks(cell) for cell in selected.cells}
    yield {"record": "selection", **about, **_context(work, selected), "tracks": tracks}
    for place in places:
        yield {"record": "moment", **asdict(place), **_context(work, place)}


def _lines(work: Inspection, selected, places, tracked) -> Iterator:
    from charrnn.display.reports.names import listed
    from charrnn.display.reports.similar_places import place_rows
    from charrnn.display.reports.stacked import stacked_rows, text_room
    from charrnn.display.terminal.heatmap import legend
    from charrnn.display.terminal.text_width import wrap
    from charrnn.inspection.reading import read

    config, width = work.model.network.config, work.terminal.width
    cells, names = selected.cells[:_SHOWN], list(map(name, selected.cells))
    total = config.layers * config.hidden
    span = f"characters {selected.start:,} to {selected.stop:,}"
    yield from wrap(f"{span}: {len(names)} of {total:,} cells are on throughout and off around", width)
    yield from wrap(listed(selected.cells[:_LISTED], tracked) + (" …" if len(names) > _LISTED else ""), width)
    if len(names) > _SHOWN:
        yield from wrap(f"the first {_SHOWN} over the passage, all with --json:", width)
    yield from ("", work.signal.meaning, legend(work.look), "")
    room = text_room(names[:_SHOWN], width)
    begin = max(selected.start - min(room // 4, _AROUND), 0)
    length = min(selected.stop - begin + room // 4, 4 * room)
    reading = read(work.model, work.ids, selected.signal, begin, length)
    for block in stacked_rows(reading.text, names[:_SHOWN], reading.columns(cells), work.look):
        yield from (*block, "")
    if not places:
        yield "No other place has these cells on for a time like it."
        return
    labels = [f"{'':5} {'':7} {selected.start:>10,}"]
    labels += [f"{each.score:5.2f} {each.shared:>3}+{each.extra:<3} {each.start:>10,}" for each in places]
    contexts = [tuple(_context(work, each).values()) for each in (selected, *places)]
    yield from wrap("like it, the same cells + others, from character", width)
    yield from place_rows(labels, contexts, work.look)
    yield ""
    yield from wrap("like it, 0 to 1: of the cells that are on here or there, the part that is on in both.", width)
