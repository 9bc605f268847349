"""The live page in Chromium, used by mouse, touch and keys. Skipped where Chromium is not installed."""

import re

import numpy as np
import pytest
from browser import launched, needs_browser, opener
from live_pages import NO_HURRY, controls, drawn, hold, page_of, until, written

pytestmark = needs_browser

EVIL = ["<", "\u202e", "\x00", "\x1b", "&", '"', "\ufeff"]


@pytest.fixture(scope="module")
def chromium():
    yield from launched()


@pytest.fixture
def opened(chromium, tmp_path):
    """A function that opens a page. In the whole test, it may report no error and request no file."""
    yield from opener(chromium, tmp_path, "[data-ready]", 900, drawn, NO_HURRY)


def settled(page, expression):
    """A number of the page's layout, when it no longer changes: a scroll bar may come with the text."""
    value = None
    while value != (value := page.evaluate(expression)):
        page.wait_for_timeout(200)
    return value


@pytest.fixture
def page(opened):
    """A page whose text is the prime alone."""
    page = opened(page_of())
    page.click("#begin button")
    return drawn(page)


def test_the_page_opens_with_a_text(opened):
    page = opened(page_of())
    text = written(page)
    assert text.startswith("The ")
    assert len(text) == 400
    values = np.array(
        page.evaluate("app.tape.ids.map((_, place) => Array.from({ length: 16 }, (_, k) => app.tape.value(place, k)))")
    )
    centred = values - values.mean(axis=0)
    scores = (centred[5:] * centred[:-5]).sum(axis=0) / (centred**2).sum(axis=0)
    assert page.evaluate("app.cell") == np.where((centred**2).mean(axis=0) > 0.01, scores, -9).argmax()


def test_a_slow_machine_opens_with_a_shorter_text(opened):
    page = opened(page_of(), script="let calls = 0; performance.now = () => 15 * calls++")
    assert written(page).startswith("The ")
    assert len(written(page)) == 4 + 9
    page.click("#step")
    assert len(written(page)) == 4 + 10


def test_it_writes_and_pauses(page):
    assert written(page) == "The "
    page.click("#run")
    until(page, "app.tape.length > 12")
    assert page.inner_text("#run") == "Pause"
    page.click("#run")
    text = written(page)
    page.wait_for_timeout(200)
    assert written(page) == text
    assert page.inner_text("#run") == "Write"
    assert f"Paused after {len(text)} characters" in page.inner_text("#said")
    page.keyboard.press("Escape")
    page.focus("#text")
    page.keyboard.press(" ")
    until(page, f"app.tape.length > {len(text)}")
    page.keyboard.press(" ")


def test_it_writes_as_fast_as_it_can_up_to_the_most(opened):
    page = opened(page_of())
    page.fill("#rate", "10")
    assert page.inner_text("#rate-value") == "all it can"
    page.click("#run")
    until(page, "app.tape.length === MOST && !app.running", 600)
    assert "the most that the page keeps" in page.inner_text("#said")
    page.click("#run")
    assert page.evaluate("app.running") is False


def test_steps_go_on_and_back_to_the_same_text(page):
    for _ in range(5):
        page.click("#step")
    text = written(page)
    assert len(text) == 9
    for _ in range(3):
        page.click("#back")
    assert page.evaluate("app.place") == 5
    assert "character 6 of 9" in drawn(page).inner_text("#after")
    assert page.locator(".here").count() == 1
    page.focus("#text")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("app.place") == 6
    assert written(page) == text
    page.keyboard.press("Home")
    assert page.evaluate("app.place") == 0
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("app.place") == 0  # nothing is known before the first character of a prime
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    assert len(written(page)) == 10
    page.evaluate("goTo(4)")
    page.click("#run")  # writes on from there: the same random numbers, the same text
    until(page, "app.place >= 8")
    page.click("#run")
    assert written(page)[:9] == text


def test_an_empty_prime_begins_a_line(page):
    page.fill("#prime", "")
    page.click("#begin button")
    assert written(page) == ""
    assert "at the beginning" in page.inner_text("#after")
    page.click("#step")
    assert len(written(page)) == 1
    page.click("#back")
    assert page.evaluate("app.place") == -1


def test_unknown_characters_are_named_and_left_out(page):
    page.fill("#prime", "ab\u00e9\u202ec")
    page.click("#begin button")
    assert written(page) == "abc"
    assert "Left out, since the network does not know them: \u00e9 \ufffd" in page.inner_text("#said")


