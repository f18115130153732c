"""Title of a report."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from collector.commands.report import Order, title_of
from collector.completeness.plan import Target
from collector.config import Selection
from collector.model.language import Language
from collector.report.figures.periods import newest_month
from collector.report.terms import Terms

MANY = [f"client-{number}" for number in range(1_200)]


@pytest.mark.parametrize(
    ("selection", "names", "title"),
    [
        (Selection(), MANY, "1,200 official accounts"),
        (Selection(tags=["food", "retail"]), MANY, "food, retail"),
        (Selection(["tea", "shoes"], ["retail"]), ["tea", "shoes"], "2 official accounts"),
        (Selection(tags=["food"]), ["tea"], "tea"),
    ],
)
def test_title(selection: Selection, names: list[str], title: str) -> None:
    """The one account, the tags where they alone were chosen, or how many accounts."""
    order = Order(selection, newest_month, Target(date(2026, 11, 23), 7), Terms(Language.EN), datetime.now(UTC))
    assert title_of(order, names) == title
