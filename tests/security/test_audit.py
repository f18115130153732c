"""Verdicts of `make audit`, and the packages that it looks at."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import audit
import pytest

ROOT = Path(__file__).parents[2]


def _audited(*packages: Mapping[str, object]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


SOUND = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
HOLE = {"id": "PYSEC-2026-1", "fix_versions": ["2.0", "2.1"], "aliases": [], "description": "bad"}
KNOWN = {"name": "motor", "version": "1.0", "vulns": [HOLE, HOLE | {"id": "PYSEC-2026-2", "fix_versions": []}]}
HOLES = "motor 1.0: PYSEC-2026-1 (fixed in 2.0, 2.1)\nmotor 1.0: PYSEC-2026-2\n"
UNKNOWN = {"name": "other", "skip_reason": "Dependency not found"}
UNREACHABLE = "Skipped the audit: could not reach the database of known vulnerabilities."


@pytest.mark.parametrize(
    ("printed", "said", "words", "code"),
    [
        (_audited(SOUND), "", "1 package audited: no known vulnerability.", 0),
        (_audited(SOUND, UNKNOWN), "", "1 package audited: no known vulnerability.\nUnknown to the database: other", 0),
        (
            _audited(SOUND, KNOWN),
            "",
            HOLES + "2 packages audited: 2 known vulnerabilities.",
            1,
        ),
        (_audited(UNKNOWN), "", UNREACHABLE, 0),
        ("", "requests.exceptions.ConnectionError: Max retries exceeded", UNREACHABLE, 0),
        ("", "ERROR:pip_audit._cli:Could not connect to the vulnerability feed", UNREACHABLE, 0),
        ("", "Traceback\nKeyError: 'x'", "The audit failed: KeyError: 'x'", 2),
        ("", "", "The audit failed: no output", 2),
    ],
)
def test_audit_verdict(printed: str, said: str, words: str, code: int) -> None:
    assert audit.verdict(printed, said) == (words, code)


def test_audit_covers_all_constraints() -> None:
    pins = audit.pins((ROOT / "constraints.txt").read_text())
    assert {"aiohttp", "motor", "PyYAML", "pip_audit"} <= {name for name, _ in pins}
    assert all(re.fullmatch("[0-9][0-9a-z.]*", version) for _, version in pins)