def test_a_model_of_bytes_reads_utf_8(opened):
    page = opened(page_of(list(range(256)), prime="a\u00e9"))
    assert written(page).startswith("a\u00c3\u00a9")
    assert page.evaluate("app.tape.ids.slice(0, 3)") == [97, 0xC3, 0xA9]


def test_what_the_controls_show_is_what_they_do(page):
    assert page.inner_text("#rate-value") == page.evaluate("`${perSecond()}/s`")
    assert page.input_value("#rate") == str(page.evaluate("app.rate"))
    assert float(page.input_value("#temperature")) == page.evaluate("app.temperature")
    assert int(page.input_value("#seed")) == page.evaluate("app.seed")


def test_a_guess_is_chosen(page):
    for _ in range(4):
        page.click("#step")
    guesses = drawn(page).locator(".guess:visible b").all_inner_texts()
    assert len(guesses) == 10
    chances = page.evaluate("rows.map((row) => row.bar.value)")
    assert chances == sorted(chances, reverse=True)
    for _ in range(3):
        page.click("#back")
    third = drawn(page).locator(".guess b").nth(2).inner_text()
    page.locator(".guess").nth(2).click()
    text = written(page)
    assert len(text) == 6  # what came after is gone
    assert {"\u21b5": "\n", "\u2423": " "}.get(third, third) == text[-1]
    assert page.locator("#text .given").count() == 5
    page.focus("#text")
    page.keyboard.press("1")
    assert len(written(page)) == 7


def test_temperature_top_k_and_seed(page):
    def write(temperature, top_k, seed):
        page.fill("#temperature", str(temperature))
        page.fill("#top-k", str(top_k))
        page.fill("#seed", str(seed))
        page.evaluate("while (app.tape.length < 80) writeOne()")
        page.click("#again")
        return written(page)

    first = write(0.8, 0, 1)
    assert write(0.8, 0, 2) != first
    assert write(1.6, 0, 1) != first
    assert write(0.8, 0, 1) == first
    likeliest = write(0, 0, 1)
    assert write(0, 0, 5) == write(1.5, 1, 9) == likeliest
    assert page.inner_text("#top-k-value") == "1"
    assert page.locator(".guess.cut").count() == 9


def test_the_text_is_painted_by_any_cell(page):
    page.evaluate("while (app.tape.length < 60) writeOne(); refresh()")
    names = "app.spans.map(({ node }) => node.className.split(' ')[0])"
    first = drawn(page).evaluate(names)
    assert len(set(first)) > 8
    page.click("#strip", position={"x": settled(page, "strip.size") * 7 + 3, "y": 20})
    assert drawn(page).input_value("#cell") == "0:7"
    second = page.evaluate(names)
    assert second != first
    assert second == page.evaluate("app.tape.ids.map((_, place) => shade(app.tape.value(place, 7), false))")
    page.fill("#cell", "0:3")
    assert page.evaluate("app.cell") == 3
    page.fill("#cell", "4:3")
    assert page.get_attribute("#cell", "aria-invalid") == "true"
    assert page.evaluate("app.cell") == 3
    page.click("#next-cell")
    assert page.evaluate("app.cell") == 4
    page.select_option("#signal", "f")
    assert drawn(page).evaluate(names)[5].startswith("s")
    page.select_option("#signal", "")
    assert drawn(page).inner_text("#high") == "8 bits or more"
    page.focus("#text")
    page.keyboard.press("]")
    assert page.evaluate("[app.cell, app.painter]") == [5, None]
    page.keyboard.press("s")
    assert page.evaluate("app.painter === SURPRISE") is True


def test_the_strip_shows_the_cells_as_they_change(page):
    image = "element('strip').toDataURL()"
    first = page.evaluate(image)
    page.click("#step")
    assert drawn(page).evaluate(image) != first


def test_a_held_cell_changes_the_text(page):
    page.evaluate("while (app.tape.length < 120) writeOne(); refresh()")
    text = written(page)
    hold(page, "0:7", 7, 0.9)
    page.uncheck("#hold")
    assert written(page) == text
    page.check("#hold")
    held = written(page)
    assert len(held) == len(text)
    assert held != text
    assert held.startswith("The ")
    values = page.evaluate("app.tape.ids.map((_, place) => app.tape.value(place, 7))")
    assert np.allclose(values, 0.9, atol=1e-6)
    assert page.evaluate("element('free-text').textContent") == text
    words = page.inner_text("#proof-words")
    part = next(k for k, (a, b) in enumerate(zip(text, held, strict=True)) if a != b)
    assert f"The texts part at character {part + 1}." in words
    without, with_held, more = map(float, re.findall(r"\d+\.\d+", words))
    assert abs(with_held - without) == pytest.approx(more, abs=0.011)
    assert drawn(page).inner_text("#held-cells") == "Held: 0:7 at 0.90"
    page.fill("#held", "-0.9")
    until(page, "app.holds.get(7) === -0.9")
    assert written(page) != held
    page.focus("#text")
    page.keyboard.press("]")
    page.keyboard.press("h")
    assert drawn(page).inner_text("#held-cells") == "Held: 0:7 at \u22120.90, 0:8 at \u22120.90"
    page.click("#let-go")
    assert written(page) == text
    assert not page.is_visible("#proof")


