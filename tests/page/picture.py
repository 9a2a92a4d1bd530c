"""Makes the README's picture of the page anew, from a running service with the shipped weights:

make serve
python -m tests.page.picture [http://127.0.0.1:8000]
"""

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.page.conftest import CHROMIUM, ROOT

TARGET = ROOT / "openapi" / "examples" / "page.webp"


def shoot(url: str, target: Path = TARGET) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.get_by_role("button", name="Try this drawing").click()
        page.locator("#answer .times").wait_for(timeout=120_000)
        page.locator("#stage[aria-busy]").wait_for(state="detached")
        page.get_by_role("slider").fill("50")
        page.get_by_role("checkbox", name="Parts").check()
        page.locator("h1").click()  # so that nothing has the focus
        picture = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    picture.convert("RGB").save(target, quality=82, method=6)


if __name__ == "__main__":
    shoot(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
