"""Orders for workers, with all that they have to know of a batch and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import monotonic

import structlog

from collector.cluster.batches import Batch
from collector.cluster.engine import Member
from collector.cluster.messages import Order, RunInfo
from collector.commands.work import Job, Run
from collector.completeness.plan import Target
from collector.errors import CallError, PostponedError, StoppedError
from collector.model.accounts import Account, FromComponent
from collector.wechat.component import Handover
from collector.wechat.session import Session

log = structlog.get_logger()


class Dispatch:
    """Orders of a run, made out as its batches are given to workers.

    `ended_s` is the second of the monotonic clock at which each batch's last job ended.
    """

    def __init__(self, run: Run, session: Session, info: RunInfo) -> None:
        self.ended_s: dict[int, float] = {}
        self._run = run
        self._session = session
        self._info = info
        self._configured = {account.appid for account in run.settings.accounts}

    async def order(self, batch: Batch, epoch: int, member: Member, target: Target) -> Order:
        """Return the order by which a worker does the next job of a batch."""
        asked = batch.asked
        names = [(account.appid, account.name, platform_of(account)) for account in asked]
        return Order(
            self._info,
            batch.number,
            epoch,
            self._job(batch, target),
            history=batch.history is not None,
            configured=[appid for appid, _, _ in names if appid in self._configured],
            discovered=[(appid, name, of) for appid, name, of in names if of and appid not in self._configured],
            handovers=await self._handovers(asked),
            idle_s=self._idle_s(batch),
            slots=member.slots,
            stopped_by=self._run.stop.signal,
        )

    def _job(self, batch: Batch, target: Target) -> Job:
        """Return the next job of a batch. What the command wanted once isn't done again when a newer day comes."""
        if not batch.is_filled:
            return replace(self._run.job, target=target)
        return replace(self._run.job, target=replace(target, refetch=False, exhaustive=False), ignore_waits=False)

    def _idle_s(self, batch: Batch) -> float:
        """Return the seconds for which no worker has asked for any account of a batch."""
        if batch.attempts:
            # A worker that is cut off goes on until its claim is lost, and that is a while before it has expired.
            return self._info.times.free_after_s - self._info.times.lost_after_s
        return monotonic() - self.ended_s.get(batch.number, self._run.last_turn_s)

    async def _handovers(self, accounts: Sequence[Account]) -> list[Handover]:
        """Return what the accounts need of their platforms; where one fails, the workers see why by themselves."""
        handovers = []
        for platform in sorted({name for account in accounts if (name := platform_of(account))}):
            appids = [account.appid for account in accounts if platform_of(account) == platform]
            try:
                handovers.append(await self._session.components[platform].hand_over(appids))
            except (CallError, PostponedError, StoppedError) as error:
                log.info("platform.not_handed_over", component=platform, why=str(error))
        return handovers


def platform_of(account: Account) -> str:
    """Return the platform that an account's token comes from, or an empty text."""
    return account.token.name if isinstance(account.token, FromComponent) else ""
