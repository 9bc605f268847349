"""Take the pictures docs/live_page.png and docs/live_heads.png of pages that ``charrnn export --page`` writes.

    python docs/make_live_page_picture.py              # live_page.png
    python docs/make_live_page_picture.py small        # live_heads.png, of a Transformer that was trained on the fables

It needs playwright and Chromium.  The first page shows a text that begins with a quotation, coloured by the cell of the
quotations; the second one where the heads look.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
MODEL, CELL = "checkpoints/fables.safetensors", "1:113"
PRIME = '"Ladies," said Marrow, "I have'
SIZE = {"width": 1180, "height": 1080}


def cells(page) -> None:
    """The top of the page."""
    page.evaluate("while (app.tape.length < 480) writeOne(); refresh()")
    page.fill("#cell", CELL)
    page.focus("#text")
    page.evaluate("element('text').scrollTop = 0")
    page.wait_for_timeout(500)
    page.screenshot(path=ROOT / "docs" / "live_page.png")


def heads(page) -> None:
    """The section of the heads."""
    page.evaluate("while (app.tape.length < 300) writeOne(); chooseHead(strongestHead())")
    page.locator("#machine").scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    page.locator("#machine").screenshot(path=ROOT / "docs" / "live_heads.png")


def main() -> None:
    """Write the page, open it and take the picture."""
    model, take = (sys.argv[1], heads) if len(sys.argv) > 1 else (MODEL, cells)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder:
        page_file = Path(folder) / "fables.html"
        subprocess.run([sys.executable, "-m", "charrnn", "export", model, str(page_file)], cwd=ROOT, check=True)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport=SIZE, color_scheme="dark")
            page.goto(page_file.as_uri())
            page.wait_for_selector("[data-ready]")
            page.fill("#prime", PRIME)
            page.click("#begin button")
            take(page)
            browser.close()


if __name__ == "__main__":
    main()
