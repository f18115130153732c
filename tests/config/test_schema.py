"""The JSON Schema by which editors check a configuration."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from collector.config import json_schema, sample

GOOD = "accounts: [{name: a, appid: wx0000000000000001, secret: s}]\n"
VALIDATOR = Draft202012Validator(json_schema())


def fault(content: str) -> str | None:
    """The place of what is wrong. To an editor a day is a text, as to JSON."""
    document: Any = json.loads(json.dumps(yaml.safe_load(content), default=str))
    error = best_match(VALIDATOR.iter_errors(document))
    return str(error.json_path) if error else None


def test_the_schema_is_a_valid_one_of_2020_12() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(schema)) == schema


def test_an_editor_finds_nothing_wrong_with_the_sample(whole_sample: str) -> None:
    assert fault(sample()) is None
    assert fault(whole_sample) is None


@pytest.mark.parametrize(
    "content",
    [
        "mongodb:\napi:\nrun:\ndefaults:\ncomponents:\n",
        "mongodb: {uri: '${U}', database: '${D}'}",
        "api: {timeout: 2.5, ipv4_only: true, hosts: ['${H}']}",
        "run: {workers: '${W:-8}', lookback: 14, published_at: '${P}'}",
        "defaults: {rate_limit: '${R}', token: '${T}', since: '${S}', daily_calls: '${C}'}",
        "defaults: {since: 2025-01-01, daily_calls: 5}",
        "components: [{name: '${N}', appid: '${A}', discover: '${D}', exclude: }]",
    ],
)
def test_numbers_days_switches_variables_and_blanks_are_right(content: str) -> None:
    assert fault(GOOD + content) is None


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("bogus: 1", "$"),
        ("mongodb: {databse: x}", "$.mongodb"),
        ("mongodb: {uri: {fil: x}}", "$.mongodb.uri"),
        ("mongodb: {uri: }", "$.mongodb.uri"),
        ("api: {timeout: 0}", "$.api.timeout"),
        ("api: {timeout: 601}", "$.api.timeout"),
        ("api: {ipv4_only: maybe}", "$.api.ipv4_only"),
        ("run: {workers: 1001}", "$.run.workers"),
        ("run: {workers: many}", "$.run.workers"),
        ("run: {published_at: 8}", "$.run.published_at"),
        ("defaults: {rate_limit: fast}", "$.defaults.rate_limit"),
        ("defaults: {token: other}", "$.defaults.token"),
        ("defaults: {token: {url: 'http://t', jsn: x}}", "$.defaults.token"),
        ("defaults: {token: {command: x}}", "$.defaults.token.command"),
        ("components: [{name: a}]", "$.components[0]"),
        ("components: [{name: a, appid: wx1}]", "$.components[0].appid"),
    ],
)
def test_what_is_wrong_is_found_at_its_place(content: str, place: str) -> None:
    assert fault(GOOD + content) == place


def test_every_key_is_described() -> None:
    schema = json_schema()
    properties = [("", schema["properties"])]
    properties += [(name, part["properties"]) for name, part in schema["$defs"].items() if "properties" in part]
    assert [(name, key) for name, keys in properties for key in keys if "description" not in keys[key]] == []


def test_defaults_are_given_as_they_would_be_written() -> None:
    parts = json_schema()["$defs"]
    assert {
        key: field["default"]
        for name in ("MongoSettings", "ApiSettings", "RunSettings", "Defaults", "AccountEntry", "ComponentEntry")
        for key, field in parts[name]["properties"].items()
        if "default" in field
    } == {
        "database": "wechat",
        "hosts": ["https://api.weixin.qq.com", "https://api2.weixin.qq.com"],
        "timeout": 10.0,
        "ipv4_only": False,
        "check_clock": True,
        "workers": 64,
        "lookback": 7,
        "published_at": "08:00",
        "rate_limit": "5/s",
        "token": "stable",
        "enabled": True,
        "discover": False,
    }
