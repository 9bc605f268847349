"""Lines with their scores, each character on the colour of its surprise."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from rich.text import Text

from charrnn.display.terminal.colours import SEQUENTIAL, Look
from charrnn.display.terminal.heatmap import LEAST, heat_text
from charrnn.display.terminal.text_width import pad, text_width
from charrnn.sanitise import visible

MOST_BITS = 8.0  # of surprise: the strongest colour
LONGEST = 2000  # characters of a line that a terminal shows: those around the least expected one
_DASH = "–"
_VAGUE = 0.5  # the standard error, as a share, from which on an estimate of guesses is shown as a lower bound


def heading(record: Mapping[str, Any], names: bool) -> Text:
    """The names of the columns of ``record``, as :func:`columns` aligns them."""
    words = f"{'words':>6} " if "words" in record else ""
    guesses = f"{'guesses':>9} " if "guesses_log2" in record else ""
    line = f"{'bits':>8} {'/char.':>7} {'peak':>5} {words}{'z':>7} {guesses}{'place' if names else 'line':>6}"
    return Text(line, style="bold")


def columns(record: Mapping[str, Any], place: str) -> str:
    """The numbers of a line, aligned: its bits, bits per character, peak, words if asked for, z, guesses, and place.

    An estimate of guesses with a large standard error is shown as ``>1.0e30``: hardly any drawn line was less likely.
    ``record`` is the object that ``score --json`` writes.
    """
    z = record["z"]
    shown = _DASH if z is None else f"{z:+.1f}" if abs(z) < 99_999.95 else f"{z:+.0e}"
    guesses = ""
    if "guesses_log2" in record:
        is_bound = (record["guesses_error"] or 0.0) > _VAGUE
        guesses = f"{'>' * is_bound + _guesses(record['guesses_log2']):>9} "
    words = f"{record['words']:>6.2f} " if "words" in record else ""
    bits = f"{record['bits']:>8.1f} {record['bits_per_character']:>7.3f} {record['peak']:>5.1f}"
    return f"{bits} {words}{shown:>7} {guesses}{place:>6}"


def _guesses(log2: float | None) -> str:
    """A guess number to two digits; an infinite one is None."""
    if log2 is None:
        return "∞"
    if log2 < 10:
        return f"{2 ** max(log2, -99):.0f}"
    exponent = int(np.floor(log2 * np.log10(2)))
    digits = f"{10 ** (log2 * np.log10(2) - exponent):.1f}"
    if digits == "10.0":
        digits, exponent = "1.0", exponent + 1
    return f"{digits}e{exponent}"


def coloured_line(numbers: str, text: str, bits: Sequence[float] | np.ndarray, look: Look) -> list[Text]:
    """A line of text in rows of the terminal, behind its ``numbers``; beneath them where the terminal is narrow.

    ``bits`` (N,) are the surprise of the characters of ``text`` (N,).  Of a long line the characters around the largest
    surprise are shown.  Without colours a row of symbols follows each row.
    """
    bits = np.asarray(bits, np.float64)
    before = after = ""
    if len(text) > LONGEST:
        first = min(max(int(bits.argmax()) - LONGEST // 2, 0), len(text) - LONGEST)
        before = f"… {first:,} characters … " if first else ""
        rest = len(text) - first - LONGEST
        after = f" … {rest:,} characters …" if rest else ""
        text, bits = text[first : first + LONGEST], bits[first : first + LONGEST]
    numbers = visible(numbers, "")
    margin = text_width(numbers) + 2
    beside = look.width - margin >= LEAST
    indent = margin if beside else 2
    room = max(look.width - indent, LEAST)
    rows = heat_text(before + text + after, _around(bits, before, after), replace(look, width=room, scale=SEQUENTIAL))
    if not beside:
        return [Text(numbers, style="dim"), *(Text.assemble(" " * indent, row) for row in rows)]
    first_row = rows[0] if rows else Text()
    return [
        Text.assemble((pad(numbers, margin), "dim"), first_row),
        *(Text.assemble(" " * margin, row) for row in rows[1:]),
    ]


def _around(bits: np.ndarray, before: str, after: str) -> np.ndarray:
    return np.concatenate([np.zeros(len(before)), bits / MOST_BITS, np.zeros(len(after))])
