"""Try each account: its token, each dataset, its quota. Nothing is stored."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from functools import partial

import structlog

from collector.commands.plans import target_of
from collector.completeness.datasets import CUMULATE, DATASETS, Dataset, fold
from collector.completeness.plan import SPAN_DAYS, waits
from collector.config import Selection, Settings
from collector.console.check import broken_first
from collector.console.progress import Watch
from collector.errors import CallError, CollectorError, HostError, PostponedError, TransientError, UnwantedError
from collector.kinds import CallKind, Scope
from collector.model.accounts import Account, BrokenEntry
from collector.model.checks import AccountCheck, Checks, DatasetCheck, Verdict
from collector.model.days import ONE_DAY, Window
from collector.model.results import AccountResult, Failure, Notice, Outcome
from collector.model.state import AccountState, UnusableState
from collector.model.waits import Wait
from collector.run.connect import connect
from collector.run.discovery import discover, may_discover, take_discovered
from collector.run.reach import Reach
from collector.run.reactions import crash_of, failure_of, failure_of_entry, failure_of_state, wait_ordered_by
from collector.run.tally import Tally
from collector.runtime import Clock, Stop, WechatClock, first_of_group
from collector.store.database import open_database
from collector.store.local import has_data
from collector.store.location import Location, location_of
from collector.store.state import read_states
from collector.text import counted
from collector.wechat.api import AccountApi
from collector.wechat.errcodes import refused_ip
from collector.wechat.session import Session

log = structlog.get_logger()

MAX_CALLS = len(DATASETS) + 1
"""Data calls that a check makes for one account: one for each dataset, and one more where that has to be repeated."""

_NO_ANSWER_HINT = (
    "WeChat, or a proxy before it, is in trouble or asks for fewer calls: run it again with -vv to log the error of "
    "each call"
)


async def check(settings: Settings, selection: Selection, *, clock: Clock, watch: Watch | None = None) -> Checks:
    """Try each selected account with one call of each dataset, for the newest published day, within its limits.

    Platforms that discover accounts are asked for them; nothing of it is remembered. Raises `DatabaseError` when
    MongoDB is out of reach, `UnreachableError` when WeChat is, `ClockError` when this host's clock is wrong, and
    `UsageError` when no account is selected.
    """
    clock = WechatClock(clock)
    location = await location_of(settings.mongodb)
    states, unusable = await _stored_states(location)
    tally, newest = Tally(watch or Watch()), target_of(settings, clock).newest
    async with connect(settings, clock=clock, stop=Stop()) as session:
        tally.attach(session.client)
        if may_discover(settings, selection):
            found = await discover(settings, states, session, selection)
            entries, states = take_discovered(found, selection, settings, tally), found.states
        else:
            entries = selection.of(settings.entries)
            tally.expect(entries)
        accounts = [entry for entry in entries if isinstance(entry, Account)]
        tally.watch.begin(len(accounts))
        reach = Reach(session, workers=settings.run.workers, accounts=len(accounts))
        waiting, done = iter(accounts), [_check_of(entry) for entry in entries if isinstance(entry, BrokenEntry)]

        async def work() -> None:
            for account in waiting:
                trial = _Trial(account, newest, session)
                known = states.get(account.appid) or unusable.get(account.appid)
                await trial.run(known or AccountState(account.appid, account.name))
                checked, result = trial.results()
                done.append(checked)
                tally.add(result)
                reach.note(result)

        with first_of_group():
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(settings.run.workers, len(accounts))):
                    workers.create_task(work())
    result = replace(tally.result("", error=None, stopped_by=None), database=str(location))
    return Checks(newest, result, broken_first(done))


async def _stored_states(location: Location) -> tuple[dict[str, AccountState], dict[str, UnusableState]]:
    """Return what is stored; nothing where there is no local database yet, as before the first run."""
    if location.uri is None and not has_data(location.data_dir):
        return {}, {}
    async with open_database(location, must_exist=True) as database:
        return await read_states(database)


def _check_of(entry: BrokenEntry) -> AccountCheck:
    """Return the check of an entry that can't be used: nothing of it is asked."""
    return AccountCheck(
        entry.appid,
        entry.name,
        Outcome.FAILED,
        Verdict.NOT_ASKED,
        dict.fromkeys(DATASETS, DatasetCheck()),
        failures=(failure_of_entry(entry),),
        egress=entry.egress,
    )


