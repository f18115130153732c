"""The run: session and database are opened, a pool of workers takes the accounts, everything is counted.

A worker takes one account at a time from one shared iterator, so memory follows the workers, not the
accounts; one account's trouble never stops another's.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date

import structlog

from collector.account import AccountRun, first_of_group
from collector.config import Settings
from collector.days import newest_published
from collector.errors import CollectorError, DatabaseError, StoppedError, UnreachableError
from collector.model import Account, AccountResult, Failure, Notice, Outcome, RunResult
from collector.plan import plan
from collector.store.database import open_database, prepare
from collector.store.writer import Writer
from collector.wechat.account import MOST_IN_FLIGHT, AccountApi
from collector.wechat.client import Client
from collector.wechat.waits import Clock, Stop

log = structlog.get_logger()

DRAIN_S = 30
"""Seconds that calls in flight get to finish after a stop signal."""

OnAccount = Callable[[AccountResult], None]


async def collect(
    settings: Settings,
    accounts: Sequence[Account],
    *,
    clock: Clock,
    stop: Stop,
    on_account: OnAccount | None = None,
) -> RunResult:
    """Collect what is to be had for `accounts`, as of now; `on_account` hears of each one when it is done.

    Comes back with the result whatever happens to accounts, to the database or to WeChat.
    """
    began = time.monotonic()
    run = f"{clock.now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    tally = Tally(accounts, on_account)
    error = None
    try:
        await _collect(settings, tally, clock=clock, stop=stop)
    except StoppedError:
        log.warning("run.cut", after_seconds=DRAIN_S)
    except (DatabaseError, UnreachableError) as fatal:
        error = str(fatal)
    return tally.result(run, time.monotonic() - began, error=error, stopped_by=stop.signal)


async def _collect(settings: Settings, tally: Tally, *, clock: Clock, stop: Stop) -> None:
    async with open_database(settings.mongodb.uri, settings.mongodb.database) as database:
        for difference in await prepare(database):
            log.warning("database.differs", what=difference)
        async with (
            Client.opened(
                settings.api.hosts,
                timeout_s=settings.api.timeout,
                proxy=settings.api.proxy,
                connections=settings.run.workers * (MOST_IN_FLIGHT + 1),  # one of them for a token
                stop=stop,
            ) as client,
            Writer(database) as writer,
        ):
            tally.watch(client, writer)
            pool = Pool(settings, tally, client, writer, clock=clock, stop=stop)
            with first_of_group():
                async with stop.ends(grace_s=DRAIN_S):
                    await pool.work()


class Pool:
    """The workers: each takes the next account when it is done with one.

    `workers` accounts are at work at once. As many more have their token by then, so that no account at work
    waits for one.
    """

    def __init__(
        self, settings: Settings, tally: Tally, client: Client, writer: Writer, *, clock: Clock, stop: Stop
    ) -> None:
        self._settings = settings
        self._tally = tally
        self._client = client
        self._writer = writer
        self._clock = clock
        self._stop = stop
        self._at_work = asyncio.Semaphore(settings.run.workers)

    async def work(self) -> None:
        """Take all accounts. Raises `DatabaseError`, or `UnreachableError` when nobody gets through to WeChat."""
        newest = newest_published(self._clock.now(), self._settings.run.published_at)
        accounts = iter(self._tally.accounts)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(2 * self._settings.run.workers, len(self._tally.accounts))):
                workers.create_task(self._worker(accounts, newest))

    async def _worker(self, accounts: Iterator[Account], newest: date) -> None:
        for account in accounts:
            if self._stop.is_set:
                return
            self._tally.add(await self._isolated(account, newest))
            self._give_up_if_unreachable()

    async def _isolated(self, account: Account, newest: date) -> AccountResult:
        """One account's result; even a mistake of ours stops that account alone."""
        asks = plan(account, newest, self._settings.run.lookback)
        api = AccountApi(account, self._client, stop=self._stop, clock=self._clock)
        work = AccountRun(account, asks, newest, writer=self._writer, clock=self._clock)
        try:
            await work.log_in(api)
            async with self._at_work:
                return await work.collect(api)
        except CollectorError:
            raise
        except Exception as error:
            log.exception("account.crashed", account=str(account))
            what = f"the collector failed on this account ({type(error).__name__})"
            hint = "this is a mistake of the collector: please report it with the log"
            failure = Failure(account.appid, account.name, None, what, hint=hint, windows=len(asks))
            return AccountResult(account, Outcome.FAILED, (failure,))

    def _give_up_if_unreachable(self) -> None:
        enough = min(2 * self._settings.run.workers, len(self._tally.accounts))
        if not self._client.answered and self._tally.unreachable >= enough:
            raise UnreachableError(
                f"WeChat can't be reached: {self._tally.unreachable} accounts tried {', '.join(self._client.hosts)} "
                "and none had an answer. Check this host's network, the proxy and api.hosts"
            )


class Tally:
    """What a run counts, account by account."""

    def __init__(self, accounts: Sequence[Account], on_account: OnAccount | None) -> None:
        self.accounts = accounts
        self.unreachable = 0
        self._on_account = on_account
        self._outcomes = {account.appid: Outcome.SKIPPED for account in accounts}
        self._failures: list[Failure] = []
        self._notices: list[Notice] = []
        self._got_through: set[str] = set()
        self._client: Client | None = None
        self._writer: Writer | None = None

    def watch(self, client: Client, writer: Writer) -> None:
        """Take the counts of `client` and `writer` into the result, as they stand when it is made."""
        self._client, self._writer = client, writer

    def add(self, result: AccountResult) -> None:
        """Note how an account came out."""
        self._outcomes[result.account.appid] = result.outcome
        self._failures += result.failures
        self._notices += result.notices
        self.unreachable += result.unreachable
        if result.answered or result.outcome is not Outcome.FAILED:
            self._got_through.add(result.account.appid)
        for failure in result.failures:
            log.info("account.failed", **asdict(failure))
        if self._on_account:
            self._on_account(result)

    def result(self, run: str, seconds: float, *, error: str | None, stopped_by: int | None) -> RunResult:
        """The run's result, as far as it came; accounts with a document that MongoDB refused have failed."""
        client, writer = self._client, self._writer
        rejected = writer.rejected if writer else {}
        outcomes = Counter({**self._outcomes, **dict.fromkeys(rejected, Outcome.FAILED)}.values())
        return RunResult(
            run=run,
            seconds=seconds,
            outcomes={outcome: outcomes[outcome] for outcome in Outcome},
            got_through=len(self._got_through),
            calls=client.calls if client else 0,
            token_calls=client.token_calls if client else 0,
            retries=client.retries if client else 0,
            days=writer.days if writer else 0,
            failures=(*self._failures, *self._rejections(rejected)),
            notices=tuple(self._notices),
            error=error,
            stopped_by=stopped_by,
        )

    def _rejections(self, rejected: Mapping[str, str]) -> list[Failure]:
        names = {account.appid: account.name for account in self.accounts}
        hint = "look at the document and at the validator of user_daily"
        return [Failure(appid, names[appid], None, reason, hint=hint) for appid, reason in rejected.items()]
