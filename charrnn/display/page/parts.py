"""What every page of HTML is made of: hashes for its policy, JSON that holds no markup, the colours of values."""

import base64
import hashlib
import html
import json
from importlib import resources
from string import Template

from charrnn.display.figures.svg import colour
from charrnn.display.palette import diverging, foreground, sequential
from charrnn.sanitise import visible

STEPS = 33  # colours of each scale


def file_text(package: str, name: str) -> str:
    """The text of a file beside the modules of ``package``."""
    return resources.files(package).joinpath(name).read_text("utf-8")


def content_hash(text: str) -> str:
    """The source of a script or a style for a content security policy, without quotation marks."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def escaped(text: str) -> str:
    """Text as it stands in markup: what is invisible is shown."""
    return html.escape(visible(text, ""))


def document(
    template: str, title: str, subtitle: str, style: str, script: str, data: str, *, has_engine: bool, **more: str
) -> str:
    """The text of a page, in ASCII, which may run its own script and no other.

    Args:
        template: HTML with a place for each of the others, and for the ``policy``.
        title, subtitle: texts.
        style, script: of the page.
        data: script elements from :func:`json_block` and :func:`bytes_block`.
        has_engine: whether the script compiles WebAssembly.
        more: markup for further places of the template.
    """
    wasm = " 'wasm-unsafe-eval'" if has_engine else ""
    policy = (
        f"default-src 'none'; script-src '{content_hash(script)}'{wasm}; style-src '{content_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    texts = {"title": escaped(title), "subtitle": escaped(subtitle)}
    page = Template(template).substitute(texts, policy=policy, style=style, script=script, data=data, **more)
    return page.encode("ascii", "xmlcharrefreplace").decode()


def json_block(name: str, value: object) -> str:
    """A value as JSON, in ASCII and without the characters that begin markup, in an element as :func:`bytes_block`."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return _block(name, "json", text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def bytes_block(name: str, data: bytes) -> str:
    """Bytes in base64 in a script element of a type that browsers do not run; its id is ``data-`` and the name."""
    return _block(name, "base64", base64.b64encode(data).decode())


def _block(name: str, kind: str, text: str) -> str:
    return f'<script type="application/{kind}" id="data-{name}">{text}</script>'


def value_colours() -> str:
    """A CSS class and a variable for every step of the diverging (d) and the sequential scale (s), in both themes."""
    return "".join(
        f'[data-theme="{theme}"]{{--{letter}{step}:{colour(rgb)}}}\n'
        f'[data-theme="{theme}"] .{letter}{step}{{background:{colour(rgb)};color:{colour(foreground(rgb))}}}\n'
        for theme in ("light", "dark")
        for letter, scale, steps in (("d", diverging, STEPS // 2 + 1), ("s", sequential, STEPS))
        for step, rgb in enumerate(scale(steps, theme == "dark"))
    )
