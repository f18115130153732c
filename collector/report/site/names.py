"""Names of the files of a site, safe whatever accounts and tags are called."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from collector.model.accounts import is_appid
from collector.report.figures.account import Facts

INDEX = "index"


def account_page(appid: str) -> str:
    """Return the page of an account, as each page without its suffix: `accounts/wx0123456789abcdef`."""
    return f"accounts/{appid if is_appid(appid) else _slug(appid)}"


def tag_page(name: str) -> str:
    """Return the page of a tag: `tags/retail-` and a part of the hash of its name, which may be of any letters."""
    return f"tags/{_slug(name)}"


def pages(accounts: Iterable[Facts]) -> list[str]:
    """Return all pages of a site."""
    facts = [*accounts]
    tags = dict.fromkeys(tag for each in facts for tag in each.tags)
    return [INDEX, *(account_page(each.account) for each in facts), *map(tag_page, tags)]


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses of pages, from a page whose way to the index is `root`: `` or `../`."""

    root: str

    def account(self, appid: str) -> str:
        """Return the address of the page of an account."""
        return f"{self.root}{account_page(appid)}.html"

    def tag(self, name: str) -> str:
        """Return the address of the page of a tag."""
        return f"{self.root}{tag_page(name)}.html"

    def index(self) -> str:
        """Return the address of the index."""
        return f"{self.root}{INDEX}.html"


def _slug(name: str) -> str:
    plain = re.sub(r"[^0-9a-z]+", "-", name.lower())[:24].strip("-")
    return "-".join(filter(None, [plain, sha256(name.encode(errors="surrogatepass")).hexdigest()[:12]]))
