"""Which model explains a line or a file best, and what was learnt of a folder: the objects of ``identify --json``."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from charrnn.display.terminal.tables import table
from charrnn.display.terminal.text_width import clip, pad

_LONGEST_NAME = 20  # columns
_LEAST = 10  # columns for the text of a line


def answer_fields(about: Mapping[str, Any]) -> list[str]:
    """The answer, its probability, the second answer and its probability; dashes for an empty line."""
    if about["name"] is None:
        return ["-", "-", "-", "-"]
    (first, best), (second, next_best) = list(about["probabilities"].items())[:2]
    return [first, f"{best:.4f}", second, f"{next_best:.4f}"]


def answer_line(about: Mapping[str, Any], text: str, width: int, columns: int) -> Text:
    """A line of at most ``columns`` columns: the answer in ``width`` columns, the second one, and the text."""
    width = min(width, _LONGEST_NAME)
    first, best, second, next_best = answer_fields(about)
    if about["name"] is not None:
        best, next_best = _percent(float(best)), _percent(float(next_best))
    head = Text.assemble(
        (pad(clip(first, width), width), "bold" if first != "none" else "yellow"),
        f" {best:>6}  ",
        (f"{pad(clip(second, width), width)} {next_best:>6}  ", "dim"),
    )
    room = columns - head.cell_len
    if room < _LEAST:
        head = Text.assemble(head[: width + 8], " ")
        room = columns - head.cell_len
    return Text.assemble(head, clip(text, room)) if room > 0 else head


def whole_lines(records: Sequence[Mapping[str, Any]], width: int) -> list[Text]:
    """A table with a line for each file."""
    return table(("", "probability", "second", "", "characters", "bits/char", "file"), map(_row, records), width)


def _row(record: Mapping[str, Any]) -> list:
    if record["name"] is None:
        return [None, None, None, None, 0, None, record["file"]]
    (first, best), (second, next_best) = list(record["probabilities"].items())[:2]
    numbers = [record["characters"], record["bpc"], record["file"]]
    return [first, _percent(best), second, _percent(next_best), *numbers]


def learnt_lines(about: Mapping[str, Any], width: int) -> list[Text]:
    """A table with a line for each model that was learnt."""
    rows = [[model["name"], model["bytes"], _share(model), model["taken_for"] or ""] for model in about["models"]]
    return table(("model", "bytes learnt", "held out, right", "else mostly"), rows, width)


def _share(model: Mapping[str, Any]) -> str | None:
    if not model["pieces"]:
        return None
    return f"{100 * model['right'] / model['pieces']:.0f} % of {model['pieces']}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
