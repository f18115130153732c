"""A progress bar of accounts, on a terminal alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from collector.model import AccountResult, Outcome


@contextmanager
def progress(total: int, console: Console) -> Iterator[Callable[[AccountResult], None]]:
    """Show how many of `total` accounts are done and how many have failed; give each one's result to what it yields.

    Does nothing where `console` isn't a terminal.
    """
    columns = (
        TextColumn("collecting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("accounts, {task.fields[failed]} failed,"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("accounts", total=total, failed=0)
        failed = 0

        def on_account(result: AccountResult) -> None:
            nonlocal failed
            failed += result.outcome is Outcome.FAILED
            bar.update(task, advance=1, failed=failed)

        yield on_account
