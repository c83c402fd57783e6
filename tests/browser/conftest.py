"""A real Chromium for the journeys. Debian's package; Playwright's own browsers are never downloaded.

Screenshots are written to docs/screenshots when UNDERSTUDY_SCREENSHOTS is set (`make screenshots`).
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.console.conftest import ada, hire, mara, olga, quick_hashes, signed_in
from tests.service.conftest import engine, settings, shop, store

__all__ = [
    "ada",
    "engine",
    "hire",
    "mara",
    "olga",
    "quick_hashes",
    "settings",
    "shop",
    "signed_in",
    "store",
]
SCREENSHOTS = Path(__file__).parents[2] / "docs" / "screenshots"
FLAGS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    missing = shutil.which("chromium") is None
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)
            if missing:
                why = "Chromium is not here: apt-get install chromium"
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Closed after each file: while it runs, Playwright's event loop runs in this thread."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A person's own browser: nothing is shared with other tests. Errors of its pages fail the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 860}, locale="en-GB")
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if _is_broken(said.text) else None)
    yield page
    assert problems == []


def _is_broken(text: str) -> bool:
    return any(sign in text for sign in ("Content Security Policy", "Uncaught", "Refused to"))


@pytest.fixture
def picture() -> Callable[[Page, str], None]:
    """Keeps a screenshot for the docs: `picture(page, "inbox")`."""

    def take(page: Page, name: str) -> None:
        if os.environ.get("UNDERSTUDY_SCREENSHOTS"):
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=SCREENSHOTS / f"{name}.png")

    return take


@pytest.fixture(scope="session")
def accessible() -> Callable[[Page], None]:
    """Fails with axe's report when a page breaks a rule."""
    axe = Axe()

    def check(page: Page) -> None:
        found = axe.run(page)
        assert found.violations_count == 0, found.generate_report()

    return check


def in_both_lights(page: Page, accessible: Callable[[Page], None]) -> None:
    """axe on a page in the dark and in the light; it is left light."""
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        accessible(page)
