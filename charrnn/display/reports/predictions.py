"""What a model expects after each character of a text: rows of guesses beneath it, the likeliest first."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.style import Style
from rich.text import Text

from charrnn.display.terminal.colours import DIVERGING, SEQUENTIAL, Depth, Scale
from charrnn.display.terminal.heatmap import legend
from charrnn.display.terminal.text_width import glyph, text_width

SPACE = "␣"

_FAINT_BELOW = 0.1
_SHOWN_FROM = 0.05


@dataclass(frozen=True, slots=True)
class _Column:
    """One character of the text and what stands beneath it."""

    position: int
    shown: str
    guesses: tuple[str, ...]
    cells: int


def prediction_rows(
    text: str,
    guesses: np.ndarray | Sequence[Sequence[str]],
    probabilities: np.ndarray,
    *,
    values: np.ndarray | None = None,
    scale: Scale = DIVERGING,
    width: int = 80,
    depth: Depth = Depth.TRUECOLOUR,
) -> list[Text]:
    """Blocks of lines: the text, and under each character the guesses for the one that comes *next*.

    ``guesses`` (n, k) are characters and ``probabilities`` (n, k) theirs, the likeliest first. A guess stands
    on the colour of its probability; one that comes true is bold and underlined. With ``values`` (n,) the
    text itself is coloured. Spaces among the guesses are ␣, line feeds ↵. A block ends at a line feed or
    at ``width`` cells, an empty line parts the blocks.

    Without colour, the line under the text tells the probability of the first guess in tenths (a digit; blank
    below 0.1), and only guesses of 0.05 and more are shown.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if len(guesses) != len(text) or probabilities.shape[:1] != (len(text),):
        raise ValueError(f"{len(text)} characters need as many rows of guesses and probabilities")
    lines: list[Text] = []
    for block in _blocks(text, guesses, width):
        if lines:
            lines.append(Text())
        lines.append(_text_line(block, values, scale, depth))
        if depth == Depth.NONE:
            if values is not None:
                lines.append(_symbols(block, values, scale))
            lines += _plain_rows(block, probabilities)
        else:
            lines += _coloured_rows(block, text, guesses, probabilities, depth)
    return lines


def prediction_legend(depth: Depth = Depth.TRUECOLOUR) -> Text:
    """What the rows beneath a text mean, in one line."""
    if depth == Depth.NONE:
        return Text("digits: probability of the first guess in tenths; beneath: guesses of 0.05 and more")
    line = Text("guesses for the next character, probability ", style="dim")
    return Text.assemble(line, legend(SEQUENTIAL, "0", "1", depth=depth, width=18))


def _blocks(text: str, guesses: Sequence[Sequence[str]], width: int) -> list[list[_Column]]:
    blocks: list[list[_Column]] = []
    block: list[_Column] = []
    used = 0
    for position, character in enumerate(text):
        shown = glyph(character)
        row = tuple(glyph(str(guess), SPACE) for guess in guesses[position])
        # A wide guess widens its column: everything stays under its character.
        column = _Column(position, shown, row, max(map(text_width, (shown, *row))))
        if block and used + column.cells > width:
            blocks.append(block)
            block, used = [], 0
        block.append(column)
        used += column.cells
        if character == "\n":
            blocks.append(block)
            block, used = [], 0
    return [*blocks, block] if block else blocks


def _text_line(block: list[_Column], values: np.ndarray | None, scale: Scale, depth: Depth) -> Text:
    glyphs = [_filled(column.shown, column.cells) for column in block]
    if values is None or depth == Depth.NONE:
        return Text("".join(glyphs), style="bold")
    styles = scale.styles(np.asarray(values)[[column.position for column in block]], depth)
    return Text.assemble(*zip(glyphs, styles, strict=True))


def _coloured_rows(
    block: list[_Column],
    text: str,
    guesses: Sequence[Sequence[str]],
    probabilities: np.ndarray,
    depth: Depth,
) -> list[Text]:
    positions = [column.position for column in block]
    following = [text[position + 1 : position + 2] for position in positions]
    rows = []
    for rank in range(probabilities.shape[1]):
        chances = probabilities[positions, rank]
        vivid, faint = SEQUENTIAL.styles(chances, depth), SEQUENTIAL.styles(chances, depth, faint=True)
        row = Text()
        for place, column in enumerate(block):
            style = faint[place] if chances[place] < _FAINT_BELOW else vivid[place]
            if guesses[column.position][rank] == following[place]:
                style = vivid[place] + Style(bold=True, underline=True)
            row.append(column.guesses[rank], style=style)
            fill = column.cells - text_width(column.guesses[rank])
            row.append(" " * fill, style=vivid[place])
        rows.append(row)
    return rows


def _symbols(block: list[_Column], values: np.ndarray, scale: Scale) -> Text:
    """Without colour: what the text's own colours would say."""
    symbols = scale.symbols_for(np.asarray(values)[[column.position for column in block]])
    cells = [symbol * column.cells for symbol, column in zip(symbols, block, strict=True)]
    return Text("".join(cells).rstrip())


def _plain_rows(block: list[_Column], probabilities: np.ndarray) -> list[Text]:
    first = probabilities[[column.position for column in block], 0]
    tenths = np.clip(np.floor(np.nan_to_num(first) * 10 + 1e-9), 0, 9).astype(int)
    digits = [_filled(str(tenth) if tenth else "", column.cells) for tenth, column in zip(tenths, block, strict=True)]
    rows = ["".join(digits)]
    for rank in range(probabilities.shape[1]):
        row = [
            _filled(
                column.guesses[rank] if probabilities[column.position, rank] >= _SHOWN_FROM else "",
                column.cells,
            )
            for column in block
        ]
        rows.append("".join(row))
    rows = [row.rstrip() for row in rows]
    while len(rows) > 1 and not rows[-1]:
        rows.pop()
    return [Text(row) for row in rows]


def _filled(shown: str, cells: int) -> str:
    return shown + " " * (cells - text_width(shown))