@pytest.mark.parametrize("cell", ["lstm", "capped-lstm", "coupled-lstm", "gru", "rnn"])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_step_is_shown_with_its_numbers(opened, cell, layers):
    page = opened(page_of(cell=cell, layers=layers, embedding=5 if layers == 2 else None))
    last = layers - 1
    page.fill("#cell", f"{last}:5")
    page.locator("#machine").scroll_into_view_if_needed()
    rows = drawn(page).evaluate(
        "[...document.querySelectorAll('#equations tr')]"
        ".map((row) => [...row.children].map((each) => each.textContent))"
    )
    shown = {name: float(value.strip("= ").replace("\u2212", "-")) for name, *_, value in rows}
    for name, value in shown.items():  # what the equations give is what the engine computed
        if name.startswith("z"):
            continue
        slot = {"h": f"app.network.parts[{last}].h[5]", "c": f"app.network.parts[{last}].c[5]"}.get(
            name, f"app.network.parts[{last}].z[4 * 5 + app.network.kind.signals.{name}]"
        )
        assert value == pytest.approx(page.evaluate(slot), abs=6e-4), name

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    for name, value in shown.items():
        z = shown.get(f"z_{name}")
        if z is not None:
            squashed = np.tanh(z) if name in "gn" else sigmoid(z)
            if (cell, name) == ("capped-lstm", "i"):
                squashed = min(squashed, 1 - shown["f"])
            assert value == pytest.approx(squashed, abs=2e-3), name
    if cell == "rnn":
        assert shown["h"] == pytest.approx(np.tanh(shown["z"]), abs=2e-3)
    assert set(shown) == {
        "rnn": {"z", "h"},
        "gru": {"z_r", "z_z", "z_n", "r", "z", "n", "h"},
        "coupled-lstm": {"z_f", "z_g", "z_o", "f", "g", "o", "i", "c", "h"},
    }.get(cell, {"z_i", "z_f", "z_g", "z_o", "i", "f", "g", "o", "c", "h"})
    label = page.get_attribute("#diagram", "aria-label")
    assert f"h {rows[-1][-1].strip('= ')}" in label
    assert page.locator("#terms li").count() == 6
    assert page.locator("#adds li").count() == 6


def test_a_network_is_trained_and_writes(page):
    page.click("#learn")
    until(page, "learning.losses.length > 40 && recentLoss() < 2.9", 600)
    assert page.inner_text("#learn") == "Pause"
    page.click("#learn")
    assert page.inner_text("#learn") == "Go on"
    numbers = page.inner_text("#learning-numbers")
    assert re.search(
        r"[\d,]+ updates, [\d,]+ characters, [\d.]+ s .* loss [\d.]+ nats .* norm of the gradient [\d.]+", numbers
    )
    count = page.evaluate("learning.losses.length")
    page.wait_for_timeout(150)
    assert page.evaluate("learning.losses.length") == count
    assert len(page.evaluate("element('sample').textContent")) >= 240
    assert page.locator("#norms li").count() == 5
    assert page.evaluate("new Set(element('gradient').getContext('2d').getImageData(0, 0, 64, 64).data).size") > 9
    assert "Loss after" in page.get_attribute("#curve", "aria-label")
    page.click("#use-trained")
    assert "an LSTM 1 \u00d7 64 that this page trained" in page.inner_text("#network")
    assert 5 < len(written(page)) <= 400
    page.click("#original")
    assert page.inner_text("#network") == "A model"
    assert written(page).startswith("The ")
    page.click("#learn-again")
    assert page.inner_text("#learn") == "Train"
    assert page.is_enabled("#training-text")


def test_a_fable_is_learnt_to_below_2_nats_within_a_minute(page):
    page.click("#learn")
    until(page, "learning.losses.length > 20 && recentLoss() < 2", 600)
    assert page.evaluate("learningSeconds()") < 60
    page.click("#learn")


