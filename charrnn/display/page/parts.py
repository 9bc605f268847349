"""What every page of HTML is made of: hashes for its policy, JSON that holds no markup, the colours of values."""

import base64
import hashlib
import json
from importlib import resources

from charrnn.display.figures.svg import colour
from charrnn.display.palette import diverging, foreground, sequential

STEPS = 33  # colours of each scale


def file_text(package: str, name: str) -> str:
    """The text of a file beside the modules of ``package``."""
    return resources.files(package).joinpath(name).read_text("utf-8")


def content_hash(text: str) -> str:
    """The source of a script or a style for a content security policy, without quotation marks."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def json_text(value: object) -> str:
    """JSON in ASCII without the characters that begin markup."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def data_block(name: str, kind: str, text: str) -> str:
    """Data in a script element of a type that browsers do not run; its id is ``data-`` and the name."""
    return f'<script type="{kind}" id="data-{name}">{text}</script>'


def value_colours() -> str:
    """A CSS class and a variable for every step of the diverging (d) and the sequential scale (s), in both themes."""
    return "".join(
        f'[data-theme="{theme}"]{{--{letter}{step}:{colour(rgb)}}}\n'
        f'[data-theme="{theme}"] .{letter}{step}{{background:{colour(rgb)};color:{colour(foreground(rgb))}}}\n'
        for theme in ("light", "dark")
        for letter, scale, steps in (("d", diverging, STEPS // 2 + 1), ("s", sequential, STEPS))
        for step, rgb in enumerate(scale(steps, theme == "dark"))
    )
