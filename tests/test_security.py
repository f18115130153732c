"""What the collector promises of security; docs/security.md says it in words."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import audit
import pytest
import typer.main
from fuzz.server import Server, http, says
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from support import FakeClock, run
from tls import TlsServer, Tunnel, pem_file

from collector import config
from collector.cli.app import app
from collector.config import Settings
from collector.errors import CallError, CallKind, ConfigError, DatabaseError, HostError, OriginError
from collector.model.accounts import FromFile, FromUrl, Secret
from collector.runtime import Stop
from collector.secrets.addresses import is_loopback, mongodb_risk
from collector.secrets.reader import Secrets
from collector.store import database as database_module
from collector.store.database import Database, open_database
from collector.store.local import local_mongod
from collector.wechat.answers import Request
from collector.wechat.client import Client, Route
from collector.wechat.external_tokens import Outside

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
DAY = date(2026, 11, 23)
ACCOUNT = "accounts: [{name: a, appid: wx0000000000000001, secret: s}]\n"
TOKEN, SECRET, KEY = "TOKEN-7", "s3cret-7", "Bearer key-7"
DATA = Request(CallKind.DATA, "POST", "/datacube/getusersummary", "list", {"access_token": TOKEN}, {"begin_date": "x"})
FOR_A_TOKEN = Request(CallKind.TOKEN, "POST", "/cgi-bin/stable_token", "access_token", {}, {"secret": SECRET})
REMEDY = "see who answers there; if that is right, let this host know the authority that signed its certificate"


@pytest.fixture
async def client(stop: Stop) -> Any:
    async with Client.opened(timeout_s=5, connections=4, stop=stop) as opened:
        yield opened


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., Settings]:
    """The settings of one file."""

    def load_file(text: str, environ: Mapping[str, str] | None = None, mode: int = 0o600) -> Settings:
        path = tmp_path / "accounts.yaml"
        path.write_text(text)
        path.chmod(mode)
        return config.load([path], environ or {}, NOW)

    return load_file


@pytest.fixture
def warned(loaded: Callable[..., Settings], tmp_path: Path) -> Callable[..., list[str]]:
    """The warnings of one file, each from its line number on."""
    return lambda *given, **more: [
        warning.removeprefix(f"{tmp_path}/accounts.yaml:") for warning in loaded(*given, **more).warnings
    ]


@contextmanager
def open_umask() -> Iterator[None]:
    """Whatever is made may be read and written by everybody, unless whoever makes it says otherwise."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


# TLS is checked, and nothing switches that off


