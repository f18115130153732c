"""The commands to try things out on this machine: `collector db`, `demo` and `sandbox`."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from collector.cli.logs import LogFormat
from collector.cli.options import (
    Config,
    LogForm,
    Quiet,
    Verbose,
    loaded,
    output_of,
    seconds,
    whole_number,
)
from collector.cli.printing import print_result
from collector.cli.running import collecting
from collector.cli.terminal import (
    pretty,
    remark,
    run_to_the_end,
    run_until_interrupt,
    say,
)

if TYPE_CHECKING:
    from collector.commands.demo import Shown
    from collector.completeness.plan import Target
    from collector.config import Settings

app = typer.Typer(rich_markup_mode=None)


@app.command()
def db(config: Config = None) -> None:
    """Print the address of the local MongoDB, for mongosh and PyMongo.

    Where no command uses it, start it and keep it up until Ctrl-C.
    """
    from collector.commands.db import serve

    output_of(False, 0, False, LogFormat.TEXT)
    run_until_interrupt(serve(loaded(config), say, remark))


@app.command()
def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the configuration and the database, for other commands to try.")
    ] = False,
    report: Annotated[
        Path, typer.Option("--report", metavar="FILE", help="Where to write a report on its accounts.")
    ] = Path("collector-demo.html"),
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_format: LogForm = LogFormat.TEXT,
) -> None:
    """Try it out: a run over a pretend WeChat, and a report.

    The run stores into a local mongod, and the report is on what came.
    """
    from collector.commands.demo import demo as demonstrate
    from collector.shell import command_line

    output = output_of(False, verbose, quiet, log_format)
    shown = _DemoReport(report)
    done = run_to_the_end(lambda stop: demonstrate(stop, partial(collecting, quiet=quiet), shown.write, keep=keep))
    print_result(done.result, output)
    is_shown = done.document and done.result.stopped_by is None  # after a signal nobody waits for more output
    if is_shown:
        say(f"\nOne of the documents, as it is in MongoDB:\n\n{pretty(done.document)}")
        say(f"\n{shown.words}")
    if keep:
        say(_how_to_go_on(done))
    elif is_shown:
        say(f"\nThe database is removed again. `{command_line('demo', '--keep')}` keeps it, for other commands to try.")
    raise typer.Exit(done.exit)


class _DemoReport:
    """The report on the demo's accounts, without which the demo goes on."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.words = ""

    async def write(self, settings: Settings, target: Target) -> None:
        from collector.commands.report import Order, report
        from collector.config import Selection
        from collector.errors import CollectorError
        from collector.model.language import language_of
        from collector.report.figures.periods import newest_month
        from collector.report.terms import Terms
        from collector.report.writers import writer_of

        try:
            terms = Terms(language_of(None, os.environ, settings.language))
            order = Order(Selection(), newest_month, target, terms, datetime.now(UTC))
            await report(settings, order, self._out, writer_of(str(self._out)))
        except CollectorError as error:  # an extra may be missing, and the folder read-only
            self.words = f"No report was written: {error}"
        else:
            self.words = f"A report on its accounts, to be opened in a browser: {self._out.absolute()}"


def _how_to_go_on(shown: Shown) -> str:
    """Return where the demo is kept, and commands to try on it."""
    from collector.commands.demo import ACCOUNTS
    from collector.shell import command_line

    file, folder = str(shown.file), str(shown.file.parent)
    sandbox = command_line("sandbox", "--port", str(shown.port), "--accounts", str(ACCOUNTS))
    looks = [["status"], ["runs"], ["show", "client-00000"], ["report", "collector-site/"], ["verify"], ["db"]]
    look = [command_line(*words, "-c", file) for words in looks]
    again = [f"{sandbox} > {os.devnull} &", command_line("run", "-c", file)]
    return "\n".join(
        [
            f"\nKept in {folder}, the configuration and the database. To look at them:\n",
            *(f"  {line}" for line in look),
            "\nTo run again, with a pretend WeChat in which no account is broken:\n",
            *(f"  {line}" for line in again),
            f"\nTo remove it all: {shlex.join(['rm', '-r', folder])}",
        ]
    )


class Broken(NamedTuple):
    """Number of accounts that answer with an errcode, whatever they are asked."""

    errcode: int
    accounts: int


def broken(text: str) -> Broken:
    """Parse the CODE=COUNT of a `--broken`. Raises `typer.BadParameter` where `text` is none."""
    from collector.sandbox import ERRMSGS

    parts = re.fullmatch("(-?[0-9]{1,9})=([0-9]{1,9})", text)
    if not parts:
        raise typer.BadParameter(f"{text!r} is no errcode and number of accounts: write it as 40164=3")
    if (errcode := int(parts[1])) not in ERRMSGS:
        known = ", ".join(map(str, sorted(ERRMSGS)))
        raise typer.BadParameter(f"the sandbox doesn't know the errcode {errcode}, only {known}")
    return Broken(errcode, int(parts[2]))


@app.command()
def sandbox(
    port: Annotated[
        int,
        typer.Option("--port", parser=whole_number(0, 65_535), metavar="NUMBER", help="Port; 0 picks a free one."),
    ] = 8799,
    accounts: Annotated[
        int,
        typer.Option("--accounts", parser=whole_number(1, 10_000), metavar="NUMBER", help="Number of accounts."),
    ] = 50,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the accounts and their figures.")] = 0,
    latency: Annotated[
        float, typer.Option("--latency", parser=seconds, metavar="SECONDS", help="Delay of each answer in seconds.")
    ] = 0.0,
    broken: Annotated[
        list[Broken] | None,
        typer.Option(
            "--broken",
            parser=broken,
            metavar="CODE=COUNT",
            help="Let so many accounts fail with this errcode, the first ones; repeatable, for the next ones.",
        ),
    ] = None,
) -> None:
    """Serve a pretend WeChat to develop against.

    It prints its configuration on stdout, and serves on this machine only, until Ctrl-C.
    """
    from collector.errors import UsageError
    from collector.sandbox import Faults, Sandbox, World

    world = World(seed=seed, size=accounts)
    if (count := sum(each.accounts for each in broken or ())) > accounts:
        raise UsageError(f"--broken is for {count:,} accounts, but there are {accounts:,}: see --accounts")
    errcodes = (each.errcode for each in broken or () for _ in range(each.accounts))
    faults = Faults(broken={account.appid: errcode for account, errcode in zip(world.accounts, errcodes, strict=False)})

    async def serve() -> None:
        async with Sandbox(world, faults=faults, port=port, latency_s=latency, record=False) as server:
            say(server.config_yaml())
            remark(f"a pretend WeChat listens on {server.url} until Ctrl-C")
            await asyncio.Event().wait()

    try:
        run_until_interrupt(serve())
    except OSError as error:
        raise UsageError(f"port {port} is not available ({error.strerror}): choose another with --port") from None
