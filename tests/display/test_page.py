"""The page of a read text: the contents of the file, and that no text becomes markup."""

import base64
import hashlib
import html
import json
import re

import numpy as np
import pytest
from page_elements import Elements

from charrnn.display.page.page import Looks, Page, eight_bits, eight_bits_of_surprise
from charrnn.inspection.reading import CellReading
from charrnn.network.cells import CELLS

HOSTILE = [
    "<",
    "/",
    "script",
    "</script>",
    "<!--",
    "]]>",
    "\u2028",
    "\u2029",
    "\x00",
    "\ud800",
    "\udc00",
    "\u202e",
    "\x1b",
]


def tracks(symbols=5, characters=50, cells=((0, 1), (1, 2)), signal="c", others=()):
    rng = np.random.default_rng(3)
    signal, *others = map(CELLS["lstm"].signal, (signal, *others))
    return CellReading(
        ids=rng.integers(0, symbols, characters).astype(np.int32),
        signal=signal,
        cells=cells,
        values=rng.uniform(signal.low, 1, (characters, len(cells))).astype(np.float32),
        surprise=np.concatenate([[np.nan], rng.uniform(0, 30, characters - 1)]).astype(np.float32),
        guesses=rng.integers(0, symbols, (characters, 3)).astype(np.int32),
        chances=rng.uniform(0, 1, (characters, 3)).astype(np.float32),
        others={each: rng.uniform(each.low, 1, (characters, len(cells))).astype(np.float32) for each in others},
    )


def block(elements, name, kind):
    return np.frombuffer(base64.b64decode(elements.texts[f"data-{name}"]), kind)


@pytest.mark.parametrize(("signal", "kind", "steps"), [("c", np.int8, 127), ("f", np.uint8, 255)])
def test_the_page_holds_the_data_of_the_tracks(signal, kind, steps):
    given = tracks(signal=signal)
    texts = {"notes": ["0.5"], "names": ["column, ρ +0.90"], "explanation": "what <they> mean"}
    elements = Elements(Page("fables", "a text", list("ab\ncd"), given, offset=7, **texts).html())
    about = json.loads(elements.texts["data-about"])
    assert about["cells"] == [
        {"name": "0:1", "note": "0.5", "tracks": "column, ρ +0.90", "weak": False},
        {"name": "1:2", "note": "", "tracks": "", "weak": False},
    ]
    assert "what <they> mean" in elements.texts["p"]
    assert (about["offset"], about["newline"], about["tab"], about["wide"]) == (7, 2, -1, False)
    assert np.array_equal(block(elements, "ids", np.uint8), given.ids)
    assert np.allclose(block(elements, "cell-1", kind) / steps, given.values[:, 1], atol=0.51 / steps)
    assert np.allclose(block(elements, "chances", np.uint8).reshape(-1, 3) / 255, given.chances, atol=0.51 / 255)
    surprise = block(elements, "surprise", np.uint8)
    assert surprise[0] == 255
    assert np.allclose(surprise[1:] / 16, np.minimum(given.surprise[1:], 254 / 16), atol=0.51 / 16)


def test_the_page_holds_every_signal():
    given = tracks(signal="i", others=("g", "o"))
    elements = Elements(Page("fables", "a text", list("ab\ncd"), given).html())
    signals = json.loads(elements.texts["data-about"])["signals"]
    assert [(each["name"], each["unit"]) for each in signals] == [("i", True), ("g", False), ("o", True)]
    assert signals[1]["meaning"] == "g, the candidate"
    _, candidate, output = (given.values, *given.others.values())
    assert np.allclose(block(elements, "cell-0-1", np.int8) / 127, candidate[:, 0], atol=0.51 / 127)
    assert np.allclose(block(elements, "cell-1-2", np.uint8) / 255, output[:, 1], atol=0.51 / 255)


def test_more_than_256_symbols_take_two_bytes():
    elements = Elements(Page("", "", [chr(k) for k in range(0x400, 0x5F4)], tracks(symbols=500)).html())
    assert json.loads(elements.texts["data-about"])["wide"]
    assert block(elements, "ids", "<u2").max() > 255


