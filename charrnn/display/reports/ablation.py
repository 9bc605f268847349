"""What holding cells costs, in words and tables."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from rich.text import Text

from charrnn.display.terminal import numbers
from charrnn.display.terminal.columns import side_by_side
from charrnn.display.terminal.tables import table
from charrnn.display.terminal.text_width import clip, glyph, wrap

_PARTS = {"overall": "overall", "inside": "inside", "outside": "outside", "contrast": "inside - outside"}
_SHOWN = 360  # characters of a sample


def ablation_lines(record: Mapping[str, Any], symbols: int, width: int) -> list[Text | str]:
    """An ablation's JSON record, with the ``symbols`` characters that lose most."""
    held = ", ".join(f"{cell} at c = {value:.3g}" for cell, value in record["held"].items())
    masked = record["inside"] is not None and 0 < record["share_inside"] < 1
    lines: list[Text | str] = [Text(f"Held: {held}", style="bold")]
    count, all_of_it = record["characters"], record["text_characters"]
    read = numbers.count(count) + (f" of {numbers.count(all_of_it)}" if count < all_of_it else "")
    text = f"{read} characters, loss {numbers.loss(record['loss'])} when nothing is held"
    lines.append(clip(text, width))
    if masked:
        lines.append(clip(f"inside is {record['inside']}: {100 * record['share_inside']:.1f} %", width))
    lines.append("")
    rows = [
        (title, _signed(change["value"]), _interval(change))
        for part, title in _PARTS.items()
        if (change := record["change"][part]) and (masked or part == "overall")
    ]
    lines += table(("change in loss", "nats", "95 % interval"), rows, width)
    if record["others"]:
        lines += ["", *wrap(_comparison(record, "contrast" if masked else "overall"), width)]
    rows = [
        (
            glyph(each["symbol"], "␣"),
            "inside" if each["inside"] else "outside",
            each["count"],
            each["before"],
            each["after"],
            _signed(each["after"] - each["before"]),
        )
        for each in record["symbols"][:symbols]
    ]
    columns = ("next", "where", "count", "before", "after", "change")
    if not masked:
        rows, columns = [row[:1] + row[2:] for row in rows], columns[:1] + columns[2:]
    return [*lines, "", *table(columns, rows, width)]


def sample_lines(samples: Sequence[Mapping[str, Any]], width: int) -> list[Text | str]:
    """JSON records of samples: figures of each, and the beginnings of the first text of each side by side."""
    first = samples[0]
    askable = math.isfinite(first["share_inside"])
    columns = ["written", *(f"{glyph(symbol, '␣')} in 1,000" for symbol in first["per_1000"])]
    columns += ["inside", "begins in 1,000", "length inside"] if askable else []
    rows = []
    for sample in samples:
        row = [_title(sample), *(f"{rate:.2f}" for rate in sample["per_1000"].values())]
        if askable:
            length = sample["run_length"]
            row += [f"{100 * sample['share_inside']:.1f} %", f"{sample['runs_per_1000']:.2f}"]
            row += [f"{length:.1f}" if math.isfinite(length) else "–"]
        rows.append(row)
    texts = [sample["prime"] + sample["text"][:_SHOWN] for sample in samples]
    titles = [_title(sample) for sample in samples]
    head = f"{numbers.count(first['characters'])} characters written each, seed {first['seed']}"
    return [clip(head, width), *table(columns, rows, width), "", *side_by_side(titles, texts, width)]


def _title(sample: Mapping[str, Any]) -> str:
    held = ", ".join(f"{value:.2f}" for value in sample["held"].values())
    return f"{sample['cells']} (c = {held})" if held else sample["cells"]


def _comparison(record: Mapping[str, Any], measure: str) -> str:
    theirs = [other[measure] for other in record["others"]]
    what = "inside - outside" if measure == "contrast" else "overall"
    own, sample, place = record["compared"], "", ""
    if own["characters"] < record["characters"]:
        sample, place = f", on {numbers.count(own['characters'])} characters", f", {_signed(own[measure])} there,"
    return (
        f"{len(theirs)} random others of the layer{sample}, {what}: {_signed(min(theirs))} to {_signed(max(theirs))}, "
        f"median {_signed(median(theirs))}; this{place} is number {record['rank']} of {len(theirs) + 1}"
    )


def _signed(number: float) -> str:
    return "–" if math.isnan(number) else f"{number:+.4f}"


def _interval(change: Mapping[str, float]) -> str:
    if math.isnan(change["low"]):
        return "the text is too short"
    return f"{_signed(change['low'])} to {_signed(change['high'])}"
