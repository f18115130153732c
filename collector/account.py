"""One account's part of a run: its windows are asked, folded and handed to the writer.

Everything that WeChat refuses ends here as a failure or a notice; only a lost database or a mistake of
ours goes further.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta

import structlog

from collector.datasets import DATASETS, Dataset, Folded, fold
from collector.days import ONE_DAY, Window, next_beijing_midnight
from collector.errors import ApiError, CallError, CallKind, HostError, Reaction, StoppedError
from collector.model import Account, AccountResult, Day, Failure, Fields, Notice, Outcome
from collector.plan import Ask
from collector.store.writer import Writer
from collector.wechat.account import MOST_IN_FLIGHT, AccountApi
from collector.wechat.errcodes import NOT_BEFORE_S
from collector.wechat.waits import Clock

log = structlog.get_logger()

_READINESS = "user_cumulate"
"""The dataset that tells whether a day is there: summary leaves out days without movement."""

_ENDS_ACCOUNT = frozenset({Reaction.ACCOUNT, Reaction.COMPONENT, Reaction.LIST_AGAIN, Reaction.REFRESH})
_NOT_THERE_YET = frozenset({61501, 61503})


@contextmanager
def first_of_group() -> Iterator[None]:
    """Let the first error of a task group through as itself: whoever catches it knows one error, not a group."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


class AccountRun:
    """What is known of one account while a worker has it: `log_in`, then `collect`."""

    def __init__(self, account: Account, asks: Sequence[Ask], newest: date, *, writer: Writer, clock: Clock) -> None:
        self._account = account
        self._asks = iter(asks)
        self._planned = Counter(name for ask in asks for name in ask.datasets)
        self._answered: Counter[str] = Counter()
        self._newest = newest
        self._newest_came = not asks
        self._writer = writer
        self._clock = clock
        self._ended: dict[str | None, CallError | None] = {}
        self._notices: dict[str, Notice] = {}
        self._stopped = False

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
        """Ask for every window, newest first, up to `MOST_IN_FLIGHT` of them at work at once."""
        with first_of_group():
            async with asyncio.TaskGroup() as lanes:
                for _ in range(MOST_IN_FLIGHT):
                    lanes.create_task(self._lane(api))
        return self._result()

    async def _lane(self, api: AccountApi) -> None:
        for ask in self._asks:
            datasets = [DATASETS[name] for name in ask.datasets if name not in self._ended]
            if self._stopped or None in self._ended:
                return
            async with asyncio.TaskGroup() as calls:
                tasks = {dataset.name: calls.create_task(self._ask(api, dataset, ask.window)) for dataset in datasets}
            days = self._days({name: task.result() for name, task in tasks.items()})
            if days:
                await self._writer.put(days)

    async def _ask(self, api: AccountApi, dataset: Dataset, window: Window) -> Mapping[date, Fields]:
        """The days of one dataset's answer; none where there was no answer, which is noted."""
        try:
            folded = await self._fetch(api, dataset, window)
        except StoppedError:
            self._stopped = True
            return {}
        except CallError as error:
            self._end(dataset.name, error)
            return {}
        self._answered[dataset.name] += 1
        if folded.dropped:
            log.info("rows.dropped", account=str(self._account), dataset=dataset.name, rows=folded.dropped)
        if dataset.name == _READINESS and self._newest in folded.days:
            self._newest_came = True
        return folded.days

    async def _fetch(self, api: AccountApi, dataset: Dataset, window: Window) -> Folded:
        """Ask; and once more without the newest day where WeChat says that it isn't there yet."""
        try:
            return fold(dataset, await api.rows(dataset.path, window), window)
        except ApiError as error:
            if error.errcode not in _NOT_THERE_YET or window.end != self._newest or len(window) == 1:
                raise
        window = Window(window.begin, window.end - ONE_DAY)
        return fold(dataset, await api.rows(dataset.path, window), window)

    def _days(self, answers: Mapping[str, Mapping[date, Fields]]) -> list[Day]:
        """One value a day, holding every dataset that had it."""
        fields: dict[date, dict[str, Fields]] = defaultdict(dict)
        for dataset, days in answers.items():
            for day, values in days.items():
                fields[day][dataset] = values
        now = self._clock.now()
        return [Day(self._account.appid, self._account.name, day, came, now) for day, came in fields.items()]

    def _end(self, dataset: str | None, error: CallError) -> None:
        """Choose what ends with this error: the window, its dataset or the account; as a failure or with a notice."""
        now = self._clock.now()
        whole_account = error.kind is CallKind.TOKEN or error.reaction in _ENDS_ACCOUNT
        scope = None if whole_account else dataset
        match error.reaction:
            case Reaction.STOP_FOR_DAY:
                self._wait(scope, Notice(self._account.appid, self._account.name, "quota", next_beijing_midnight(now)))
            case Reaction.SLOW:
                minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
                self._wait(None, Notice(self._account.appid, self._account.name, "rate", minute))
            case Reaction.NOT_BEFORE:
                until = now + timedelta(seconds=NOT_BEFORE_S[error.errcode or 0])
                self._wait(None, Notice(self._account.appid, self._account.name, "ip_refused", until))
            case Reaction.LATER if whole_account:
                self._wait(None, Notice(self._account.appid, self._account.name, "ip_unconfirmed"))
            case Reaction.LATER:
                pass  # the window stays pending
            case _:
                self._ended.setdefault(scope, error)

    def _wait(self, scope: str | None, notice: Notice) -> None:
        self._ended.setdefault(scope, None)
        self._notices[notice.kind] = notice

    def _result(self) -> AccountResult:
        failures = tuple(self._failure(scope, error) for scope, error in self._ended.items() if error is not None)
        if failures:
            outcome = Outcome.FAILED
        elif self._stopped:
            outcome = Outcome.SKIPPED
        else:
            outcome = Outcome.OK if self._newest_came else Outcome.PENDING
        return AccountResult(
            self._account,
            outcome,
            failures,
            tuple(self._notices.values()),
            answered=bool(self._answered),
            unreachable=any(isinstance(error, HostError) for error in self._ended.values()),
        )

    def _failure(self, dataset: str | None, error: CallError) -> Failure:
        missed = self._planned - self._answered
        return Failure(
            self._account.appid,
            self._account.name,
            dataset,
            error.errmsg,
            error.errcode,
            error.rid,
            error.hint,
            windows=missed.total() if dataset is None else missed[dataset],
        )
