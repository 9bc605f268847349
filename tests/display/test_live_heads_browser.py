"""The live page of a Transformer in Chromium: what it writes, and where its heads look."""

import re

import numpy as np
import pytest
from browser import launched, needs_browser, opener
from live_pages import NO_HURRY, SYMBOLS, controls, drawn, hold, page_of, until, written

pytestmark = needs_browser

HEADS, CONTEXT, LAYERS = 4, 24, 3
# The probabilities after a place, by a network that reads the text from its beginning.
FRESH = """(place) => {
    const network = makeNetwork();
    if (app.tape.first !== null) network.step(app.tape.first);
    for (const id of app.tape.ids.slice(0, place + 1)) network.step(id);
    return Array.from(softmax(network.logits, network.vocabulary)).sort((a, b) => b - a).slice(0, 10);
}"""
# The weights of a head from a place, by a network that reads the text from its beginning.
LOOKS = """([layer, head, place]) => {
    const network = makeNetwork();
    for (const id of app.tape.ids.slice(0, place + 1)) network.step(id);
    return Array.from(network.attention(layer, head));
}"""


def transformer(context=CONTEXT, layers=LAYERS, heads=HEADS, hidden=24, **more):
    attention = {"heads": heads, "context": context}
    return page_of(**{"cell": "transformer", "layers": layers, "hidden": hidden, "attention": attention} | more)


@pytest.fixture(scope="module")
def chromium():
    yield from launched()


@pytest.fixture
def opened(chromium, tmp_path):
    """A function that opens a page. In the whole test, it may report no error and request no file."""
    yield from opener(chromium, tmp_path, "[data-ready]", 900, drawn, NO_HURRY)


@pytest.fixture
def page(opened):
    """A page whose text is longer than the context, with the section of the heads in sight."""
    page = opened(transformer())
    page.click("#begin button")
    page.evaluate("while (app.tape.length < 60) writeOne(); refresh()")
    page.locator("#machine").scroll_into_view_if_needed()
    until(page, "machine.isSeen")
    return drawn(page)


def shown_chances(page):
    return drawn(page).evaluate("rows.map((row) => row.bar.value)")


def choose(page, name):
    page.select_option("#head-name", name)
    return drawn(page)


def weights(page, layer, head):
    return page.evaluate(LOOKS, [layer, head, page.evaluate("app.place")])


def test_any_way_to_a_place_gives_its_probabilities(page):
    """Back, a click into the text, on, a chosen guess, a typed beginning: as if read from the beginning."""

    def as_read():
        return np.abs(np.array(shown_chances(page)) - page.evaluate(FRESH, page.evaluate("app.place"))).max()

    assert page.evaluate("app.place") == 59
    assert as_read() < 1e-6
    for _ in range(3):
        page.click("#back")
    assert page.evaluate("app.place") == 56
    assert as_read() < 1e-6
    page.locator("#text span").nth(2).click()
    assert page.evaluate("app.place") == 2
    assert as_read() < 1e-6
    page.click("#step")
    assert page.evaluate("[app.place, app.tape.length]") == [3, 60]
    assert as_read() < 1e-6
    page.locator("#text span").nth(40).click()
    drawn(page).locator(".guess").nth(3).click()
    assert page.evaluate("[app.place, app.tape.length]") == [41, 42]
    assert as_read() < 1e-6
    page.click("#step")
    assert as_read() < 1e-6
    page.fill("#prime", "Aged hen, bad cab; fed, he had a bag. Dead ended bead")
    page.click("#begin button")
    assert as_read() < 1e-6
    page.fill("#prime", "")
    page.click("#begin button")
    assert page.evaluate("app.place") == -1
    assert as_read() < 1e-6
    page.click("#step")
    assert as_read() < 1e-6


def test_it_writes_up_to_the_most(opened):
    page = opened(transformer())
    page.fill("#rate", "10")
    page.click("#run")
    until(page, "app.tape.length === MOST && !app.running", 600)
    assert "the most that the page keeps" in page.inner_text("#said")
    kept = page.evaluate("app.tape.states.map((state) => state.kept?.length ?? 0)")
    assert kept == [0] + [(2 * LAYERS + 1) * 24] * page.evaluate("MOST")
    page.click("#measure")
    assert "characters a second" in page.inner_text("#measured")