def looks(notes=("previous 40 %", ""), far=200):
    """Where two heads look from 50 characters."""
    rng = np.random.default_rng(4)
    weights = rng.uniform(0, 1, (50, 2, 3)).astype(np.float32)
    return Looks(["0:1", "2:0"], list(notes), rng.integers(0, far + 1, (50, 2, 3)), weights)


@pytest.mark.parametrize(("far", "kind"), [(200, np.uint8), (70_000, "<u4")])
def test_the_page_holds_where_heads_look(far, kind):
    given = looks(far=far)
    elements = Elements(Page("fables", "a text", list("abcde"), tracks(), looks=given).html())
    about = json.loads(elements.texts["data-about"])
    assert about["heads"] == [{"name": "0:1", "note": "previous 40 %"}, {"name": "2:0", "note": ""}]
    assert (about["looks"], about["far"]) == (3, far > 255)
    assert np.array_equal(block(elements, "backs-1", kind).reshape(50, 3), given.backs[:, 1])
    assert np.allclose(
        block(elements, "weights-0", np.uint8).reshape(50, 3) / 255, given.weights[:, 0], atol=0.51 / 255
    )


def test_a_page_without_heads_says_so():
    elements = Elements(Page("fables", "a text", list("abcde"), tracks()).html())
    assert json.loads(elements.texts["data-about"])["heads"] == []
    assert "data-backs-0" not in elements.texts


def test_a_page_holds_a_model_only_if_it_is_given():
    from charrnn.commands.live_page import live_model
    from charrnn.config import ModelConfig
    from charrnn.network.network import Network

    network = Network(ModelConfig(5, 4, 1), seed=1, threads=1)
    live = live_model(network.config, network.parameters, 16)
    pages = [Page("fables", "a text", list("abcde"), tracks(), live=each).html() for each in (live, None)]
    with_model, without = map(Elements, pages)
    assert json.loads(with_model.texts["data-about"])["live"]["model"]["hidden"] == 4
    assert json.loads(without.texts["data-about"])["live"] is None
    assert "data-weights" in with_model.texts
    assert "data-weights" not in without.texts
    policies = [re.search(r'Security-Policy" content="([^"]*)"', page)[1] for page in pages]
    assert ["wasm-unsafe-eval" in policy for policy in policies] == [True, False]


def test_eight_bits_keep_the_ends_of_a_scale():
    assert eight_bits(np.array([-1, 0, 1.0]), unit=False).tolist() == [-127, 0, 127]
    assert eight_bits(np.array([0, 1.0]), unit=True).tolist() == [0, 255]
    assert eight_bits_of_surprise(np.array([np.nan, 0, 100.0])).tolist() == [255, 0, 254]


def test_hostile_text_stays_text():
    """With symbols, names and notes that look like markup, the page has the same elements as without them."""
    harmless = {"names": ["word", "word"], "explanation": "words"}
    peaceful = Page(
        "name", "about", list("abcdefghijklm"), tracks(symbols=13), ["note", "note"], looks=looks(), **harmless
    ).html()
    evil = "</title></script><script>alert(1)</script><img src=x onerror=alert(1)>javascript:alert(1)\u202e\x00"
    harmful = {"names": [evil, evil], "explanation": evil}
    hostile = Page(evil, evil, HOSTILE, tracks(symbols=13), [evil, evil], looks=looks([evil, evil]), **harmful).html()
    assert hostile.isascii()
    assert "\x00" not in hostile
    assert "<!--" not in hostile
    assert Elements(hostile).found == Elements(peaceful).found
    about = json.loads(Elements(hostile).texts["data-about"])
    assert about["symbols"][:6] == HOSTILE[:6]
    assert about["symbols"][6:] == ["\ufffd", "\ufffd", "␀", "\ufffd", "\ufffd", "\ufffd", "␛"]


def test_nothing_but_its_own_script_and_style_may_run_or_load():
    page = Page("fables", "", list("abcde"), tracks()).html()
    policy = html.unescape(re.search(r'Security-Policy" content="([^"]*)"', page)[1])
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag, source in (("script", "script-src"), ("style", "style-src")):
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{source} 'sha256-{digest}'" in policy
    assert not re.search(r"https?://|\bsrc=|@import|url\(|\sstyle=|\son[a-z]+=", page)
