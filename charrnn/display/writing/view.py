"""The lines of a screen: the text with the continuation behind the cursor, the guesses, the cell, the state in words.

A line is a list of pieces (style, text), with styles as prompt_toolkit writes them. Where there are no colours, signs
say the same: the continuation stands between ‹ and ›, and under a row of the text stands one with a symbol for each
value of the cell.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from charrnn.display.terminal.colours import Depth, Scale, scale_from
from charrnn.display.terminal.text_width import clip, glyph, pad, text_width
from charrnn.display.writing.layout import Row, rows_around

Line = list[tuple[str, str]]
Values = Callable[[int, int], np.ndarray]

GHOST, STATUS, KEY, ERROR, DIM = "class:ghost", "class:status", "class:key", "class:error", "class:dim"
LEAST_ROWS = 6  # of a screen that shows more than the text and its state
_BARS = "▏▎▍▌▋▊▉█"
_NAMES = {0: "black", 1: "red", 2: "green", 3: "yellow", 4: "blue", 5: "magenta", 6: "cyan", 7: "gray"}
_BRIGHT = {8: "brightblack", 9: "brightred", 10: "brightgreen", 11: "brightyellow"}
_BRIGHT |= {12: "brightblue", 13: "brightmagenta", 14: "brightcyan", 15: "white"}

HELP = (
    ("Tab", "word"),
    ("F1", "keys"),
    ("^Q", "quit"),
    ("↑↓", "others"),
    ("→", "character"),
    ("^S", "save"),
    ("^T", "temperature"),
    ("^R", "another"),
    ("^L", "cell"),
    ("^Z", "undo"),
)
_ORDER = ("Tab", "→", "↑↓", "^R", "^T", "^L", "^Z", "^S", "^Q", "F1")

KEYS = """\
Tab             take a word of the continuation
Right           at the end of the text, take a character
Shift-Right     take a character, anywhere
Up, Down        other continuations; the first is the
                most probable one, the others are drawn
Ctrl-R          draw others: the next seed
Ctrl-T          the temperature of those that are drawn
Ctrl-L          the cell that colours the text, or none
F2              without continuations: Up, Down move
Ctrl-Z, Ctrl-_  undo
Ctrl-Y          redo
Left, Right     move by a character
Ctrl-Left       move by a word; also Ctrl-Right,
                Alt-B, Alt-F
Ctrl-P, Ctrl-N  move by a row; also Ctrl-Up, Ctrl-Down
Home, End       move in the line; also Ctrl-A, Ctrl-E
PageUp, PageDn  move by a screen
Ctrl-Home       begin of the text; Ctrl-End its end
Backspace, Del  remove a character; Ctrl-W a word
Ctrl-U, Ctrl-K  remove to the begin, to the end of the
                line
