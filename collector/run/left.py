"""Count what a run leaves to later ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from collector.completeness.plan import Target, plan
from collector.model.accounts import Account
from collector.model.state import AccountState
from collector.run.passes import initial_state
from collector.runtime import let_others_catch_up


async def windows_left(
    accounts: Iterable[Account], states: Mapping[str, AccountState], target: Target, now: datetime
) -> dict[str, int]:
    """Return, by appid, how many windows of history the accounts lack by their stored `states`, those that wait too.

    So it doesn't matter how a run ended. Days that a backfill asks for again are stored, and don't count.
    """
    target = replace(target, refetch=False)
    left = {}
    for account in accounts:
        await let_others_catch_up()
        state = initial_state(account, states.get(account.appid), target)
        left[account.appid] = plan(account, state, target, now).windows_of_history
    return left
