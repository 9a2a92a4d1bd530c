"""A headless Chromium, the service it looks at, and a page that may ask nobody else and complain of nothing."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fakes import photo
from tests.page.service import serving

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)
"""Damaged, damaged with a predictor that fails, sound: see `service`."""

LAPTOP: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


@dataclass
class Seen:
    """A page, and what the browser did for it. Requests are `METHOD path?query`, without what the page is made of."""

    page: Any
    url: str
    requests: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.page.on("request", lambda request: self._asked(request.method, request.url))
        self.page.on("console", lambda message: self._said(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _asked(self, method: str, url: str) -> None:
        if url.startswith(("blob:", "data:")):
            return
        if not url.startswith(self.url):
            self.foreign.append(url)
        parts = urlsplit(url)
        if not parts.path.startswith("/page/") and parts.path != "/":
            self.requests.append(f"{method} {parts.path}{'?' + parts.query if parts.query else ''}")

    def _said(self, kind: str, text: str) -> None:
        if text.startswith("Failed to load resource"):
            self.refused.append(text)  # Chromium's own line on every answer that is an error
        elif kind in ("error", "warning"):
            self.complaints.append(text)

    def open(self) -> None:
        self.page.goto(self.url)
        self.page.locator("#served li").first.wait_for()

    def send(self, *files: Any) -> None:
        """Chooses photos by the page's own input."""
        self.page.locator("#files").set_input_files([dict(one) for one in files])

    def answered(self) -> None:
        """Waits until the photo on view has its answer and its picture."""
        self.page.locator("#answer .times").wait_for()
        self.settled()

    def settled(self) -> None:
        """Waits until the picture is there, or that there is none."""
        self.page.locator("#stage[aria-busy]").wait_for(state="detached")

    def texts(self, selector: str) -> list[str]:
        return [str(text).strip() for text in self.page.locator(selector).all_inner_texts()]

    def drawn(self) -> list[str]:
        """Labels of the shapes over the photo, as they are visible now."""
        return sorted(self.page.locator(".over .find").evaluate_all("all => all.map(one => one.dataset.label)"))


def jpeg(
    name: str = "car.jpg", color: tuple[int, int, int] = RED, width: int = 640, height: int = 480
) -> dict[str, Any]:
    return {"name": name, "mimeType": "image/jpeg", "buffer": photo(width, height, color=color)}


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM)
        yield running
        running.close()


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("page") / "log"
    with serving(log, max_body_bytes=2_000_000, max_pixels=13_000_000) as (url, _):
        yield url


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Seen]]:
    """Opens the page at an address. At the end of the test nobody else was asked, and nothing complained of."""
    opened: list[Seen] = []

    def visit(url: str, **context: Any) -> Seen:
        seen = Seen(browser.new_context(**(context or LAPTOP)).new_page(), url)
        opened.append(seen)
        seen.page.set_default_timeout(30_000)
        seen.listen()
        return seen

    yield visit
    for seen in opened:
        seen.page.context.close()
        assert not seen.foreign
        assert not seen.complaints


@pytest.fixture
def seen(visit: Callable[..., Seen], service: str) -> Seen:
    """The page on a laptop, opened."""
    page = visit(service)
    page.open()
    return page


@pytest.fixture
def car(tmp_path: Path) -> Path:
    path = tmp_path / "car.jpg"
    path.write_bytes(photo(640, 480, color=RED))
    return path
