"""A simulated WeChat: its calls and their rules, accounts with computable figures, and faults on demand.

It imports nothing else of the collector, so that it can't share its mistakes.
"""

from __future__ import annotations

from collector.sandbox.app import Call, Sandbox
from collector.sandbox.faults import Fault, Faults, TokenServerFault
from collector.sandbox.limits import Limits
from collector.sandbox.question import ERRMSGS
from collector.sandbox.rows import Truth
from collector.sandbox.world import SandboxAccount, World

__all__ = [
    "ERRMSGS",
    "Call",
    "Fault",
    "Faults",
    "Limits",
    "Sandbox",
    "SandboxAccount",
    "TokenServerFault",
    "Truth",
    "World",
]
