"""One account's part of a run: its windows are asked, folded, settled and handed to the writer.

Every refusal of WeChat's ends here as a failure or a notice. Only a lost database or a mistake of ours goes further.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import chain, takewhile

import structlog

from collector.completeness.datasets import CUMULATE, DATASETS, Dataset, Folded, fold
from collector.completeness.evidence import Answer
from collector.completeness.plan import Ask
from collector.completeness.settle import MAX_HELD_DAYS, Settling
from collector.errors import ApiError, CallError, CollectorError, PostponedError, StoppedError, UnwantedError
from collector.model.accounts import Account
from collector.model.days import NO_DAYS, ONE_DAY, Days, Window, beijing_day
from collector.model.results import AccountResult, Failure, Outcome
from collector.model.state import AccountState
from collector.run.endings import Endings
from collector.run.reactions import failure_of
from collector.run.storing import Storing
from collector.runtime import first_of_group, let_others_catch_up
from collector.store.writer import Writer
from collector.wechat.api import MAX_IN_FLIGHT, AccountApi
from collector.wechat.session import Session

log = structlog.get_logger()

_NO_ANSWER = (CallError, PostponedError, StoppedError, UnwantedError)


@dataclass(frozen=True, slots=True)
class Shared:
    """The session with WeChat and the writer, which all accounts of a run share."""

    session: Session
    writer: Writer


@dataclass(slots=True)
class _Asked:
    """A window while it is asked: how many of its calls are `left`, and the answers so far."""

    ask: Ask
    left: int
    answers: dict[str, Answer] = field(default_factory=dict)


class AccountRun:
    """One account while a worker has it.

    `asks` are the windows to ask now, newest first; `on_window` is called when one is done. No further one is begun
    once `must_make_way` returns True, and `has_made_way` is True then. `stored` is the state as MongoDB has it; None
    for a new account and in the history pass. With `newest_first`, the newest day's total is asked for first, and
    nothing else before it is there. With `history_follows`, the history pass continues with `settling` and
    may resolve what is unresolved. With `renames`, a new name is written into the stored documents at the end.

    `postponed_until_s` is set where the source of the account's token is out of order: the monotonic second from which
    to try the account again.
    """

    def __init__(  # noqa: PLR0913 - what differs between the two passes, by its names
        self,
        api: AccountApi,
        asks: Sequence[Ask],
        settling: Settling,
        shared: Shared,
        *,
        stored: AccountState | None = None,
        newest_first: bool = False,
        history_follows: bool = False,
        renames: bool = False,
        on_window: Callable[[], None] = lambda: None,
        must_make_way: Callable[[], bool] = lambda: False,
    ) -> None:
        self.account: Account = api.account
        self.api = api
        self.settling = settling
        self.asks = asks
        self._planned = Counter(chain.from_iterable(ask.datasets for ask in asks))
        self._answered: Counter[str] = Counter()
        self._has_answer = False
        self._before = settling.state
        self._stored = stored
        self._storing = Storing(settling, api, asks, shared.writer, clock=shared.session.clock)
        self._stop = shared.session.stop
        self._clock = shared.session.clock
        self._newest_first = newest_first
        self._history_follows = history_follows
        self._renames = renames
        self._on_window = on_window
        self._must_make_way = must_make_way
        self._done: set[Window] = set()
        self.endings = Endings(api.account)
        self.has_made_way = False
        self.postponed_until_s: float | None = None
        self._stopped = False

    def roll_back(self) -> None:
        """Go back to the state that was handed over last: what was learnt since then isn't stored."""
        self._storing.roll_back()

    async def collect(self) -> AccountResult:
        """Get a token and ask for every window, newest first."""
        self._storing.resume_counts()
        if self._planned:
            try:
                await self.api.log_in()  # without a token nothing can be asked
            except _NO_ANSWER as error:
                self._end(None, error)
            if self.postponed_until_s is None:  # else there is nothing new to store
                with first_of_group():
                    await self._ask_all()
                self._note_held()
                # History may bring the totals that are missing, unless it isn't asked for.
                is_final = bool(not self._history_follows or self.endings or self._stopped)
                await self._storing.finish(self.endings.errors, is_final=is_final)
        else:
            self._note_held()
            self._storing.fail(self.endings.errors)
            if self._stored and self.settling.state != self._stored:  # also for new tags, or a backfill's --since
                await self._storing.put()
        if self._renames and self.settling.is_renamed and not self._stop.is_set:
            await self._storing.rename(self.account.name)
        return self._result()

    async def _ask_all(self) -> None:
        """Make all calls, in as many lanes as calls may be in flight; this task is one of them."""
        calls = self._calls()
        if self._newest_first and not await self._newest_came(calls):
            return
        lanes = min(MAX_IN_FLIGHT, self._planned.total())
        async with asyncio.TaskGroup() as others:
            for _ in range(lanes - 1):
                others.create_task(self._lane(calls))
            await self._lane(calls)

    def _calls(self) -> Iterator[tuple[_Asked, Dataset]]:
        """Give the calls for each window, newest first, as long as there is more to ask."""
        for ask in self.asks:
            if self._must_make_way():
                self.has_made_way = True
                return
            if self._is_cut or self.settling.is_before_birth(ask.window):
                return
            asked = _Asked(ask, len(ask.datasets))
            names = sorted(ask.datasets, key=lambda name: name != CUMULATE) if self._newest_first else ask.datasets
            for name in names:
                yield asked, DATASETS[name]

    async def _newest_came(self, calls: Iterator[tuple[_Asked, Dataset]]) -> bool:
        """Ask for the newest day's total, and return True where it is there; else settle the days before it."""
        for asked, dataset in calls:
            answer = await self._ask(dataset, asked.ask.window)
            if answer is None:
                return False
            asked.answers[dataset.name] = answer
            asked.left -= 1
            came = self.settling.newest in answer.days
            if not (came and asked.left):  # else both answers together tell which days are quiet
                await self._settle(asked)
            return came
        return False

    async def _lane(self, calls: Iterator[tuple[_Asked, Dataset]]) -> None:
        """Make one call after the other; after the last one for a window, settle all its answers together."""
        for asked, dataset in calls:
            if self.endings.wants(dataset.name) and (answer := await self._ask(dataset, asked.ask.window)):
                asked.answers[dataset.name] = answer
            asked.left -= 1
            if not asked.left:
                await self._settle(asked)

    async def _settle(self, asked: _Asked) -> None:
        """Settle the answers to a window, and let what they justify be stored."""
        await let_others_catch_up()
        await self._storing.take(asked.ask.window, asked.answers)
        self._on_window()
        if len(asked.answers) == len(asked.ask.datasets):
            self._done.add(asked.ask.window)

    async def _ask(self, dataset: Dataset, window: Window) -> Answer | None:
        """Return a dataset's answer, or None where there was none, which is noted."""
        try:
            answer, folded = await self._fetch(dataset, window)
        except _NO_ANSWER as error:
            self._end(dataset.name, error)
            return None
        self._has_answer = True
        if not folded.malformed:  # else the window must be asked again
            self._answered[dataset.name] += 1
        for malformed in folded.malformed.values():
            log.info("day.malformed", account=str(self.account), dataset=dataset.name, trouble=str(malformed))
            self._end(dataset.name, malformed)
        if folded.dropped:
            log.info("rows.dropped", account=str(self.account), dataset=dataset.name, rows=folded.dropped)
        return answer

    @property
    def oldest_done(self) -> date | None:
        """The begin of the oldest window that is answered like all newer ones; None where the newest isn't."""
        done = list(takewhile(self._done.__contains__, (ask.window for ask in self.asks)))
        return done[-1].begin if done else None

    @property
    def _is_cut(self) -> bool:
        return self._stopped or self.endings.account_has_ended or self.postponed_until_s is not None

    async def _fetch(self, dataset: Dataset, asked: Window) -> tuple[Answer, Folded]:
        """Ask for a window; once more without the newest day where WeChat says that it isn't there yet."""
        window = asked
        try:
            rows = await self.api.rows(dataset.path, window, partial(self.endings.wants, dataset.name))
        except ApiError as error:
            if not error.newest_missing or asked.end != self.settling.newest or len(asked) == 1:
                raise
            window = Window(asked.begin, asked.end - ONE_DAY)
            rows = await self.api.rows(dataset.path, window, partial(self.endings.wants, dataset.name))
        await let_others_catch_up()
        folded = fold(dataset, rows, window)
        malformed = Days.of(folded.malformed) if folded.malformed else NO_DAYS
        return Answer(asked, window, folded.days, malformed), folded

    def _note_held(self) -> None:
        """Note whether a wait holds the newest published day back; that it does for days running is a failure."""
        settling = self.settling
        # Of a quiet day summary alone has no row, and of a silent account nothing comes: no wait holds that back.
        is_late = settling.newest_is_pending and not settling.is_silent
        waiting = [name for name in DATASETS if self.endings.wait_of(name)]
        holding = [name for name in waiting if is_late and settling.lacks_newest(name)]
        if settling.hold(beijing_day(self._clock.now()), is_held=bool(holding)):
            for name in holding:
                self.endings.fail_wait(name, f"the newest day was held back on {MAX_HELD_DAYS} days running")

    def _end(self, dataset: str | None, error: CollectorError) -> None:
        """Note what ends with this error, and the wait that later runs must keep as well."""
        match error:
            case StoppedError():
                self._stopped = True
            case PostponedError():
                self.postponed_until_s = error.at_s
            case CallError():
                datasets, wait = self.endings.end(dataset, error, self._clock.now())
                for name in datasets:
                    self.settling.change(name, wait=wait)

    def _result(self) -> AccountResult:
        failures = tuple(self._failure(scope, error) for scope, error in self.endings.failed.items())
        notices = tuple(self.endings.notices.values())
        silent = self.settling.is_silent
        if failures:
            outcome = Outcome.FAILED
        elif self._stopped:
            outcome = Outcome.SKIPPED
        else:
            # Nothing is wanted of an account whose `since` is still to come, so it isn't pending.
            wanted = bool(self._planned or notices)
            outcome = Outcome.PENDING if wanted and self.settling.newest_is_pending and not silent else Outcome.OK
        return AccountResult(
            self.account,
            outcome,
            failures,
            notices,
            ended=self.endings.datasets,
            answered=self._has_answer,
            unreachable=self.endings.is_unreachable,
            silent=silent,
        )

    def _failure(self, scope: str | None, error: CallError) -> Failure:
        since = self.settling.state.failing_since(scope)
        is_new = since != self._before.failing_since(scope)
        return failure_of(self.account, scope, error, self._missed(scope), since=since, new=is_new)

    def _missed(self, dataset: str | None) -> int:
        """Return how many windows weren't answered: of a dataset, or with None of the one that lacks most."""
        missed = self._planned - self._answered
        return max(missed.values(), default=0) if dataset is None else missed[dataset]
