from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from collector.model.days import Days
from collector.model.findings import AccountFindings, Break, Difference, Verified
from collector.model.standings import AccountStatus, Standing, Status
from collector.model.state import Trouble

DAY = date(2026, 11, 3)
AT = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
REFUSED = Trouble("api unauthorized", 48001, None, "ask for the right", AT, AT)
BROKEN = Trouble("the line broke", None, None, "", AT, AT)
LOST = AccountFindings("wx-a", "a", {"user_summary": Difference(lost=Days.of([DAY]))})
DAMAGED = AccountFindings("wx-b", "b", damaged=True)


def _status(name: str, standing: Standing, **errors: Trouble) -> AccountStatus:
    return AccountStatus(f"wx-{name}", name, (), standing, {}, 0, errors=errors)


def test_last_error_is_the_latest() -> None:
    """The latest one; of two at the same time the first dataset's."""
    later = replace(BROKEN, at=AT + timedelta(seconds=1))
    assert _status("a", Standing.FAILING, user_summary=REFUSED, user_cumulate=later).last_error == later
    assert _status("a", Standing.FAILING, user_summary=REFUSED, user_cumulate=BROKEN).last_error == REFUSED
    assert _status("a", Standing.OK).last_error is None


def test_silent_accounts() -> None:
    ok, silent = _status("a", Standing.OK), _status("b", Standing.SILENT)
    assert Status(DAY, (ok, silent)).silent == [silent]


def test_break_and_its_difference() -> None:
    broken = Break(DAY, expected=7, found=-5)
    assert (broken.before, broken.difference) == (date(2026, 11, 2), -12)


def test_days_count_once_for_all_datasets() -> None:
    both = Difference(Days.of([DAY]), Days.of([DAY]))
    found = AccountFindings("wx-a", "a", {"user_summary": both, "user_cumulate": both})
    assert (found.lost_days, found.unknown_days) == (1, 1)


def test_exit_code_of_verify() -> None:
    """3 only while something is left to repair."""
    broken = AccountFindings("wx-a", "a", breaks=(Break(DAY, 7, 8),), foreign=1)
    assert Verified(1, [broken], foreign=1).exit == 0
    assert Verified(1, [LOST]).exit == 3
    assert Verified(1, [DAMAGED]).exit == 3
    assert Verified(1, [LOST, DAMAGED], repaired=True).exit == 0
