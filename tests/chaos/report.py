"""Figures of storms, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from chaos.storm import Outcome
from chaos.trials import Trial


def line(outcome: Outcome, kind: str = "storm") -> str:
    """Return the line of one storm, or of an outcome of another kind."""
    return (
        f"{kind} {outcome.seed:<6} {outcome.faults.total():>5} faults {outcome.runs:>4} runs {outcome.calls:>6} calls "
        f"{outcome.documents:>6} documents {outcome.seconds:>6.1f} s  {_verdict(outcome.wrong)}"
    )


def trial_line(trial: Trial, seconds: float, wrong: Sequence[str]) -> str:
    """Return the line of one trial."""
    return f"trial {trial.name:<21} {seconds:>6.1f} s  {_verdict(wrong)}"


def _verdict(wrong: Sequence[str]) -> str:
    return f"{len(wrong)} WRONG" if wrong else "ok"


def table(outcomes: Sequence[Outcome], kind: str = "storm") -> str:
    """Return the table of all storms together, or of outcomes of another kind."""
    faults: Counter[str] = sum((outcome.faults for outcome in outcomes), Counter())
    rows = [
        (f"{kind}s", f"{len(outcomes):,}"),
        ("faults", f"{faults.total():,}"),
        *((f"  {what}", f"{number:,}") for what, number in sorted(faults.items())),
        ("runs", f"{sum(outcome.runs for outcome in outcomes):,}"),
        ("calls", f"{sum(outcome.calls for outcome in outcomes):,}"),
        ("documents compared", f"{sum(outcome.documents for outcome in outcomes):,}"),
        ("differences", f"{sum(len(outcome.differences) for outcome in outcomes):,}"),
        ("secrets leaked", f"{sum(len(outcome.leaks) for outcome in outcomes):,}"),
        ("seconds", f"{sum(outcome.seconds for outcome in outcomes):,.0f}"),
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{name:<{widths[0]}}  {value:>{widths[1]}}" for name, value in rows)
