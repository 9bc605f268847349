"""Figures for papers: drawings of a few shapes, written as SVG or PNG.

They import palette, sanitise, system.files, and of terminal curve, curves, heatmap, numbers and text_width; png imports
matplotlib when it is asked for.
Begin with drawing.py, the shapes; heat_map.py, analyses.py and curves.py draw with them.
"""

from pathlib import Path

from charrnn.display.figures.drawing import Drawing
from charrnn.errors import ConfigError, os_errors_as
from charrnn.system.files import write_durably


def save(drawing: Drawing, path: Path) -> None:
    """Write ``drawing`` durably, in the format that the file name ends in: ``.svg`` or ``.png``.

    Raises:
        ConfigError: the name ends otherwise, matplotlib is missing for PNG, or the file cannot be written.
    """
    from charrnn.display.figures.png import to_png
    from charrnn.display.figures.svg import to_svg

    kind = path.suffix.lower()
    if kind not in (".svg", ".png"):
        raise ConfigError(f"{path}: a picture's name ends in .svg or .png")
    data = to_png(drawing) if kind == ".png" else to_svg(drawing).encode("ascii")
    with os_errors_as(ConfigError, f"{path}: cannot be written"):
        write_durably(path, data)
