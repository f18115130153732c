"""Rules that hold for any text."""

from __future__ import annotations

import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from collector.config import load
from collector.config.texts import parse_rate
from collector.config.variables import VariableError, interpolate, without_variables
from collector.errors import ConfigError
from collector.model.accounts import Account, FromUrl, Rate

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
DOLLARS = st.text(st.sampled_from("${}:-ab"), max_size=12)


@given(DOLLARS | st.text())
def test_a_text_whose_braces_are_doubled_stays_as_it_was_meant(text: str) -> None:
    assert interpolate(text.replace("${", "$${"), {}) == text


@given(NAMES, DOLLARS, DOLLARS)
def test_what_a_variable_holds_is_taken_as_it_is(name: str, value: str, around: str) -> None:
    around = around.replace("$", "")
    assert interpolate(f"{around}${{{name}}}{around}", {name: value}) == f"{around}{value}{around}"


@given(NAMES, st.text(), st.text().filter(lambda text: "}" not in text))
def test_a_default_stands_in_for_an_unset_or_empty_variable(name: str, value: str, default: str) -> None:
    text = f"${{{name}:-{default}}}"
    assert interpolate(text, {name: value}) == (value or default)
    assert interpolate(text, {}) == default


@given(NAMES)
def test_an_empty_variable_is_empty_and_an_unset_one_a_problem(name: str) -> None:
    assert interpolate(f"${{{name}}}", {name: ""}) == ""
    with pytest.raises(VariableError) as caught:
        interpolate(f"${{{name}}}", {})
    assert caught.value.problems == [(f"the variable {name} isn't set", f"Set {name} in the environment.")]


@given(DOLLARS)
def test_any_text_is_filled_in_or_refused(text: str) -> None:
    try:
        interpolate(text, {"a": "${b}"})
    except VariableError as error:
        assert error.problems  # noqa: PT017 (most texts raise nothing)


@given(NAMES, DOLLARS)
def test_a_text_without_its_variables_is_what_was_written_around_them(name: str, around: str) -> None:
    around = around.replace("$", "")
    assert without_variables(f"{around}${{{name}}}{around}$${{") == f"{around}{around}$${{"


@given(st.integers(1, 999_999_999), st.sampled_from([1, 60]))
def test_a_rate_is_read_as_it_is_written(calls: int, period_s: int) -> None:
    rate = Rate(calls, period_s)
    assert parse_rate(str(rate)) == rate == parse_rate(rate)


@given(st.text(st.sampled_from("0159/smin. -+٣²"), max_size=8) | st.text() | st.integers() | st.none())
def test_a_rate_of_another_form_is_refused(value: object) -> None:
    if isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,8}/(s|min)", value, re.ASCII):
        return
    with pytest.raises(ValueError, match="n/s or n/min"):
        parse_rate(value)


YAML = st.text(st.sampled_from("accounts:\n -[]{}&*a<'\"|>#!%@\t$,?\x00é0"), max_size=60)


@given(st.binary(max_size=60) | YAML.map(str.encode) | YAML.map(lambda text: f"accounts:\n{text}".encode()))
def test_any_file_is_settings_or_faults(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "accounts.yaml")
        path.write_bytes(content)
        try:
            load([path], {}, datetime.now(UTC))
        except ConfigError as error:
            assert all(  # noqa: PT017 (some files are good)
                fault.message and fault.remedy for fault in error.faults
            )


@given(st.text(st.characters(), min_size=1, max_size=20) | st.just("\udcff"))
def test_what_a_variable_holds_is_a_valid_secret_or_a_fault(value: str) -> None:
    """Bytes in the environment that aren't UTF-8 come as lone surrogates; no request could send them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "accounts.yaml")
        path.write_text("accounts: [{name: a, appid: wx0000000000000001, secret: '${S}'}]")
        try:
            accounts = load([path], {"S": value}, datetime.now(UTC)).accounts
        except ConfigError as error:
            assert [fault.message for fault in error.faults] == ["`secret` isn't of the right form"]  # noqa: PT017 (most are good)
        else:
            assert value.encode()
            assert accounts == (Account("a", "wx0000000000000001", SecretStr(value), Rate(5, 1)),)


@given(
    st.sampled_from(["{file: V}", "{credential: V}", "{command: [V]}", "V"]),
    st.text(st.characters(), max_size=20) | st.just("\udcff") | st.text(st.sampled_from("/.{}appid\0:@"), max_size=9),
)
def test_what_a_variable_holds_makes_a_valid_source_or_a_fault(form: str, value: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "accounts.yaml")
        secret, url = (
            form.replace("V", "'${S}'"),
            "{url: 'http://h${S}', headers: {X: " + form.replace("V", "'${S}'") + "}}",
        )
        account = f"name: a, appid: wx0000000000000001, secret: {secret}, token: {url}, proxy: {secret}"
        path.write_text(f"accounts: [{{{account}}}]")
        try:
            (loaded,) = load([path], {"S": value}, datetime.now(UTC)).accounts
        except ConfigError as error:
            assert all("accounts.yaml:1" in fault.where for fault in error.faults)  # noqa: PT017 (some are good)
        else:
            assert isinstance(loaded.token, FromUrl)
            assert loaded.token.url.get_secret_value().encode() == f"http://h{value}".encode()
