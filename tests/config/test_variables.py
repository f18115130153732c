"""Variables in texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.config.variables import VariableError, interpolate, without_variables

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)

DOLLARS = st.text(st.sampled_from("${}:-ab"), max_size=12)


@given(DOLLARS | st.text())
def test_escaped_text(text: str) -> None:
    """A text with `$${` for each `${` stays as it was meant."""
    assert interpolate(text.replace("${", "$${"), {}) == text


@given(NAMES, DOLLARS, DOLLARS)
def test_value_is_literal(name: str, value: str, around: str) -> None:
    """The value of a variable is taken literally."""
    around = around.replace("$", "")
    assert interpolate(f"{around}${{{name}}}{around}", {name: value}) == f"{around}{value}{around}"


@given(NAMES, st.text(), st.text().filter(lambda text: "}" not in text))
def test_default(name: str, value: str, default: str) -> None:
    """It replaces an unset or empty variable."""
    text = f"${{{name}:-{default}}}"
    assert interpolate(text, {name: value}) == (value or default)
    assert interpolate(text, {}) == default


@given(NAMES)
def test_empty_and_unset(name: str) -> None:
    """An empty variable is empty, an unset one a problem."""
    assert interpolate(f"${{{name}}}", {name: ""}) == ""
    with pytest.raises(VariableError) as caught:
        interpolate(f"${{{name}}}", {})
    assert caught.value.problems == [(f"the variable {name} isn't set", f"Set {name} in the environment.")]


@given(DOLLARS)
def test_any_text(text: str) -> None:
    """Any text is filled in or refused."""
    try:
        interpolate(text, {"a": "${b}"})
    except VariableError as error:
        assert error.problems  # noqa: PT017 (most texts raise nothing)


@given(NAMES, DOLLARS)
def test_without_variables(name: str, around: str) -> None:
    """The rest is the text around them."""
    around = around.replace("$", "")
    assert without_variables(f"{around}${{{name}}}{around}$${{") == f"{around}{around}$${{"
