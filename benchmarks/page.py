"""How quick a page of cells is in a browser: until the text shows, another cell, another place, and the page's size.

    python benchmarks/page.py checkpoints/python.safetensors corpora/fables.txt

Makes a page of 100,000 characters (the text is repeated to that length) with ten cells by `charrnn inspect page`, and
opens it several times in headless Chromium, which must be installed, as must playwright (`pip install
playwright`).  *First paint* is Chromium's first-contentful-paint, from the beginning of the navigation; the
others are from the call to the end of the frame after it, when the change is on the screen.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

# No string is evaluated in the page but by the debugger: its policy forbids that.
PAINTED = """async () => {
    const start = performance.now()
    %s
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)))
    return performance.now() - start
}"""
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
WORK = {
    "another cell": "stepCell(1)",
    "the end of the text": "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'End', ctrlKey: true}))",
}


def make_page(model: str, text: Path, characters: int, folder: Path) -> Path:
    """The page, written by the command."""
    content, long, page = text.read_text("utf-8"), folder / "text.txt", folder / "page.html"
    long.write_text((content * -(-characters // len(content)))[:characters], "utf-8")
    command = [
        sys.executable,
        "-m",
        "charrnn",
        "inspect",
        "page",
        model,
        str(long),
        "--unknown",
        "skip",
        "-o",
        str(page),
        "-q",
    ]
    subprocess.run(command, check=True)
    return page


def measure(browser, page: Path) -> dict[str, float]:
    """Milliseconds by what is done, in a window of its own."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    tab = context.new_page()
    tab.goto(page.as_uri())
    tab.wait_for_selector(".here")
    while (painted := tab.evaluate(FIRST_PAINT)) is None:
        tab.wait_for_timeout(20)
    found = {"first paint": painted}
    for name, change in WORK.items():
        found[name] = tab.evaluate(PAINTED % change)
    assert tab.evaluate("place") == tab.evaluate("ids.length") - 1
    context.close()
    return found


def main():
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("text", type=Path)
    parser.add_argument("--characters", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise SystemExit("no Chromium is installed")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        page = make_page(options.model, options.text, options.characters, Path(folder))
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        runs = [measure(browser, page) for _ in range(options.rounds)]
        print(f"{options.characters:,} characters, {page.stat().st_size / 1e6:.2f} MB, Chromium {browser.version}")
        browser.close()
    print("| ms | median | from | to |")
    print("|---|---|---|---|")
    for name in runs[0]:
        times = [run[name] for run in runs]
        print(f"| {name} | {median(times):.0f} | {min(times):.0f} | {max(times):.0f} |")


if __name__ == "__main__":
    main()
