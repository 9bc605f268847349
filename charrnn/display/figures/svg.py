"""Drawings as SVG 1.1: text stays text, and the file loads no other file."""

from xml.sax.saxutils import escape, quoteattr

from charrnn.display.figures.drawing import Circle, Drawing, Label, Line, Rectangle, Shape
from charrnn.display.palette import RGB
from charrnn.sanitise import visible

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


def _shape(shape: Shape) -> str:
    match shape:
        case Rectangle(x, y, width, height, fill):
            return element("rect", x=x, y=y, width=width, height=height, fill=colour(fill))
        case Circle(x, y, radius, fill, opacity):
            opacity = None if opacity == 1 else opacity
            return element("circle", cx=x, cy=y, r=radius, fill=colour(fill), fill_opacity=opacity)
        case Line(points, stroke, width, dashes):
            return element(
                "polyline",
                points=" ".join(f"{number(x)},{number(y)}" for x, y in points),
                fill="none",
                stroke=colour(stroke),
                stroke_width=width,
                stroke_dasharray=" ".join(map(number, dashes)) or None,
                stroke_linejoin="round",
            )
        case Label():
            return _label(shape)


def _label(label: Label) -> str:
    # A viewer would drop line feeds, and XML does not allow other controls.
    text = visible(label.text, "")
    places = range(len(text)) if label.grid else (0,)
    return element(
        "text",
        text,
        x=" ".join(number(label.x + (label.grid or 0) * place) for place in places),
        y=label.y,
        font_size=label.size,
        fill=colour(label.fill),
        text_anchor=None if label.anchor == "start" else label.anchor,
        font_weight="bold" if label.bold else None,
        transform=f"rotate(-90 {number(label.x)} {number(label.y)})" if label.turned else None,
        style="white-space:pre",
    )
