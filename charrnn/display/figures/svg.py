"""Drawings as SVG 1.1: text stays text, and the file loads no other file."""

from functools import singledispatch
from xml.sax.saxutils import escape, quoteattr

from charrnn.display.figures.drawing import Circle, Drawing, Label, Line, Rectangle
from charrnn.display.palette import RGB
from charrnn.display.sanitise import visible

FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


def to_svg(drawing: Drawing) -> str:
    """The text of the file, in ASCII; other characters become character references."""
    width, height = number(drawing.width), number(drawing.height)
    sheet = Rectangle(0, 0, drawing.width, drawing.height, drawing.background)
    head = element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        width=width,
        height=height,
        viewBox=f"0 0 {width} {height}",
        font_family=FONTS,
        role="img",
        aria_label=visible(drawing.title, ""),
    )
    parts = [head.replace("/>", ">"), *map(_shape, (sheet, *drawing.shapes)), "</svg>\n"]
    return "\n".join(parts).encode("ascii", "xmlcharrefreplace").decode()


def element(name: str, text: str | None = None, **attributes: str | float | None) -> str:
    """One element, with text and attributes escaped. ``_`` in a name means ``-``; an attribute of None is left out."""
    pairs = {key.replace("_", "-"): value for key, value in attributes.items() if value is not None}
    inside = "".join(
        f" {key}={quoteattr(value if isinstance(value, str) else number(value))}" for key, value in pairs.items()
    )
    return f"<{name}{inside}/>" if text is None else f"<{name}{inside}>{escape(text)}</{name}>"


def number(value: float) -> str:
    """A number with at most two decimals, which is finer than the eye sees."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def colour(rgb: RGB) -> str:
    """A colour as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*rgb)


@singledispatch
def _shape(shape) -> str:
    raise TypeError(f"{type(shape).__name__} is not a shape")


@_shape.register
def _(shape: Rectangle) -> str:
    return element("rect", x=shape.x, y=shape.y, width=shape.width, height=shape.height, fill=colour(shape.fill))


@_shape.register
def _(shape: Circle) -> str:
    opacity = None if shape.opacity == 1 else shape.opacity
    return element("circle", cx=shape.x, cy=shape.y, r=shape.radius, fill=colour(shape.fill), fill_opacity=opacity)


@_shape.register
def _(shape: Line) -> str:
    points = " ".join(f"{number(x)},{number(y)}" for x, y in shape.points)
    return element(
        "polyline",
        points=points,
        fill="none",
        stroke=colour(shape.stroke),
        stroke_width=shape.width,
        stroke_dasharray=" ".join(map(number, shape.dashes)) or None,
        stroke_linejoin="round",
    )


@_shape.register
def _(shape: Label) -> str:
    # A viewer would drop line feeds, and XML does not allow other controls.
    text = visible(shape.text, "")
    if shape.grid:
        x: str = " ".join(number(shape.x + shape.grid * place) for place in range(len(text)))
    else:
        x = number(shape.x)
    return element(
        "text",
        text,
        x=x,
        y=shape.y,
        font_size=shape.size,
        fill=colour(shape.fill),
        text_anchor=None if shape.anchor == "start" else shape.anchor,
        font_weight="bold" if shape.bold else None,
        transform=f"rotate(-90 {number(shape.x)} {number(shape.y)})" if shape.turned else None,
        style="white-space:pre",
    )
