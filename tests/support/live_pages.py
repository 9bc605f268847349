"""Live pages of networks with random weights, and what tests in a browser do with them."""

import time

import numpy as np

from charrnn.config import ModelConfig
from charrnn.display.live_page.page import LiveModel, LivePage
from charrnn.display.live_page.weights import all_quantised
from charrnn.network.cells import CELLS, cell_of
from charrnn.network.network import Network

# A page opens with the text that it writes in a moment. On any machine this moment lasts until the text is whole.
NO_HURRY = """
const inTime = performance.now.bind(performance);
performance.now = () => (document.documentElement.dataset.ready ? inTime() : 0);
"""
SYMBOLS = [chr(10), " ", *"abcdefghijklmnopqrstuvwxyzABCDEFGH.,;T"]


def page_of(symbols=SYMBOLS, cell="lstm", layers=1, hidden=16, embedding=None, title="A model", attention=None, **more):
    """A page of a network with random weights, whose expectations differ from character to character."""
    config = ModelConfig(len(symbols), hidden, layers, embedding, cell, **attention or {})
    network = Network(config, seed=3, threads=1)
    arrays = {name: value * np.float32(1.2) for name, value in network.parameters.items()}
    sizes = (cell, layers, hidden, embedding or 0, len(symbols))
    model = LiveModel(*sizes, all_quantised(arrays, 16), cell_of(config).signals, **attention or {})
    texts = {"prime": "The ", "facts": ["A fact."]} | more
    page = LivePage(title, "of a test", model, symbols, 0, CELLS["lstm"].signals, **texts)
    return page.html()


def drawn(page):
    """The page after its next two frames."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page


def until(page, expression, seconds=120):
    """Wait until an expression is true. Playwright's function evaluates strings, which the page's policy forbids."""
    stop = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < stop, expression
        page.wait_for_timeout(30)


def written(page):
    return drawn(page).evaluate("element('text').textContent")


def hold(page, cell, place, value):
    """Hold a cell (its name, and its place among all) by moving the slider, which holds it at the next frame."""
    page.fill("#cell", cell)
    page.fill("#held", str(value))
    until(page, f"app.holds.get({place}) === {value}")
    assert drawn(page).is_checked("#hold")


def controls(page):
    """The role and the name of each control and picture, in Chromium's own accessibility tree."""
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    wanted = {"button", "slider", "checkbox", "combobox", "textbox", "img", "link", "region", "Canvas", "image"}
    found = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    return [each for each in found if each[0] in wanted]
