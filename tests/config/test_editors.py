"""The sample, the example and the JSON Schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from pydantic import SecretStr

from collector.config import Settings, generate, json_schema, sample
from collector.config.forms import FORMS, Section
from collector.config.schema import SECTIONS, ApiSettings, ConfigFile, MongoSettings, RunSettings
from collector.errors import ConfigError, Fault
from collector.model.accounts import (
    Account,
    Component,
    FromCommand,
    FromComponent,
    FromCredential,
    FromFile,
    FromUrl,
    Rate,
    TokenKind,
)
from collector.model.language import Language

EXAMPLE = Path(__file__).parents[2] / "accounts.example.yaml"

ENVIRON = {"ACME_SECRET": "1" * 32, "GLOBEX_SECRET": "2" * 32}

MORE = {
    "MONGODB_URI": "mongodb://db.example",
    "HOOLI_REFRESH_TOKEN": "r",
    "TOKENS_KEY": "k",
    "AGENCY_SECRET": "3" * 32,
}

ACCOUNTS = (
    Account("acme-shoes", "wx0123456789abcdef", SecretStr("1" * 32), Rate(5, 1), tags=("retail",)),
    Account(
        "globex-tea",
        "wxfedcba9876543210",
        SecretStr("2" * 32),
        Rate(30, 60),
        since=date(2024, 6, 1),
        tags=("retail", "food"),
        enabled=False,
    ),
)


def test_sample_and_example() -> None:
    """The sample of the package is the example at the top of the repository."""
    assert sample() == EXAMPLE.read_text(encoding="utf-8")


def test_example_shows_the_defaults(loaded: Callable[..., Settings]) -> None:
    """The example loads as it is."""
    assert loaded(sample(), ENVIRON, mode=0o644) == Settings(MongoSettings(), ApiSettings(), RunSettings(), ACCOUNTS)


def test_example_with_all_comments(loaded: Callable[..., Settings], whole_sample: str, tmp_path: Path) -> None:
    """Everything that is commented out is valid too."""
    settings = loaded(whole_sample, ENVIRON | MORE)
    assert settings.mongodb.uri == SecretStr("mongodb://db.example")
    assert settings.api.proxy == SecretStr("http://proxy.example:3128")
    assert settings.api.ipv4_only
    assert settings.language is Language.EN
    rest: dict[str, Any] = {"rate_limit": Rate(5, 1), "since": date(2025, 1, 1), "daily_calls": 200, "egress": "hk"}
    assert settings.accounts[2:] == (
        Account(
            "initech",
            "wx0000000000000001",
            FromFile(tmp_path / "secrets/initech"),
            proxy=FromCommand(("vault", "read", "-field=proxy", "secret/egress")),
            hosts=("https://sh.api.weixin.qq.com",),
            **rest,
        ),
        Account("umbrella", "wx0000000000000002", FromCredential("umbrella"), token=TokenKind.CLASSIC, **rest),
        Account(
            "hooli",
            "wx0000000000000003",
            None,
            token=FromComponent("agency"),
            authorizer_refresh_token=SecretStr("r"),
            **(rest | {"egress": "sh"}),
        ),
        Account(
            "soylent",
            "wx0000000000000004",
            None,
            token=FromUrl(
                SecretStr("https://tokens.internal/{appid}"),
                (("Authorization", SecretStr("Bearer k")),),
                "data.access_token",
                "data.expires_in",
            ),
            **rest,
        ),
        Account("wonka", "wx0000000000000005", None, token=FromCommand(("get-token", "{appid}"), "token"), **rest),
    )
    assert settings.components == (
        Component(
            "agency",
            "wx00000000000000c0",
            access_token=FromUrl(
                SecretStr("https://tokens.internal/component"), json="data.token", expires_json="data.expires_in"
            ),
            discover=True,
            exclude=frozenset({"wx0000000000000bad"}),
            egress="sh",
        ),
        Component(
            "agency-two",
            "wx00000000000000c1",
            secret=SecretStr("3" * 32),
            verify_ticket=FromCommand(("newest-ticket", "agency-two")),
        ),
    )
    include, classic = settings.warnings
    line = whole_sample.count("\n")
    assert include == (f"accounts.yaml:{line}: no file matches the pattern of `include`, accounts.d/*.yaml: correct it")
    assert "1 account fetches its token by the classic call" in classic


def test_lines_of_the_example(whole_sample: str) -> None:
    """A commented-out setting that isn't taken for one would go untested."""
    words = [line.strip() for line in whole_sample.splitlines() if line.strip().startswith("#")]
    assert words == [
        "# Save this as accounts.yaml, make it private (chmod 600 accounts.yaml), and fill in your accounts.",
        "#",
        "# ${VAR} stands for an environment variable, ${VAR:-default} for one that may be unset, $${ for a plain ${.",
        "# Commented lines show a default or an example; remove the `# ` to use one.",
        "# Secrets can stay where they live: any secret, and `uri` and `proxy` too.",
        "# Tokens without the account's secret; {appid} becomes the account's.",
    ]