def _keys(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema.get("properties", ())
        for value in schema.values():
            yield from _keys(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _keys(value)


def _options(command: Any) -> Iterator[str]:
    yield from (name for option in command.params for name in option.opts)
    for inner in getattr(command, "commands", {}).values():
        yield from _options(inner)


def test_no_key_and_no_option_is_about_certificates() -> None:
    named = {*_keys(config.json_schema()), *_options(typer.main.get_command(app))}
    assert {"hosts", "proxy", "url", "--config"} <= named
    assert [name for name in named if re.search("tls|ssl|cert|insecure|verify(?!_ticket)|check", name)] == []


def test_a_key_that_would_switch_checks_off_is_a_fault(loaded: Callable[..., Settings]) -> None:
    for key in ("verify", "verify_ssl", "ssl", "insecure"):
        with pytest.raises(ConfigError, match=f"`{key}` isn't known here"):
            loaded(f"api: {{{key}: false}}\n{ACCOUNT}")


@pytest.mark.parametrize("request_", [DATA, FOR_A_TOKEN], ids=["data", "token"])
async def test_wechat_behind_a_certificate_that_nobody_vouches_for_is_told_nothing(
    client: Client, tmp_path: Path, request_: Request
) -> None:
    async with TlsServer(pem_file(tmp_path)).serving() as server, Tunnel().serving() as tunnel:
        for proxy in (None, Secret(f"http://127.0.0.1:{tunnel.port}")):
            with pytest.raises(HostError) as failed:
                await Route(client, [server.url], proxy, Secrets()).request(request_)
            assert str(failed.value) == f"{server.url} gave no answer (its certificate isn't trusted)"
            assert (
                failed.value.hint == f"the certificate of {server.url} isn't trusted, so it was told nothing: {REMEDY}"
            )
    assert (server.heard, len(tunnel.opened)) == (b"", 1)


async def test_a_run_that_nobody_answers_says_that_it_was_for_the_certificate(
    loaded: Callable[..., Settings], tmp_path: Path, mongod: str, database: Database
) -> None:
    async with TlsServer(pem_file(tmp_path)).serving() as server:
        settings = loaded(
            f"mongodb: {{uri: '{mongod}', database: {database.name}}}\napi: {{hosts: ['{server.url}']}}\n{ACCOUNT}"
        )
        result = await run(settings, FakeClock(NOW))
    assert result.error == (
        f"WeChat can't be reached: 1 account tried {server.url} and none had an answer (its certificate isn't "
        "trusted). Check this host's network, the proxy and api.hosts"
    )
    assert server.heard == b""


async def test_a_proxy_behind_such_a_certificate_is_told_nothing_and_is_the_one_to_blame(
    client: Client, tmp_path: Path
) -> None:
    async with TlsServer(pem_file(tmp_path)).serving() as server:
        proxy = Secret(server.url.replace("://", "://user:password-7@"))
        with pytest.raises(HostError) as failed:
            await Route(client, ["https://wechat.invalid"], proxy, Secrets()).request(FOR_A_TOKEN)
    assert failed.value.hint == (
        f"the proxy's certificate isn't trusted ({server.url}): check `proxy`, and that it runs"
    )
    assert server.heard == b""


async def test_a_token_server_behind_such_a_certificate_is_told_nothing(client: Client, tmp_path: Path) -> None:
    async with TlsServer(pem_file(tmp_path)).serving() as server:
        origin = FromUrl(Secret(f"{server.url}/path-7"), (("Authorization", Secret(KEY)),))
        with pytest.raises(CallError) as failed:
            await Outside(origin, "wx1", client, Secrets()).grant()
    assert failed.value.hint == (f"the server {server.url} gives no answer (its certificate isn't trusted): {REMEDY}")
    assert server.heard == b""


async def test_a_mongodb_behind_such_a_certificate_is_told_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "SELECTION_TIMEOUT_MS", 300)
    async with TlsServer(pem_file(tmp_path)).serving() as server:
        uri = f"mongodb://user:password-7@localhost:{server.port}/?tls=true"
        with pytest.raises(DatabaseError, match="certificate verify failed") as failed:
            async with open_database(Secret(uri), "x"):
                pass
        assert server.heard == b""
        with pytest.raises(DatabaseError):
            async with open_database(Secret(f"{uri}&tlsInsecure=true"), "x"):
                pass
    assert server.heard != b""  # that was all that kept it from being told
    assert "password-7" not in str(failed.value)


HOSTILE = {
    "PYTHONHTTPSVERIFY": "0",
    "SSL_VERIFY": "false",
    "AIOHTTP_SSL": "0",
    "CURL_CA_BUNDLE": "",
    "REQUESTS_CA_BUNDLE": "",
    "NODE_TLS_REJECT_UNAUTHORIZED": "0",
}
PROBE = """
import asyncio, sys
from collector.errors import CallError, CallKind
from collector.secrets import Secrets
from collector.wechat.answers import Request
from collector.wechat.client import Client, Route
from collector.wechat.waits import Stop

async def main():
    async with Client.opened(timeout_s=5, connections=1, stop=Stop()) as client:
        request = Request(CallKind.TOKEN, "POST", "/cgi-bin/stable_token", "access_token", {}, {"secret": "s3cret-7"})
        print(await Route(client, [sys.argv[1]], None, Secrets()).request(request))

try:
    asyncio.run(main())
except CallError as error:
    print(error)
"""


async def _probed(address: str, environ: Mapping[str, str]) -> str:
    """What a process with this environment gets from `address`, or says of it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROBE, address),
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return (await process.communicate())[0].decode()


async def test_the_environment_can_name_an_authority_and_switch_nothing_off(tmp_path: Path) -> None:
    pem = pem_file(tmp_path)
    proxy = "http://127.0.0.1:1"  # the environment's proxies aren't heeded either
    hostile = HOSTILE | {"https_proxy": proxy, "HTTPS_PROXY": proxy, "ALL_PROXY": proxy}
    trusted = hostile | {"SSL_CERT_FILE": str(pem)}
    async with TlsServer(pem, b'{"access_token": "T"}').serving() as server:
        by_ip = server.url.replace("localhost", "127.0.0.1")  # which the certificate isn't for
        for address, environ in ((server.url, hostile), (by_ip, trusted)):
            said = await _probed(address, environ)
            assert said == f"{address} gave no answer (its certificate isn't trusted)\n"
        assert server.heard == b""
        assert await _probed(server.url, trusted) == "{'access_token': 'T'}\n"
    assert SECRET.encode() in server.heard


# Ways that aren't encrypted, or not checked, are warned about

UNCHECKED = (
    "leaves MongoDB's certificate unchecked: whoever is on the way can pass for it, and read and change what is "
    "stored. Take it out; tlsCAFile names an authority of your own"
)
OFF = "TLS is switched off: whoever is on the way to MongoDB can read and change what is stored. Take that out"
RISKS = [
    ("mongodb://u:p@db.internal/?tlsInsecure=true", f"`tlsInsecure` {UNCHECKED}"),
    ("mongodb://h1,h2/?tls=true&TLSALLOWINVALIDCERTIFICATES=True", f"`tlsAllowInvalidCertificates` {UNCHECKED}"),
    ("mongodb+srv://h/x?a=b;tlsAllowInvalidHostnames=tru%65", f"`tlsAllowInvalidHostnames` {UNCHECKED}"),
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
def test_an_address_of_a_mongodb_that_gives_up_tls_is_told(
    uri: str, risk: str | None, warned: Callable[..., list[str]]
) -> None:
    assert mongodb_risk(uri) == risk
    assert warned(f"{ACCOUNT}mongodb: {{uri: '${{U}}'}}", {"U": uri}) == ([f"2: in `uri` {risk}"] if risk else [])


@given(st.text())
def test_any_address_of_a_mongodb_is_judged(text: str) -> None:
    assert mongodb_risk(text) is None or "=" in text


async def test_an_address_that_lives_elsewhere_is_told_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "SELECTION_TIMEOUT_MS", 50)
    path = tmp_path / "uri"
    path.touch(mode=0o600)
    path.write_text("mongodb://u:password-7@db.invalid/?tls=true&tlsInsecure=true")
    with capture_logs() as logs, pytest.raises(DatabaseError):
        async with open_database(FromFile(path), "x"):
            pass
    assert logs == [{"event": "mongodb.uri", "risk": f"`tlsInsecure` {UNCHECKED}", "log_level": "warning"}]


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        *(("localhost", True), ("a.localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True)),
        *(("[::1]", True), ("localhost.example", False), ("127.0.0.1.example", False)),
        *(("10.0.0.1", False), ("0.0.0.0", False), ("{appid}", False), ("", False)),
    ],
)
def test_this_machine_is_known_by_its_names_and_ips(host: str, is_here: bool) -> None:
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
    (f"components: [{{{AGENCY}, secret: s, verify_ticket: {{url: 'http://t'}}}}]", _open_way("http://t")),
]


@pytest.mark.parametrize(("line", "advice"), WAYS)
def test_an_address_over_which_secrets_go_unencrypted_is_told(
    line: str, advice: str | None, warned: Callable[..., list[str]]
) -> None:
    told = warned(f"{ACCOUNT}{line}", {"U": "http://from-a-variable/x"})
    assert told == ([f"2: {advice}"] if advice else [])


def test_it_is_told_once_for_each_server(warned: Callable[..., list[str]]) -> None:
    entry = "  - {{name: a{0}, appid: wx{0:016x}, secret: s, hosts: ['http://h'], token: {{url: 'http://t/{0}'}}}}\n"
    assert warned("accounts:\n" + "".join(map(entry.format, range(50)))) == [
        f"2: {_open_way('http://h')}",
        f"2: {_open_way('http://t')}",
    ]


def test_the_page_shows_these_warnings_as_they_are(warned: Callable[..., list[str]]) -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    text = (
        "mongodb: {uri: 'mongodb://db.internal/?tlsInsecure=true'}\napi: {proxy: 'http://u:p@egress:3128'}\n"
        "defaults: {token: {url: 'http://tokens.internal/{appid}'}}\n"
    )
    shown = [warning.partition(": ")[2] for warning in warned(text + ACCOUNT)]
    assert len(shown) == 3
    assert [warning for warning in shown if f"` {warning} `" not in page and f"`{warning}`" not in page] == []


# Redirects carry nothing elsewhere


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_carries_no_secret_and_no_token_elsewhere(client: Client, status: str) -> None:
    far = Server(lambda asked: b"{}")
    async with far.serving() as elsewhere:
        headers = (f"Location: {elsewhere}/?to=you", f"Refresh: 0; url={elsewhere}", "Connection: close")
        server = Server(lambda asked: says(http(b'{"access_token": "T"}', *headers, status=status)))
        async with server.serving() as address:
            for request in (DATA, FOR_A_TOKEN):
                with pytest.raises(CallError, match=f"HTTP {status[:3]} instead of an answer"):
                    await Route(client, [address], None, Secrets()).request(request)
            with pytest.raises(OriginError, match=f"answered HTTP {status[:3]}"):
                await Outside(FromUrl(Secret(address), (("X", Secret(KEY)),)), "wx1", client, Secrets()).grant()
    assert (len(server.asked), far.asked) == (3, [])


# YAML is read as texts, lists and mappings, whatever it says


TAGS = [
    "!!python/object/apply:os.system ['touch made']",
    "!!python/object/new:subprocess.Popen [['touch', made]]",
    "!!python/object/apply:eval [\"open('made', 'w')\"]",
    "!!python/name:os.system ''",
    "!!python/module:os ''",
    "!<tag:yaml.org,2002:python/object/apply:os.system> ['touch made']",
    "!include /etc/hostname",
    "!!binary bWFkZQ==",
]


@pytest.mark.parametrize("tagged", TAGS)
def test_a_tag_makes_nothing_of_what_it_stands_before(
    tagged: str, loaded: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = tagged.partition(" ")[2]
    text = "accounts: [{{name: a, appid: wx0000000000000001, secret: s, tags: {0}}}]"
    if plain.startswith("["):
        with_tag, without = text.format(tagged), text.format(plain)
    else:
        with_tag, without = text.format(f"[{tagged}]"), text.format(f"[{plain}]")
    assert _made_of(loaded, with_tag) == _made_of(loaded, without)
    assert not Path("made").exists()


def _made_of(loaded: Callable[..., Settings], text: str) -> Settings | str:
    try:
        return loaded(text)
    except ConfigError as error:
        return str(error)


def _laughs(levels: int) -> str:
    """A list of ten lists of ten lists …: ten to the power of `levels` texts in a few lines."""
    lines = [f"l{n}: &l{n} [" + ", ".join([f"*l{n - 1}"] * 10) + "]" for n in range(1, levels + 1)]
    return "\n".join(["l0: &l0 [" + ", ".join(["lol"] * 10) + "]", *lines])


def _accounts_of(tags: str, count: int) -> str:
    """Accounts whose `tags` are all those of the first."""
    entry = "  - {{name: a{0}, appid: wx{0:016x}, secret: s, tags: {1}}}\n"
    return "accounts:\n" + "".join(entry.format(n, f"*t{n % 2}" if n > 1 else f"&t{n} {tags}") for n in range(count))


TOO_MANY = "the aliases (`*`) up to here stand for more than 5,000,000 letters"
LAUGHS = [
    (_laughs(9), "an alias (`*`) stands for more than a list of texts"),
    ("a: &a {b: c}\nd: {e: *a, f: *a}", "an alias (`*`) stands for more than a list of texts"),
    (_accounts_of("[" + "x," * 20_000 + "]", 2_000), TOO_MANY),
    ("a: &a " + "x" * 100_000 + "\nb: [" + "*a," * 20_000 + "]", TOO_MANY),
    ("a: " + "[" * 200_000, "nesting"),
    ("a: " + "{a: " * 200_000, "nesting"),
]


@pytest.mark.parametrize(("text", "message"), LAUGHS, ids=["lists", "maps", "many", "long", "deep", "deep maps"])
def test_a_small_file_cant_become_a_large_configuration(
    text: str, message: str, loaded: Callable[..., Settings]
) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError) as failed:
            loaded(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert message in str(failed.value)
    assert peak < 50 * 2**20


def test_all_aliases_together_may_stand_for_five_million_letters(loaded: Callable[..., Settings]) -> None:
    text = "a: &a [" + "x" * 999_999 + "]\nb: [" + "*a, " * 5
    assert TOO_MANY not in str(_made_of(loaded, text + "]"))
    assert TOO_MANY in str(_made_of(loaded, text + "*a]"))


def test_what_ten_thousand_accounts_share_may_be_an_alias(loaded: Callable[..., Settings]) -> None:
    accounts = loaded(_accounts_of("[retail, food, services, north, flagship]", 10_000)).accounts
    assert {len(account.tags) for account in accounts} == {5}


# Files


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def _modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): _mode(path) for path in folder.rglob("*")}


def test_a_configuration_that_is_made_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    sheet = tmp_path / "clients.csv"
    sheet.write_text("name,appid,secret\na,wx0000000000000001,s\n")
    made = tmp_path / "made"
    made.mkdir()
    with open_umask():
        config.generate(made / "accounts.yaml")
        config.imported(sheet, made / "agency" / "clients" / "accounts.d")
    assert _modes(made) == {
        "accounts.yaml": 0o600,
        "agency": 0o700,
        "agency/clients": 0o700,
        "agency/clients/accounts.d": 0o700,
        "agency/clients/accounts.d/wx0000000000000001.yaml": 0o600,
    }


async def test_a_local_database_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    with open_umask():
        async with local_mongod(made / "share" / "collector" / "mongod") as uri:
            socket = Path(uri.removeprefix("mongodb://").replace("%2F", "/"))
            modes = _modes(made) | {"socket": _mode(socket), "folder": _mode(socket.parent)}
    home = "share/collector/mongod"
    folders = {"share", "share/collector", home, f"{home}/db", f"{home}/db/journal", "folder"}
    assert {f"{home}/{name}" for name in ("users.lock", "turn.lock", "socket", "mongod.log")} <= modes.keys()
    assert modes == {name: 0o700 if name in folders else 0o600 for name in modes}


@pytest.mark.parametrize(("mode", "is_told"), [(0o602, True), (0o642, True), (0o620, False), (0o600, False)])
def test_a_configuration_that_everybody_can_change_is_told(
    mode: int, is_told: bool, loaded: Callable[..., Settings], tmp_path: Path
) -> None:
    path = tmp_path / "accounts.yaml"
    advice = f"{path}: everybody can change this file, and with it what the collector runs; run chmod o-w {path}"
    assert loaded(ACCOUNT, mode=mode).warnings == ((advice,) if is_told else ())


# What is installed


def _audited(*packages: Mapping[str, object]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


SOUND = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
HOLE = {"id": "PYSEC-2026-1", "fix_versions": ["2.0", "2.1"], "aliases": [], "description": "bad"}
KNOWN = {"name": "motor", "version": "1.0", "vulns": [HOLE, HOLE | {"id": "PYSEC-2026-2", "fix_versions": []}]}
HOLES = "motor 1.0: PYSEC-2026-1 (mended in 2.0, 2.1)\nmotor 1.0: PYSEC-2026-2\n"
UNKNOWN = {"name": "other", "skip_reason": "Dependency not found"}
OUT_OF_REACH = "The audit is skipped: the database of known vulnerabilities can't be reached from here."


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
        (_audited(UNKNOWN), "", OUT_OF_REACH, 0),
        ("", "requests.exceptions.ConnectionError: Max retries exceeded", OUT_OF_REACH, 0),
        ("", "ERROR:pip_audit._cli:Could not connect to the vulnerability feed", OUT_OF_REACH, 0),
        ("", "Traceback\nKeyError: 'x'", "The audit failed: KeyError: 'x'", 2),
        ("", "", "The audit failed: not a word was said", 2),
    ],
)
def test_an_audit_ends_with_what_it_found_or_says_that_it_couldnt_look(
    printed: str, said: str, words: str, code: int
) -> None:
    assert audit.verdict(printed, said) == (words, code)


def test_what_is_audited_is_all_that_the_makefile_installs() -> None:
    pins = audit.pins((ROOT / "constraints.txt").read_text())
    assert {"aiohttp", "motor", "PyYAML", "pip_audit"} <= {name for name, _ in pins}
    assert all(re.fullmatch("[0-9][0-9a-z.]*", version) for _, version in pins)
