"""The page in the system's Chromium, against a service in this process."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-sync",
    "--disable-component-update",
    "--disable-quic",
]


_HANGS_MS = 120_000
"""What takes so long hangs; a slow machine takes less."""


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """The system's Chromium, headless."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("needs the system's Chromium (Debian: apt install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=_QUIET, timeout=_HANGS_MS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, serve, counted_model) -> Iterator[object]:
    """The page, open and ready; a message in its console or a foreign request fails the test."""
    yield from open_page(browser, serve(counted_model))


@pytest.fixture
def open_at(browser) -> Iterator[object]:
    """`open_at(address, **context)`: a page with its own browser context."""
    pages = []

    def begin(address: str, **context: object) -> object:
        generator = open_page(browser, address, **context)
        pages.append(generator)
        return next(generator)

    yield begin
    for generator in pages:
        next(generator, None)


@pytest.fixture
def axe_violations() -> Callable[[object], list[str]]:
    """`axe_violations(page)`: what axe finds wrong; the page's content policy must be off."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    )

    def violations(page) -> list[str]:
        found = axe.Axe().run(page).response["violations"]
        return [f"{item['impact']}: {item['id']} {item['nodes'][0]['target']}" for item in found]

    return violations


def open_page(browser, address: str, **context: object) -> Iterator[object]:
    """Open the page; check at the end that nothing went wrong unseen."""
    window = browser.new_context(viewport={"width": 1280, "height": 800}, **context)
    window.set_default_timeout(_HANGS_MS)
    page = window.new_page()
    foreign: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: check_origin(request.url, address, foreign))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: note(message, errors))
    page.goto(address)
    page.wait_for_selector("#model:not([disabled]), #error:not([hidden]), #key[open]")
    yield page
    window.close()
    assert not foreign, f"the page asked other servers: {foreign}"
    assert not errors, f"the page's console has errors: {errors}"


def check_origin(url: str, address: str, foreign: list[str]) -> None:
    """Note an address that is not the service's own."""
    if not url.startswith((address, "blob:", "data:")):
        foreign.append(url)


def note(message, errors: list[str]) -> None:
    """Note an error of the console; a refused request is one of Chromium's, not of the page's."""
    if message.type == "error" and "Failed to load resource" not in message.text:
        errors.append(message.text)
