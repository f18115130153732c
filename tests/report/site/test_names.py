"""Names of the files of a site, whatever accounts and tags are called."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.report.figures.account import Facts
from collector.report.site.names import Links, account_page, pages, tag_page

APPID = "wx0123456789abcdef"


def test_account() -> None:
    assert account_page(APPID) == f"accounts/{APPID}"


@given(st.text(), st.text())
def test_any_name_is_safe(name: str, other: str) -> None:
    """Letters, digits and hyphens alone, not too long, and for each name another one, whatever the case."""
    for page_of in (tag_page, account_page):
        assert re.fullmatch(r"(tags|accounts)/[0-9a-z-]{12,40}", page_of(name))
        assert (page_of(name) == page_of(other)) == (name == other)


@pytest.mark.parametrize("name", ["", "..", "a/b", "\\", "<script>", "\ud800", "名" * 200, "CON", "Retail", "retail"])
def test_hostile_names(name: str) -> None:
    assert re.fullmatch(r"tags/[0-9a-z-]{12,40}", tag_page(name))


def test_pages() -> None:
    """Each tag once."""
    facts = [Facts(f"wx{n:016x}", "a", ("retail", "food"), date(2026, 1, 1)) for n in range(2)]
    found = pages(facts)
    assert found[:3] == ["index", "accounts/wx0000000000000000", "accounts/wx0000000000000001"]
    assert [page.rpartition("-")[0] for page in found[3:]] == ["tags/retail", "tags/food"]


def test_links() -> None:
    assert Links("").account(APPID) == f"accounts/{APPID}.html"
    assert Links("../").index() == "../index.html"
    assert Links("../").tag("a") == f"../{tag_page('a')}.html"
