"""The cost of holding cells at a value, or of silencing heads, in words and tables."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from rich.text import Text

from charrnn.display.reports.names import tracks
from charrnn.display.terminal import numbers
from charrnn.display.terminal.columns import side_by_side
from charrnn.display.terminal.tables import paragraph, table
from charrnn.display.terminal.text_width import glyph
from charrnn.inspection.naming import Tracked

_PARTS = {"overall": "overall", "inside": "inside", "outside": "outside", "contrast": "inside - outside"}
_SHOWN = 360  # characters of a sample


def ablation_lines(record: Mapping[str, Any], signal: str, symbols: int, width: int) -> list[Text | str]:
    """The JSON record of an ablation that clamped ``signal``, with the ``symbols`` characters whose loss rises most."""
    clamped = ", ".join(
        f"{cell}{_tracks(record['tracks'][cell])} at {signal} = {value:.3g}" for cell, value in record["held"].items()
    )
    changed, done = f"Clamped: {clamped}", "clamped"
    if heads := record.get("heads"):
        changed, done = f"Silenced: head{'s' * (len(heads) > 1)} {', '.join(heads)}", "silenced"
    masked = record["inside"] is not None and 0 < record["share_inside"] < 1
    count, total = record["characters"], record["text_characters"]
    read = numbers.count(count) + (f" of {numbers.count(total)}" if count < total else "")
    lines: list[Text | str] = [
        *paragraph(changed, width, "bold"),
        *paragraph(f"{read} characters, loss {numbers.loss(record['loss'])} when nothing is {done}", width),
    ]
    if masked:
        lines += paragraph(f"inside is {record['inside']}: {100 * record['share_inside']:.1f} %", width)
    rows = [
        (title, _signed(change["value"]), _interval(change))
        for part, title in _PARTS.items()
        if (change := record["change"][part]) and (masked or part == "overall")
    ]
    lines += ["", *table(("change in loss", "nats", "95 % interval"), rows, width)]
    if record["others"]:
        lines += ["", *paragraph(_comparison(record, "contrast" if masked else "overall"), width)]
    columns = ["next", "where", "count", "before", "after", "change"]
    rows = []
    for each in record["symbols"][:symbols]:
        where, change = "inside" if each["inside"] else "outside", _signed(each["after"] - each["before"])
        rows.append([glyph(each["symbol"], "␣"), where, each["count"], each["before"], each["after"], change])
    if not masked:
        for row in (columns, *rows):
            del row[1]
    lines += ["", *table(columns, rows, width)]
    more = len(record["symbols"]) - symbols
    return lines + (paragraph(f"and {more:,} more: --json has them all", width, "dim") if more > 0 else [])


def sample_lines(samples: Sequence[Mapping[str, Any]], signal: str, width: int) -> list[Text | str]:
    """JSON records of samples: a table of their statistics, and the beginnings of the first texts side by side."""
    first = samples[0]
    masked = math.isfinite(first["share_inside"])
    columns = ["written", *(f"{glyph(symbol, '␣')} in 1,000" for symbol in first["per_1000"])]
    columns += ["inside", "begins in 1,000", "length inside"] if masked else []
    rows = []
    for sample in samples:
        row = [_title(sample, signal), *(f"{rate:.2f}" for rate in sample["per_1000"].values())]
        if masked:
            length = sample["run_length"]
            row += [f"{100 * sample['share_inside']:.1f} %", f"{sample['runs_per_1000']:.2f}"]
            row += [f"{length:.1f}" if math.isfinite(length) else "–"]
        rows.append(row)
    texts = [sample["prime"] + _beginning(sample["text"]) for sample in samples]
    titles = [_title(sample, signal) for sample in samples]
    head = f"{numbers.count(first['characters'])} characters written each, seed {first['seed']}"
    return [*paragraph(head, width), *table(columns, rows, width), "", *side_by_side(titles, texts, width)]


def _beginning(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"


def _tracks(found: Mapping[str, Any] | None) -> str:
    return "" if found is None else f" ({tracks(Tracked(**found))})"


def _title(sample: Mapping[str, Any], signal: str) -> str:
    clamped = ", ".join(f"{value:.2f}" for value in sample["held"].values())
    return f"{sample['cells']} ({signal} = {clamped})" if clamped else sample["cells"]


def _comparison(record: Mapping[str, Any], measure: str) -> str:
    """The change beside the changes with random other cells clamped, which may have been measured on less text."""
    others = [other[measure] for other in record["others"]]
    own, sample, place = record["compared"], "", ""
    heads = record.get("heads", [])
    kind, others_are = ("head", "other heads") if heads else ("cell", "random others of the layer")
    one = len(heads or record["held"]) == 1
    these, verb = (f"this {kind}", "ranks") if one else (f"these {kind}s", "rank")
    if own["characters"] < record["characters"]:
        sample, place = f", on {numbers.count(own['characters'])} characters", f", {_signed(own[measure])} there,"
    spread = f"{_signed(min(others))} to {_signed(max(others))}, median {_signed(median(others))}"
    if len(others) == 1:
        others_are, spread = others_are.replace("others", "other").replace("heads", "head"), _signed(others[0])
    return (
        f"{len(others)} {others_are}{sample}, {_PARTS[measure]}: {spread}; "
        f"{these}{place} {verb} {numbers.ordinal(record['rank'])} of {len(others) + 1}"
    )


def _signed(number: float) -> str:
    return "–" if math.isnan(number) else f"{number:+.4f}"


def _interval(change: Mapping[str, float]) -> str:
    if math.isnan(change["low"]):
        return "the text is too short"
    return f"{_signed(change['low'])} to {_signed(change['high'])}"
