"""What WeChat shows of the truth at an instant: not yet, not all, and in the end everything. Pure.

`newest` is the newest day that is there for the account and dataset in question.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from collector.sandbox.rows import Row
from collector.sandbox.world import BEIJING, World

ONE_DAY = timedelta(days=1)


def newest_published(now: datetime, published_at: time) -> date:
    """The newest day that is there: Beijing's yesterday from `published_at` on, else the one before."""
    local = now.astimezone(BEIJING)
    return local.date() - ONE_DAY * (1 if local.time() >= published_at else 2)


def shown_summary(world: World, appid: str, day: date, newest: date) -> list[Row]:
    """The rows of `day` in `getusersummary` as they stand now."""
    age = (newest - day).days
    if age < world.summary_delay(appid, day):
        return []
    rows = world.summary(appid, day)
    if age >= world.revised_for_days:
        return rows
    return [{**row, "new_user": int(row["new_user"]) - _held_back(row)} for row in rows]


def shown_cumulate(world: World, appid: str, day: date, newest: date) -> list[Row]:
    """The row of `day` in `getusercumulate` as it stands now, if there is one.

    What summary holds back is missing here too, so that what is shown adds up from day to day.
    """
    cumulate = world.cumulate(appid, day) if day <= newest else None
    if cumulate is None:
        return []
    ages = range((newest - day).days, world.revised_for_days)
    missing = sum(_held_back(row) for age in ages for row in world.summary(appid, newest - ONE_DAY * age))
    return [{"ref_date": day.isoformat(), "user_source": 0, "cumulate_user": cumulate - missing}]


def _held_back(row: Row) -> int:
    return (int(row["new_user"]) + 1) // 2
