"""The part of the truth that WeChat shows at a given time: newer days are missing or provisional.

`newest` is the newest published day of the account and dataset.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from collector.sandbox.rows import Row
from collector.sandbox.world import BEIJING, World

ONE_DAY = timedelta(days=1)


def newest_published(now: datetime, published_at: time) -> date:
    """Return the newest published day: Beijing's yesterday from `published_at` on, else the day before it."""
    local = now.astimezone(BEIJING)
    return local.date() - ONE_DAY * (1 if local.time() >= published_at else 2)


def shown_summary(world: World, appid: str, day: date, newest: date) -> list[Row]:
    """Return the current rows of `day` in `getusersummary`."""
    age = (newest - day).days
    if age < world.summary_delay(appid, day):
        return []
    rows = world.summary(appid, day)
    if age >= world.revised_for_days:
        return rows
    return [{**row, "new_user": int(row["new_user"]) - _withheld(row)} for row in rows]


def shown_cumulate(world: World, appid: str, day: date, newest: date) -> list[Row]:
    """Return the current row of `day` in `getusercumulate`, if there is one."""
    cumulate = world.cumulate(appid, day) if day <= newest else None
    if cumulate is None:
        return []
    # The new followers that summary withholds on provisional days are withheld here too: shown totals always add up.
    ages = range((newest - day).days, world.revised_for_days)
    missing = sum(_withheld(row) for age in ages for row in world.summary(appid, newest - ONE_DAY * age))
    return [{"ref_date": day.isoformat(), "user_source": 0, "cumulate_user": cumulate - missing}]


def _withheld(row: Row) -> int:
    return (int(row["new_user"]) + 1) // 2