class _Trial:
    """Check of one account."""

    def __init__(self, account: Account, newest: date, session: Session) -> None:
        self._account = account
        self._window = Window(newest - ONE_DAY * (SPAN_DAYS - 1), newest)
        self._session = session
        self._api = AccountApi(account, session)
        self._calls_left = MAX_CALLS
        self._must_wait = False
        self._token = Verdict.NOT_ASKED
        self._datasets = dict.fromkeys(DATASETS, DatasetCheck())
        self._failures: list[Failure] = []
        self._notices: dict[str, Notice] = {}
        self._ips: dict[str, None] = {}
        self._unreachable = False
        self._was_covered = False
        self._without_rows = 0

    async def run(self, state: AccountState | UnusableState) -> None:
        """Check the account; a mistake of ours stops this account alone. One with an unusable state isn't asked."""
        if isinstance(state, UnusableState):  # its waits and the calls of the day aren't known
            self._failures.append(failure_of_state(self._account, state))
            return
        try:
            await self._ask(state)
        except PostponedError as postponed:
            self._token = self._blame(None, postponed.trouble)  # a check says what is wrong now, so it doesn't wait
        except CollectorError:
            raise  # it ends the command, as it ends a run
        except Exception as error:
            log.exception("account.crashed", account=str(self._account))
            self._failures.append(crash_of(self._account, error))

    def results(self) -> tuple[AccountCheck, AccountResult]:
        """Return the result of this account, and its form in which a run counts it."""
        account, outcome = self._account, Outcome.FAILED if self._failures else Outcome.OK
        failures, notices = tuple(self._failures), tuple(self._notices.values())
        host, ips = self._api.host, tuple(self._ips)
        late = self._datasets[CUMULATE].verdict is Verdict.EMPTY
        answered = any(each.verdict in {Verdict.OK, Verdict.EMPTY} for each in self._datasets.values())
        never = self._without_rows == len(DATASETS) and not self._was_covered
        check = AccountCheck(
            account.appid,
            account.name,
            outcome,
            self._token,
            self._datasets,
            late,
            host,
            ips,
            failures,
            notices,
            never,
            account.egress,
        )
        result = AccountResult(account, outcome, failures, notices, answered=answered, unreachable=self._unreachable)
        return check, result

    async def _ask(self, state: AccountState) -> None:
        """Get the token, then try one dataset after the other: an account that refuses is asked few times."""
        self._was_covered = any(state.dataset(name).covered for name in DATASETS)
        asked = self._not_waiting(state)
        if not asked:
            return
        try:
            await self._api.log_in()
        except CallError as error:
            self._token = self._blame(None, error)
            return
        self._token = Verdict.OK
        for number, dataset in enumerate(asked, start=1):
            if not self._must_wait:
                self._datasets[dataset.name] = DatasetCheck(await self._try(dataset, kept=len(asked) - number))
        for dataset in asked:
            if not self._must_wait:
                await self._ask_quota(dataset)

    def _not_waiting(self, state: AccountState) -> list[Dataset]:
        """The datasets that may be asked now; a wait of the others is noted, as a run would."""
        held = waits(self._account, state, self._session.clock.now())
        for wait in held.values():
            self._note(wait)
        for name, dataset in DATASETS.items():
            known = state.dataset(name)
            self._api.budget.resume(dataset.path, known.calls_on, known.calls)
        return [dataset for name, dataset in DATASETS.items() if name not in held]

    async def _try(self, dataset: Dataset, kept: int) -> Verdict:
        """One call for the seven days that end with the newest one: it costs the same as one for that day alone.

        It is repeated in trouble, as far as that leaves `kept` calls for the other dataset.
        """
        left = self._calls_left
        try:
            rows = await self._api.rows(dataset.path, self._window, partial(self._may_ask, kept))
            folded = fold(dataset, rows, self._window)
        except UnwantedError:
            what = f"no answer in {counted(left - self._calls_left, 'call')}"
            trouble = TransientError if self._session.client.answered else HostError
            return self._blame(dataset.name, trouble(what, hint=_NO_ANSWER_HINT))
        except CallError as error:
            return Verdict.EMPTY if error.newest_missing else self._blame(dataset.name, error)
        if folded.malformed:
            return self._blame(dataset.name, next(iter(folded.malformed.values())))
        self._without_rows += not folded.days
        return Verdict.OK if self._window.end in folded.days else Verdict.EMPTY

    def _may_ask(self, kept: int) -> bool:
        if self._calls_left <= kept:
            return False
        self._calls_left -= 1
        return True

    async def _ask_quota(self, dataset: Dataset) -> None:
        try:
            left = await self._api.quota_left(dataset.path)
        except PostponedError:
            pass  # the check is about data; what is left of the quota is worth knowing, no more
        except CallError as error:
            self._note_ip(error)
            log.debug("quota.unknown", account=str(self._account), dataset=dataset.name, trouble=str(error))
        else:
            self._datasets[dataset.name] = replace(self._datasets[dataset.name], quota_left=left)

    def _blame(self, dataset: str | None, error: CallError) -> Verdict:
        """Note a failure, or a wait that WeChat ordered."""
        self._note_ip(error)
        self._unreachable = self._unreachable or error.unreachable
        if wait := wait_ordered_by(error, self._session.clock.now()):
            self._note(wait)
            self._must_wait = self._must_wait or error.reaction.scope is not Scope.DATASET
            return Verdict.NOT_ASKED
        scope = dataset if error.kind is CallKind.DATA else None
        if not any(failure.dataset == scope for failure in self._failures):
            self._failures.append(failure_of(self._account, scope, error))
        return Verdict.FAILED

    def _note_ip(self, error: CallError) -> None:
        if ip := refused_ip(error):
            self._ips[ip] = None

    def _note(self, wait: Wait) -> None:
        self._notices[wait.kind] = Notice(self._account.appid, self._account.name, wait.kind, wait.until)