def test_the_stream_paints_the_text_and_is_held(page):
    assert page.evaluate("[...element('signal').options].map(({ value }) => value)") == ["h", "", "head"]
    text = written(page)
    page.fill("#cell", "1:5")
    values = page.evaluate("app.tape.ids.map((_, place) => shade(app.tape.value(place, 29), false))")
    names = drawn(page).evaluate("app.spans.map(({ node }) => node.className.split(' ')[0])")
    assert names == values
    assert len(set(names)) > 5
    hold(page, "1:5", 29, 0.9)
    held = written(page)
    assert held != text
    found = page.evaluate("app.tape.ids.map((_, place) => [5, 29, 53].map((cell) => app.tape.value(place, cell)))")
    assert np.allclose(np.array(found)[:, :2], 0.9, atol=1e-6)  # from the embedding on: layer 0, too
    assert np.ptp(np.array(found)[:, 2]) > 0.1  # the layer above adds to it
    assert page.evaluate("element('free-text').textContent") == text
    page.click("#let-go")
    assert written(page) == text


def test_the_section_shows_where_a_head_looks(page):
    assert page.inner_text("#machine-title") == "Where the heads look"
    assert page.inner_text("nav [href='#machine']") == "Heads"
    assert not page.is_visible("#machine-body")
    assert page.evaluate("[...element('head-name').options].map(({ value }) => value)") == [
        f"{layer}:{head}" for layer in range(LAYERS) for head in range(HEADS)
    ]
    choose(page, "1:2")
    expected = np.array(weights(page, 1, 2))
    assert len(expected) == CONTEXT
    assert expected.sum() == pytest.approx(1, abs=1e-5)
    order = np.argsort(-expected, kind="stable")[:8]
    bars = page.evaluate("[...document.querySelectorAll('#weights meter')].map(({ value }) => value)")
    assert np.allclose(bars, expected[order], atol=1e-5)
    text = page.evaluate("app.tape.ids.map(symbol).join('')")
    marks = {"\n": "\u21b5", " ": "\u2423"}
    lines = page.evaluate("[...document.querySelectorAll('#weights li')].map((line) => line.textContent)")
    for back, line in zip(order, lines, strict=True):
        letters = "".join(marks.get(letter, letter) for letter in text[59 - back - 3 : 60 - back])
        percent = "<1 %" if expected[back] < 0.01 else f"{round(expected[back] * 100 + 1e-9)} %"
        assert line == letters + (f"{back} back" if back else "itself") + percent
    assert page.evaluate("element('looked').textContent") == text[60 - CONTEXT :]
    shades = page.evaluate("[...element('looked').children].map(({ className }) => className.split(' ')[0])")
    assert shades == [f"s{min(32, int(weight / 0.5 * 32 + 0.5))}" for weight in expected[::-1]]
    numbers = re.search(r"looks ([\d.]+) characters back on average, and is ([\d.]+) bits wide", words(page)).groups()
    back, bits = map(float, numbers)
    assert back == pytest.approx((expected * np.arange(CONTEXT)).sum(), abs=0.051)
    assert bits == pytest.approx(-(expected * np.log2(expected)).sum(), abs=0.051)
    assert "Head 1:2 from \u201c" in words(page)
    assert "character 60" in words(page)


def words(page):
    return page.inner_text("#machine-words")


def test_the_text_is_painted_by_a_head(page):
    choose(page, "0:1")
    page.click("#paint-looks")
    assert drawn(page).get_attribute("#paint-looks", "aria-pressed") == "true"
    expected = weights(page, 0, 1)
    names = drawn(page).evaluate("app.spans.map(({ node }) => node.className.split(' ')[0])")
    assert names[: 60 - CONTEXT] == ["s0"] * (60 - CONTEXT)
    assert names[60 - CONTEXT :] == [f"s{min(32, int(weight / 0.5 * 32 + 0.5))}" for weight in expected[::-1]]
    assert page.inner_text("#high") == "50 % or more"
    assert page.input_value("#signal") == "head"
    assert page.inner_text("#signal option:checked") == "where head 0:1 looks"
    page.evaluate("goTo(30)")
    moved = drawn(page).evaluate("app.spans.map(({ node }) => node.className.split(' ')[0])")
    assert set(moved[31:]) == {"s0"}
    assert set(moved[31 - CONTEXT : 31]) != {"s0"}
    page.click("#paint-looks")
    assert drawn(page).input_value("#signal") == "h"
    page.select_option("#signal", "head")
    assert drawn(page).get_attribute("#paint-looks", "aria-pressed") == "true"
    page.fill("#cell", "0:2")
    assert drawn(page).inner_text("#high") == "+1"
    page.focus("#text")
    page.keyboard.press("s")
    assert page.evaluate("app.painter === SURPRISE")


def test_it_follows_as_the_page_writes(page):
    page.click("#paint-looks")
    page.focus("#text")
    first = drawn(page).evaluate("[element('looked').textContent, element('map').toDataURL()]")
    page.fill("#rate", "8")
    page.focus("#text")
    page.keyboard.press(" ")
    until(page, "app.tape.length > 75")
    page.keyboard.press(" ")
    then = drawn(page).evaluate("[element('looked').textContent, element('map').toDataURL()]")
    text = page.evaluate("app.tape.ids.map(symbol).join('')")
    assert then[0] == text[-CONTEXT:]
    assert [a == b for a, b in zip(first, then, strict=True)] == [False, False]
    assert f"character {len(text)}" in words(page)


