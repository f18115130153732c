"""Clients with stored figures, and pages in a real browser: Debian's chromium, driven by Playwright."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import clients
import pytest
from playwright.async_api import Browser, Page, async_playwright

from collector.config import Settings
from collector.store.database import Database

CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars"),
)

OpenPage = Callable[..., Awaitable[Page]]


@pytest.fixture
async def settings(database: Database, mongod: str) -> Settings:
    """The configuration of some clients, whose figures are stored."""
    return await clients.stored(database, mongod)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A headless chromium for all tests, by the address of its DevTools: its start takes longer than most of them."""
    if not CHROMIUM.exists():
        # CI has it, so that no page goes untested there.
        skip = pytest.fail if os.environ.get("NO_SKIPS") else pytest.skip
        skip(f"{CHROMIUM} is missing: apt-get install chromium")
    profile = f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"
    command = [str(CHROMIUM), *OPTIONS, "--headless", "--remote-debugging-port=0", profile]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        yield next(line.split()[-1] for line in process.stderr if line.startswith("DevTools listening on"))
        process.terminate()
        process.communicate()


@pytest.fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(chromium)
        yield browser
        await browser.close()


@pytest.fixture
async def open_page(browser: Browser) -> AsyncIterator[OpenPage]:
    """Open a file and wait for its charts.

    At the end of the test nothing may have been printed on the console, and nothing asked of the network.
    """
    said: list[str] = []

    async def opened(path: Path, *, width: int = 1280, scripts: bool = True) -> Page:
        context = await browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=scripts)
        page = await context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: None if _is_local(request.url) else said.append(request.url))
        await page.goto(path.as_uri())
        if scripts:
            await page.locator("html[data-drawn]").wait_for(state="attached")  # polling a function needs eval
        return page

    yield opened
    assert said == []


def _is_local(url: str) -> bool:
    return url.startswith(("file:", "data:", "blob:"))
