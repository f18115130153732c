"""The two passes over the accounts: the daily job, which asks for the newest days, and history.

A pass plans an account when a worker takes it, and keeps the account's state and token for its next turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from math import inf
from typing import Protocol

from collector.completeness.datasets import DATASETS
from collector.completeness.plan import Ask, Plan, Target, may_ask_newest_first, plan
from collector.completeness.settle import Settling
from collector.errors import CallError
from collector.model.accounts import Account
from collector.model.results import AccountResult
from collector.model.state import AccountState, Update
from collector.run.account import AccountRun, Shared
from collector.run.tally import Tally
from collector.wechat.api import AccountApi
from collector.wechat.session import Session


def initial_state(account: Account, known: AccountState | None, target: Target) -> AccountState:
    """Return the state with which a run begins: with today's tags, and what a backfill wants to be remembered.

    The name stays the old one until the documents are renamed.
    """
    state = known or AccountState(account.appid, account.name)
    # A backfill with an end wants a part of history once, not all of it from now on.
    since = target.since if target.until is None else None
    return state._replace(
        tags=account.tags,
        born=None if target.exhaustive else state.born,
        history_since=min((day for day in (state.history_since, since) if day), default=None),
    )


class Pass(Protocol):
    """One round of the workers over the accounts."""

    def begin(self, account: Account) -> AccountRun | None:
        """Return the part of an account in this pass; None where there is nothing to do in it."""

    def end(self, work: AccountRun, result: AccountResult) -> None:
        """Keep the account's state, and count its result."""

    def leave(self, work: AccountRun) -> None:
        """Keep the account's state and token for its next turn, whose result counts."""

    async def skip(self, account: Account) -> None:
        """Store and note what is needed of an account whose turn came after the stop signal."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """An account between the passes, and the oldest day asked so far.

    `failed` are the errors of its windows, by dataset, `waiting` is the plan of what waits, without its windows.
    """

    settling: Settling
    oldest_asked: date
    failed: Mapping[str | None, CallError]
    waiting: Plan


@dataclass(slots=True)
class Known:
    """State shared by the passes of a run: that of each account, and the accounts whose history is filled next.

    `apis` are the tokens and the paces of accounts that will be asked again for the same day; of the others the last
    turn is remembered, in seconds of the monotonic clock. Before `last_turn_s` another process may have had a turn of
    any account. `asked_to` are the oldest days that history has come to.
    """

    states: dict[str, AccountState]
    last_turn_s: float = -inf
    kept: dict[str, _Kept] = field(default_factory=dict)
    apis: dict[str, AccountApi] = field(default_factory=dict)
    last_turns_s: dict[str, float] = field(default_factory=dict)
    asked_to: dict[str, date] = field(default_factory=dict)

    def api_of(self, account: Account, session: Session) -> AccountApi:
        """Return the kept token and pace of an account, or new ones that respect its last turn."""
        if api := self.apis.pop(account.appid, None):
            return api
        return AccountApi(account, session, last_turn_s=self.last_turns_s.get(account.appid, self.last_turn_s))

    def drop_api(self, appid: str) -> None:
        """Forget an account's token, and all of its pace but the last turn."""
        self.last_turns_s[appid] = self.apis.pop(appid).last_turn_s

    def drop_apis(self) -> None:
        """Forget all tokens."""
        for appid in [*self.apis]:
            self.drop_api(appid)


