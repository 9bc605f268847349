"""Take the picture docs/page.png of the page that ``charrnn inspect page`` writes.

    python docs/make_page_picture.py

It needs playwright and Chromium.  The page shows the cell with the highest score; the pointer is on a word of the
first docstring.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
MODEL, TEXT, WORD = "checkpoints/python.safetensors", "charrnn/training/schedule.py", "linear warm-up"
SIZE = {"width": 1180, "height": 640}


def main() -> None:
    """Write the page, open it and take the picture."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder:
        page_file = Path(folder) / "cells.html"
        command = [sys.executable, "-m", "charrnn", "inspect", "page", MODEL, TEXT, "-o", str(page_file)]
        subprocess.run(command, cwd=ROOT, check=True)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport=SIZE, color_scheme="dark")
            page.goto(page_file.as_uri())
            page.wait_for_selector(".here")
            place = (ROOT / TEXT).read_text("utf-8").index(WORD)
            page.evaluate(f"go({place}); spanAt({place}).scrollIntoView({{block: 'center'}})")
            page.wait_for_timeout(500)
            page.screenshot(path=ROOT / "docs" / "page.png")
            browser.close()


if __name__ == "__main__":
    main()
