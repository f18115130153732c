"""One account's part of a run: its windows are asked, folded, settled and handed to the writer.

Everything that WeChat refuses ends here as a failure or a notice; only a lost database or a mistake of
ours goes further.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from itertools import chain

import structlog

from collector.completeness.datasets import DATASETS, Dataset, fold
from collector.completeness.plan import Ask
from collector.completeness.settle import Answer, Settling
from collector.errors import ApiError, CallError, RowError, Scope, StoppedError, UnwantedError, WaitKind
from collector.model.accounts import Account
from collector.model.days import ONE_DAY, Window
from collector.model.results import AccountResult, Failure, Notice, Outcome
from collector.model.state import AccountState, Day, Trouble, Update
from collector.run.reactions import failure_of, is_unreachable, scope_of, wait_ordered_by
from collector.runtime import first_of_group, in_step
from collector.store.database import find_days
from collector.store.writer import Writer
from collector.wechat.api import MAX_IN_FLIGHT, AccountApi
from collector.wechat.session import Session

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shared:
    """What all accounts of a run share."""

    access: Session
    writer: Writer


@dataclass(slots=True)
class _Asked:
    """One window while it is asked: how many of its calls are `left`, and what those that were made have answered."""

    window: Window
    left: int
    answers: dict[str, Answer] = field(default_factory=dict)


class AccountRun:
    """One account while a worker has it: `log_in`, then `collect`.

    `asks` are the windows of the plan to ask now, newest first; `on_window` hears of each that is done. With
    `goes_on` another part of the run will go on with `settling`, and may tell by itself what isn't settled yet.
    """

    def __init__(
        self,
        account: Account,
        asks: Sequence[Ask],
        settling: Settling,
        shared: Shared,
        *,
        goes_on: bool = False,
        on_window: Callable[[], None] | None = None,
    ) -> None:
        self._account = account
        self._asks = asks
        self._planned = Counter(chain.from_iterable(ask.datasets for ask in asks))
        self._answered: Counter[str] = Counter()
        self._settling = settling
        self._handed_over: AccountState | None = None
        self._shared = shared
        self._clock = shared.access.clock
        self._goes_on = goes_on
        self._on_window = on_window or (lambda: None)
        self._writing = asyncio.Lock()
        self._ended: dict[str | None, CallError | None] = {}
        self._notices: dict[str, Notice] = {}
        self._rejected: dict[str, RowError] = {}
        self._stopped = False
        self._broken = False

    def wait(self, scope: str | None, kind: WaitKind, until: datetime | None = None) -> None:
        """Ask a dataset (None: the account) no more, because somebody ordered a wait: a notice, and no failure."""
        self._ended.setdefault(scope, None)
        self._notices[kind] = Notice(self._account.appid, self._account.name, kind, until)

    async def log_in(self, api: AccountApi) -> None:
        """Have a token, if there is anything to ask; an account that gets none is at its end."""
        if self._planned:
            try:
                await api.log_in()
            except StoppedError:
                self._stopped = True
            except CallError as error:
                self._end(None, error)

    async def collect(self, api: AccountApi) -> AccountResult:
        """Ask for every window, newest first, with up to `MAX_IN_FLIGHT` calls at once."""
        for name, dataset in DATASETS.items():
            known = self._settling.state.dataset(name)
            api.budget.resume(dataset.path, known.calls_on, known.calls)
        if self._planned:
            # The newest window alone: if this host's clock is ahead, that shows there, and nothing else is asked.
            alone = int(self._settling.newest in self._asks[0].window)
            with first_of_group():
                for asks in filter(None, (self._asks[:alone], self._asks[alone:])):
                    await self._ask_all(api, asks)
            await self._finish(api)
        return self._result()

    async def _ask_all(self, api: AccountApi, asks: Sequence[Ask]) -> None:
        """Make all calls for these windows, in as many lanes as calls may be in flight, this task among them."""
        calls = self._calls(asks)
        lanes = min(MAX_IN_FLIGHT, sum(len(ask.datasets) for ask in asks[:MAX_IN_FLIGHT]))
        async with asyncio.TaskGroup() as others:
            for _ in range(lanes - 1):
                others.create_task(self._lane(api, calls))
            await self._lane(api, calls)

    def _calls(self, asks: Sequence[Ask]) -> Iterator[tuple[_Asked, Dataset]]:
        """The calls for each window, newest first, as long as there is more to ask."""
        for ask in asks:
            if self._stopped or None in self._ended or self._settling.is_before_birth(ask.window):
                return
            asked = _Asked(ask.window, len(ask.datasets))
            for name in ask.datasets:
                yield asked, DATASETS[name]

    async def _lane(self, api: AccountApi, calls: Iterator[tuple[_Asked, Dataset]]) -> None:
        """Make one call after the other; whoever makes the last one for a window takes what all of them brought."""
        places = self._shared.access.in_flight
        for asked, dataset in calls:
            if self._wants(dataset.name):
                async with places:
                    answer = await self._ask(api, dataset, asked.window)
                if answer:
                    asked.answers[dataset.name] = answer
            asked.left -= 1
            if not asked.left:
                if asked.answers:
                    await self._take(api, asked.answers)
                self._on_window()

    async def _ask(self, api: AccountApi, dataset: Dataset, window: Window) -> Answer | None:
        """One dataset's answer, or None where there was none, which is noted."""
        try:
            answer, dropped = await self._fetch(api, dataset, window)
        except StoppedError:
            self._stopped = True
            return None
        except UnwantedError:
            return None
        except RowError as error:
            self._rejected.setdefault(dataset.name, error)  # this window has failed, the next may be sound
            return None
        except CallError as error:
            self._end(dataset.name, error)
            return None
        self._answered[dataset.name] += 1
        if dropped:
            log.info("rows.dropped", account=str(self._account), dataset=dataset.name, rows=dropped)
        return answer

    def _wants(self, dataset: str) -> bool:
        return None not in self._ended and dataset not in self._ended

    async def _fetch(self, api: AccountApi, dataset: Dataset, asked: Window) -> tuple[Answer, int]:
        """Ask; and once more without the newest day where WeChat says that it isn't there yet."""
        window = asked
        try:
            rows = await api.rows(dataset.path, window, partial(self._wants, dataset.name))
        except ApiError as error:
            if not error.newest_missing or asked.end != self._settling.newest or len(asked) == 1:
                raise
            window = Window(asked.begin, asked.end - ONE_DAY)
            rows = await api.rows(dataset.path, window, partial(self._wants, dataset.name))
        await in_step()
        folded = fold(dataset, rows, window)
        return Answer(asked, window, folded.days), folded.dropped

    async def _take(self, api: AccountApi, answers: Mapping[str, Answer]) -> None:
        """Settle the answers and hand over what they bring; one lane at a time, so that states go out in order."""
        await in_step()
        async with self._writing:
            if self._broken:
                return
            # What is learnt must be handed over with the days that it is learnt from: if that fails, nothing more is.
            self._broken = True
            days = self._settling.take(answers, self._clock.now(), self._used(api))
            # In one piece with the rest: after a run that is killed in between, nothing would be asked of them again.
            if told := self._settling.told_by_documents:
                days += await self._recall(told)
            await self._put(days)
            self._broken = False

    async def _finish(self, api: AccountApi) -> None:
        """Settle what this run couldn't tell by itself, and keep what is known of calls and errors."""
        unsettled = frozenset(() if self._goes_on else self._settling.unsettled)
        days = await self._recall(unsettled) if unsettled else []
        for name in DATASETS:
            error = self._ended.get(name) or self._ended.get(None) or self._rejected.get(name)
            if error:
                now = self._clock.now()
                self._settling.fail(name, Trouble(error.errmsg, error.errcode, error.rid, error.hint, now, now))
        self._settling.count(self._used(api))
        await self._put(days)

    async def _recall(self, unsettled: AbstractSet[date]) -> list[Day]:
        wanted = {day - ONE_DAY * back for day in unsettled for back in (0, 1)}
        stored = await find_days(self._shared.writer.database, self._account.appid, wanted)
        return self._settling.recall(unsettled, stored, self._clock.now())

    def _used(self, api: AccountApi) -> Mapping[str, tuple[date, int]]:
        return {name: used for name, dataset in DATASETS.items() if (used := api.budget.used(dataset.path))}

    async def _put(self, days: Sequence[Day]) -> None:
        """Hand over days and what is known by now, if any of it is new."""
        state = self._settling.state
        if days or state != self._handed_over:
            await self._shared.writer.put(Update(days, state))
            self._handed_over = state

    def _end(self, dataset: str | None, error: CallError) -> None:
        """Choose what ends with this error: the window, its dataset or the account; as a failure or with a notice."""
        ends = scope_of(error)
        if ends is Scope.WINDOW:
            return  # it stays pending
        scope = dataset if ends is Scope.DATASET else None
        wait = wait_ordered_by(error, self._clock.now())
        if wait is None:
            self._ended.setdefault(scope, error)
            return
        kind, until = wait
        self.wait(scope, kind, until)
        if kind.is_stored:
            for name in [scope] if scope else DATASETS:
                self._settling.change(name, not_before=until)

    def _result(self) -> AccountResult:
        failed = self._rejected | {scope: error for scope, error in self._ended.items() if error is not None}
        failures = tuple(self._failure(scope, error) for scope, error in failed.items())
        silent = self._settling.is_silent
        if failures:
            outcome = Outcome.FAILED
        elif self._stopped:
            outcome = Outcome.SKIPPED
        else:
            wanted = bool(self._planned or self._notices)
            outcome = Outcome.PENDING if wanted and self._settling.lacks_newest and not silent else Outcome.OK
        return AccountResult(
            self._account,
            outcome,
            failures,
            tuple(self._notices.values()),
            ended=frozenset(DATASETS if None in self._ended else self._ended),
            answered=bool(self._answered),
            unreachable=any(map(is_unreachable, self._ended.values())),
            silent=silent,
            windows_left=self._missed(None) if self._notices and not failures else 0,
        )

    def _failure(self, dataset: str | None, error: CallError) -> Failure:
        return failure_of(self._account, dataset, error, self._missed(dataset))

    def _missed(self, dataset: str | None) -> int:
        """How many windows weren't answered, of a dataset or at the most."""
        missed = self._planned - self._answered
        return max(missed.values(), default=0) if dataset is None else missed[dataset]
