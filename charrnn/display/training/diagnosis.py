"""How a network is learning, as a table and a verdict in plain words. docs/DIAGNOSIS.md tells how to read it."""

import math
from collections.abc import Sequence

from rich.text import Text

from charrnn.display.terminal import text_width
from charrnn.display.terminal.curve import BLUE, ORANGE
from charrnn.display.terminal.tables import table
from charrnn.display.training.area import GREEN
from charrnn.records import Diagnosed

VANISHING_STEPS = 2.0
"""A gradient that halves in fewer steps is vanishing: a thousandth is left after twenty characters."""
EXPLODING_FACTOR = 10.0
"""A gradient that is so many times as large some steps back is exploding."""
LARGE_UPDATE, SMALL_UPDATE = 0.05, 1e-5
"""Parts of a weight matrix: an update beyond the one is large; if all are below the other, they are small."""
STUCK_SHARE = 0.9
"""Gates of which a larger share is closed, or open, are stuck."""

_BARS = "▁▂▃▄▅▆▇█"
_GATES = {"i": "input", "f": "forget", "o": "output"}


def bars(norms: Sequence[float | None]) -> str:
    """A bar for each norm: each height lower is √10 times less. The lowest is for all that is less still."""
    largest = max((norm for norm in norms if norm), default=None)
    return "".join(_bar(norm, largest) for norm in norms)


def _bar(norm: float | None, largest: float | None) -> str:
    if norm is None:
        return "?"
    if not norm:
        return " "
    lower = round(2 * math.log10(largest / norm))
    return _BARS[max(len(_BARS) - 1 - lower, 0)]


def findings(record: Diagnosed) -> list[str]:
    """What is wrong and what to do, a sentence each; nothing if all is well."""
    found = []
    for layer, (norms, half) in enumerate(zip(record.gradient_norms, record.half_lengths, strict=True)):
        first, largest = norms[0], max(norms, key=lambda norm: norm or 0.0)
        if None in norms or (first and largest > EXPLODING_FACTOR * first):
            found.append(f"The gradient of layer {layer} explodes on its way back: lower --lr.")
        elif not largest:
            found.append(f"No gradient reaches layer {layer}.")
        elif half is not None and 0 < half < VANISHING_STEPS:
            found.append(
                f"The gradient of layer {layer} vanishes: it halves every {half:.1f} steps, so little is learnt from "
                f"more than {10 * half:.0f} characters back. In a new run try a lower --lr or a higher --forget-bias."
            )
    name, ratio = _largest_update(record)
    if ratio > LARGE_UPDATE:
        found.append(f"Updates are large ({name} changes by {_percent(ratio)} in one): lower --lr.")
    elif ratio < SMALL_UPDATE:
        found.append(f"Updates are small (no weights change by more than {_percent(ratio)} in one): raise --lr.")
    for layer, shares in enumerate(record.gates):
        for gate, label in _GATES.items():
            for share, state in zip(shares[gate], ("closed", "open"), strict=True):
                if share > STUCK_SHARE:
                    found.append(f"The {label} gates of layer {layer} are stuck: {100 * share:.0f} % {state}.")
    return found


def summary(record: Diagnosed) -> str:
    """The same numbers in a sentence when nothing is wrong with them."""
    halves = [(half, layer) for layer, half in enumerate(record.half_lengths) if half is not None and half > 0]
    extremes = sorted({min(halves), max(halves)}) if halves else []
    said = " and ".join(f"that of layer {layer} every {half:.1f} steps" for half, layer in extremes)
    gradient = f"on its way back the gradient halves, {said}" if said else "the gradient does not fade on its way back"
    name, ratio = _largest_update(record)
    return f"All is well: {gradient}; the largest update is {_percent(ratio)} of its weights ({name})."


def lines(record: Diagnosed, width: int) -> list[Text]:
    """The table of the layers, the updates' sizes and the verdict, in lines of ``width`` cells."""
    shown = _table(record, width - 1)
    updates = "  ".join(f"{name} {_ratio(ratio)}" for name, ratio in record.update_ratios.items())
    shown += [Text(line, style="dim") for line in text_width.wrap(f"update / weight  {updates}", width - 1)]
    troubles = findings(record)
    for sentence in troubles or [summary(record)]:
        first, *others = text_width.wrap(sentence, width - 3)
        shown.append(Text.assemble(("! " if troubles else "✓ ", ORANGE if troubles else GREEN), first))
        shown += [Text("  " + other) for other in others]
    return [Text(" ").append_text(line) for line in shown]


def _table(record: Diagnosed, width: int) -> list[Text]:
    """A row for each layer; the last columns are left out where there is no room for them."""
    columns = ["layer", f"gradient 0 to {record.steps_back[-1]} back", "halves in"]
    columns += [*(f"{gate} <.1|>.9" for gate in _GATES), "|g|>.9", "|tanh c|>.9"]
    rows = []
    for layer, (norms, half) in enumerate(zip(record.gradient_norms, record.half_lengths, strict=True)):
        shares = record.gates[layer]
        gradient = Text.assemble((bars(norms), BLUE), f" {_norm(norms[0])} to {_norm(norms[-1])}")
        gates = ["|".join(f"{100 * share:3.0f}" for share in shares[gate]) + " %" for gate in _GATES]
        gates += [f"{100 * shares[name]:3.0f} %" for name in ("g", "tanh_c")]
        rows.append([str(layer), gradient, _half(half), *gates])
    while True:
        made = table(columns, rows)
        if text_width.text_width(made[1].plain) <= width or len(columns) == 1:
            return made
        columns, rows = columns[:-1], [row[:-1] for row in rows]


def _largest_update(record: Diagnosed) -> tuple[str, float]:
    """The weight matrix that changes most; biases, which may begin at zero, do not count."""
    ratios = {name: ratio for name, ratio in record.update_ratios.items() if ratio is not None and name[:2] != "b_"}
    return max(ratios.items(), key=lambda item: item[1], default=("nothing", 0.0))


def _half(half: float | None) -> str:
    if half is None:
        return "–"
    return f"{half:.1f} steps" if half > 0 else "grows"


def _norm(norm: float | None) -> str:
    return "inf" if norm is None else f"{norm:.2g}"


def _ratio(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.1e}"


def _percent(part: float) -> str:
    return f"{100 * part:.2g} %"
