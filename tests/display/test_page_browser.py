"""The page in a browser, used by mouse, touch and keys. Skipped where Chromium is not installed."""

import numpy as np
import pytest
from browser import launched, needs_browser, opener

from charrnn.commands.live_page import live_model
from charrnn.config import ModelConfig
from charrnn.display.page.page import Looks, Page
from charrnn.inspection.reading import CellReading
from charrnn.network.cells import CELLS
from charrnn.network.network import Network

pytestmark = needs_browser

TEXT = 'The fox said, "Come in."\n\tAnd then\n' * 200
EVIL = [
    "<",
    "</script><script>document.title='ran'</script>",
    "\u202e",
    "\ud800",
    "\x00",
    "<img src=x onerror=alert(1)>",
]


def page_of(text, symbols, cells=3, others=(), looks=None, live=None):
    ids = np.array([symbols.index(symbol) for symbol in text], np.int32)
    values = np.stack([np.sin(np.arange(len(ids)) / (3 + k)) for k in range(cells)], axis=1).astype(np.float32)
    guesses = np.stack([np.roll(ids, -1), *[(ids + k) % len(symbols) for k in range(4)]], axis=1)
    chances = np.tile(np.array([0.6, 0.2, 0.1, 0.05, 0.001], np.float32), (len(ids), 1))
    surprise = np.concatenate([[np.nan], np.arange(len(ids) - 1) % 12]).astype(np.float32)
    signal = CELLS["lstm"].signal("c")
    tracks = CellReading(
        ids, signal, tuple((1, k) for k in range(cells)), values, surprise, guesses.astype(np.int32), chances,
        {CELLS["lstm"].signal(name): (values + 1) / (2 + k) for k, name in enumerate(others)},
    )  # fmt: skip
    notes = ["first", "second", "third n.s."][:cells]
    return Page(
        "A model",
        "reads a text",
        symbols,
        tracks,
        notes,
        names=["column, ρ +0.90"],
        explanation="ρ",
        looks=looks,
        live=live,
    ).html()


@pytest.fixture(scope="module")
def chromium():
    yield from launched()


@pytest.fixture
def opened(chromium, tmp_path):
    """A function that opens a page. In the whole test, it may report no error and request no file."""
    yield from opener(chromium, tmp_path, ".here", 800)


@pytest.fixture
def page(opened):
    return opened(page_of(TEXT, sorted(set(TEXT))))


def value(page):
    return page.inner_text("#value")


def test_the_text_is_there_and_coloured(page):
    assert page.evaluate("element('text').textContent") == TEXT
    spans = "[...document.querySelectorAll('.chunk span')].slice(0, 40)"
    colours = page.evaluate(f"{spans}.map((span) => getComputedStyle(span).backgroundColor)")
    assert len(set(colours)) > 10
    assert page.evaluate("chunks.filter((chunk) => chunk.built).length") < page.evaluate("chunks.length")


def test_pointing_shows_a_character_and_leaving_shows_the_chosen_one(page):
    page.hover(".chunk span:nth-child(5)")
    assert page.inner_text("#letter") == "f"
    assert value(page).split() == ["1:0", f"+{np.sin(4 / 3):.2f}"]
    assert page.locator("#guesses li").count() == 5
    assert page.inner_text("#guesses li.true b") == "o"
    assert "60 %" in page.inner_text("#guesses li.true")
    assert "<1 %" in page.inner_text("#guesses li:last-child")
    page.hover("h1")
    assert page.inner_text("#letter") == "T"


def test_keys_move_the_place(page):
    for key, place in (
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("Shift+ArrowRight", 4),
        ("Shift+ArrowLeft", 0),
        ("End", TEXT.index("\n")),
        ("Home", 0),
        ("Control+End", len(TEXT) - 1),
        ("ArrowRight", len(TEXT) - 1),
        ("Control+Home", 0),
        ("ArrowLeft", 0),
    ):
        page.keyboard.press(key)
        assert page.evaluate("place") == place, key
        assert page.locator(".here").count() == 1
    assert "surprise not known" in page.inner_text("#where")
    assert "cell 1:0" in page.inner_text("#said")


def test_keys_and_the_filter_change_the_cell(page):
    for key, cell in (("]", "1:1"), ("ArrowDown", "1:2"), ("]", "1:0"), ("[", "1:2"), ("ArrowUp", "1:1")):
        page.keyboard.press(key)
        assert value(page).startswith(cell), key
        assert page.inner_text("[aria-selected=true] span") == cell
    page.keyboard.press("/")
    page.keyboard.type("third")
    assert page.locator("[role=option]:visible").count() == 1
    page.keyboard.press("Enter")
    assert value(page).startswith("1:2")
    page.fill("#filter", "1:1")
    assert value(page).startswith("1:1")


