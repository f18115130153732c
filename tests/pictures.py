"""Pictures of a report and of a site for the documentation, made of the demo: `make pictures`.

Each is looked at before it is committed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, sync_playwright

CHROMIUM = "/usr/bin/chromium"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
IMAGES = Path(__file__).parents[1] / "docs" / "images"
ACCOUNT = "client-00030"
"""An account of the demo that is large enough to look like something."""


def main() -> None:
    """Run the demo, write its reports, and draw them."""
    with TemporaryDirectory(prefix="collector-pictures-") as name:
        folder = Path(name)
        kept = re.search(r"^Kept in (\S+),", _collector("demo", "--keep", "-q", cwd=folder), re.MULTILINE)
        if not kept:
            sys.exit("the demo has kept nothing")
        settings = f"{kept[1]}/accounts.yaml"
        try:
            _collector("report", "page.html", "-c", settings, "--account", ACCOUNT, "--period", "month", cwd=folder)
            _collector("report", "site/", "-c", settings, "--period", "30", cwd=folder)
            _draw(folder)
        finally:
            shutil.rmtree(kept[1])


def _draw(folder: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        _picture(browser, folder / "page.html", "report.png", 1280, 1560)
        _picture(browser, folder / "page.html", "report-phone.png", 390, 1400)
        _picture(browser, folder / "site" / "index.html", "site.png", 1280, 1560)
        browser.close()


def _picture(browser: Browser, page: Path, name: str, width: int, height: int) -> None:
    opened = browser.new_page(viewport={"width": width, "height": 900})
    opened.goto(page.as_uri())
    opened.wait_for_function("document.documentElement.dataset.drawn")
    whole = opened.evaluate("document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, whole)}
    opened.screenshot(path=IMAGES / name, full_page=True, clip=clip)  # type: ignore[arg-type] # a typed dictionary
    print(IMAGES / name)  # noqa: T201
    opened.close()


def _collector(*arguments: str, cwd: Path) -> str:
    command = [sys.executable, "-m", "collector", *arguments]
    environ = os.environ | {"COLLECTOR_LANG": "zh"}
    return subprocess.run(command, cwd=cwd, env=environ, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
