"""All pages in a real browser: drawn, without errors, on a desk and on a phone, light and dark.

``OUROBOROS_SCREENSHOTS=folder`` keeps the pictures.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboards.pages import SECTIONS
from dashboards.texts import TABLES
from tests.board_day import make_day

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path("/usr/bin/chromium")
PAGES = [name for pages in SECTIONS.values() for name, _ in pages]
SIZES = {"desk": {"width": 1400, "height": 1000}, "phone": {"width": 390, "height": 844}}
PHONE: dict[str, Any] = {
    "is_mobile": True,
    "has_touch": True,
    "user_agent": "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Mobile Safari/537.36",
}
_MOST_MS = 60_000

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no /usr/bin/chromium")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The dashboard in a process of its own, on a traded day."""
    home = tmp_path_factory.mktemp("home")
    make_day(home)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if name != "DASHBOARD_PASSWORD"},
        "OUROBOROS_HOME": str(home),
        "ENABLED_MARKETS": "KR,US",
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
    }
    options = [f"--server.port={port}", "--server.address=127.0.0.1"]
    server = subprocess.Popen(
        [sys.executable, "-m", "dashboards.serve", *options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the dashboard did not come up")


@pytest.fixture(scope="module")
def browser(address: str) -> Iterator[Any]:
    """Begun after the day was played: Playwright keeps an event loop running in this thread."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield made
        made.close()


class Visitor:
    """One browser window that notes whatever goes wrong in it."""

    def __init__(self, browser: Any, address: str, size: str, scheme: str) -> None:
        self.name = f"{size}-{scheme}"
        self._context = browser.new_context(
            viewport=SIZES[size], color_scheme=scheme, **PHONE if size == "phone" else {}
        )
        self.page = self._context.new_page()
        self.page.set_default_timeout(_MOST_MS)
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(f"page: {error}"))
        self.page.on("console", self._said)
        self.page.on("request", self._asked)
        self._address = address

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self.wrong.append(f"console: {message.text}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self._address, "data:", "blob:", "ws://127.0.0.1")):
            self.wrong.append(f"left the machine: {request.url}")

    def open(self) -> None:
        self.page.goto(self._address)
        self.settled("today")

    def go(self, name: str) -> None:
        """By the navigation, as a person does."""
        menu = self.page.get_by_test_id("stExpandSidebarButton")
        if menu.is_visible():
            menu.click()
        links = self.page.locator("[data-testid=stSidebarNavLink]", has_text=_title(name))
        links.first.click()
        self.settled(name)

    def settled(self, name: str) -> None:
        """Wait until the page has its title and the script behind it has ended."""
        self.page.get_by_role("heading", level=1, name=_title(name), exact=True).wait_for()
        self.page.wait_for_function(
            "document.querySelector('[data-testid=stApp]')"
            ".getAttribute('data-test-script-state') === 'notRunning'"
        )

    def text(self) -> str:
        return str(self.page.get_by_test_id("stMain").inner_text())

    def width_beyond_the_window(self) -> int:
        return int(
            self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
        )

    def picture(self, name: str) -> None:
        folder = os.environ.get("OUROBOROS_SCREENSHOTS")
        if not folder:
            return
        main = "document.querySelector('[data-testid=stMain]').scrollHeight"
        before = self.page.viewport_size
        height = min(int(self.page.evaluate(main)) + 20, 6000)
        self.page.set_viewport_size({"width": before["width"], "height": height})
        self.page.wait_for_timeout(800)
        self.page.screenshot(path=Path(folder) / f"{name}-{self.name}.png")
        self.page.set_viewport_size(before)

    def close(self) -> None:
        self._context.close()


def _title(name: str) -> str:
    return TABLES["en"][f"page.{name}"]


def test_every_page_is_drawn_without_an_error(browser: Any, address: str) -> None:
    visitor = Visitor(browser, address, "desk", "light")
    visitor.open()
    broken = TABLES["en"]["frame.broken"].split(":")[0]
    for name in PAGES:
        visitor.go(name)
        assert broken not in visitor.text(), name
        assert visitor.width_beyond_the_window() <= 0, name
        visitor.picture(name)
    assert not visitor.wrong
    visitor.close()


def test_on_a_phone_in_the_dark_the_pages_fit_and_are_dark(browser: Any, address: str) -> None:
    visitor = Visitor(browser, address, "phone", "dark")
    visitor.open()
    assert "ouroboros resume KRW" in visitor.text()
    charts = visitor.page.locator("[data-testid=stVegaLiteChart] canvas, .vega-embed svg")
    charts.first.wait_for()
    ground = visitor.page.evaluate(
        "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
    )
    assert sum(int(part) for part in ground.strip("rgba()").split(",")[:3]) < 150
    visitor.picture("today")
    visitor.go("playbook")
    assert visitor.width_beyond_the_window() <= 0
    visitor.picture("playbook")
    assert not visitor.wrong
    visitor.close()
