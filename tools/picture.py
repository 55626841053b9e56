"""The picture of the web page in README.md.

    python tools/picture.py http://127.0.0.1:8000 [docs/page.png]

The service must run with the shipped bundles. Needs playwright and the system's Chromium.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

_SIZE = {"width": 1200, "height": 760}


def take(url: str, path: Path) -> None:
    """Open the sample of nuclei on the page, wait for its mask, and save a picture."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport=_SIZE)
        page.goto(url)
        page.click("[data-sample=nuclei]")
        page.wait_for_selector("#legend li")
        page.wait_for_load_state("networkidle")
        page.screenshot(path=path)
        browser.close()


if __name__ == "__main__":
    take(sys.argv[1], Path(sys.argv[2] if len(sys.argv) > 2 else "docs/page.png"))
