"""A browser and a daemon for it. Without chromium these tests are skipped, and say so.

A page fails its test when a script raised, or when the page tried what its policy forbids.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.integration.browser.world import CHROMIUM, Daemon, find_chromium

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
expect.set_options(timeout=15_000)


@pytest.fixture(scope="session")
def chromium() -> str:
    path = find_chromium()
    if path is None:
        pytest.skip(f"no chromium on the PATH: install it (on Debian: apt install chromium) or name it in {CHROMIUM}")
    return path


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A browser for one module: while its driver's event loop is there, no async test can run in this process."""
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield made
        made.close()


@pytest.fixture(scope="session")
def orch(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    made = Daemon(tmp_path_factory.mktemp("browser"))
    made.start()
    yield made
    made.stop()


class Faults:
    """What went wrong in a page: scripts that raised, and what its policy forbade."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_error(self, error: Exception) -> None:
        self.seen.append(f"a script raised: {error}")

    def on_console(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text or "Content-Security-Policy" in message.text:
            self.seen.append(message.text)


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages of a daemon, each in a browser of its own that may act; the arguments are those of a context."""
    contexts: list[BrowserContext] = []
    faults = Faults()

    def open_page(orch: Daemon, *, width: int = 1440, height: int = 900, **more: Any) -> Page:
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, base_url=orch.url, **more))
        page = contexts[-1].new_page()
        page.on("pageerror", faults.on_error)
        page.on("console", faults.on_console)
        page.goto(orch.link())
        page.wait_for_url("**/")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults.seen == []


@pytest.fixture
def page(opened: Callable[..., Page], orch: Daemon) -> Page:
    return opened(orch)
