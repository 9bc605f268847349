"""The figures of ``inspect saturation``, ``errors`` and ``distance``: they draw the objects that ``--json`` writes."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from charrnn.display.figures.axes import SMALL, Axes
from charrnn.display.figures.drawing import FAINT_INK, INK, Circle, Drawing, Label, Line, Rectangle
from charrnn.display.palette import PAPER_BLUE, PAPER_ORANGE, RGB

_SIDE, _GAP = 170.0, 52.0  # side of a scatter plot, and the gap between two
_BARS, _ROW = 300.0, 19.0  # length of the longest bar, and height of a row
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10)


class GateLike(Protocol):
    """A gate of a cell: its name in the objects, the least possible value (0 or -1), and a title for people."""

    name: str
    low: float
    title: str


def unit_gates(gates: Sequence[GateLike]) -> list[GateLike]:
    """The gates whose values are from 0 to 1."""
    return [gate for gate in gates if gate.low == 0]


def saturation_figure(layers: Sequence[Mapping[str, Any]], gates: Sequence[GateLike]) -> Drawing:
    """A scatter plot of the units for each layer and gate: x is the share of time over 0.9, y the share under 0.1.

    As figure 2 of Karpathy, Johnson & Li (2015). No unit is above the broken line, because x + y is at most 1.
    """
    step, gates = _SIDE + _GAP, unit_gates(gates)
    height = step * len(layers) - _GAP
    sheet = Drawing(40 + step * len(gates), height + 86, "saturation of gates, by layer and unit")
    ends = [(0, "0"), (0.5, "0.5"), (1, "1")]
    for row, layer in enumerate(layers):
        for column, gate in enumerate(gates):
            axes = Axes(62 + column * step, 34 + row * step, _SIDE, _SIDE)
            axes.draw(sheet, f"layer {layer['layer']}, {gate.title}", ends, ends)
            sheet.add(Line([(axes.x(0), axes.y(1)), (axes.x(1), axes.y(0))], FAINT_INK, 0.7, (3, 3)))
            for high, low in zip(layer["high"][gate.name], layer["low"][gate.name], strict=True):
                sheet.add(Circle(axes.x(high), axes.y(low), 2.4, PAPER_BLUE, 0.45))
    middle = 62 + (step * len(gates) - _GAP) / 2
    sheet.add(Label(middle, sheet.height - 10, "share of time over 0.9", 11, INK, "middle"))
    sheet.add(Label(18, 34 + height / 2, "share of time under 0.1", 11, INK, "middle", turned=True))
    return sheet


def errors_figure(report: Mapping[str, Any]) -> Drawing:
    """Two bars for each oracle: its share of all errors, and below it, thinner, its share of all loss."""
    oracles = report["oracles"]
    sheet = Drawing(250 + _BARS + 110, 74 + _ROW * len(oracles) + 16, "errors by what would have fixed them")
    sheet.add(Label(20, 24, f"{report['errors']:,} errors of {report['characters']:,} characters", 12, bold=True))
    sheet.add(Rectangle(250, 38, 18, 9, PAPER_BLUE), Label(274, 46, "of all errors", SMALL, FAINT_INK))
    sheet.add(Rectangle(374, 40, 18, 5, PAPER_ORANGE), Label(398, 46, "of all loss", SMALL, FAINT_INK))
    most = max((max(each["share"], each["loss_share"]) for each in oracles), default=0) or 1
    group = None
    for row, each in enumerate(oracles):
        top = 62 + row * _ROW
        if each["group"] != group:
            sheet.add(Label(20, top + 11, each["group"], 11))
        if each["name"] != each["group"]:
            sheet.add(Label(240, top + 11, each["name"], SMALL, FAINT_INK, "end"))
        length, thin = (_BARS * each[name] / most for name in ("share", "loss_share"))
        sheet.add(Rectangle(250, top + 2, length, 8, PAPER_BLUE), Rectangle(250, top + 11, thin, 3, PAPER_ORANGE))
        sheet.add(Label(256 + max(length, thin), top + 11, f"{100 * each['share']:.1f} %", SMALL, FAINT_INK))
        group = each["group"]
    return sheet


def distance_figure(report: Mapping[str, Any]) -> Drawing:
    """For each kind of sign the losses of the model and of the n-gram by distance, with standard errors."""
    width, height, step = 420.0, 150.0, 218.0
    sheet = Drawing(62 + width + 130, 20 + step * max(len(report["kinds"]), 1), "loss at closing signs, by distance")
    for row, (kind, bins) in enumerate(report["kinds"].items()):
        high = max(each[name] + (each[f"{name}_error"] or 0) for each in bins for name in ("loss", "baseline")) * 1.06
        axes = Axes(62, 34 + row * step, width, height, len(bins), high or 1.0)
        unit = next((unit for unit in _STEPS if high / unit <= 6), _STEPS[-1])
        ticks = [(unit * k, f"{unit * k:g}") for k in range(int(high / unit) + 1)]
        title = "line ends" if kind == "newline" else f"closing {kind[-1]}"
        axes.draw(sheet, title, [(k + 0.5, f"{each['start']:,}") for k, each in enumerate(bins)], ticks)
        for name, ink, words in (
            ("baseline", PAPER_ORANGE, f"{report['order']}-gram"),
            ("loss", PAPER_BLUE, "the model"),
        ):
            _series(sheet, axes, bins, name, ink)
            sheet.add(Circle(axes.left + width + 16, axes.top + (8 if name == "loss" else 26), 4, ink))
            sheet.add(Label(axes.left + width + 26, axes.top + (12 if name == "loss" else 30), words, 11))
        sheet.add(Label(axes.left + width / 2, axes.top + height + 32, "distance in characters", 11, INK, "middle"))
        sheet.add(Label(18, axes.top + height / 2, "nats", 11, INK, "middle", turned=True))
    return sheet


def _series(sheet: Drawing, axes: Axes, bins: Sequence[Mapping[str, Any]], name: str, ink: RGB) -> None:
    points = [(axes.x(k + 0.5), axes.y(each[name])) for k, each in enumerate(bins)]
    sheet.add(Line(points, ink, 1.5))
    for (x, y), each in zip(points, bins, strict=True):
        error = each[f"{name}_error"] or 0.0
        above, below = (axes.y(min(max(each[name] + sign * error, 0), axes.high)) for sign in (1, -1))
        sheet.add(Line([(x, above), (x, below)], ink, 1.2), Circle(x, y, 3.2, ink))
