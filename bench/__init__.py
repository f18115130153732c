"""Cost of the collector, beside the least possible for its work and what a user would write instead.

`python -m bench` measures, `docs/performance.md` explains.
"""
