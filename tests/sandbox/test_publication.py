from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.sandbox import World
from collector.sandbox.publication import newest_published, shown_cumulate, shown_summary

ONE_DAY = timedelta(days=1)
NEWEST = date(2026, 11, 23)
SEEDS = st.integers(0, 2**32)
AGES = st.integers(0, 40)
REVISED = st.integers(0, 7)


def net(rows: list[dict[str, int | str]]) -> int:
    return sum(int(row["new_user"]) - int(row["cancel_user"]) for row in rows)


@pytest.mark.parametrize(
    ("utc", "newest"),
    [
        ("2026-11-23T16:00:00", "2026-11-22"),  # midnight in Beijing
        ("2026-11-23T23:59:59", "2026-11-22"),
        ("2026-11-24T00:00:00", "2026-11-23"),  # 08:00 in Beijing
        ("2026-11-24T15:59:59", "2026-11-23"),
    ],
)
def test_newest_published(utc: str, newest: str) -> None:
    now = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert newest_published(now, time(8)) == date.fromisoformat(newest)


@given(SEEDS, AGES)
def test_plain_world_shows_the_truth(seed: int, age: int) -> None:
    world, day = World(seed=seed, size=1), NEWEST - ONE_DAY * age
    appid = world.accounts[0].appid
    assert shown_summary(world, appid, day, NEWEST) == world.summary(appid, day)
    assert shown_cumulate(world, appid, day, NEWEST) == [
        {"ref_date": day.isoformat(), "user_source": 0, "cumulate_user": world.cumulate(appid, day)}
    ]


@given(SEEDS, st.integers(-40, -1))
def test_nothing_newer_than_newest(seed: int, age: int) -> None:
    world, day = World(seed=seed, size=1), NEWEST - ONE_DAY * age
    appid = world.accounts[0].appid
    assert shown_summary(world, appid, day, NEWEST) == shown_cumulate(world, appid, day, NEWEST) == []


@given(SEEDS, REVISED, AGES)
def test_revised_figures_become_the_truth(seed: int, revised: int, age: int) -> None:
    """They add up on each day and become the truth."""
    world, day = World(seed=seed, size=1, revised_for_days=revised), NEWEST - ONE_DAY * age
    appid = world.accounts[0].appid
    rows = shown_summary(world, appid, day, NEWEST)
    (now,), (before,) = (shown_cumulate(world, appid, d, NEWEST) for d in (day, day - ONE_DAY))
    assert int(now["cumulate_user"]) == int(before["cumulate_user"]) + net(rows)
    truth = world.truth(appid, day)
    if age >= revised:
        assert (rows, now["cumulate_user"]) == (list(truth.rows), truth.cumulate_user)
    else:
        assert int(now["cumulate_user"]) <= (truth.cumulate_user or 0)
        assert net(rows) <= truth.net_user


@given(SEEDS, REVISED, st.integers(0, 7))
def test_new_account_is_never_negative(seed: int, revised: int, age: int) -> None:
    """Provisional figures are never negative."""
    world = World(seed=seed, size=1, revised_for_days=revised, births=(NEWEST - ONE_DAY * age,))
    for n in range(age + 1):
        (row,) = shown_cumulate(world, world.accounts[0].appid, NEWEST - ONE_DAY * n, NEWEST)
        assert int(row["cumulate_user"]) >= 0


def test_provisional_figures_are_smaller() -> None:
    """They are smaller on a day with new followers."""
    world = World(size=20, revised_for_days=1)
    for account in world.accounts:
        truth = world.truth(account.appid, NEWEST)
        shown = sum(int(row["new_user"]) for row in shown_summary(world, account.appid, NEWEST, NEWEST))
        assert shown < truth.new_user or shown == truth.new_user == 0


def test_late_summary_follows_its_cumulate() -> None:
    """It comes one to three days after its cumulate."""
    world, delays = World(size=40, late_summary=0.5), set()
    for account in world.accounts:
        day, rows = NEWEST, world.summary(account.appid, NEWEST)
        assert shown_cumulate(world, account.appid, day, NEWEST)
        shown = [shown_summary(world, account.appid, day, NEWEST + ONE_DAY * n) for n in range(4)]
        if rows:
            delays.add(shown.index(rows))
            assert shown == [[]] * shown.index(rows) + [rows] * (4 - shown.index(rows))
    assert delays == {0, 1, 2, 3}


def test_lost_days_are_never_shown() -> None:
    world = World(size=1, lost_days=1.0)
    appid = world.accounts[0].appid
    assert shown_summary(world, appid, NEWEST, NEWEST) == shown_cumulate(world, appid, NEWEST, NEWEST) == []
