"""Runs side by side: a table, their curves, and what each writes. It lays out the objects of ``compare --json``."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.text import Text

from charrnn.display.reports.names import sources
from charrnn.display.terminal import numbers
from charrnn.display.terminal.colours import ACCENT_STYLES
from charrnn.display.terminal.columns import side_by_side
from charrnn.display.terminal.curves import Marked, curves_lines
from charrnn.display.terminal.tables import paragraph, phrases, table
from charrnn.display.terminal.text_width import plain

_CURVE_ROWS = 12
_OBSTACLES = {
    "texts": "These runs learnt different texts: their losses cannot be compared.",
    "parts": "These runs kept other parts of the text for validation (--split): their losses cannot be compared.",
    "symbols": "These runs have other characters (--bytes, --min-count): their losses cannot be compared.",
}

Records = Sequence[Mapping[str, Any]]


def axis_label(against: str) -> Callable[[float], str]:
    """What writes a value of the horizontal axis: minutes, characters, steps or epochs."""
    return numbers.short if against in ("characters", "steps") else lambda value: f"{value:g}"


def run_table(records: Records, obstacle: str, width: int) -> list[Text]:
    """A line for each run, with a star at the best losses, above it their text, below it the lead and other settings.

    ``obstacle`` is why losses cannot be compared, as :func:`charrnn.checkpoints.comparison.obstacle` says.
    """
    lines = paragraph(_OBSTACLES[obstacle], width, "yellow") if obstacle else []
    texts = {each["text"] for each in records}
    if len(texts) == 1 and records[0]["text"]:
        title = f"text: {_text(records[0])}"
        unique = {each["characters"] for each in records}
        lines += paragraph(f"{title}, {numbers.characters(*unique)}" if len(unique) == 1 else title, width, "dim")
    columns: dict[str, Callable[[Mapping[str, Any]], Any]] = {
        "run": _marked_name,
        "model": lambda each: f"{each['cell']} {each['layers']}x{each['hidden']}",
        "parameters": lambda each: numbers.short(each["parameters"]),
        "validation": lambda each: _starred(each["best_val_loss"], each["best"]),
        "bits/char": lambda each: numbers.bpc(each["best_bpc"]),
    }
    if any(each["mixed_val_loss"] is not None for each in records):
        columns["with n-grams"] = lambda each: _starred(each["mixed_val_loss"], each["best_mixed"])
    columns |= {
        "trained": lambda each: None if each["elapsed_s"] is None else numbers.duration(each["elapsed_s"]),
        "read": lambda each: None if each["characters_read"] is None else numbers.short(each["characters_read"]),
        "chars/s": lambda each: None if each["chars_per_s"] is None else numbers.short(each["chars_per_s"]),
    }
    if any(each["state"] in ("training", "unfinished") for each in records):
        columns["state"] = lambda each: each["state"]
    if len(texts) > 1:
        columns["text"] = _text
    lines += table(list(columns), [[show(each) for show in columns.values()] for each in records], width)
    if sum(each["best"] for each in records) == 1:
        lines += [Text(), *paragraph(_lead(records), width)]
    settings = dict.fromkeys(name for each in records for name in each["settings"])
    if settings:
        rows = [(_option(name), *(_value(each["settings"], name) for each in records)) for name in settings]
        lines += [Text(), *table(("other settings", *(each["mark"] for each in records)), rows, width)]
    return lines


def curve_lines(records: Records, curves: Sequence[np.ndarray], against: str, width: int) -> list[Text]:
    """The ``curves`` (n, 2) of all runs, and their losses where the shortest one ends; empty if no run has a point."""
    series = [
        Marked(each["mark"], each["name"], points, _style(each)) for each, points in zip(records, curves, strict=True)
    ]
    drawn = curves_lines(series, width, _CURVE_ROWS, axis_label(against))
    if not drawn:
        return paragraph("no evaluations to draw yet", width, "dim")
    lines = [*paragraph(f"validation loss in nats per character, against {against}", width, "dim"), *drawn]
    shared = next((each["shared"] for each in records if each["shared"]), None)
    if shared is None or records[0]["obstacle"]:
        return lines
    most = axis_label(against)(float(f"{shared['at']:.3g}"))
    title = f"best loss up to {most} {against}, where the shortest run ends"
    parts = [
        Text.assemble((each.mark, each.style), " ", _starred(record["shared"]["val_loss"], record["shared"]["best"]))
        for each, record in zip(series, records, strict=True)
        if record["shared"]
    ]
    return [*lines, Text(), *paragraph(title, width, "dim"), *phrases(parts, width)]


def sample_lines(records: Records, width: int) -> list[Text]:
    """What each run writes after the same prime, side by side."""
    title = f"what each writes: temperature {records[0]['temperature']:g}, seed {records[0]['seed']}"
    names = [f"{each['mark']}  {each['name']}" for each in records]
    texts = [each["prime"] + each["sample"] for each in records]
    return [*paragraph(title, width, "dim"), *side_by_side(names, texts, width)]


def _lead(records: Records) -> str:
    """By how much the best run is better than each of the others, the nearest first."""
    (best,) = (each for each in records if each["best"])
    others = sorted(
        (each["best_val_loss"] - best["best_val_loss"], each["mark"])
        for each in records
        if each is not best and each["best_val_loss"] is not None
    )
    (nearest, mark), *further = others
    leads = [f"{nearest:.4f} nats per character below {mark}", *(f"{lead:.4f} below {mark}" for lead, mark in further)]
    return f"{best['mark']} is the best: {', '.join(leads)}."


def _style(record: Mapping[str, Any]) -> str:
    return ACCENT_STYLES[(ord(record["mark"]) - ord("a")) % len(ACCENT_STYLES)]


def _marked_name(record: Mapping[str, Any]) -> Text:
    return Text.assemble((record["mark"], _style(record)), " ", plain(record["name"]))


def _text(record: Mapping[str, Any]) -> str:
    return sources(record["text"].split(", ")) if record["text"] else "unknown"


def _starred(loss: float | None, is_best: bool) -> str:
    return f"{'★' if is_best else ' '} {numbers.loss(loss)}"


def _option(setting: str) -> str:
    """A setting as its option is called: batch-size."""
    return setting.removeprefix("as_").replace("_", "-")


def _value(settings: Mapping[str, Any], name: str) -> str | None:
    value = settings.get(name)
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.6g}" if isinstance(value, float) else value if value is None else str(value)
