"""`make mutants`: break the modules that decide and store, line by line in copies, and count what their tests notice.

`[tool.mutmut.modules]` in `pyproject.toml` names each module's tests. Arguments choose modules; without any, all are
broken. Ends with 1 where less than 90 % of a module's mutants are noticed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "mutants"
COPIED = ("collector", "docs", "tests", "pyproject.toml")
MIN_SHARE = 0.9

_SECTION = "[tool.mutmut]"
_NOTICED = frozenset({"killed", "timeout"})


def modules(pyproject: str) -> Mapping[str, Sequence[str]]:
    """Return the tests of each module that is broken, as pytest's arguments."""
    found: Mapping[str, Sequence[str]] = tomllib.loads(pyproject)["tool"]["mutmut"]["modules"]
    return found


def configuration(pyproject: str, module: str) -> str:
    """Return a `pyproject.toml` in which mutmut breaks one module and runs its tests."""
    # mutmut has one selection of tests for all modules, so each module gets a copy and a run of its own.
    chosen = {"only_mutate": [module], "pytest_add_cli_args_test_selection": modules(pyproject)[module]}
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in chosen.items())  # JSON's lists are TOML
    before, section, after = pyproject.partition(_SECTION)
    rest_of_line, end, rest = after.partition("\n")
    return before + section + rest_of_line + end + lines + rest


def score(results: str) -> tuple[int, int, list[str]]:
    """Return from mutmut's results how many mutants were noticed, how many there are, and the lines to look at."""
    lines = [line.strip() for line in results.splitlines() if ": " in line]
    counts = Counter(line.rpartition(": ")[2] for line in lines)
    noticed = sum(counts[status] for status in _NOTICED)
    return noticed, len(lines), [line for line in lines if not line.endswith(": killed")]


def break_module(module: str) -> bool:
    """Run mutmut on a copy for one module, and print its score; return whether it is high enough."""
    folder = BUILD / module.removesuffix(".py").replace("/", ".")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    text = (ROOT / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(configuration(text, module))
    mutmut = (sys.executable, "-m", "mutmut")
    with (folder / "log").open("w") as log:
        ended = subprocess.run((*mutmut, "run"), cwd=folder, stdout=log, stderr=log, check=False)
    results = subprocess.run(
        (*mutmut, "results", "--all", "true"), cwd=folder, capture_output=True, text=True, check=False
    ).stdout
    noticed, total, left = score(results)
    sys.stdout.write("".join(f"{line}\n" for line in [*left, f"{module}: {noticed} of {total}"]))
    sys.stdout.flush()
    if ended.returncode or not total:
        sys.stdout.write(f"mutmut failed: see {folder / 'log'}\n")
    return not ended.returncode and total > 0 and noticed >= MIN_SHARE * total


def main(chosen: Sequence[str]) -> int:
    """Break the chosen modules, or all; return the exit code."""
    known = modules((ROOT / "pyproject.toml").read_text())
    if unknown := set(chosen) - known.keys():
        sys.stdout.write(f"Not in [tool.mutmut.modules]: {', '.join(sorted(unknown))}\n")
        return 2
    is_enough = [break_module(module) for module in chosen or known]
    return int(not all(is_enough))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