def test_heads_are_chosen_by_keys_buttons_and_clicks(page):
    choose(page, "0:0")
    page.focus("#text")
    page.keyboard.press("a")
    assert page.input_value("#head-name") == "0:1"
    assert "head 0:1 looks at" in page.inner_text("#said")
    page.keyboard.press("A")
    page.keyboard.press("A")
    assert page.input_value("#head-name") == "2:3"
    page.click("#next-head")
    assert page.input_value("#head-name") == "0:0"
    page.click("#previous-head")
    assert page.input_value("#head-name") == "2:3"
    middle = drawn(page).evaluate("[MAP.label + 20, rowTop(1, 2) + MAP.row / 2]")
    page.locator("#map").scroll_into_view_if_needed()
    page.click("#map", position={"x": middle[0], "y": middle[1]})
    assert page.input_value("#head-name") == "1:2"
    label = drawn(page).get_attribute("#map", "aria-label")
    found = np.array(weights(page, 1, 2))
    assert f"The weights of 12 heads over the last {CONTEXT} characters; head 1:2 is chosen: " in label
    back = int(found.argmax())
    assert re.search(rf"chosen: \S+ {f'{back} back' if back else 'itself'}".replace(r"\S+ itself", "itself"), label)
    page.hover("#map", position={"x": page.evaluate("columnLeft(3) + 2"), "y": middle[1]})
    assert re.fullmatch(r"head 1:2: . 3 back, (<1|\d+) %", page.get_attribute("#map", "title"))
    page.click("#help-button")
    assert page.is_visible(".of-heads >> nth=0")


def test_the_map_has_the_weights_of_all_heads(page):
    """The colour in the middle of each of its cells is that of the weight."""
    pixels = page.evaluate(
        """() => {
            const canvas = element("map"), pen = canvas.getContext("2d");
            const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
            const at = (layer, head, back) => {
                const x = Math.floor(columnLeft(back) + heads.map.size / 2), y = rowTop(layer, head) + MAP.row / 2;
                return Array.from(data.subarray(4 * (y * canvas.width + x), 4 * (y * canvas.width + x) + 3));
            };
            const row = (weights, l, h) => Array.from(weights, (_, back) => at(l, h, back));
            return heads.looks.map((layer, l) => layer.map((weights, h) => row(weights, l, h)));
        }"""
    )
    assert np.shape(pixels) == (LAYERS, HEADS, CONTEXT, 3)
    shades = "(weights) => weights.map((weight) => colour(shade(weight / 0.5, true)))"
    for layer in range(LAYERS):
        for head in range(HEADS):
            expected = page.evaluate(shades, weights(page, layer, head))
            assert ["#" + bytes(pixel).hex() for pixel in pixels[layer][head]] == expected


@pytest.mark.parametrize("place", [0, 5])
def test_a_text_shorter_than_the_context(page, place):
    page.evaluate(f"goTo({place})")
    assert len(drawn(page).evaluate("element('looked').textContent")) == place + 1
    assert page.locator("#weights li").count() == place + 1
    if not place:
        assert page.inner_text("#weights em") == "100 %"
    page.fill("#prime", "")
    page.click("#begin button")
    assert drawn(page).inner_text("#machine-words") == "Write a character first."
    assert not page.is_visible("#heads-body")
    page.evaluate("stepOn()")  # the line's beginning is looked at, too
    assert len(drawn(page).evaluate("element('looked').textContent")) == 2
    assert page.is_visible("#heads-body")


def test_a_long_context_has_a_column_for_what_is_far(opened):
    page = opened(transformer(context=300, layers=1), viewport={"width": 700, "height": 900})
    page.locator("#machine").scroll_into_view_if_needed()
    until(page, "machine.isSeen")
    columns = drawn(page).evaluate("heads.map.columns")
    assert 20 < columns < 60
    assert f"\u00ab is all that is further back than {columns - 1} characters." in page.inner_text("#map-words")
    assert len(page.evaluate("element('looked').textContent")) == 300
    far = sum(weights(page, 0, 1)[columns:])
    pixel = page.evaluate(
        """(columns) => [...element("map").getContext("2d").getImageData(
            columnLeft(columns) + 5, rowTop(0, 1) + 6, 1, 1).data].slice(0, 3)""",
        columns,
    )
    expected = page.evaluate("(weight) => colour(shade(weight / 0.5, true))", far)
    assert "#" + bytes(pixel).hex() == expected


