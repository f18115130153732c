"""`make mutants` breaks modules and runs tests that there are."""

from __future__ import annotations

import tomllib

import mutants

PYPROJECT = (mutants.ROOT / "pyproject.toml").read_text()
RESULTS = """
    collector.model.days.x__day__mutmut_1: killed
    collector.model.days.x__day__mutmut_2: survived
    collector.model.days.x__day__mutmut_3: timeout
    collector.model.days.x__day__mutmut_4: no tests
"""


def test_modules_and_their_tests_exist() -> None:
    known = mutants.modules(PYPROJECT)
    tests = [name for names in known.values() for name in names]
    files = {name.removeprefix("--deselect=").partition("::")[0] for name in tests}
    assert [name for name in {*known, *files} if not (mutants.ROOT / name).exists()] == []
    for name in (name for name in tests if "::" in name):
        path, _, test = name.removeprefix("--deselect=").partition("::")
        assert f"def {test}(" in (mutants.ROOT / path).read_text()


def test_configuration_of_one_module() -> None:
    module = "collector/model/days.py"
    made = tomllib.loads(mutants.configuration(PYPROJECT, module))["tool"]["mutmut"]
    assert made["only_mutate"] == [module]
    assert made["pytest_add_cli_args_test_selection"] == ["tests/model/test_days.py"]


def test_score() -> None:
    """Time-outs count as noticed, and are listed with the rest that wasn't killed."""
    noticed, total, left = mutants.score(RESULTS)
    assert (noticed, total) == (2, 4)
    assert [line.rpartition("_")[2] for line in left] == ["2: survived", "3: timeout", "4: no tests"]