def test_example_has_every_key(whole_sample: str) -> None:
    models: list[type[Section]] = [ConfigFile, *SECTIONS.values(), *FORMS.values()]
    known = {key for model in models for key in model.known()}
    settings = re.sub("#.*", "", whole_sample)
    assert {key for key in known if not re.search(rf"(?<![\w-]){key}:(?: |$)", settings, re.MULTILINE)} == set()


def test_generated_file(tmp_path: Path) -> None:
    """It is the sample, and only its owner can read it."""
    path = tmp_path / "accounts.yaml"
    generate(path)
    assert path.read_text(encoding="utf-8") == sample()
    assert path.stat().st_mode & 0o777 == 0o600


def test_generate_overwrites_nothing(write: Callable[..., Path]) -> None:
    path = write("mine")
    with pytest.raises(ConfigError) as caught:
        generate(path)
    assert caught.value.faults == (
        Fault("accounts.yaml", "the file exists already", "Name another one, or remove it."),
    )
    assert path.read_text() == "mine"


def test_generate_in_a_bad_place(write: Callable[..., Path]) -> None:
    """The reason is in the fault."""
    with pytest.raises(ConfigError) as caught:
        generate(write("") / "below.yaml")
    message = "could not write the file: Not a directory"
    assert caught.value.faults == (Fault("accounts.yaml/below.yaml", message, "Name a folder where you may write."),)


GOOD = "accounts: [{name: a, appid: wx0000000000000001, secret: s}]\n"

VALIDATOR = Draft202012Validator(json_schema())


def fault(content: str) -> str | None:
    """The place of what is wrong. To an editor a day is a text, as to JSON."""
    document: Any = json.loads(json.dumps(yaml.safe_load(content), default=str))
    error = best_match(VALIDATOR.iter_errors(document))
    return str(error.json_path) if error else None


def test_schema_is_valid() -> None:
    """The schema follows draft 2020-12."""
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(schema)) == schema


def test_schema_accepts_the_sample(whole_sample: str) -> None:
    assert fault(sample()) is None
    assert fault(whole_sample) is None


@pytest.mark.parametrize(
    "content",
    [
        "mongodb:\napi:\nrun:\ndefaults:\ncomponents:\n",
        "mongodb: {uri: '${U}', database: '${D}'}",
        "api: {timeout: 2.5, ipv4_only: true, hosts: ['${H}']}",
        "run: {workers: '${W:-8}', lookback: 14, published_at: '${P}'}",
        "defaults: {rate_limit: '${R}', token: '${T}', since: '${S}', daily_calls: '${C}', egress: '${E}'}",
        "defaults: {since: 2025-01-01, daily_calls: 5, egress: eu-1.a_b}",
        "components: [{name: '${N}', appid: '${A}', discover: '${D}', exclude: , egress: hk}]",
        "language: en",
        "language: ${L}",
    ],
)
def test_schema_accepts(content: str) -> None:
    """Numbers, days, switches, variables and blanks are valid."""
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
        ("language: de", "$.language"),
        ("components: [{name: a, appid: wx1}]", "$.components[0].appid"),
    ],
)
def test_schema_refuses(content: str, place: str) -> None:
    """A fault is found at its place."""
    assert fault(GOOD + content) == place


def test_schema_describes_every_key() -> None:
    schema = json_schema()
    properties = [("", schema["properties"])]
    properties += [(name, part["properties"]) for name, part in schema["$defs"].items() if "properties" in part]
    assert [(name, key) for name, keys in properties for key in keys if "description" not in keys[key]] == []


def test_schema_defaults() -> None:
    """Defaults are given as they would be written."""
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
        "processes": 1,
        "lookback": 7,
        "published_at": "08:00",
        "rate_limit": "5/s",
        "token": "stable",
        "enabled": True,
        "discover": False,
    }