ABSENT = "4:56 is not in this page. Make it with --cell 4:56."


def shown_cells(page):
    return page.locator("[role=option]:visible span").all_inner_texts()


def test_the_list_stays_when_a_cell_is_not_in_it(page):
    every = ["1:0", "1:1", "1:2"]
    page.keyboard.press("]")
    page.keyboard.press("/")
    for typed in ("4", "4:", "4:5", "4:56"):
        page.fill("#filter", typed)
        assert shown_cells(page) == every, typed
        assert value(page).startswith("1:1")
    assert page.inner_text("#none") == ABSENT
    page.keyboard.press("Enter")
    assert value(page).startswith("1:1")
    page.keyboard.press("]")  # other cells can still be reached
    assert value(page).startswith("1:2")
    assert shown_cells(page) == every
    page.fill("#filter", "second")
    assert shown_cells(page) == ["1:1"]
    assert not page.is_visible("#none")


def test_the_address_may_name_a_cell(page):
    page.goto(page.url + "#1:2")
    assert value(page).startswith("1:2")
    page.goto(page.url.partition("#")[0] + "#4:56")
    assert page.inner_text("#none") == ABSENT
    assert value(page).startswith("1:2")
    assert shown_cells(page) == ["1:0", "1:1", "1:2"]
    page.reload()
    page.wait_for_selector(".here")
    assert page.inner_text("#none") == ABSENT
    assert value(page).startswith("1:0")


def test_what_cells_track_is_shown_and_explained(page):
    assert page.inner_text("#tracks") == "column, ρ +0.90"
    assert page.locator("[role=option] .tracks").all_inner_texts() == ["column, ρ +0.90", "", ""]
    page.fill("#filter", "column")
    assert shown_cells(page) == ["1:0"]
    page.fill("#filter", "")
    page.keyboard.press("Escape")
    page.keyboard.press("]")
    assert page.inner_text("#tracks") == ""
    assert page.locator(".weak span").all_inner_texts() == ["1:2"]  # its note says n.s.
    page.click("summary")
    assert page.inner_text("#explanation p") == "ρ"


def test_a_click_chooses_a_place_and_a_cell(page):
    page.click(".chunk span:nth-child(9)")
    page.click("[role=option]:nth-child(3)")
    page.hover("h1")
    assert page.inner_text("#letter") == "s"
    assert value(page).split() == ["1:2", f"+{np.sin(8 / 5):.2f}"]
    page.click("#overview", position={"x": 600, "y": 10})
    assert abs(page.evaluate("place") / len(TEXT) - 0.5) < 0.01


def test_surprise_colours_the_text(page):
    page.keyboard.press("s")
    assert page.get_attribute("#surprise-button", "aria-pressed") == "true"
    assert page.inner_text("#high") == "8 bits or more"
    assert page.get_attribute(".chunk span:nth-child(9)", "class") == "s28"  # 7 of 8 bits, in 32 steps
    page.click("[role=option]:nth-child(1)")
    assert page.get_attribute("#surprise-button", "aria-pressed") == "false"


SIGNALS = "[...document.querySelectorAll('#signals label')].map((label) => label.innerText.split(/\\s+/))"
STRIPS = "strips().map((s) => about.signals[s].name).join('')"


def strip_colours(page):
    """The colours of the strips under the ninth character, from the top."""
    image = page.evaluate("getComputedStyle(document.querySelector('.chunk span:nth-child(9)')).backgroundImage")
    return [part.split("), ")[0] for part in image.split("linear-gradient(")[1:]]


def test_several_signals_are_strips_under_the_text(opened):
    page = opened(page_of(TEXT, sorted(set(TEXT)), others=("i", "f")))
    assert page.evaluate("element('text').textContent") == TEXT
    page.click(".chunk span:nth-child(9)")
    page.hover("h1")
    value = np.sin(8 / 3)
    expected = [["c", f"+{value:.2f}"], ["i", f"{(value + 1) / 2:.2f}"], ["f", f"{(value + 1) / 3:.2f}"]]
    assert page.evaluate(SIGNALS) == expected
    assert page.evaluate(STRIPS) == "if"
    shown = strip_colours(page)
    assert shown[0] != shown[1]
    for row, step in enumerate(round((value + 1) / (2 + row) * 32) for row in range(2)):
        page.evaluate(
            f"Object.assign(document.body.appendChild(document.createElement('i')), {{className: 's{step}'}})"
        )
        colour = page.evaluate("getComputedStyle(document.body.lastChild).backgroundColor")
        assert shown[row].startswith(colour[:-1])
    high = "document.querySelector('.chunk span:nth-child(9)').getBoundingClientRect().height"
    tall = page.evaluate(high)
    page.keyboard.press("3")
    assert page.evaluate(STRIPS) == "i"
    assert page.evaluate(high) == tall - 7
    page.click("#signals label:nth-of-type(1)")
    assert page.evaluate(STRIPS) == ""
    assert page.evaluate(high) == tall - 14
    assert page.inner_text("#meaning") == "i, the input gate"
    assert page.inner_text("#low") == "0"
    assert page.inner_text("#value").split() == ["1:0", expected[1][1]]
    page.keyboard.press("2")  # one signal is always shown
    assert page.evaluate("view.signals") == [1]
    page.keyboard.press("s")
    assert page.evaluate(STRIPS) == "i"
    page.keyboard.press("?")
    assert page.is_visible("dialog .signal-keys >> nth=0")