class NewestDays:
    """The daily job of all accounts. `wait_for_history` is given those whose history is filled next.

    Where this pass `is_last`, history is filled later by another process, from what is stored by then.
    """

    def __init__(
        self,
        target: Target,
        known: Known,
        tally: Tally,
        shared: Shared,
        wait_for_history: Callable[[Account], None],
        *,
        is_last: bool = False,
    ) -> None:
        self._target = target
        self._known = known
        self._tally = tally
        self._shared = shared
        self._wait_for_history = wait_for_history
        self._is_last = is_last
        self._at_work: dict[str, tuple[AccountState, Plan]] = {}

    def begin(self, account: Account) -> AccountRun:
        """Plan an account, and ask for its newest days alone."""
        session, known = self._shared.session, self._known.states.get(account.appid)
        self._known.kept.pop(account.appid, None)  # of the day before
        state = initial_state(account, known, self._target)
        planned = plan(account, state, self._target, session.clock.now())
        if not planned:
            state = state.without_errors()  # such as a fault of the configuration that came and went in between
        self._at_work[account.appid] = state, planned
        work = AccountRun(
            self._known.api_of(account, session),
            planned.daily,
            Settling(state, planned, self._target, account.name),
            self._shared,
            stored=known,
            newest_first=may_ask_newest_first(account, state, self._target, planned.daily),
            history_follows=bool(planned.history) and not self._is_last,
        )
        for dataset, wait in planned.waits.items():
            work.endings.wait(dataset, wait)
        return work

    def end(self, work: AccountRun, result: AccountResult) -> None:
        """Keep accounts whose history may lack something: not asked yet, held back by a wait, or reopened."""
        account = work.account
        before, planned = self._at_work[account.appid]
        self.leave(work)
        self._tally.add(result)
        if (
            planned.history
            or planned.held
            or _has_new_pending_days(before, work.settling.state)
            or work.settling.is_renamed
        ):
            oldest_asked = work.asks[-1].window.begin if work.asks else self._target.lookback_begin
            # History goes on where it was: else one that takes days would begin again with each newer day.
            oldest_asked = min(oldest_asked, self._known.asked_to.get(account.appid, oldest_asked))
            waiting = replace(planned, daily=())
            self._known.kept[account.appid] = _Kept(work.settling, oldest_asked, work.endings.failed, waiting)
            self._tally.watch.history(planned.history.windows)
            self._wait_for_history(account)
        else:
            self._known.drop_api(account.appid)
            self._tally.has_history(account)

    def leave(self, work: AccountRun) -> None:
        """Keep the account's state and token."""
        del self._at_work[work.account.appid]
        self._known.states[work.account.appid] = work.settling.state
        self._known.apis[work.account.appid] = work.api

    async def skip(self, account: Account) -> None:
        """Remember what a backfill wants."""
        known = self._known.states.get(account.appid)
        state = initial_state(account, known, self._target)
        if state != known and (known or state.history_since):
            await self._shared.writer.put(Update((), state))


def _has_new_pending_days(before: AccountState, after: AccountState) -> bool:
    """Return True where answers made days pending that weren't: before the account's birth, or void."""
    return before.born != after.born or any(
        before.dataset(name).void - after.dataset(name).settled for name in DATASETS
    )


class History:
    """The older days that are pending, of the accounts that the daily job has kept.

    An account stops between two windows once `must_make_way` returns True.
    """

    def __init__(
        self, target: Target, known: Known, tally: Tally, shared: Shared, must_make_way: Callable[[], bool]
    ) -> None:
        self._target = target
        self._known = known
        self._tally = tally
        self._shared = shared
        self._must_make_way = must_make_way
        self._at_work: dict[str, _Kept] = {}

    def begin(self, account: Account) -> AccountRun | None:
        """Plan the days before those asked so far, of the datasets that haven't ended in this run."""
        kept = self._known.kept.pop(account.appid)
        state, now = kept.settling.state, self._shared.session.clock.now()
        planned = plan(account, state, self._target, now, before=kept.oldest_asked)
        if planned.held:
            self._tally.note_waits(account, planned)
        may_ask = self._tally.may_ask_history(account)
        asks = _without(planned.history, self._tally.ended(account)) if may_ask else []
        if not asks and not (may_ask and kept.settling.is_renamed):
            self._known.drop_api(account.appid)
            return None
        self._at_work[account.appid] = kept
        work = AccountRun(
            self._known.apis.pop(account.appid),
            asks,
            kept.settling,
            self._shared,
            renames=True,
            on_window=self._tally.watch.window,
            must_make_way=self._must_make_way,
        )
        work.endings.take_over(kept.failed)  # an answer to an older window doesn't mend what failed
        return work

    def end(self, work: AccountRun, result: AccountResult) -> None:
        """Count how the account came out."""
        self.leave(work)
        del self._known.kept[work.account.appid]
        self._known.drop_api(work.account.appid)
        self._tally.add_history(result)

    def leave(self, work: AccountRun) -> None:
        """Keep the account's state and token, and what is left of its history."""
        appid = work.account.appid
        self._known.states[appid] = work.settling.state
        self._known.apis[appid] = work.api
        kept = self._at_work.pop(appid)
        asked_to = self._known.asked_to[appid] = work.oldest_done or kept.oldest_asked
        self._known.kept[appid] = replace(kept, oldest_asked=asked_to, failed=work.endings.failed)

    async def skip(self, account: Account) -> None:
        """Note the waits, as the run ends before the account's turn."""
        if (waiting := self._known.kept.pop(account.appid).waiting).held:
            self._tally.note_waits(account, waiting)


def _without(asks: Iterable[Ask], ended: frozenset[str | None]) -> list[Ask]:
    """Return the windows without the datasets that have ended."""
    left = [Ask(ask.window, tuple(name for name in ask.datasets if name not in ended)) for ask in asks]
    return [ask for ask in left if ask.datasets]
