"""The model's predictions after each character of a text: rows of guesses under the text, the likeliest first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.style import Style
from rich.text import Text

from charrnn.display.terminal.colours import DEFAULT_LOOK, SEQUENTIAL, Depth, Look
from charrnn.display.terminal.heatmap import coloured, folded, legend
from charrnn.display.terminal.tables import paragraph, phrases
from charrnn.display.terminal.text_width import glyph, pad, text_width

SPACE = "␣"

_FAINT_BELOW = 0.1
_SHOWN_FROM = 0.05


@dataclass(frozen=True, slots=True)
class _Column:
    """The character at ``position`` of the text, with its guesses under it, in ``width`` terminal columns."""

    position: int
    shown: str
    guesses: tuple[str, ...]
    width: int
    ends_line: bool


def prediction_rows(
    text: str,
    guesses: np.ndarray | Sequence[Sequence[str]],
    probabilities: np.ndarray,
    look: Look = DEFAULT_LOOK,
    values: np.ndarray | None = None,
) -> list[Text]:
    """Blocks of lines: the text, and under each character the guesses for the character *after* it.

    ``guesses`` (n, k) are characters and ``probabilities`` (n, k) their probabilities, the likeliest first. A guess has
    the colour of its probability; a correct guess is bold and underlined. With ``values`` (n,) the text itself is
    coloured. Spaces among the guesses are shown as ␣, line feeds as ↵. A block ends at a line feed or at the width; an
    empty line separates blocks.

    Without colours, the line under the text gives the probability of the first guess in tenths (a digit, blank below
    0.1), and only guesses of 0.05 and more are shown.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if len(guesses) != len(text) or probabilities.shape[:1] != (len(text),):
        raise ValueError(f"{len(text)} characters need as many rows of guesses and probabilities")
    lines: list[Text] = []
    for row in folded(_columns(text, guesses), look.width, lambda column, _: column.width):
        block = [column for column, *_ in row]
        positions = [column.position for column in block]
        own = None if values is None else np.asarray(values)[positions]
        glyphs = [pad(column.shown, column.width) for column in block]
        if lines:
            lines.append(Text())
        if own is None or look.depth == Depth.NONE:
            lines.append(Text("".join(glyphs), style="bold"))
        else:
            lines.append(coloured(glyphs, look.styles(own)))
        if look.depth != Depth.NONE:
            following = [text[position + 1 : position + 2] for position in positions]
            correct = [[guess == true for guess in guesses[n]] for n, true in zip(positions, following, strict=True)]
            lines += _coloured_rows(block, probabilities[positions], correct, look.depth)
            continue
        if own is not None:
            symbols = zip(look.scale.symbols_for(own), block, strict=True)
            lines.append(Text("".join(symbol * column.width for symbol, column in symbols).rstrip()))
        lines += _plain_rows(block, probabilities[positions])
    return lines


def prediction_legend(look: Look = DEFAULT_LOOK) -> list[Text]:
    """The meaning of the rows under a text."""
    if look.depth == Depth.NONE:
        words = "digits: probability of the first guess in tenths; beneath: guesses of 0.05 and more"
        return paragraph(words, look.width)
    colours = legend(replace(look, scale=SEQUENTIAL), "0", "1", 18)
    return phrases([Text("guesses for the next character, probability", style="dim"), colours], look.width, gap=" ")


def _columns(text: str, guesses: Sequence[Sequence[str]]) -> Iterator[_Column]:
    for position, character in enumerate(text):
        shown = glyph(character)
        row = tuple(glyph(str(guess), SPACE) for guess in guesses[position])
        # A wide guess widens the column of its character, so that all guesses stay under it.
        yield _Column(position, shown, row, max(map(text_width, (shown, *row))), character == "\n")


def _coloured_rows(
    block: list[_Column], probabilities: np.ndarray, correct: Sequence[Sequence[bool]], depth: Depth
) -> list[Text]:
    rows = []
    for rank, chances in enumerate(probabilities.T):
        vivid, faint = SEQUENTIAL.styles(chances, depth), SEQUENTIAL.styles(chances, depth, faint=True)
        row = Text()
        for place, column in enumerate(block):
            style = faint[place] if chances[place] < _FAINT_BELOW else vivid[place]
            if correct[place][rank]:
                style = vivid[place] + Style(bold=True, underline=True)
            guess = column.guesses[rank]
            row.append(guess, style=style).append(" " * (column.width - text_width(guess)), style=vivid[place])
        rows.append(row)
    return rows


def _plain_rows(block: list[_Column], probabilities: np.ndarray) -> list[Text]:
    tenths = np.clip(np.floor(np.nan_to_num(probabilities[:, 0]) * 10 + 1e-9), 0, 9).astype(int)
    digits = [pad(str(tenth) if tenth else "", column.width) for tenth, column in zip(tenths, block, strict=True)]
    rows = ["".join(digits).rstrip()]
    for rank, chances in enumerate(probabilities.T):
        columns = zip(block, chances, strict=True)
        row = [pad(each.guesses[rank] if p >= _SHOWN_FROM else "", each.width) for each, p in columns]
        rows.append("".join(row).rstrip())
    while len(rows) > 1 and not rows[-1]:
        rows.pop()
    return [Text(row) for row in rows]
