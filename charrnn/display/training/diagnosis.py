"""How a network is learning, as a table and a verdict in plain words. docs/DIAGNOSIS.md explains how to read it."""

import math
from collections.abc import Sequence

from rich.text import Text

from charrnn.display.terminal.colours import BLUE, GREEN, ORANGE
from charrnn.display.terminal.tables import hanging, table
from charrnn.display.terminal.text_width import wrap
from charrnn.records import Diagnosed

VANISHING_STEPS = 2.0
"""A gradient that halves in fewer steps is vanishing: a thousandth remains after twenty characters."""
EXPLODING_FACTOR = 10.0
"""A gradient is exploding if it is larger, some steps back, than the first one by more than this factor."""
LARGE_UPDATE, SMALL_UPDATE = 0.05, 1e-5
"""Sizes of an update relative to the weights: above the first it is large; small if all are below the second."""
STUCK_SHARE = 0.9
"""Gates are stuck if a larger share of them is closed, or open."""

_BARS = "▁▂▃▄▅▆▇█"


def bars(norms: Sequence[float | None]) -> str:
    """A bar for each norm: each height lower means √10 times less, and the lowest bar also stands for all below it."""
    largest = max((norm for norm in norms if norm), default=None)
    return "".join(_bar(norm, largest) for norm in norms)


def _bar(norm: float | None, largest: float | None) -> str:
    if norm is None:
        return "?"
    if not norm:
        return " "
    lower = round(2 * math.log10(largest / norm))
    return _BARS[max(len(_BARS) - 1 - lower, 0)]


def problems(record: Diagnosed) -> list[str]:
    """Each problem and its remedy in a sentence; an empty list if all is well."""
    found = []
    or_bias = " or a higher --forget-bias" if "forget gate" in record.titles.values() else ""
    for layer, (norms, half) in enumerate(zip(record.gradient_norms, record.half_lengths, strict=True)):
        first, largest = norms[0], max(norms, key=lambda norm: norm or 0.0)
        if None in norms or (first and largest > EXPLODING_FACTOR * first):
            found.append(f"The gradient of layer {layer} explodes on its way back: lower --lr.")
        elif not largest:
            found.append(f"No gradient reaches layer {layer}.")
        elif half is not None and 0 < half < VANISHING_STEPS:
            found.append(
                f"The gradient of layer {layer} vanishes: it halves every {half:.1f} steps, so little is learnt from "
                f"more than {10 * half:.0f} characters back. In a new run try a lower --lr{or_bias}."
            )
    name, ratio = _largest_update(record)
    if ratio > LARGE_UPDATE:
        found.append(f"Updates are large ({name} changes by {_percent(ratio)} in one): lower --lr.")
    elif ratio < SMALL_UPDATE:
        found.append(f"Updates are small (no weights change by more than {_percent(ratio)} in one): raise --lr.")
    for layer, shares in enumerate(record.gates):
        for gate in _unit_gates(record):
            for share, state in zip(shares[gate], ("closed", "open"), strict=True):
                if share > STUCK_SHARE:
                    found.append(f"The {record.titles[gate]}s of layer {layer} are stuck: {100 * share:.0f} % {state}.")
    return found


def summary(record: Diagnosed) -> str:
    """The numbers in a sentence, for a record without problems."""
    halves = [(half, layer) for layer, half in enumerate(record.half_lengths) if half is not None and half > 0]
    extremes = sorted({min(halves), max(halves)}) if halves else []
    said = " and ".join(f"that of layer {layer} every {half:.1f} steps" for half, layer in extremes)
    gradient = f"on its way back the gradient halves, {said}" if said else "the gradient does not fade on its way back"
    name, ratio = _largest_update(record)
    return f"All is well: {gradient}; the largest update is {_percent(ratio)} of its weights ({name})."


def diagnosis_lines(record: Diagnosed, width: int) -> list[Text]:
    """The table of the layers, the sizes of the updates and the verdict, in lines of ``width`` terminal columns."""
    shown = _table(record, width - 1)
    ratios = {name: "–" if ratio is None else f"{ratio:.1e}" for name, ratio in record.update_ratios.items()}
    updates = "  ".join(f"{name} {ratio}" for name, ratio in ratios.items())
    shown += [Text(line, style="dim") for line in wrap(f"update / weight  {updates}", width - 1)]
    found = problems(record)
    mark, style = ("! ", ORANGE) if found else ("✓ ", GREEN)
    for sentence in found or [summary(record)]:
        shown += hanging(mark, wrap(sentence, width - 3), style)
    return [Text(" ").append_text(line) for line in shown]


def _table(record: Diagnosed, width: int) -> list[Text]:
    """A row for each layer."""
    columns = ["layer", f"gradient 0 to {record.steps_back[-1]} back", "halves in"]
    unit = _unit_gates(record)
    signed = [gate for gate in record.gates[0] if gate not in unit]
    columns += [f"{gate} <.1|>.9" for gate in unit] + [f"|{gate.replace('_', ' ')}|>.9" for gate in signed]
    rows = []
    for layer, (norms, half) in enumerate(zip(record.gradient_norms, record.half_lengths, strict=True)):
        shares = record.gates[layer]
        gradient = Text.assemble((bars(norms), BLUE), f" {_norm(norms[0])} to {_norm(norms[-1])}")
        gates = ["|".join(f"{100 * share:3.0f}" for share in shares[gate]) + " %" for gate in unit]
        gates += [f"{100 * shares[name]:3.0f} %" for name in signed]
        rows.append([str(layer), gradient, _half(half), *gates])
    return table(columns, rows, width)


def _unit_gates(record: Diagnosed) -> list[str]:
    """The gates with values from 0 to 1: they have a share below 0.1 and one above 0.9, the others a single share."""
    return [gate for gate, shares in record.gates[0].items() if isinstance(shares, Sequence)]


def _largest_update(record: Diagnosed) -> tuple[str, float]:
    """The weight matrix with the largest relative update. Biases do not count, because they may begin at zero."""
    ratios = {name: ratio for name, ratio in record.update_ratios.items() if ratio is not None and name[:2] != "b_"}
    return max(ratios.items(), key=lambda item: item[1], default=("nothing", 0.0))


def _half(half: float | None) -> str:
    if half is None:
        return "–"
    return f"{half:.1f} steps" if half > 0 else "grows"


def _norm(norm: float | None) -> str:
    return "inf" if norm is None else f"{norm:.2g}"


def _percent(part: float) -> str:
    return f"{100 * part:.2g} %"
