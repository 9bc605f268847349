"""Chromium and Node.js for tests of pages. A machine that must have a browser says so by CHARRNN_BROWSER=required.

python tests/support/browser.py     # whether a page can be opened here: an error and exit status 1 if not

A busy machine can be imitated: a test fails that does not wait for what it looks at. With CHARRNN_SLOW_FRAMES=250 every
frame of a page is drawn 250 ms late; with CHARRNN_SLOW_CPU=20 the page computes 20 times as slowly.
"""

import json
import os
import shutil
import subprocess

import pytest

IS_REQUIRED = os.environ.get("CHARRNN_BROWSER") == "required"  # .ci/run: a test that is skipped would go unnoticed
SLOW_FRAMES = int(os.environ.get("CHARRNN_SLOW_FRAMES", "0"))  # milliseconds
SLOW_CPU = int(os.environ.get("CHARRNN_SLOW_CPU", "1"))
DRAW_LATE = """
const inTime = requestAnimationFrame;
window.requestAnimationFrame = (draw) => setTimeout(() => inTime(draw), MILLISECONDS);
"""
NODE = shutil.which("node")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def _missing():
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed"
    return None if CHROMIUM else "no Chromium is installed"


MISSING = _missing()
if MISSING and IS_REQUIRED:
    raise RuntimeError(f"CHARRNN_BROWSER=required, and {MISSING}")

needs_browser = [
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
    pytest.mark.xdist_group("browser"),
    # The driver closes its event loop after the test that used it has ended.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def launched():
    """Chromium, as a generator for a fixture."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def complaints_of(page, complaints):
    """Collect what a page reports and every request for anything but the page itself."""
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: request.url.startswith(("file:", "data:")) or complaints.append(request.url))
    return page


def opener(chromium, folder, ready, height, prepared=lambda page: page, script=""):
    """A function that opens a page in HTML, as a generator for a fixture; at its end no page may have complained.

    A page is there when it has an element ``ready``; then ``prepared(page)`` is returned. ``script`` runs before the
    page's own scripts.
    """
    complaints, contexts = [], []

    def open_page(page_text, script=script, **options):
        path = folder / "page.html"
        path.write_text(page_text, "ascii")
        context = chromium.new_context(**({"viewport": {"width": 1200, "height": height}} | options))
        contexts.append(context)
        context.add_init_script(script)
        if SLOW_FRAMES:
            context.add_init_script(DRAW_LATE.replace("MILLISECONDS", str(SLOW_FRAMES)))
        page = complaints_of(context.new_page(), complaints)
        if SLOW_CPU > 1:
            context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOW_CPU})
        page.goto(path.as_uri())
        page.wait_for_selector(ready)
        return prepared(page)

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints


def run_script(source, given, folder):
    """What a script returns, which finds ``given`` under this name: in Node.js, or in Chromium if there is none."""
    body = f"const given = {json.dumps(given)};\n{source}"
    if NODE:
        path = folder / "script.js"
        path.write_text(f"process.stdout.write(JSON.stringify((() => {{{body}}})()));", "utf-8")
        done = subprocess.run([NODE, str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    if MISSING:
        pytest.skip(f"no Node.js is installed, and {MISSING}")
    for browser in launched():
        page = browser.new_page()
        return json.loads(page.evaluate(f"JSON.stringify((() => {{{body}}})())"))
    return None


if __name__ == "__main__":
    if MISSING:
        raise SystemExit(MISSING)
    for chromium in launched():
        tab = chromium.new_page()
        tab.set_content("<p>one</p>")
        if tab.inner_text("p") != "one":
            raise SystemExit("a page does not show its text")
