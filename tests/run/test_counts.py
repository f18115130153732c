"""Counts of parts of a run."""

from __future__ import annotations

from collector.kinds import WaitKind
from collector.model.results import Failure, Notice, Outcome, RunResult
from collector.run.counts import Counts, merged, result_of

OK, FAILED, SKIPPED = Outcome.OK, Outcome.FAILED, Outcome.SKIPPED
FAILURE = Failure("wx1", "a", None, "no")
PLATFORM = Failure("wx9", "agency", None, "the ticket is stale", windows=2)


def _result(counts: Counts) -> RunResult:
    return result_of(counts, {"wx1": "a", "wx2": "b"}, run="r", seconds=1.5, error=None, stopped_by=None)


def test_parts_add_up() -> None:
    one = Counts({"wx2": OK}, {"wx2"}, silent={"wx2": "b"}, windows_left={"wx2": 3}, calls=4, days=7, lag_s=0.2)
    other = Counts({"wx1": FAILED}, failures={"wx1": [FAILURE]}, calls=1, token_calls=2, retries=3, lag_s=0.1)
    result = _result(merged([one, other]))
    assert (result.calls, result.token_calls, result.retries, result.days, result.loop_lag_s) == (5, 2, 3, 7, 0.2)
    assert (result.outcomes[OK], result.outcomes[FAILED], result.got_through) == (1, 1, 1)
    assert (result.failures, result.silent, result.windows_left) == ((FAILURE,), ("b",), 3)
    assert (result.total, result.exit) == (2, 3)


def test_last_part_of_an_account_counts() -> None:
    """Its calls add up all the same."""
    notice = Notice("wx1", "a", WaitKind.QUOTA)
    expected = Counts(dict.fromkeys(("wx1", "wx2"), SKIPPED))
    first = Counts({"wx1": FAILED}, {"wx1"}, {"wx1": [FAILURE]}, {"wx1": [notice]}, {"wx1": "a"}, {"wx1": 9}, calls=2)
    result = _result(merged([expected, first, Counts({"wx1": OK}, windows_left={"wx1": 0}, calls=2)]))
    assert (result.outcomes[OK], result.outcomes[FAILED], result.outcomes[SKIPPED]) == (1, 0, 1)
    assert (result.failures, result.notices, result.silent, result.windows_left) == ((), (), (), 0)
    assert (result.calls, result.got_through) == (4, 1)


def test_history_that_a_stop_has_skipped() -> None:
    """The outcome of the daily job counts where a stop skips history."""
    left = {"wx1": 9, "wx2": 8}
    daily = Counts({"wx1": FAILED, "wx2": OK}, {"wx2"}, {"wx1": [FAILURE]}, silent={"wx2": "b"}, windows_left=left)
    result = _result(merged([daily, Counts(dict.fromkeys(("wx1", "wx2"), SKIPPED), windows_left={"wx2": 5})]))
    assert (result.outcomes[OK], result.outcomes[FAILED], result.outcomes[SKIPPED]) == (1, 1, 0)
    assert (result.failures, result.silent, result.windows_left) == ((FAILURE,), ("b",), 9 + 5)


def test_platform_fails_once_for_all_parts() -> None:
    parts = [Counts({appid: FAILED}, failures={appid: [PLATFORM]}) for appid in ("wx1", "wx2")]
    (failure,) = _result(merged(parts)).failures
    assert (failure.accounts, failure.windows) == (2, 4)


def test_merging_changes_no_part() -> None:
    part = Counts({"wx1": FAILED}, failures={"wx1": [FAILURE]})
    merged([part, Counts({"wx1": OK})])
    assert (part.outcomes, part.failures) == ({"wx1": FAILED}, {"wx1": [FAILURE]})