def test_one_signal_has_no_boxes(page):
    assert not page.is_visible("#signals")
    page.keyboard.press("1")
    assert page.evaluate(STRIPS) == ""
    page.keyboard.press("?")
    assert not page.is_visible("dialog .signal-keys >> nth=0")


def looks_of(characters, distances=(1, 3)):
    """A head that looks at the character before and a little at itself, and one that looks three back."""
    backs = np.zeros((characters, 2, 2), np.int32)
    backs[:, :, 0] = distances
    weights = np.tile(np.array([[0.4, 0.2], [1.0, 0.0]], np.float32), (characters, 1, 1))
    return Looks(["0:1", "2:0"], ["previous 40 %", ""], backs, weights)


def coloured(page):
    """The characters in the first line that have a colour, by number, with its step."""
    spans = "[...document.querySelectorAll('.chunk span')].slice(0, 30)"
    names = page.evaluate(f"{spans}.map((span) => span.className.match(/s(\\d+)/)?.[1])")
    return {place: int(step) for place, step in enumerate(names) if step not in (None, "0")}


@pytest.fixture
def attentive(opened):
    return opened(page_of(TEXT, sorted(set(TEXT)), looks=looks_of(len(TEXT))))


def test_a_head_colours_what_it_looks_at(attentive):
    page = attentive
    assert page.locator("#head option").all_inner_texts() == ["none", "0:1 previous 40 %", "2:0"]
    page.select_option("#head", "0")
    page.hover(".chunk span:nth-child(9)")
    assert page.inner_text("#letter") == TEXT[8]
    assert coloured(page) == {7: 26, 8: 13}  # 0.8 and 0.4 of the scale, in 32 steps
    assert page.locator("#looks li").all_inner_texts() == ["␣\n40 %", f"{TEXT[8]}\n20 %"]
    assert page.get_attribute("#looks li:nth-child(1)", "title") == "1 back"
    assert page.get_attribute("#looks li:nth-child(2)", "title") == "itself"
    assert value(page) == "head 0:1"
    assert page.inner_text("#tracks") == "previous 40 %"
    assert page.inner_text("#high") == "50 % or more"
    page.hover("h1")  # back to the chosen place, the first character: the character before is not on the page
    assert coloured(page) == {0: 13}
    assert page.locator("#looks b").all_inner_texts() == ["«", "T"]
    page.click("[role=option]:nth-child(2)")
    assert value(page).startswith("1:1")
    assert page.input_value("#head") == "-1"
    assert page.locator("#looks li").count() == 0


def test_keys_change_the_head_and_say_where_it_looks(attentive):
    page = attentive
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    for key, name in (("h", "0:1"), ("h", "2:0"), ("h", None), ("H", "2:0")):
        page.keyboard.press(key)
        assert page.evaluate("view.head?.name ?? null") == name
    assert coloured(page) == {2: 32}
    assert "head 2:0 looks at e 3 back 100 %" in page.inner_text("#said")
    page.keyboard.press("ArrowRight")
    assert coloured(page) == {3: 32}
    assert page.locator(".here").count() == 1
    page.keyboard.press("s")
    assert page.get_attribute("#surprise-button", "aria-pressed") == "true"
    assert page.evaluate("view.head") is None
    page.focus("#head")
    page.keyboard.press("ArrowDown")  # the list's own key: the place stays
    assert page.evaluate("place") == 6
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("place") == 7
    page.keyboard.press("?")
    assert page.is_visible("dialog .head-keys >> nth=0")


def test_heads_may_look_far_back(opened):
    page = opened(page_of(TEXT, sorted(set(TEXT)), looks=looks_of(len(TEXT), (1000, 3))))
    page.keyboard.press("Control+End")
    page.keyboard.press("h")
    where = len(TEXT) - 1 - 1000
    assert page.evaluate(f"looked[{where}]") == 204
    assert page.evaluate(f"spanAt({where}).className") == "s26"


