"""What the collector costs, beside the least that its work can cost and what a user would write instead.

`python -m bench` measures, `docs/performance.md` explains.
"""
