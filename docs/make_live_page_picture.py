"""Take the picture docs/live_page.png of the page that ``charrnn export --page`` writes.

    python docs/make_live_page_picture.py

It needs playwright and Chromium.  The page shows a text that begins with a quotation, coloured by the cell of the
quotations.
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


def main() -> None:
    """Write the page, open it and take the picture."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder:
        page_file = Path(folder) / "fables.html"
        subprocess.run([sys.executable, "-m", "charrnn", "export", MODEL, str(page_file)], cwd=ROOT, check=True)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport=SIZE, color_scheme="dark")
            page.goto(page_file.as_uri())
            page.wait_for_selector("[data-ready]")
            page.fill("#prime", PRIME)
            page.click("#begin button")
            page.evaluate("while (app.tape.length < 480) writeOne(); refresh()")
            page.fill("#cell", CELL)
            page.focus("#text")
            page.evaluate("element('text').scrollTop = 0")
            page.wait_for_timeout(500)
            page.screenshot(path=ROOT / "docs" / "live_page.png")
            browser.close()


if __name__ == "__main__":
    main()
