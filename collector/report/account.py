"""One account in a report: the facts that its state gives, and its stored days as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from collector.completeness.datasets import CUMULATE, DATASETS
from collector.completeness.plan import Target, begins
from collector.completeness.settle import is_silent
from collector.model.daily import Daily
from collector.model.days import NO_DAYS, Days
from collector.model.state import AccountState
from collector.report.frame import Frame


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about an account beside its figures.

    `begin` is the first day on which figures are expected, `born` the day on which the account began, where that is
    known. `void` are the days of which WeChat has no figures of some dataset. A `failing` account has failed since its
    last success; a `silent` one had no row in 14 days.
    """

    account: str
    name: str
    tags: tuple[str, ...]
    begin: date
    born: date | None = None
    void: Days = NO_DAYS
    failing: bool = False
    silent: bool = False


def facts_of(
    account: str, name: str, tags: tuple[str, ...], since: date | None, state: AccountState, newest: date
) -> Facts:
    """Return the facts about an account by its entry in the configuration (`since`) and its stored `state`."""
    return Facts(
        account,
        name,
        tags,
        begins(since, state, Target(newest, lookback_days=1)),
        state.born,
        Days.union(state.dataset(dataset).void for dataset in DATASETS),
        any(state.dataset(dataset).last_error for dataset in DATASETS),
        is_silent(state.dataset(CUMULATE)),
    )


class Mark(StrEnum):
    """How whole a day is, of an account or of a group.

    * `stored`: both datasets came for it; zeros in it were said by WeChat.
    * `proven`: zeros that WeChat didn't send: without a row of summary, the unchanged total proved them.
    * `partial`: one dataset is missing, or some accounts of a group lack it.
    * `missing` (待补): nothing is stored, and it is asked for again.
    * `void`: WeChat has no figures of it.
    * `uncollected`: it is before the first day wanted; `unborn`: before the account began.
    """

    STORED = "stored"
    PROVEN = "proven"
    PARTIAL = "partial"
    MISSING = "missing"
    VOID = "void"
    UNCOLLECTED = "uncollected"
    UNBORN = "unborn"


class Columns(NamedTuple):
    """The days of one account as columns over `Frame.days`; the figures of an absent day are 0.

    `has_summary` and `has_cumulate` say with 1 which days are stored.
    """

    facts: Facts
    new_user: Sequence[int]
    cancel_user: Sequence[int]
    cumulate_user: Sequence[int]
    has_summary: Sequence[int]
    has_cumulate: Sequence[int]


def columns_of(facts: Facts, days: Sequence[Daily], frame: Frame) -> Columns:
    """Return the stored `days` of an account, oldest first, as columns."""
    raise NotImplementedError
