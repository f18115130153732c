"""An agency of 300 accounts: its sheet, its hosts, its database, and WeChat as it is on each day."""

from __future__ import annotations

import asyncio
import csv
import fcntl
import os
import pty
import shlex
import struct
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from chaos.host import Collector, Host, MovedClock
from twoweeks.transcript import Transcript

from collector.model.days import BEIJING
from collector.sandbox import Faults, Limits, Sandbox, SandboxAccount, World
from collector.sandbox.dice import hex_digits

COLUMNS = ("名称", "AppID", "AppSecret", "标签")
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
class Day:
    """A day at the agency, with its transcript."""

    date: date
    folder: Path
    clock: MovedClock
    host: Host
    wechat: Sandbox
    transcript: Transcript

    def at(self, clock: str) -> None:
        """Set the clock of WeChat and of the host, in Beijing time."""
        self.clock.set(datetime.combine(self.date, time.fromisoformat(clock), BEIJING))

    def note(self, text: str) -> None:
        """Write into the transcript what happens, in words."""
        self.transcript.note(text)

    async def play(self, at: str, command: str, *, host: Host | None = None) -> None:
        """Run a command at a time of the day, and add what it prints to the transcript."""
        self.at(at)
        await self.end(at, command, await self.begin(command, host=host))

    async def begin(self, command: str, *, host: Host | None = None, output: str = "out") -> Collector:
        """Start a command; what it prints goes to the files `output`."""
        out, err = (self.folder / f"{output}.{kind}" for kind in ("1", "2"))
        err.unlink(missing_ok=True)
        return await (host or self.host).start(shlex.split(command), out, err, hurried=False)

    async def end(self, at: str, command: str, collector: Collector, *, prompt: str = "$") -> None:
        """Wait for the end of a command, and add it to the transcript."""
        code = await collector.exit()
        out, err = (collector.output.with_suffix(f".{kind}").read_text() for kind in ("1", "2"))
        self.transcript.add(f"{at} {prompt} collector {command}", out, err, code)

    async def on_a_terminal(self, at: str, command: str) -> None:
        """Run a command whose output goes to a terminal of 80 columns, without colours."""
        self.at(at)
        terminal, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        reading = asyncio.create_task(asyncio.to_thread(_all_of, terminal))
        log = self.folder / "terminal.2"
        log.unlink(missing_ok=True)
        collector = await self.host.start(shlex.split(command), Path(os.ttyname(end)), log, hurried=False)
        code = await collector.exit()
        os.close(end)
        shown = (await reading).replace("\r\n", "\n")
        self.transcript.add(f"{at} $ collector {command}   # on a terminal", shown, log.read_text(), code)


@dataclass
class Agency:
    """The agency through its two weeks; commands run in `folder` on `host`."""

    folder: Path
    clock: MovedClock
    host: Host
    world: World
    places: dict[str, str]
    port: int = 0

    @asynccontextmanager
    async def day(
        self, day: date, name: str, *, daily: int = 1_000_000, **faults: Any
    ) -> AsyncIterator[Day]:
        """Open a day with WeChat as it is then, and hold its transcript against the file `name` at its end."""
        title = f"{day:%A, %Y-%m-%d}"
        transcript = Transcript(title, self.places)
        async with Sandbox(
            self.world, faults=Faults(**faults), limits=Limits(daily=daily), clock=self.clock.now, port=self.port
        ) as wechat:
            self.port = wechat.port
            yield Day(day, self.folder, self.clock, self.host, wechat, transcript)
        transcript.hold(name)

    def reset_secret(self, account: SandboxAccount) -> SandboxAccount:
        """Reset the secret of an account at WeChat, and return the account with the new one."""
        new = replace(account, secret=hex_digits(32, "reset", account.appid))
        self.world.account_of[account.appid] = new
        return new

    def write(self, file: str, text: str) -> Path:
        """Write a file of the configuration."""
        path = self.folder / file
        path.touch(mode=0o600)
        path.write_text(text)
        return path


def _all_of(terminal: int) -> str:
    shown = b""
    with suppress(OSError):  # Linux' way to say that nobody has the other end any more
        while block := os.read(terminal, 65_536):
            shown += block
    os.close(terminal)
    return shown.decode()


def errcodes(world: World, codes: Mapping[int, int]) -> dict[str, int]:
    """Return the errcode of each account by appid, where `codes` has it by the account's number."""
    return {world.accounts[number].appid: errcode for number, errcode in codes.items()}