Ctrl-S          save now
Ctrl-Q, Ctrl-X  save and quit
Ctrl-C          save and end, with exit status 130"""


@dataclass
class Scene:
    """What a screen shows.

    Attributes:
        text, cursor: of the draft.
        ghost: the continuation, a part of which is shown.
        guesses: pairs of a character and its probability, the most probable first; None while the model reads.
        state: parts of the status line, the most important first, each with its place from the left.
        cell: the number and the signal of the shown cell, or None; ``low`` is its least value.
        tracks: what the cell tracks, in words, or "".
        here: the cell's value at the cursor.
        message: stands in the last line instead of the keys; an error if ``is_error``.
        prompt: a question with the answer so far, instead of the message.
        wide_guesses: whether guesses may be bytes, as in 0xE2.
    """

    text: str
    cursor: int
    ghost: str = ""
    guesses: Sequence[tuple[str, float]] | None = None
    state: Sequence[tuple[int, str]] = ()
    cell: str | None = None
    tracks: str = ""
    low: float = -1
    here: float = float("nan")
    message: str = ""
    is_error: bool = False
    prompt: tuple[str, str] | None = None
    wide_guesses: bool = False


@dataclass
class View:
    """Lays out scenes for a terminal of some ``depth`` of colours, whose encoding may have ``ascii`` only.

    Attributes:
        top: the place in the text where the first row of the screen begins; it stays as long as the cursor is seen.
        room: how many rows of the text the screen had last.
        seen: the part of the text that is seen: its first place, and the one behind its last.
    """

    depth: Depth
    ascii: bool = False
    top: int = 0
    room: int = 1
    seen: tuple[int, int] = (0, 0)

    def lines(
        self, scene: Scene, columns: int, height: int, values: Values | None = None
    ) -> tuple[list[Line], int, int]:
        """The ``height`` lines of a screen, and the row and the column of the cursor.

        ``values(first, last)`` are the values of the cell at these characters of the text, NaN where there is none.
        """
        foot = self._foot(scene, columns, height)
        body, row, column = self._body(scene, columns, max(height - len(foot), 1), values)
        lines = [*body, *foot][:height]
        if scene.prompt is not None:
            row, column = height - 1, min(text_width("".join(text for _, text in lines[-1])), columns - 1)
        return [self._sent(line) for line in lines], row, column

    def keys(self, columns: int, height: int, offset: int) -> tuple[list[Line], int]:
        """The page of keys from line ``offset`` on, or from the last line that leaves no empty ones; that line."""
        lines = KEYS.split("\n")
        offset = min(offset, max(len(lines) - (height - 1), 0))
        shown = lines[offset : offset + height - 1]
        page: list[Line] = [[("", clip(each, columns))] for each in shown]
        page += [[("", "")]] * (height - 1 - len(shown))
        more = "Down for more; " if len(lines) > height - 1 else ""
        return [self._sent(each) for each in [*page, [(KEY, clip(f"{more}any other key goes back", columns))]]], offset

    # ---- the text

    def _body(self, scene: Scene, columns: int, height: int, values: Values | None) -> tuple[list[Line], int, int]:
        has_signs = values is not None and self.depth == Depth.NONE
        room = max(height // 2, 1) if has_signs else height
        marks = ("‹", "›") if self.depth == Depth.NONE else ("", "")
        self.room = room
        found = rows_around(scene.text, scene.cursor, shown_part(scene.ghost), columns, room, marks)
        first = max((k for k, row in enumerate(found.rows) if row.start <= self.top), default=0)
        first = min(max(first, found.row - room + 1), found.row, max(len(found.rows) - room, 0))
        visible = found.rows[first : first + room]
        self.top = visible[0].start
        self.seen = visible[0].start, visible[-1].stop
        known = values(*self.seen) if values is not None else None
        scale = scale_from(scene.low)
        body: list[Line] = []
        for row in visible:
            own = None if known is None else known[row.start - self.top : row.stop - self.top]
            body.append(self._row(row, own, scale))
            if has_signs and own is not None:
                body.append([(DIM, _signs(row, own, scale))])
        body += [[("", "")] for _ in range(height - len(body))]
        return body[:height], (found.row - first) * (1 + has_signs), found.column

    def _row(self, row: Row, values: np.ndarray | None, scale: Scale) -> Line:
        if values is None or self.depth == Depth.NONE:
            styles = [GHOST if item.place < 0 else "" for item in row.items]
        else:
            coloured = [_written(style) for style in scale.styles(values, self.depth)]
            shift, known = row.base - row.start, ~np.isnan(values)
            styles = [
                GHOST if item.place < 0 else coloured[item.place + shift] if known[item.place + shift] else ""
                for item in row.items
            ]
        line: Line = []
        for item, style in zip(row.items, styles, strict=True):
            if line and line[-1][0] == style:
                line[-1] = (style, line[-1][1] + item.shown)
            else:
                line.append((style, item.shown))
        return line or [("", "")]

    # ---- the lines under it

    def _foot(self, scene: Scene, columns: int, height: int) -> list[Line]:
        foot: list[Line] = []
        if height >= LEAST_ROWS:
            foot.append(self._guesses(scene, columns))
            if scene.cell is not None:
                foot.append(self._legend(scene, columns))
        if height >= 3:
            foot.append([(STATUS, pad(_fitting(scene.state, columns), columns))])
        if height >= 2 or scene.prompt is not None or scene.is_error:
            foot.append(self._last(scene, columns))
        return foot

    def _guesses(self, scene: Scene, columns: int) -> Line:
        if scene.guesses is None:
            return [(DIM, clip("the model is reading …", columns))]
        sign = 4 if scene.wide_guesses else 2
        each = max(columns // 5, sign + 6)
        line: Line = []
        for character, probability in scene.guesses[: columns // each]:
            name = character if len(character) > 1 else glyph(character, "␣")
            length = max(each - sign - 6, 0)
            bar = self._bar(probability, length)
            line += [("", pad(name, sign)), ("class:bar", bar), (DIM, f"{_percent(probability):>5} ")]
        return line

    def _bar(self, share: float, length: int) -> str:
        if self.ascii:
            return pad("#" * round(share * length), length)
        eighths = round(share * length * 8)
        return pad("█" * (eighths // 8) + (_BARS[eighths % 8 - 1] if eighths % 8 else ""), length)

    def _legend(self, scene: Scene, columns: int) -> Line:
        scale = scale_from(scene.low)
        number = "" if np.isnan(scene.here) else f", here {scene.here:+.2f}"
        tracks = f"; {scene.tracks}" if scene.tracks else ""
        if self.depth == Depth.NONE:
            ramp = f"  {scene.low:g} {scale.symbols} +1"
            name = clip(f"cell {scene.cell}{number}{tracks}", max(columns - len(ramp), 20))
            return [("", clip(name + ramp, columns))]
        name = clip(f"cell {scene.cell}{number}{tracks}", columns - 18) + "  "
        colours = [(_written(style), " ") for style in scale.styles(scale.ramp(10), self.depth)]
        return [("", name), (DIM, f"{scene.low:g} "), *colours, (DIM, " +1")]

    def _last(self, scene: Scene, columns: int) -> Line:
        if scene.prompt is not None:
            question, answer = scene.prompt
            return [(KEY, clip(question, columns - 12)), ("", clip(answer, 12 if columns < 40 else columns // 2))]
        if scene.message:
            return [(ERROR if scene.is_error else DIM, clip(scene.message, columns))]
        chosen, used = set(), 0
        for key, word in HELP:
            size = text_width(key) + 1 + len(word) + 2
            if used + size - 2 <= columns:
                chosen.add(key)
                used += size
        words = dict(HELP)
        line: Line = []
        for key in _ORDER:
            if key in chosen:
                line += [(KEY, key), (DIM, f" {words[key]}  ")]
        if line:
            line[-1] = (DIM, line[-1][1].rstrip())
        return line

    def _sent(self, line: Line) -> Line:
        """A line as the encoding of the terminal can have it."""
        if not self.ascii:
            return line
        signs = str.maketrans("‹›…→↑↓↵␣·–", "<>~>^v$_-" + "-")
        return [(style, text.translate(signs).encode("ascii", "replace").decode()) for style, text in line]


def shown_part(ghost: str) -> str:
    """What is shown of a continuation: all up to its first line break behind other characters, with it."""
    body = ghost.lstrip("\n")
    skipped = len(ghost) - len(body)
    end = body.find("\n")
    return ghost if end < 0 else ghost[: skipped + end + 1]


def _signs(row: Row, values: np.ndarray, scale: Scale) -> str:
    symbols = scale.symbols_for(values)
    known = ~np.isnan(values)
    shown = []
    for item in row.items:
        place = item.place + row.base - row.start
        shown.append((symbols[place] if item.place >= 0 and known[place] else " ") * item.width)
    return "".join(shown)


def _fitting(parts: Sequence[tuple[int, str]], columns: int) -> str:
    """As many of the parts as fit, the first ones, ordered from the left by their places."""
    chosen: list[tuple[int, str]] = []
    for part in parts:
        if sum(text_width(text) + 3 for _, text in [*chosen, part]) - 3 <= columns:
            chosen.append(part)
    return clip(" · ".join(text for _, text in sorted(chosen)), columns)


@lru_cache(maxsize=1024)
def _written(style: Any) -> str:
    """A rich style as prompt_toolkit writes it."""
    parts = []
    for name, colour in (("fg", style.color), ("bg", style.bgcolor)):
        if colour is None:
            continue
        if colour.number is not None and colour.number < 16:
            parts.append(f"{name}:ansi{(_NAMES | _BRIGHT)[colour.number]}")
        else:
            red, green, blue = colour.get_truecolor()
            parts.append(f"{name}:#{red:02x}{green:02x}{blue:02x}")
    return " ".join(parts)


def _percent(probability: float) -> str:
    return "<1%" if probability < 0.005 else f"{100 * probability:.0f}%"
