"""The commands to try things out on this machine: `collector db`, `demo` and `sandbox`."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

import typer

from collector.cli.logs import LogFormat
from collector.cli.options import (
    Config,
    LogForm,
    Quiet,
    Verbose,
    loaded,
    output_of,
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
def demo(verbose: Verbose = 0, quiet: Quiet = False, log_format: LogForm = LogFormat.TEXT) -> None:
    """Try it out: a run over a pretend WeChat, into a local mongod."""
    from collector.commands.demo import demo as demonstrate

    output = output_of(False, verbose, quiet, log_format)
    done = run_to_the_end(lambda stop: demonstrate(stop, partial(collecting, quiet=quiet)))
    print_result(done.result, output)
    if done.document and done.result.stopped_by is None:  # after a signal nobody waits for more output
        say(f"\nOne of the documents, as it is in MongoDB:\n\n{pretty(done.document)}")
    raise typer.Exit(done.exit)


@app.command()
def sandbox(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 picks a free one.")] = 8799,
    accounts: Annotated[int, typer.Option("--accounts", min=1, max=10_000, help="Number of accounts.")] = 50,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the accounts and their figures.")] = 0,
    latency: Annotated[float, typer.Option("--latency", min=0, help="Delay of each answer in seconds.")] = 0.0,
) -> None:
    """Serve a pretend WeChat to develop against.

    It prints its configuration on stdout, and serves on this machine only, until Ctrl-C.
    """
    from collector.errors import UsageError
    from collector.sandbox import Sandbox, World

    async def serve() -> None:
        async with Sandbox(World(seed=seed, size=accounts), port=port, latency_s=latency, record=False) as server:
            say(server.config_yaml())
            remark(f"a pretend WeChat listens on {server.url} until Ctrl-C")
            await asyncio.Event().wait()

    try:
        run_until_interrupt(serve())
    except OSError as error:
        raise UsageError(f"port {port} is not available ({error.strerror}): choose another with --port") from None
