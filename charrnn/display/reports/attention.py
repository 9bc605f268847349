"""Where the heads of a Transformer look: a table of all heads, a map of one head, and one character's view.

The table lays out the objects that ``inspect attention --json`` writes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.text import Text

from charrnn.display.reports.names import explained, p_words
from charrnn.display.reports.stacked import stacked_rows
from charrnn.display.terminal import numbers
from charrnn.display.terminal.colours import Depth, Look
from charrnn.display.terminal.heatmap import coloured, legend
from charrnn.display.terminal.tables import copyable, paragraph, table
from charrnn.display.terminal.text_width import Cluster, clusters, glyph, pad, plain
from charrnn.inspection.attention import LEAST
from charrnn.inspection.search import SIGNIFICANT

MOST_WEIGHT = 0.5  # this weight, and any above it, has the strongest colour
WEIGHT = (
    "weight: the mean part of its attention that a head gives to this character; expected: what it gives to the same "
    "distances anywhere, or, if the pattern is a distance, what every distance would have alike."
)
LOOKS_AT = "Beside a head stands the pattern of attention that it follows most, and the mean weight that this gets."
_NEAREST = 16  # distances in the table's strip
_EARLIER = "«"
_LABEL = 3  # terminal columns left of a map's cells, for characters of one column or two
_NAMED = 3  # characters of each head in the table of one character's view


def share(weight: float) -> str:
    """A weight from 0 to 1 in percent; a dash if it is not known."""
    return "–" if np.isnan(weight) else f"{100 * weight:.0f} %"


def looks_at(record: Mapping[str, Any]) -> str:
    """What a head looks at in words, as in "previous 62 %"; "–" if no pattern is known."""
    name = record["looks_at"]
    return "–" if name is None else f"{name} {share(record['patterns'][name]['weight'])}"


def head_lines(records: Sequence[Mapping[str, Any]], look: Look, summaries: Mapping[str, str]) -> list[Text]:
    """A line for each head, from its JSON record; ``summaries`` say what the patterns are, by name."""
    width, first = look.width, records[0]
    shown = min(len(first["by_distance"]), _NEAREST)
    rows = []
    for record in records:
        name = record["looks_at"]
        found = {"weight": np.nan, "expected": np.nan} if name is None else record["patterns"][name]
        strip = _strip(np.array(record["by_distance"][:shown]), look)
        numbers_of_head = f"{record['distance']:.1f}", f"{record['entropy']:.1f}"
        means = share(found["weight"]), share(found["expected"])
        rows.append((f"{record['layer']}:{record['head']}", name or "–", *means, *numbers_of_head, strip))
    columns = ("head", "looks at", "weight", "expected", "back", "bits", f"0 to {shown - 1} back")
    named = {record["looks_at"]: None for record in records if record["looks_at"] is not None}
    patterns = [f"{name}: {summaries[name]}." for name in named]
    title = f"{numbers.characters(first['characters'])}, {len(records)} heads that look at {len(first['by_distance'])}"
    meaning = (
        WEIGHT,
        f"–: no pattern has {share(LEAST)} of the weight that is not expected.",
        "back: how many characters back it looks on average; bits: the entropy of its weights, 0 if it always looks "
        "at one character.",
    )
    return [
        *paragraph(title, width, "dim"),
        *table(columns, rows, width),
        Text(),
        weight_legend(look),
        *(line for sentence in (*patterns, *meaning) for line in paragraph(sentence, width, "dim")),
    ]


def weight_legend(look: Look) -> Text:
    """The scale of weights."""
    return legend(look, "0", f"{MOST_WEIGHT:g} or more")


def _strip(weights: np.ndarray, look: Look) -> Text:
    """A column for each weight."""
    if look.depth == Depth.NONE:
        return Text(look.scale.symbols_for(weights / MOST_WEIGHT))
    return coloured([" "] * len(weights), look.styles(weights / MOST_WEIGHT))


def map_room(text: str, width: int) -> int:
    """How many characters of ``text`` have room for a column each in a map ``width`` columns wide, at least one."""
    used, stop = _LABEL + 1, 0
    for cluster in clusters(text):
        used += cluster.width
        if used > width and stop:
            break
        stop = cluster.stop
    return max(stop, 1)


def map_lines(text: str, weights: np.ndarray, look: Look) -> list[Text]:
    """A map of one head: a row for each character, and in it a column for each character that it looks at.

    ``weights`` (n, 1 + n) belong to the n characters of ``text``; column 0 is what lies before the text.
    """
    places = clusters(text)
    starts = [0, *(1 + cluster.start for cluster in places)]
    head = Text.assemble(" " * _LABEL, (_EARLIER, "dim"), ("".join(_lone(each) for each in places), "bold"))
    lines = [head]
    for row, cluster in enumerate(places):
        # The last character of a cluster has looked at all of it.
        summed = np.add.reduceat(weights[cluster.stop - 1], starts) / MOST_WEIGHT
        widths = [1, *(each.width for each in places)]
        label = (pad(_lone(cluster), _LABEL), "bold")
        count = row + 2  # earlier text, and the characters up to this one
        if look.depth == Depth.NONE:
            symbols = look.scale.symbols_for(summed[:count])
            cells = Text("".join(sign * size for sign, size in zip(symbols, widths, strict=False)).rstrip())
        else:
            cells = coloured([" " * size for size in widths[:count]], look.styles(summed[:count]))
        lines.append(Text.assemble(label, cells))
    return lines


def _lone(cluster: Cluster) -> str:
    """A cluster in a map, where a space is seen between others."""
    return "␣" if cluster.glyph == " " else cluster.glyph


def view_lines(text: str, names: Sequence[str], weights: np.ndarray, look: Look) -> list[Text]:
    """What heads look at from the last character of ``text`` (n characters); ``weights`` (n, K) are those of K heads.

    A row for each head under the text, then a table of the characters with the largest weights.
    """
    lines = [line for block in stacked_rows(text, names, weights / MOST_WEIGHT, look) for line in (*block, Text())]
    rows = []
    for name, column in zip(names, weights.T, strict=True):
        best = np.argsort(-column, kind="stable")[:_NAMED]
        rows.append((name, ", ".join(_seen(text, int(place), float(column[place])) for place in best)))
    return [*lines, *table(("head", "looks at"), rows, look.width)]


def _seen(text: str, place: int, weight: float) -> str:
    back = len(text) - 1 - place
    return f"{glyph(text[place], '␣')} {f'{back} back' if back else 'itself'} {share(weight)}"


def all_pattern_lines(records: Sequence[Mapping[str, Any]], width: int, closer: Sequence[str]) -> list[Text]:
    """A table of the best head for each pattern, from JSON records; its p accounts for all heads and all patterns."""
    first, rows = records[0], []
    for record in records:
        best = record["heads"][0]
        row = (record["pattern"], *_found(best, best["p_of_all"]), numbers.count(record["places"]), record["summary"])
        rows.append([Text(plain(value), style=_style(best["p_of_all"])) for value in row])
    title = (
        f"{numbers.characters(first['characters'])}, {first['heads_tried']} heads; "
        f"p of {first['permutations']} permutations, for all heads and patterns"
    )
    columns = ("pattern", "best head", "weight", "expected", "p", "places", "")
    ps = [record["heads"][0]["p_of_all"] for record in records]
    return [
        *paragraph(title, width, "dim"),
        *table(columns, rows, width),
        Text(),
        *_explained(records, ps, width),
        *copyable("Look closer at one of them:", closer, width),
    ]


def pattern_lines(record: Mapping[str, Any], width: int, closer: Sequence[str]) -> list[Text]:
    """All heads that a JSON record has for one pattern; their p accounts for all heads."""
    title = (
        f"{numbers.count(record['places'])} of {numbers.characters(record['characters'])} have it; "
        f"p of {record['permutations']} permutations, for all {record['heads_tried']} heads"
    )
    rows = [[Text(value, style=_style(head["p"])) for value in _found(head, head["p"])] for head in record["heads"]]
    is_sure = record["block"] is not None and record["heads"][0]["p"] <= SIGNIFICANT
    return [
        *paragraph(f"{record['pattern']}: {record['summary']}", width, "bold"),
        *paragraph(title, width, "dim"),
        *table(("head", "weight", "expected", "p"), rows, width),
        Text(),
        *_explained([record], [head["p"] for head in record["heads"]], width),
        *(copyable("Look closer, and prove it:", closer, width) if is_sure else []),
    ]


def _found(head: Mapping[str, Any], p: float) -> tuple[str, str, str, str]:
    """A head, its weight, the expected weight, and p."""
    means = f"{100 * head['weight']:.1f} %", f"{100 * head['expected']:.1f} %"
    return f"{head['layer']}:{head['head']}", *means, p_words(p)


def _style(p: float) -> str:
    return "" if p <= SIGNIFICANT else "dim"


def _explained(records: Sequence[Mapping[str, Any]], ps: Sequence[float], width: int) -> list[Text]:
    reasons = [f"No p for {each['pattern']}: {each['why_no_p']}." for each in records if each["block"] is None]
    meaning = (WEIGHT, *explained(map(p_words, ps)))
    lines = [line for reason in reasons for line in paragraph(reason, width)]
    return [*lines, *(line for sentence in meaning for line in paragraph(sentence, width, "dim"))]
