"""`make audit`: ask pip-audit for known vulnerabilities in all that `constraints.txt` pins.

Ends with 1 where there are any, with 2 where the audit itself failed, and with 0 otherwise. An unreachable database is
reported, and ends with 0 too.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

Pin = tuple[str, str]

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
UNREACHABLE = "Skipped the audit: could not reach the database of known vulnerabilities."

_FAILED = 2
_NO_DATABASE = re.compile("ConnectionError|ServiceError|Timeout|[Cc]ould not connect")


def pins(constraints: str) -> list[Pin]:
    """Return the name and version of each line."""
    return [(name, version) for name, _, version in (line.partition("==") for line in constraints.split())]


def verdict(printed: str, said: str) -> tuple[str, int]:
    """Return a message and the exit code for pip-audit's JSON and its stderr."""
    if not printed.strip():
        last = (said.strip().splitlines() or ["no output"])[-1]
        return (UNREACHABLE, 0) if _NO_DATABASE.search(said) else (f"The audit failed: {last}", _FAILED)
    packages = json.loads(printed)["dependencies"]
    known = [package for package in packages if "vulns" in package]
    if not known:  # a mirror of the index that has no such database
        return UNREACHABLE, 0
    unknown = ", ".join(package["name"] for package in packages if "vulns" not in package)
    holes = [f"{package['name']} {package['version']}: {_line(hole)}" for package in known for hole in package["vulns"]]
    count = f"{len(holes)} known vulnerabilit{'y' if len(holes) == 1 else 'ies'}" if holes else "no known vulnerability"
    total = f"{len(known)} package{'' if len(known) == 1 else 's'} audited: {count}."
    return "\n".join([*holes, total, *([f"Unknown to the database: {unknown}"] if unknown else [])]), int(bool(holes))


def _line(hole: dict[str, object]) -> str:
    versions = hole["fix_versions"]
    fixed = f" (fixed in {', '.join(versions)})" if isinstance(versions, list) and versions else ""
    return f"{hole['id']}{fixed}"


def ask(wanted: Iterable[Pin]) -> tuple[str, int]:
    """Run pip-audit on these packages alone."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.writelines(f"{name}=={version}\n" for name, version in wanted)
        requirements.flush()
        options = ("--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json", "--timeout", "15")
        asked = subprocess.run(
            [sys.executable, "-m", "pip_audit", "-r", requirements.name, *options],
            capture_output=True,
            text=True,
            check=False,
        )
    return verdict(asked.stdout, asked.stderr)


def main() -> int:
    """Print the verdict and return the exit code."""
    wanted = pins(CONSTRAINTS.read_text())
    words, code = ask(wanted[:1])  # one package first, so that an unreachable database is asked once
    if code < _FAILED and words != UNREACHABLE:
        words, code = ask(wanted)
    sys.stdout.write(f"{words}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
