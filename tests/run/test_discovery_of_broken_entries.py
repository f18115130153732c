"""Discovery beside broken entries of the configuration: what they may say isn't known, so nothing is risked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from structlog.testing import capture_logs
from support import Configured, FakeClock, stored

from collector.commands.check import check
from collector.commands.collect import collect
from collector.commands.plans import target_of
from collector.commands.status import status
from collector.commands.work import Job
from collector.config import Selection, Settings
from collector.model.results import RunResult
from collector.runtime import Stop
from collector.sandbox import Sandbox, World
from collector.store.database import Database
from collector.store.state import load

WORLD = World(size=4)
FIRST, SECOND, *OTHERS = (account.appid for account in WORLD.accounts)
INFO = "/cgi-bin/component/api_get_authorizer_info"


def _settings(configured: Configured, sandbox: Sandbox, *accounts: dict[str, Any]) -> Settings:
    component = WORLD.component
    own = {"secret": component.secret, "verify_ticket": component.verify_ticket, "discover": "true"}
    return configured(
        {
            "api": {"hosts": [sandbox.url]},
            "defaults": {"rate_limit": "1000/s"},
            "components": [{"name": "agency", "appid": component.appid, **own}],
            "accounts": accounts,
            "include": "d/*.yaml",
        }
    )


async def _run(settings: Settings, clock: FakeClock, *names: str) -> RunResult:
    job = Job(target_of(settings, clock), Selection(names))
    return await collect(settings, job, clock=clock, stop=Stop())


async def _collected(database: Database) -> set[str]:
    return {account for account, _ in await stored(database)}


async def test_appid_of_a_broken_entry(clock: FakeClock, database: Database, configured: Configured) -> None:
    """It isn't collected through the platform: the entry may say `enabled: false`, or a lower rate."""
    async with Sandbox(WORLD, clock=clock.now) as sandbox:
        result = await _run(_settings(configured, sandbox, {"name": "a", "appid": FIRST, "rate_limit": "slow"}), clock)
        assert (result.exit, result.total, [each.account for each in result.failures]) == (3, 4, [FIRST])
        assert await _collected(database) == {SECOND, *OTHERS}
        # Nor is one that a platform found before.
        settings = _settings(configured, sandbox, {"name": "b", "appid": SECOND, "rate_limit": "slow"})
        sandbox.calls.clear()
        again = await _run(settings, clock)
        checked = await check(settings, Selection(), clock=clock)
    assert [each.account for each in again.failures] == [SECOND]
    assert {each.account for each in checked.accounts if each.failures} == {SECOND}
    assert await _collected(database) == {FIRST, SECOND, *OTHERS}
    assert SECOND not in [call.appid for call in sandbox.calls]


async def test_name_of_a_broken_entry(clock: FakeClock, configured: Configured) -> None:
    """A platform's account doesn't take it."""
    async with Sandbox(WORLD, clock=clock.now) as sandbox:
        found = _settings(configured, sandbox)
        await _run(found, clock)
        nick = next(each.name for each in (await status(found, Selection(), clock.now())).accounts)
        settings = _settings(configured, sandbox, {"name": nick, "appid": "wx0000000000000001", "secret": ""})
    names = [each.name for each in (await status(settings, Selection(), clock.now())).accounts]
    assert (names.count(nick), len(set(names))) == (1, 5)


async def test_unread_file(clock: FakeClock, database: Database, configured: Configured, tmp_path: Path) -> None:
    """While there is one, no new account is taken; those that were discovered before go on."""
    (tmp_path / "d").mkdir()
    file = tmp_path / "d/own.yaml"
    file.write_text("accounts: [")
    async with Sandbox(WORLD, clock=clock.now) as sandbox:
        settings = _settings(configured, sandbox)
        with capture_logs() as logs:
            result = await _run(settings, clock)
        assert (result.exit, result.total, await _collected(database)) == (1, 1, set())
        assert "discovery.limited" in [entry["event"] for entry in logs]
        file.write_text("accounts: []")
        await _run(_settings(configured, sandbox), clock, FIRST)
        assert await _collected(database) == {FIRST}
        file.write_text("accounts: [")
        sandbox.calls.clear()
        result = await _run(settings, clock)
        assert (result.exit, result.total, [each.name for each in result.failures]) == (3, 2, [str(file)])
        assert INFO not in [call.path for call in sandbox.calls]
        assert (await load(database)).keys() == {FIRST}
        assert not (await status(settings, Selection(), clock.now())).no_longer_configured
        file.write_text(f"accounts: [{{name: own, appid: {SECOND}, secret: s, enabled: false}}]")
        result = await _run(_settings(configured, sandbox), clock)
    assert (result.exit, await _collected(database)) == (0, {FIRST, *OTHERS})


async def test_entry_without_an_appid(clock: FakeClock, database: Database, configured: Configured) -> None:
    """It may be for any account, as a file that can't be read."""
    async with Sandbox(WORLD, clock=clock.now) as sandbox:
        await _run(_settings(configured, sandbox), clock, FIRST)
        result = await _run(_settings(configured, sandbox, {"name": "a", "appid": "wx1", "secret": "s"}), clock)
    assert (result.exit, result.total, await _collected(database)) == (3, 2, {FIRST})