def test_a_short_text_is_not_learnt(page):
    page.fill("#training-text", "too short")
    page.click("#learn")
    assert page.inner_text("#learning-said") == "The text has 9 characters. Give it at least 200."
    assert page.inner_text("#learn") == "Train"
    page.fill("#training-text", "<img src=x>\u202e\x1b\u00e9" * 30)
    page.select_option("#units", "16")
    page.click("#learn")
    until(page, "learning.losses.length > 5")
    page.click("#learn")
    assert page.locator("img").count() == 0
    assert "\u202e" not in page.evaluate("element('sample').textContent")


@pytest.mark.parametrize("simd", [True, False])
def test_the_engine_is_fast_enough(opened, simd):
    """At 1x128 the page writes 5,000 characters a second. Without SIMD half of it, for slow machines, is asked for."""
    page = opened(page_of([chr(0x100 + k) for k in range(60)], hidden=128, prime=""))
    assert page.evaluate("withSIMD") is True
    if not simd:
        page.evaluate("compiled.module = null; use(makeNetwork(), page)")
    until(page, f"measure() > {5000 if simd else 1200}", 120)
    page.click("#measure")
    assert "characters a second" in page.inner_text("#measured")


def test_light_and_dark_follow_the_system_and_the_switch(opened):
    page = opened(page_of(), color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark, strip = page.evaluate(ground), page.evaluate("element('strip').toDataURL()")
    page.emulate_media(color_scheme="light")
    page.wait_for_selector("html[data-theme=light]")
    assert page.evaluate(ground) != dark
    assert drawn(page).evaluate("element('strip').toDataURL()") != strip
    page.focus("#text")
    page.keyboard.press("t")
    assert page.evaluate(ground) == dark


def test_help_opens_and_closes_and_inputs_keep_their_keys(page):
    page.focus("#text")
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("ArrowRight")
    assert written(page) == "The "
    page.keyboard.press("Escape")
    assert not page.is_visible("#help")
    page.focus("#prime")
    page.keyboard.type(" ht1")
    assert written(page) == "The "
    page.focus("#temperature")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#temperature-value") == "0.85"
    assert written(page) == "The "


def test_less_motion(opened):
    page = opened(page_of(), reduced_motion="reduce")
    page.click("#begin button")
    page.fill("#rate", "8")
    length, seconds = page.evaluate("""new Promise((done) => {
        const begun = performance.now()
        run()
        setTimeout(() => done([app.tape.length, (performance.now() - begun) / 1000]), 300)
    })""")
    assert length == 4 or seconds > 0.5  # the first change comes after half a second
    until(page, "app.tape.length > 20")
    page.click("#run")


@pytest.mark.parametrize("layers", [1, 2])
def test_a_phone_has_room_for_it(opened, layers):
    page = opened(
        page_of(layers=layers, hidden=64), viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.tap("#step")
    assert len(written(page)) == 401
    page.tap("#strip", position={"x": 40, "y": 20})
    assert page.evaluate("app.cell") > 0
    for part in ("header", "#text", "#run", "#guesses", "#strip", "#signal", "#held", "#learn", "#curve"):
        box = page.locator(part).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360, part
    for button in page.locator("button:visible").all():
        assert button.bounding_box()["height"] >= 34


def test_everything_that_can_be_used_has_a_name(page):
    """Chromium's own accessibility tree has a name for each control and each picture."""
    named = controls(page)
    assert len(named) > 30
    assert [each for each in named if not each[1].strip()] == []


def test_hostile_text_stays_text_in_a_browser(opened):
    evil = "</title></script><script>document.title='ran'</script><img src=x onerror=alert(1)>\u202e"
    page = opened(page_of([*EVIL, chr(10)], title=evil, prime="<<&\x1b\u202e", facts=[evil]))
    assert page.locator("img").count() == 0
    assert "ran" not in page.title().split("<")[0]
    text = written(page)
    assert set(text) <= {"<", "\u2400", "\u241b", "&", '"', "\ufffd", "\n"}
    assert text.startswith("<<&\u241b\ufffd")


def test_the_page_cannot_reach_a_network_or_run_other_scripts(chromium, tmp_path):
    path, page = tmp_path / "page.html", chromium.new_page()
    path.write_text(page_of(), "ascii")
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("[data-ready]")
    assert page.evaluate("fetch('https://example.org').then(() => 'sent', () => 'refused')") == "refused"
    inserted = "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))"
    assert page.evaluate(f"({inserted}, window.ran ?? null)") is None
    assert [url for url in sent if not url.startswith(("file:", "data:"))] == []
    page.close()
