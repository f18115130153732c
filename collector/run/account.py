"""One account's part of a run: its windows are asked, folded, settled and handed to the writer.

Every refusal of WeChat's ends here as a failure or a notice. Only a lost database or a mistake of ours goes further.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from itertools import chain

import structlog

from collector.completeness.datasets import CUMULATE, DATASETS, Dataset, Folded, fold
from collector.completeness.plan import Ask
from collector.completeness.settle import Answer, Settling
from collector.errors import ApiError, CallError, PostponedError, Scope, StoppedError, UnwantedError, WaitKind
from collector.model.accounts import Account
from collector.model.days import ONE_DAY, Days, Window
from collector.model.results import AccountResult, Failure, Notice, Outcome
from collector.model.state import AccountState, Day, Trouble, Update
from collector.run.reactions import failure_of, scope_of, wait_ordered_by
from collector.runtime import first_of_group, let_others_catch_up
from collector.store.database import find_days, rename
from collector.store.writer import Writer
from collector.wechat.api import MAX_IN_FLIGHT, AccountApi
from collector.wechat.session import Session

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shared:
    """The session with WeChat and the writer, which all accounts of a run share."""

    session: Session
    writer: Writer


@dataclass(slots=True)
class _Asked:
    """A window while it is asked: how many of its calls are `left`, and the answers so far."""

    window: Window
    left: int
    answers: dict[str, Answer] = field(default_factory=dict)


class AccountRun:
    """One account while a worker has it.

    `asks` are the windows to ask now, newest first; `on_window` is called when one is done, and no further one is begun
    once `is_late` returns True. `stored` is the state as MongoDB has it; None for a new account and in the history
    pass. With `history_follows`, the history pass continues with `settling` and may resolve what is unresolved. With
    `renames`, an account's new name is written into its documents at the end.

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
        history_follows: bool = False,
        renames: bool = False,
        on_window: Callable[[], None] = lambda: None,
        is_late: Callable[[], bool] = lambda: False,
    ) -> None:
        self.account: Account = api.account
        self.api = api
        self.settling = settling
        self.asks = asks
        self._planned = Counter(chain.from_iterable(ask.datasets for ask in asks))
        self._answered: Counter[str] = Counter()
        self._still_asked = Days.joined(ask.window for ask in asks if CUMULATE in ask.datasets)
        self._stored = stored
        self._before = settling.state
        self._handed_over: AccountState | None = None
        self._shared = shared
        self._clock = shared.session.clock
        self._history_follows = history_follows
        self._renames = renames
        self._on_window = on_window
        self._is_late = is_late
        self._writing = asyncio.Lock()
        # By dataset, None for the account: the error that ended it, or None for a wait.
        self._ended: dict[str | None, CallError | None] = {}
        self._notices: dict[str, Notice] = {}
        # The first error of a dataset that failed a window only.
        self._rejected: dict[str | None, CallError] = {}
        self._stopped = False
        self.postponed_until_s: float | None = None
        # True once handing over has failed; nothing more is learnt then.
        self._broken = False

    def note_wait(self, scope: str | None, kind: WaitKind, until: datetime | None = None) -> None:
        """Ask a dataset (None: the account) no more, and note its wait, which is no failure."""
        self._ended.setdefault(scope, None)
        self._notices[kind] = Notice(self.account.appid, self.account.name, kind, until)

    def forget(self) -> None:
        """Go back to the state that was handed over last: what was learnt since then isn't stored."""
        self.settling.state = self._handed_over or self._before

    async def collect(self) -> AccountResult:
        """Get a token and ask for every window, newest first."""
        for name, dataset in DATASETS.items():
            known = self.settling.state.dataset(name)
            self.api.budget.resume(dataset.path, known.calls_on, known.calls)
        self.api.forced.resume(self.settling.state.forced_on, self.settling.state.forced_tokens)
        if self._planned:
            await self._log_in()
            with first_of_group():
                await self._ask_all()
            await self._finish()
        # Of a new account without anything to ask there is nothing to remember yet, but for a backfill's --since.
        elif (state := self.settling.state) != self._stored and (self._stored or state.history_since):
            await self._put([])
        if self._renames and self.settling.is_renamed:
            await self._rename()
        return self._result()

    async def _log_in(self) -> None:
        """Get a token first: without one nothing can be asked."""
        try:
            await self.api.log_in()
        except StoppedError:
            self._stopped = True
        except PostponedError as error:
            self.postponed_until_s = error.at_s
        except CallError as error:
            self._end(None, error)

    async def _rename(self) -> None:
        """Write the account's new name into its documents, unless the run is stopping."""
        # The documents first: once the state has the new name, no later run would rename them.
        if not self._shared.session.stop.is_set:
            await rename(self._shared.writer.database, self.account.appid, self.account.name)
            self.settling.rename()
            await self._put([])

    async def _ask_all(self) -> None:
        """Make all calls, in as many lanes as calls may be in flight; this task is one of them."""
        calls = self._calls()
        lanes = min(MAX_IN_FLIGHT, self._planned.total())
        async with asyncio.TaskGroup() as others:
            for _ in range(lanes - 1):
                others.create_task(self._lane(calls))
            await self._lane(calls)

    def _calls(self) -> Iterator[tuple[_Asked, Dataset]]:
        """Give the calls for each window, newest first, as long as there is more to ask."""
        for ask in self.asks:
            if not self._may_go_on() or self.settling.is_before_birth(ask.window):
                return
            asked = _Asked(ask.window, len(ask.datasets))
            for name in ask.datasets:
                yield asked, DATASETS[name]

    async def _lane(self, calls: Iterator[tuple[_Asked, Dataset]]) -> None:
        """Make one call after the other; after the last one for a window, settle all its answers together."""
        for asked, dataset in calls:
            if self._wants(dataset.name) and (answer := await self._ask(dataset, asked.window)):
                asked.answers[dataset.name] = answer
            asked.left -= 1
            if not asked.left:
                await self._take(asked)
                self._on_window()

    async def _ask(self, dataset: Dataset, window: Window) -> Answer | None:
        """Return a dataset's answer, or None where there was none, which is noted."""
        try:
            answer, folded = await self._fetch(dataset, window)
        except StoppedError:
            self._stopped = True
            return None
        except UnwantedError:
            return None
        except PostponedError as error:
            self.postponed_until_s = error.at_s
            return None
        except CallError as error:
            self._end(dataset.name, error)
            return None
        # A window with a malformed day must be asked again; its key alone says that there was an answer.
        self._answered[dataset.name] += not folded.malformed
        for malformed in folded.malformed.values():
            log.info("day.malformed", account=str(self.account), dataset=dataset.name, trouble=str(malformed))
            self._end(dataset.name, malformed)
        if folded.dropped:
            log.info("rows.dropped", account=str(self.account), dataset=dataset.name, rows=folded.dropped)
        return answer

    def _may_go_on(self) -> bool:
        is_cut = self._stopped or self.postponed_until_s is not None or None in self._ended
        return not is_cut and not self._is_late()

    def _wants(self, dataset: str) -> bool:
        return None not in self._ended and dataset not in self._ended

    async def _fetch(self, dataset: Dataset, asked: Window) -> tuple[Answer, Folded]:
        """Ask for a window; once more without the newest day where WeChat says that it isn't there yet."""
        window = asked
        try:
            rows = await self.api.rows(dataset.path, window, partial(self._wants, dataset.name))
        except ApiError as error:
            if not error.newest_missing or asked.end != self.settling.newest or len(asked) == 1:
                raise
            window = Window(asked.begin, asked.end - ONE_DAY)
            rows = await self.api.rows(dataset.path, window, partial(self._wants, dataset.name))
        await let_others_catch_up()
        folded = fold(dataset, rows, window)
        return Answer(asked, window, folded.days, Days.of(folded.malformed)), folded

    async def _take(self, asked: _Asked) -> None:
        """Settle a window and hand over the days to be stored, one lane at a time, so that states go out in order."""
        await let_others_catch_up()
        async with self._writing:
            # Here and not when the answer came: only the `take` below makes this window's totals known. Until then
            # `resolvable` must not use stored ones.
            self._still_asked -= Days.between(asked.window.begin, asked.window.end)
            if self._broken or not asked.answers:
                return
            # A state must not go out without the days that it was learnt from. If handing over fails, nothing more
            # is learnt.
            self._broken = True
            days = self.settling.take(asked.answers, self._clock.now())
            # Zeros go out together with the answer that shows them: a run that is killed in between would leave the
            # day settled without them.
            if resolvable := self.settling.resolvable(self._still_asked):
                days += await self._resolve(resolvable)
            await self._put(days)
            self._broken = False

    async def _finish(self) -> None:
        """Resolve what this run's answers couldn't tell, and keep errors and the number of calls."""
        # History may bring the missing totals, unless it isn't asked for.
        is_final = not self._history_follows or self._ended or self._stopped
        unresolved = frozenset(() if not is_final else self.settling.unresolved)
        days = await self._resolve(unresolved) if unresolved else []
        for name in DATASETS:
            error = self._ended.get(name) or self._ended.get(None) or self._rejected.get(name)
            if error:
                now = self._clock.now()
                self.settling.fail(name, Trouble(error.errmsg, error.errcode, error.rid, error.hint, now, now))
        self._count_calls()
        await self._put(days)

    def _count_calls(self) -> None:
        used = self.api.budget.used
        self.settling.count({name: used[dataset.path] for name, dataset in DATASETS.items() if dataset.path in used})

    async def _resolve(self, unresolved: AbstractSet[date]) -> list[Day]:
        wanted = {day - ONE_DAY * back for day in unresolved for back in (0, 1)}
        stored = await find_days(self._shared.writer.database, self.account.appid, wanted)
        return self.settling.resolve(unresolved, stored, self._clock.now())

    async def _put(self, days: Sequence[Day]) -> None:
        """Hand over days and the state that they justify, if any of it is new."""
        # Where calls are limited, a run that is killed must leave their number behind. Elsewhere the last state has it:
        # to count with each window costs 2 % of a backfill's CPU.
        if self.account.daily_calls is not None:
            self._count_calls()
        self.settling.count_forced_tokens(*self.api.forced.used)
        state = self.settling.state
        if days or state != self._handed_over:
            await self._shared.writer.put(Update(days, state))
            self._handed_over = state

    def _end(self, dataset: str | None, error: CallError) -> None:
        """Choose what ends with this error: the window, its dataset or the account; as a failure or with a notice."""
        ends = scope_of(error)
        if ends is Scope.WINDOW:
            # Its days stay pending. A window that failed says nothing of the next one, which may be sound.
            if error.reaction.is_failure and dataset:
                self._rejected.setdefault(dataset, error)
            return
        scope = dataset if ends is Scope.DATASET else None
        wait = wait_ordered_by(error, self._clock.now())
        if wait is None:
            self._ended.setdefault(scope, error)
            return
        kind, until = wait
        self.note_wait(scope, kind, until)
        if kind.is_stored:
            for name in [scope] if scope else DATASETS:
                self.settling.change(name, not_before=until)

    def _result(self) -> AccountResult:
        failed = self._rejected | {scope: error for scope, error in self._ended.items() if error is not None}
        failures = tuple(self._failure(scope, error) for scope, error in failed.items())
        silent = self.settling.is_silent
        if failures:
            outcome = Outcome.FAILED
        elif self._stopped:
            outcome = Outcome.SKIPPED
        else:
            # Nothing is wanted of an account whose `since` is still to come, so it isn't pending.
            wanted = bool(self._planned or self._notices)
            outcome = Outcome.PENDING if wanted and self.settling.newest_is_pending and not silent else Outcome.OK
        return AccountResult(
            self.account,
            outcome,
            failures,
            tuple(self._notices.values()),
            ended=frozenset(DATASETS if None in self._ended else self._ended),
            answered=bool(self._answered),
            unreachable=any(error.unreachable for error in self._ended.values() if error),
            silent=silent,
            # Windows of a failed account are counted with its failures.
            windows_left=self._missed(None) if self._notices and not failures else 0,
        )

    def _failure(self, dataset: str | None, error: CallError) -> Failure:
        return failure_of(self.account, dataset, error, self._missed(dataset))

    def _missed(self, dataset: str | None) -> int:
        """Return how many windows weren't answered: of a dataset, or with None of the one that lacks most."""
        missed = self._planned - self._answered
        return max(missed.values(), default=0) if dataset is None else missed[dataset]
