"""The state of an account between runs, and the days that a run hands to the writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from collector.model.days import NO_DAYS, Days
from collector.model.waits import Wait
from collector.text import printable

DATASET_NAMES = ("user_summary", "user_cumulate")
"""Names of the datasets, as they are stored."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """The last error of a dataset, its remedy, and since when it has failed without a success in between (UTC)."""

    errmsg: str
    errcode: int | None
    rid: str | None
    hint: str
    since: datetime
    at: datetime


_NONE: Mapping[Any, Any] = {}
"""No entry. Not a proxy, which can't be sent to another process; nobody changes what a state holds."""


class DatasetState(NamedTuple):
    """State of one dataset of an account. A tuple, since a run changes millions of them, one field at a time.

    * `covered`: days whose figures are stored. `void`: days settled without figures.
    * `empty`: days with one missing row at age 6 or more, by the Beijing day of that answer. A missing row on another
      Beijing day makes them void.
    * `refreshed_to`: the newest published day when the last days were last fetched again, whole; `looked`: days
      of the current lookback that needn't be fetched again, while others of it are still pending.
    * `wait`: why WeChat is not to be asked before some instant, once a run was told so.
    * `calls`: data calls made on the Beijing day `calls_on`, all runs together.
    * `unknown`: keys of the stored document that this version doesn't know; they are stored again as they are.
    """

    covered: Days = NO_DAYS
    void: Days = NO_DAYS
    empty: Mapping[date, Days] = _NONE
    refreshed_to: date | None = None
    looked: Days = NO_DAYS
    wait: Wait | None = None
    calls_on: date | None = None
    calls: int = 0
    last_success: datetime | None = None
    last_error: Trouble | None = None
    unknown: Mapping[str, object] = _NONE

    @property
    def settled(self) -> Days:
        """The days that need not be asked for again."""
        return self.covered | self.void

    def failed(self, trouble: Trouble) -> DatasetState:
        """Return the state with `trouble` as the last error, since the first one without a success in between."""
        before = self.last_error
        return self._replace(last_error=replace(trouble, since=before.since) if before else trouble)


@dataclass(frozen=True, slots=True)
class Authorizer:
    """An account that the third-party platform `component` found among those that authorised it."""

    component: str
    nick_name: str
    mini_program: bool = False


class AccountState(NamedTuple):
    """State of one account, as the collection `accounts` holds it.

    `name` is the one that its stored documents bear. `born` is the day on which its history begins, if that was
    found. `history_since` is the day to which a backfill was asked to reach. `authorizer` is set for an
    account that a platform has discovered. `forced_tokens` counts the new tokens that were forced on the Beijing day
    `forced_on`. `held` are the last Beijing days, three at most, whose newest published day was held back by a wait and
    hasn't come on the same day. `unknown` are keys of the stored document that this version doesn't know; they are
    stored again as they are.
    """

    account: str
    name: str
    tags: tuple[str, ...] = ()
    born: date | None = None
    history_since: date | None = None
    datasets: Mapping[str, DatasetState] = _NONE
    authorizer: Authorizer | None = None
    forced_on: date | None = None
    forced_tokens: int = 0
    held: Days = NO_DAYS
    unknown: Mapping[str, object] = _NONE

    def dataset(self, name: str) -> DatasetState:
        """Return the state of a dataset; an empty one where it was never asked."""
        return self.datasets.get(name, _UNKNOWN)

    def failing_since(self, name: str | None = None) -> datetime | None:
        """Return since when a dataset fails, or with None the whole account: since the last of its datasets does."""
        names = DATASET_NAMES if name is None else (name,)
        errors = [error for name in names if (error := self.dataset(name).last_error)]
        return max((error.since for error in errors), default=None)

    def failed(self, trouble: Trouble) -> AccountState:
        """Return the state with `trouble` as the last error of all datasets."""
        return self._replace(datasets={name: self.dataset(name).failed(trouble) for name in DATASET_NAMES})

    def without_errors(self) -> AccountState:
        """Return the state as if nothing had failed."""
        datasets = {name: dataset._replace(last_error=None) for name, dataset in self.datasets.items()}
        return self._replace(datasets=datasets)


_UNKNOWN = DatasetState()


@dataclass(frozen=True, slots=True)
class UnusableState:
    """Stored document of an account's state that can't be used: it is damaged, or of a newer version."""

    account: str
    is_newer: bool = False

    @property
    def reason(self) -> str:
        """The reason why it can't be used, for people."""
        what = "was written by a newer version of the collector" if self.is_newer else "is damaged"
        return f"the account's document in the collection accounts {what}"

    @property
    def remedy(self) -> str:
        """The remedy, for people. A newer version's document knows more than a repair could, so none is advised."""
        if self.is_newer:
            return "upgrade the collector on this host"
        return f"make it anew from the stored days: collector verify --repair --account {printable(self.account, 50)}"


Fields = Mapping[str, object]
"""The fields that one dataset gives one day, named as they are stored."""


NOTHING: Mapping[str, Fields] = MappingProxyType({})


class Day(NamedTuple):
    """Figures of one account and day, ready to be stored: the fields of each dataset that had a row.

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
    """Days of one account, and the state that they justify once they are acknowledged."""

    days: Sequence[Day]
    state: AccountState