def test_an_lstm_that_was_trained_has_its_own_section(page):
    page.evaluate("element('units').value = '16'")
    page.click("#learn")
    until(page, "learning.losses.length > 3")
    page.click("#learn")
    page.click("#use-trained")
    page.locator("#machine").scroll_into_view_if_needed()
    until(page, "machine.isSeen")
    assert drawn(page).inner_text("#machine-title") == "One step"
    assert page.is_visible("#machine-body")
    assert not page.is_visible("#heads-body")
    assert page.locator("#signal option[value=head]").count() == 0
    page.focus("#text")
    page.keyboard.press("a")
    page.keyboard.press("ArrowLeft")
    assert "head" not in page.inner_text("#said")
    page.click("#help-button")
    assert not page.is_visible(".of-heads >> nth=0")
    page.keyboard.press("Escape")
    page.click("#original")
    page.locator("#machine").scroll_into_view_if_needed()
    until(page, "machine.isSeen")
    assert drawn(page).is_visible("#heads-body")
    assert page.inner_text("#machine-title") == "Where the heads look"


def test_light_and_dark_draw_the_map_again(opened):
    page = opened(transformer(), color_scheme="dark")
    page.locator("#machine").scroll_into_view_if_needed()
    until(page, "machine.isSeen")
    dark = drawn(page).evaluate("element('map').toDataURL()")
    page.emulate_media(color_scheme="light")
    page.wait_for_selector("html[data-theme=light]")
    assert drawn(page).evaluate("element('map').toDataURL()") != dark


@pytest.mark.parametrize("context", [24, 300])
def test_a_phone_has_room_for_it(opened, context):
    options = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
    page = opened(transformer(context=context, hidden=64), **options)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.locator("#machine").scroll_into_view_if_needed()
    until(page, "machine.isSeen")
    drawn(page).locator("#map").scroll_into_view_if_needed()
    for part in ("#head-name", "#looked", "#weights", "#map", "#paint-looks", "#next-head"):
        box = page.locator(part).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360, part
    left = page.evaluate("columnLeft(heads.map.hasMore ? heads.map.columns : heads.map.columns - 1)")
    assert left >= page.evaluate("MAP.label")
    assert page.evaluate("columnLeft(0) + heads.map.size") <= page.evaluate("element('map').clientWidth")
    page.tap("#map", position={"x": 100, "y": page.evaluate("rowTop(0, 3) + 5")})
    assert page.input_value("#head-name") == "0:3"
    for button in page.locator("#machine button:visible").all():
        assert button.bounding_box()["height"] >= 34


def test_everything_that_can_be_used_has_a_name(page):
    named = controls(page)
    assert [each for each in named if not each[1].strip()] == []
    names = {name for _, name in named}
    assert {"Head", "The next head", "The head before", "Paint the text by it", "All heads"} <= names


def test_less_motion(opened):
    page = opened(transformer(), reduced_motion="reduce")
    page.locator("#machine").scroll_into_view_if_needed()
    until(page, "machine.isSeen")
    page.fill("#rate", "8")
    page.evaluate("beginText('The ')")
    times = drawn(page).evaluate("""new Promise((done) => {
        const times = [];
        const note = () => { times.push(app.seen); if (times.length === 3) done(times); };
        new MutationObserver(note).observe(element('machine-words'), { childList: true });
        run();
    })""")
    assert np.diff(times).min() > 450  # twice a second
    page.evaluate("pause()")


def test_hostile_text_stays_text(opened):
    evil = ["<", "\u202e", "\x00", "\x1b", "&", '"', "\ufeff", "\n"]
    page = opened(transformer(symbols=evil, title="</script><img src=x>", prime="<<&\x1b\u202e", facts=["<b>"]))
    page.locator("#machine").scroll_into_view_if_needed()
    until(page, "machine.isSeen")
    assert page.locator("img").count() == 0
    shown = {"<", "\u2400", "\u241b", "&", '"', "\ufffd", "\n", "\u21b5"}
    assert set(drawn(page).evaluate("element('looked').textContent")) <= shown
    for line in page.locator("#weights b").all_inner_texts():
        assert set(line) <= shown
    page.focus("#text")
    page.keyboard.press("a")
    assert not {"\u202e", "\x00", "\ufeff"} & set(page.inner_text("#said") + page.get_attribute("#map", "aria-label"))


def test_a_model_of_bytes(opened):
    page = opened(transformer(symbols=list(range(256)), prime="a\u00e9"))
    assert page.evaluate("app.tape.ids.slice(0, 3)") == [97, 0xC3, 0xA9]
    assert len(SYMBOLS) < page.evaluate("app.network.vocabulary") == 256
