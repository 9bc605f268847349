"""The live page: the contents of the file, and that no text becomes markup."""

import base64
import hashlib
import html
import json
import re

import numpy as np
import pytest
from page_elements import Elements

from charrnn.commands.live_page import live_model
from charrnn.config import ModelConfig
from charrnn.display.live_page.page import SCRIPTS, LiveModel, LivePage
from charrnn.errors import ConfigError
from charrnn.network.cell import Signal
from charrnn.network.network import Network

HOSTILE = ["<", "/", "&", "\u2028", "\x00", "\u202e", "\x1b", "\ufeff", "\U0001f600"]


def page_of(symbols, title="fox", bits=16, **texts):
    network = Network(ModelConfig(len(symbols), 6, 1), seed=2, threads=1)
    signals = [Signal("c", "what it remembers", -1, True)]
    model = live_model(network.config, network.parameters, bits)
    return network, LivePage(title, "of a test", model, symbols, 0, signals, **texts).html()


@pytest.mark.parametrize(("bits", "kind"), [(8, "i1"), (16, "<i2"), (32, "<f4")])
def test_the_page_holds_the_weights(bits, kind):
    network, page = page_of(list("abc\n"), bits=bits)
    elements = Elements(page)
    about = json.loads(elements.texts["data-about"])
    data, at = base64.b64decode(elements.texts["data-weights"]), 0
    for each in about["parameters"]:
        value, shape, axis = network.parameters[each["name"]], each["shape"], each["axis"]
        count = 0 if axis < 0 else shape[axis]
        scales = np.frombuffer(data, "<f4", count, at)
        at += 4 * count
        numbers = np.frombuffer(data, kind if axis >= 0 else "<f4", value.size, at).reshape(shape)
        at += -(-numbers.nbytes // 4) * 4
        found = numbers * np.expand_dims(scales, 1 - axis) if axis >= 0 else numbers
        assert np.abs(found - value).max() <= np.abs(value).max() * (0 if axis < 0 else 0.51 / (2 ** (bits - 1) - 1))
    assert at == len(data)
    assert about["symbols"] == list("abc\n")
    assert about["points"] == [97, 98, 99, 10]
    assert (about["isBytes"], about["lineStart"], about["model"]["vocabulary"]) == (False, 0, 4)


def test_bytes_are_characters_with_their_numbers():
    about = json.loads(Elements(page_of([0, 65, 255])[1]).texts["data-about"])
    assert about["isBytes"]
    assert about["points"] == [0, 65, 255]
    assert about["symbols"] == ["␀", "A", "ÿ"]


def test_hostile_text_stays_text():
    """With symbols and texts that look like markup, the page has the same elements as without them."""
    evil = "</title></script><script>alert(1)</script><img src=x onerror=alert(1)>javascript:alert(1)\u202e\x00"
    peaceful = page_of(list("abcdefghi"), facts=["a fact"], prime="a")[1]
    hostile = page_of(HOSTILE, evil, facts=[evil], prime=evil)[1]
    assert hostile.isascii()
    assert "\x00" not in hostile
    assert "<!--" not in hostile
    assert Elements(hostile).found == Elements(peaceful).found
    about = json.loads(Elements(hostile).texts["data-about"])
    assert about["symbols"] == ["<", "/", "&", "\ufffd", "␀", "\ufffd", "␛", "\ufffd", "\U0001f600"]
    assert about["points"] == list(map(ord, HOSTILE))


def test_nothing_but_its_own_script_and_style_may_run_or_load():
    page = page_of(list("abc"))[1]
    policy = html.unescape(re.search(r'Security-Policy" content="([^"]*)"', page)[1])
    assert policy.startswith("default-src 'none';")
    assert re.findall(r"'[a-z-]*unsafe[a-z-]*'", policy) == ["'wasm-unsafe-eval'"]
    for tag, source in (("script", "script-src"), ("style", "style-src")):
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{source} 'sha256-{digest}'" in policy
    page = re.sub(r"http://www\.w3\.org/2000/svg", "", page)  # a name, which is not loaded
    assert not re.search(r"https?://|\bsrc=|@import|url\((?!#)|\sstyle=|\son[a-z]+=", page)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", page)


def test_every_script_is_in_the_page():
    from importlib import resources

    files = {path.name for path in resources.files("charrnn.display.live_page").iterdir() if path.name.endswith(".js")}
    assert files == set(SCRIPTS)


def test_a_cell_without_an_engine_is_refused():
    with pytest.raises(ConfigError, match="no engine for the cell mamba"):
        LiveModel("mamba", 1, 8, 0, 5, {}, [])


def test_only_the_page_of_a_transformer_has_its_scripts():
    network = Network(ModelConfig(4, 16, 1, cell="transformer", heads=2, context=8), seed=1, threads=1)
    model = live_model(network.config, network.parameters, 16)
    assert (model.heads, model.context) == (2, 8)
    page = LivePage("fox", "of a test", model, list("abc\n"), 0, []).html()
    about = json.loads(Elements(page).texts["data-about"])["model"]
    assert (about["cell"], about["heads"], about["context"]) == ("transformer", 2, 8)
    of_attention = ("class Transformer", "views.heads", 'id="heads-body"', "#map-frame")
    assert all(words in page for words in of_attention)
    recurrent = page_of(list("abc\n"))[1]
    assert not any(words in recurrent for words in of_attention)
    assert "heads" not in json.loads(Elements(recurrent).texts["data-about"])["model"]
