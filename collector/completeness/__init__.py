"""Decide which days are whole, what answers prove, and what to ask next.

Values in, values out: nothing here does I/O, sleeps, or reads a clock. The terms, used everywhere:

* covered: the day's figures of a dataset are stored.
* missing row: an answer whose window held the day had no row for it. It may come later.
* malformed day: a row of it came that isn't of the right shape, so it is neither covered nor a missing row.
* pending: wanted and not settled, so it is asked for again.
* void: settled without figures, after missing rows on two Beijing days, both at age 6 or more.
* settled: covered or void.
* quiet day: cumulate has the day with an unchanged total, and summary lacks it. Zeros are stored once that is certain.
* unresolved day: it can't be told yet whether it is quiet, since one of the two totals isn't known.
* reopened day: settled before, pending again since later facts contradict it.
* silent account: no row of any dataset in the last 14 published days.
* lookback: the last days, asked for again, since WeChat revises them.
"""
