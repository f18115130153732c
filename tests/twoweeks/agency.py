"""An agency of 300 accounts: its sheet, its hosts, its database, and WeChat as it is on each day."""

from __future__ import annotations

import asyncio
import csv
import fcntl
import hashlib
import os
import pty
import shlex
import struct
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from itertools import count
from pathlib import Path
from typing import Any

from chaos.host import Collector, Host, MovedClock
from twoweeks.transcript import Transcript

from collector.model.days import BEIJING
from collector.sandbox import Faults, Sandbox, SandboxAccount, World
from collector.store.database import Database
from collector.store.runs import RUNS

COLUMNS = ("名称", "AppID", "AppSecret", "标签")
_NUMBERS = count(1)
TAGS = ("零售", "餐饮", "教育")


@dataclass
class Sheet:
    """The sheet of the agency's clients: a row for each appid, in the order of the sheet."""

    file: Path
    rows: dict[str, dict[str, str]] = field(default_factory=dict)

    def list(self, account: SandboxAccount, tag: str) -> None:
        """Add an account as WeChat has it."""
        self.rows[account.appid] = dict(zip(COLUMNS, (account.name, account.appid, account.secret, tag), strict=True))

    def save(self, rows: int | None = None) -> None:
        """Save all rows, or only the first ones."""
        with self.file.open("w", encoding="utf-8-sig", newline="") as file:  # as Excel saves CSV
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows([*self.rows.values()][:rows])


@dataclass
class Agency:
    """The agency through its two weeks: commands run in `folder` on `host`, and `wechat` is WeChat as it is today.

    The clocks of WeChat and of the hosts are moved. MongoDB's own isn't, so the ledger of `database` is moved.
    """

    folder: Path
    clock: MovedClock
    host: Host
    world: World
    places: dict[str, str]
    database: Database | None = None
    sheet: Sheet = field(init=False)
    wechat: Sandbox = field(init=False)
    transcript: Transcript = field(init=False)
    today: date = field(init=False)

    def __post_init__(self) -> None:
        self.printed = self.folder / "printed"
        self.printed.mkdir()
        self.printed.chmod(0o777)  # the service's user writes there, too
        self.sheet = Sheet(self.folder / "clients.csv")
        self._port = 0

    @asynccontextmanager
    async def day(self, day: date, name: str, broken: Mapping[int, int], **faults: Any) -> AsyncIterator[None]:
        """Open a day, and hold what was printed; `broken` has errcodes by the number of an account."""
        appids = {self.world.accounts[number].appid: errcode for number, errcode in broken.items()}
        weather = Faults(broken=appids, **faults)
        self.today, self.transcript = day, Transcript(f"{day:%A, %Y-%m-%d}", self.places)
        async with Sandbox(self.world, faults=weather, clock=self.clock.now, port=self._port) as self.wechat:
            self._port = self.wechat.port
            yield
        self.transcript.hold(name)

    async def at(self, clock: str) -> None:
        """Set the clocks to a time of the day, Beijing's."""
        await self._move_ledger()  # by how much they were moved as they were written
        self.clock.set(datetime.combine(self.today, time.fromisoformat(clock), BEIJING))

    async def _move_ledger(self) -> None:
        """Move the new instants in the ledger, which are those of MongoDB's own clock, as the clocks are moved."""
        if self.database is None:
            return
        by_ms = round((self.clock.now() - datetime.now(UTC)).total_seconds() * 1000)
        for key in ("began", "ended"):
            moved = {key: {"$add": [f"${key}", by_ms]}, f"moved_{key}": True}
            new = {key: {"$exists": True}, f"moved_{key}": {"$exists": False}}
            await self.database[RUNS].update_many(new, [{"$set": moved}])

    def note(self, text: str) -> None:
        """Write into the transcript what happens, in words."""
        self.transcript.note(text)

    async def play(self, clock: str, command: str, *, host: Host | None = None, counts_vary: bool = False) -> None:
        """Run a command at a time of the day, and add what it prints to the transcript."""
        await self.at(clock)
        await self.end(clock, command, await self.begin(command, host=host), counts_vary=counts_vary)

    async def begin(self, command: str, *, host: Host | None = None) -> Collector:
        """Start a command."""
        await self._move_ledger()
        number = next(_NUMBERS)
        out, err = (self.printed / f"{number}.{kind}" for kind in ("out", "err"))
        return await (host or self.host).start(shlex.split(command), out, err, hurried=False)

    async def end(self, clock: str, command: str, collector: Collector, *, counts_vary: bool = False) -> None:
        """Wait for the end of a command that was started, and add it to the transcript."""
        code = await collector.exit()
        out, err = (collector.output.with_suffix(suffix).read_text() for suffix in (".out", ".err"))
        self.transcript.add(f"{clock} $ collector {command}", out, err, code, counts_vary=counts_vary)

    async def play_on_terminal(self, clock: str, command: str) -> None:
        """Run a command whose result goes to a terminal of 80 columns."""
        await self.at(clock)
        terminal, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        reading = asyncio.create_task(asyncio.to_thread(_all_of, terminal))
        log = self.printed / f"{next(_NUMBERS)}.err"
        collector = await self.host.start(shlex.split(command), Path(os.ttyname(end)), log, hurried=False)
        code = await collector.exit()
        os.close(end)
        shown = (await reading).replace("\r\n", "\n")
        self.transcript.add(f"{clock} $ collector {command}  # on a terminal", shown, log.read_text(), code)

    def reset_secret(self, number: int) -> SandboxAccount:
        """Reset the secret of an account at WeChat, and return the account with the new one."""
        old = self.world.accounts[number]
        new = self.world.account_of[old.appid] = replace(old, secret=hashlib.md5(old.secret.encode()).hexdigest())
        return new

    def write(self, file: str, text: str) -> None:
        """Write a file of the configuration."""
        path = self.folder / file
        path.touch(mode=0o600)
        path.write_text(text)


def _all_of(terminal: int) -> str:
    shown = b""
    with suppress(OSError):  # Linux' way to say that nobody has the other end any more
        while block := os.read(terminal, 65_536):
            shown += block
    os.close(terminal)
    return shown.decode()


async def logged(words: str, collector: Collector) -> None:
    """Wait for words in the log of a command."""
    log = collector.output.with_suffix(".err")
    while not (log.exists() and words in log.read_text()):
        assert not collector.ended.done()
        await asyncio.sleep(0.005)
