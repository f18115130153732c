"""Warnings about ways on which secrets go unencrypted, or certificates unchecked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from collector.config import Settings
from collector.config.schema import MongoSettings
from collector.model.accounts import FromFile
from collector.secrets.addresses import is_loopback, mongodb_risk
from collector.store.location import location_of

ROOT = Path(__file__).parents[2]
KEY = "0123456789abcdef" * 2
ACCOUNT = f"accounts: [{{name: a, appid: wx0000000000000001, secret: {KEY}}}]\n"


@pytest.fixture
def warned(loaded: Callable[..., Settings], tmp_path: Path) -> Callable[..., list[str]]:
    """Return the warnings of one file, each from its line number on."""
    return lambda *given, **more: [
        warning.removeprefix(f"{tmp_path}/accounts.yaml:") for warning in loaded(*given, **more).warnings
    ]


UNCHECKED = (
    "leaves MongoDB's certificate unchecked: whoever is on the way can pass for it, and read and change what is "
    "stored. Take it out; tlsCAFile names an authority of your own"
)
OFF = "TLS is switched off: whoever is on the way to MongoDB can read and change what is stored. Take that out"
RISKS = [
    ("mongodb://u:p@db.internal/?tlsInsecure=true", f"`tlsInsecure` {UNCHECKED}"),
    ("mongodb://h1,h2/?tls=true&TLSALLOWINVALIDCERTIFICATES=True", f"`tlsAllowInvalidCertificates` {UNCHECKED}"),
    ("mongodb+srv://h/x?w=1;tlsAllowInvalidHostnames=tru%65", f"`tlsAllowInvalidHostnames` {UNCHECKED}"),
    ("mongodb://127.0.0.1,db.internal/?tlsInsecure=true", f"`tlsInsecure` {UNCHECKED}"),
    ("mongodb://127.0.0.1:27017@db.internal/?tlsInsecure=true", f"`tlsInsecure` {UNCHECKED}"),
    ("mongodb://db.internal?tlsInsecure=true", f"`tlsInsecure` {UNCHECKED}"),
    ("mongodb+srv://u:p@h/?tls=false", OFF),
    ("mongodb+srv://u:p@h/?ssl=false", OFF),
    ("mongodb://u:p@db.internal/?tls=true&tlsInsecure=false", None),
    ("mongodb://u:p@db.internal/?authSource=admin", None),
    ("mongodb+srv://u:p@h/?tls=true", None),
    ("mongodb://db.internal/?tls=false", None),
    ("mongodb://u:p@localhost:27017/?tlsInsecure=true", None),
    ("mongodb://[::1]:27017,127.0.0.2/?tlsInsecure=true", None),
    ("mongodb://%2Frun%2Fmongod.sock/?tlsInsecure=true", None),
]


@pytest.mark.parametrize(("uri", "risk"), RISKS)
def test_mongodb_uri_without_tls_checks(uri: str, risk: str | None, warned: Callable[..., list[str]]) -> None:
    assert mongodb_risk(uri) == risk
    assert warned(f"{ACCOUNT}mongodb: {{uri: '${{U}}'}}", {"U": uri}) == ([f"2: in `uri` {risk}"] if risk else [])


@given(st.text())
def test_any_mongodb_uri_is_parsed(text: str) -> None:
    assert mongodb_risk(text) is None or "=" in text


async def test_mongodb_uri_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "uri"
    path.touch(mode=0o600)
    path.write_text("mongodb://u:password-7@db.invalid/?tls=true&tlsInsecure=true")
    with capture_logs() as logs:
        await location_of(MongoSettings().model_copy(update={"uri": FromFile(path)}))
    assert logs == [{"event": "mongodb.uri", "risk": f"`tlsInsecure` {UNCHECKED}", "log_level": "warning"}]


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        *(("localhost", True), ("a.localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True)),
        *(("[::1]", True), ("localhost.example", False), ("127.0.0.1.example", False)),
        *(("10.0.0.1", False), ("0.0.0.0", False), ("{appid}", False), ("", False)),
    ],
)
def test_loopback_addresses(host: str, is_here: bool) -> None:
    assert is_loopback(host) is is_here


def _open_way(server: str) -> str:
    return f"secrets and tokens go unencrypted to {server}, so anyone on the way can read them; write https://"


PROXY = "the password of `proxy` goes unencrypted to http://p:3128, so anyone on the way can read it; write https://"
AGENCY = "name: agency, appid: wx00000000000000c0"
WAYS = [
    ("api: {hosts: [https://a, http://b]}", _open_way("http://b")),
    ("api: {hosts: ['http://127.0.0.1:8799', 'http://[::1]']}", None),
    ("api: {proxy: 'http://u:p@p:3128'}", PROXY),
    ("api: {proxy: 'http://p:3128'}", None),
    ("api: {proxy: 'http://u:p@127.0.0.1'}", None),
    ("api: {proxy: 'https://u:p@p'}", None),
    ("defaults: {token: {url: 'http://u:pass@t:80/{appid}?k=v'}}", _open_way("http://t:80")),
    ("defaults: {token: {url: '${U}'}}", _open_way("http://from-a-variable")),
    ("defaults: {token: {url: 'https://t', headers: {url: 'http://t', hosts: x}}}", None),
    ("defaults: {token: {url: 'http://localhost/{appid}'}}", None),
    (f"components: [{{{AGENCY}, access_token: {{url: 'http://t'}}}}]", _open_way("http://t")),
    (f"components: [{{{AGENCY}, secret: {KEY}, verify_ticket: {{url: 'http://t'}}}}]", _open_way("http://t")),
]


@pytest.mark.parametrize(("line", "advice"), WAYS)
def test_unencrypted_address_is_warned_about(line: str, advice: str | None, warned: Callable[..., list[str]]) -> None:
    warnings = warned(f"{ACCOUNT}{line}", {"U": "http://from-a-variable/x"})
    assert warnings == ([f"2: {advice}"] if advice else [])


def test_one_warning_for_each_server(warned: Callable[..., list[str]]) -> None:
    entry = "  - {{name: a{0}, appid: wx{0:016x}, hosts: ['http://h'], token: {{url: 'http://t/{0}'}}}}\n"
    assert warned("accounts:\n" + "".join(map(entry.format, range(50)))) == [
        f"2: {_open_way('http://h')}",
        f"2: {_open_way('http://t')}",
    ]


def test_page_shows_these_warnings(warned: Callable[..., list[str]]) -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    text = (
        "mongodb: {uri: 'mongodb://db.internal/?tlsInsecure=true'}\napi: {proxy: 'http://u:p@egress:3128'}\n"
        "defaults: {token: {url: 'http://tokens.internal/{appid}'}}\n"
    )
    shown = [warning.partition(": ")[2] for warning in warned(text + ACCOUNT)]
    assert len(shown) == 3
    assert [warning for warning in shown if f"` {warning} `" not in page and f"`{warning}`" not in page] == []
