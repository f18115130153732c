"""Settle one account's answers, and hand its days and its state to the writer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date

from collector.completeness.datasets import CUMULATE, DATASETS
from collector.completeness.evidence import Answer
from collector.completeness.plan import Ask
from collector.completeness.settle import Settling
from collector.errors import CallError
from collector.model.days import ONE_DAY, Days, Window
from collector.model.state import AccountState, Day, Trouble, Update
from collector.runtime import Clock
from collector.store.database import find_days, rename
from collector.store.writer import Writer
from collector.wechat.api import AccountApi


class Storing:
    """Days and states of one account on their way from its answers to the writer, in one pass.

    `asks` are the windows that are asked in it. The calls that `api` counts are stored with the state.
    """

    def __init__(
        self, settling: Settling, api: AccountApi, asks: Sequence[Ask], writer: Writer, *, clock: Clock
    ) -> None:
        self._settling = settling
        self._api = api
        self._still_asked = Days.joined(ask.window for ask in asks if CUMULATE in ask.datasets)
        self._writer = writer
        self._clock = clock
        self._before = settling.state
        self._handed_over: AccountState | None = None
        self._writing = asyncio.Lock()
        # True once handing over has failed; nothing more is learnt then.
        self._broken = False

    def resume_counts(self) -> None:
        """Let the calls and the forced tokens of earlier runs count."""
        state = self._settling.state
        for name, dataset in DATASETS.items():
            known = state.dataset(name)
            self._api.budget.resume(dataset.path, known.calls_on, known.calls)
        self._api.forced.resume(state.forced_on, state.forced_tokens)

    def roll_back(self) -> None:
        """Go back to the state that was handed over last: what was learnt since then isn't stored."""
        self._settling.state = self._handed_over or self._before

    async def take(self, window: Window, answers: Mapping[str, Answer]) -> None:
        """Settle a window and hand over the days to be stored, one lane at a time, so that states go out in order."""
        async with self._writing:
            # Here and not when the answer came: only the `take` below makes this window's totals known. Until then
            # `resolvable` must not use stored ones.
            self._still_asked -= Days.between(window.begin, window.end)
            if self._broken or not answers:
                return
            # A state must not go out without the days that it was learnt from. If handing over fails, nothing more
            # is learnt.
            self._broken = True
            days = self._settling.take(answers, self._clock.now())
            # Zeros go out together with the answer that shows them: a run that is killed in between would leave the
            # day settled without them.
            days += await self._resolve(self._settling.resolvable(self._still_asked))
            await self.put(days)
            self._broken = False

    async def finish(self, failed: Mapping[str, CallError], *, is_final: bool) -> None:
        """Keep errors and the number of calls; where the pass `is_final`, resolve what its answers couldn't tell."""
        days = await self._resolve(frozenset(self._settling.unresolved)) if is_final else []
        self.fail(failed)
        self._count_calls()
        await self.put(days)

    def fail(self, failed: Mapping[str, CallError]) -> None:
        """Note the errors of datasets."""
        for name, error in failed.items():
            now = self._clock.now()
            self._settling.fail(name, Trouble(error.errmsg, error.errcode, error.rid, error.hint, now, now))

    async def put(self, days: Sequence[Day] = ()) -> None:
        """Hand over days and the state that they justify, if any of it is new."""
        # Where calls are limited, a run that is killed must leave their number behind. Elsewhere the last state has it:
        # to count with each window costs 2 % of a backfill's CPU.
        if self._api.account.daily_calls is not None:
            self._count_calls()
        self._settling.count_forced_tokens(*self._api.forced.used)
        state = self._settling.state
        if days or state != self._handed_over:
            await self._writer.put(Update(days, state))
            self._handed_over = state

    async def rename(self, name: str) -> None:
        """Write the account's new name into its documents."""
        # The documents first: once the state has the new name, no later run would rename them.
        self._writer.held.check()
        await rename(self._writer.database, self._settling.state.account, name)
        self._settling.rename()
        await self.put()

    def _count_calls(self) -> None:
        used = self._api.budget.used
        self._settling.count({name: used[dataset.path] for name, dataset in DATASETS.items() if dataset.path in used})

    async def _resolve(self, unresolved: AbstractSet[date]) -> list[Day]:
        if not unresolved:
            return []
        wanted = {day - ONE_DAY * back for day in unresolved for back in (0, 1)}
        stored = await find_days(self._writer.database, self._settling.state.account, wanted)
        return self._settling.resolve(unresolved, stored, self._clock.now())