def test_without_heads_nothing_is_said_of_them(page):
    assert not page.is_visible("#heads")
    page.keyboard.press("h")
    assert value(page).startswith("1:0")
    page.keyboard.press("?")
    assert not page.is_visible("dialog .head-keys >> nth=0")


def test_light_and_dark_follow_the_system_and_the_switch(opened):
    page = opened(page_of(TEXT, sorted(set(TEXT))), color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.emulate_media(color_scheme="light")
    page.wait_for_selector("html[data-theme=light]")
    assert page.evaluate(ground) != dark
    page.keyboard.press("t")
    assert page.evaluate(ground) == dark


def test_help_opens_and_closes(page):
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("place") == 0
    page.keyboard.press("Escape")
    assert not page.is_visible("#help")


@pytest.mark.parametrize(("others", "looks"), [("", None), ("hifgo", None), ("", looks_of(len(TEXT)))])
def test_a_phone_has_room_for_it(opened, others, looks):
    page = opened(
        page_of(TEXT, sorted(set(TEXT)), others=others, looks=looks),
        viewport={"width": 360, "height": 640},
        has_touch=True,
        is_mobile=True,
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.tap(".chunk span:nth-child(5)")
    assert page.inner_text("#letter") == "f"
    for part in ("main", "aside", "nav", "#surprise-button"):
        box = page.locator(part).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
        assert box["y"] + box["height"] <= 640
    assert page.locator("main").bounding_box()["height"] > 250
    page.fill("#filter", "4:56")  # the list keeps its room
    assert page.is_visible("#none")
    assert page.locator("#cells").bounding_box()["width"] > 200
    assert page.locator("[role=option]").first.bounding_box()["x"] < 300


def test_hostile_text_stays_text_in_a_browser(opened):
    symbols = [*EVIL, "a", "\n"]
    page = opened(page_of([*EVIL, "a", "\n"] * 30, symbols))
    assert page.title() == "A model"
    assert page.locator("img").count() == 0
    assert page.inner_text(".chunk span:nth-child(2)") == EVIL[1]
    assert page.inner_text(".chunk span:nth-child(5)") == "␀"
    page.hover(".chunk span:nth-child(6)")
    assert page.inner_text("#letter") == EVIL[5]


def test_a_hundred_thousand_characters_do_not_stall(opened):
    page = opened(page_of(TEXT * 15, sorted(set(TEXT))))
    assert page.evaluate("ids.length") == len(TEXT) * 15 > 100_000
    page.keyboard.press("Control+End")
    assert page.evaluate("place") == len(TEXT) * 15 - 1
    assert page.evaluate("chunks.filter((chunk) => chunk.built).length") < 40
    # The limit is generous for slow machines; building every chunk would take many times as long.
    assert (
        page.evaluate("(() => { const start = performance.now(); stepCell(1); return performance.now() - start })()")
        < 500
    )


@pytest.mark.parametrize("cell", ["lstm", "transformer"])
def test_a_page_with_a_model_writes_on_from_a_place(opened, cell):
    symbols = sorted(set(TEXT))
    network = Network(ModelConfig(len(symbols), 8, 2, cell=cell), seed=4, threads=1)
    for _, value in network.parameters.items():
        value *= 3  # what comes next depends much on what was read
    page = opened(page_of(TEXT, symbols, live=live_model(network.config, network.parameters, 16)))
    page.click(".chunk span:nth-child(9)")
    page.click("#write-on")
    text = "element('live-text').textContent"
    first = page.evaluate(text)
    assert len(first) == 300
    assert set(first) <= set(symbols)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("w")
    second = page.evaluate(text)
    assert second != first
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("w")
    assert page.evaluate(text) == first
    page.check("#live-hold")
    page.fill("#live-held", "0.95")
    assert page.inner_text("#live-cell") == "1:0"
    held = page.evaluate(text)
    assert held != first
    page.fill("#live-held", "-0.95")
    assert page.evaluate(text) != held
    page.uncheck("#live-hold")
    assert page.evaluate(text) == first
    page.fill("#live-temperature", "0")
    assert page.inner_text("#live-temperature-value") == "0.00"
    page.keyboard.press("ArrowRight")  # the slider's own key
    assert page.evaluate("place") == 8
    page.click("#help-button")
    assert page.is_visible("dialog .live-keys >> nth=0")


def test_without_a_model_nothing_is_said_of_it(page):
    assert not page.is_visible("#live")
    page.keyboard.press("w")
    page.keyboard.press("?")
    assert not page.is_visible("dialog .live-keys >> nth=0")
