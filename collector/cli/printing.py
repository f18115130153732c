"""Print the results of runs and plans, in the form that the options ask for."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING

from collector.cli.options import Output
from collector.cli.terminal import complain, say, say_json, say_json_list, shows_colours

if TYPE_CHECKING:
    from collector.commands.plans import Plans
    from collector.completeness.plan import Plan
    from collector.console.paint import Paint
    from collector.console.plan import Planned
    from collector.model.accounts import Account
    from collector.model.results import RunResult


def width() -> int | None:
    """Return the width of the terminal, or $COLUMNS where that is set; None where stdout is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def paint() -> Paint:
    """Return how results are coloured: on a terminal that shows colours, and not at all elsewhere."""
    from collector.console.paint import coloured, plain

    return coloured if shows_colours(sys.stdout) else plain


def blocks() -> str:
    """Return the letters that draw a curve, the lowest first: blocks where the encoding of stdout has them."""
    from collector.console.sparkline import BLOCKS, PLAIN_LETTERS

    try:
        BLOCKS.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return PLAIN_LETTERS
    return BLOCKS


def print_plans(plans: Plans, output: Output) -> None:
    """Print which calls a run would make, account by account."""
    from collector.console import plan as console

    rows = starmap(_planned, plans.of_accounts)
    if output.as_json:
        totals = console.Totals()
        accounts = (console.account_json(totals.counting(planned)) for planned in rows)
        say_json_list("accounts", accounts, partial(totals.as_json, plans.database))
    else:
        say(console.as_text(rows, plans.database, width=width()))


def _planned(account: Account, plan: Plan) -> Planned:
    from collector.console.plan import History, Planned

    older = plan.history
    history = History(older.begin, older.end, older.windows, older.calls) if older.begin and older.end else None
    daily = [(ask.window, ask.datasets) for ask in plan.daily]
    return Planned(account, daily, plan.notices(account), plan.windows_held, history)


def print_result(result: RunResult, output: Output) -> None:
    """Print the result of a run on stdout, and on stderr the error that ended it."""
    from collector.console import summary

    style = summary.Style(verbose=bool(output.verbose), quiet=output.quiet, width=width())
    try:
        if output.as_json:
            say_json(summary.as_json(result))
        elif result.error and not result.got_through:
            pass  # a summary would only repeat the error
        elif not output.quiet:
            say(summary.as_text(result, style))
        elif text := summary.failed_text(result, style):
            say(text)
    finally:  # the disk may be full for both
        if result.error:
            complain(result.error)
