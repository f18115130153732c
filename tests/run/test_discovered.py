"""Values of discovery."""

from __future__ import annotations

from support import FakeClock

from collector.model.state import AccountState, Authorizer
from collector.run.discovered import Discovered


def test_accounts_that_another_run_took_over(clock: FakeClock) -> None:
    """They count elsewhere: a known one is as it was, one that was new isn't known."""
    before = {"wx1": AccountState("wx1", "tea", authorizer=Authorizer("one", "Tea"))}
    states = {appid: AccountState(appid, "Tea", authorizer=Authorizer("two", "Tea")) for appid in ("wx1", "wx2", "wx3")}
    found = Discovered(states, clock)
    found.leave(["wx1", "wx2"], before)
    assert found.states == {**before, "wx3": AccountState("wx3", "Tea", authorizer=Authorizer("two", "Tea"))}
    assert found.elsewhere == 2
