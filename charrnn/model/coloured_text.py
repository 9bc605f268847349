"""A text whose characters are coloured by numbers, as HTML for a notebook.

Colours are orange and blue of some opacity over whatever ground the notebook has, and letters keep the notebook's own
colour: so a text can be read on a light and on a dark ground, and no style sheet or script is needed.
"""

import html
import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn.sanitise import visible

LONGEST = 4000  # characters that are shown
ORANGE, BLUE = "#f27600", "#4698ff"
STEPS = 8  # of opacity, for each colour
OPACITY = 0.5  # of the strongest colour: letters of any usual notebook keep a contrast of 4.5

# MathJax, which notebooks run over their output, leaves these classes alone, and pre: a text may have dollar signs.
_BEGIN = '<div class="charrnn tex2jax_ignore mathjax_ignore" style="max-width:100ch;unicode-bidi:isolate">'
_TITLE = '<div style="font-size:.9em;opacity:.75">'
_TEXT = (
    '<pre style="margin:.4em 0;padding:0;background:none;border:0;color:inherit;line-height:1.6;max-height:32em;'
    'overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate">'
)


@dataclass(frozen=True, eq=False, repr=False)
class ColouredText:
    """A text of N characters, coloured by ``values`` (N,): blue for -1, orange for +1, no colour for 0 and NaN.

    ``title`` says what the colours mean, ``low`` and ``high`` what blue and orange stand for; without ``low`` no value
    is negative. A notebook shows the first ``LONGEST`` characters, and says how many are left out.
    """

    text: str
    values: npt.NDArray[np.float32] | npt.NDArray[np.float64]
    title: str
    low: str | None
    high: str

    def __repr__(self) -> str:
        return f"<ColouredText of {len(self.text):,} characters: {visible(self.title, '')}>"

    def _repr_html_(self) -> str:
        """HTML in ASCII, in which no character of the text is markup."""
        text, levels = visible(self.text[:LONGEST]), _levels(self.values[:LONGEST])
        spans = [
            _span("".join(text[place] for place, _ in run), level)
            for level, run in itertools.groupby(enumerate(levels), key=lambda pair: pair[1])
        ]
        legend = [_span(f" {self.low} ", -STEPS)] if self.low is not None else []
        title = " ".join([html.escape(visible(self.title, "")), *legend, _span(f" {self.high} ", STEPS)])
        parts = [_BEGIN, _TITLE, title, "</div>", _TEXT, *spans, "</pre>"]
        if len(self.text) > LONGEST:
            parts += [_TITLE, f"{len(self.text) - LONGEST:,} more characters are not shown", "</div>"]
        return "".join([*parts, "</div>"]).encode("ascii", "xmlcharrefreplace").decode()


def _levels(values: npt.NDArray[np.float32] | npt.NDArray[np.float64]) -> list[int]:
    """The step of opacity of every value, negative for blue."""
    levels: list[int] = np.rint(np.clip(np.nan_to_num(values), -1, 1) * STEPS).astype(int).tolist()
    return levels


def _span(text: str, level: int) -> str:
    escaped = html.escape(text).replace("\n", '<span style="opacity:.4">\u21b5</span>\n')
    if not level:
        return escaped
    alpha = round(255 * OPACITY * abs(level) / STEPS)
    return f'<span style="background:{ORANGE if level > 0 else BLUE}{alpha:02x}">{escaped}</span>'
