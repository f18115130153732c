"""What is known of an account between runs, and the days that a run hands to the writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import NamedTuple

from collector.model.days import NO_DAYS, Days


@dataclass(frozen=True, slots=True)
class Trouble:
    """The last error of a dataset, its remedy, and since when it has failed without a success in between (UTC)."""

    errmsg: str
    errcode: int | None
    rid: str | None
    hint: str
    since: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class DatasetState:
    """What is known of one dataset of an account.

    * `covered`: days whose figures are stored. `void`: days that WeChat has nothing for, found out for good.
    * `empty`: days of age 6 or more that were answered without a row, by the Beijing day of that answer; a second
      such answer on another Beijing day makes them void.
    * `refreshed_to`: the newest published day when the last days were last fetched again, whole; `looked`: the days
      that have had their last look since then, while others of them still wait for it.
    * `not_before`: the instant (UTC) before which WeChat is not to be asked.
    * `calls`: data calls made on the Beijing day `calls_on`, all runs together.
    """

    covered: Days = NO_DAYS
    void: Days = NO_DAYS
    empty: Mapping[date, Days] = field(default_factory=dict)
    refreshed_to: date | None = None
    looked: Days = NO_DAYS
    not_before: datetime | None = None
    calls_on: date | None = None
    calls: int = 0
    last_success: datetime | None = None
    last_error: Trouble | None = None

    @property
    def settled(self) -> Days:
        """The days that need not be asked for again."""
        return self.covered | self.void


@dataclass(frozen=True, slots=True)
class Authorizer:
    """What an account is that a third-party platform, `component`, found among those that authorised it."""

    component: str
    nick_name: str
    mini_program: bool = False


@dataclass(frozen=True, slots=True)
class AccountState:
    """What is known of one account, as the collection `accounts` holds it.

    `name` is the one that its stored documents bear. `born` is the day on which its history begins, if that was
    found. `history_since` is the day to which a backfill was asked to reach. `authorizer` is what a platform that
    discovers its accounts found out about this one.
    """

    account: str
    name: str
    tags: tuple[str, ...] = ()
    born: date | None = None
    history_since: date | None = None
    datasets: Mapping[str, DatasetState] = field(default_factory=dict)
    authorizer: Authorizer | None = None

    def dataset(self, name: str) -> DatasetState:
        """What is known of a dataset; nothing of one that was never asked."""
        return self.datasets.get(name, _UNKNOWN)

    def knowing(self, datasets: Mapping[str, DatasetState]) -> AccountState:
        """The state with `datasets` in the place of what was known of them."""
        known = {**self.datasets, **datasets}
        return AccountState(self.account, self.name, self.tags, self.born, self.history_since, known, self.authorizer)


_UNKNOWN = DatasetState()


Fields = Mapping[str, object]
"""The fields that one dataset gives one day, named as they are stored."""


NOTHING: Mapping[str, Fields] = MappingProxyType({})


class Day(NamedTuple):
    """What came for one account and day, ready to be stored: the fields of each dataset that had it.

    `fields` maps a dataset's name to its fields, `fetched_at` is when the answers came (UTC). The fields of
    `inferred` give way to whatever is stored already. A tuple, since a run makes millions of them.
    """

    account: str
    name: str
    ref_date: date
    fields: Mapping[str, Fields]
    fetched_at: datetime
    inferred: Mapping[str, Fields] = NOTHING


class Update(NamedTuple):
    """What the writer takes: days of one account, and the state that they justify once they are acknowledged."""

    days: Sequence[Day]
    state: AccountState
