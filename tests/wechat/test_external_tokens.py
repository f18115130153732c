import asyncio
import errno
import traceback
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import orjson
import pytest
from aioresponses import CallbackResult
from hypothesis import given
from hypothesis import strategies as st
from support import FakeClock

from collector.breakers import MAX_FAILURES, POSTPONE_S, PROBE_EVERY_S
from collector.errors import ApiError, CallError, HostError, OpenFilesError, OriginError, PostponedError, TransientError
from collector.kinds import CallKind, Reaction
from collector.model.accounts import FromCommand, FromCredential, FromFile, FromUrl, Secret
from collector.secrets.addresses import server_of
from collector.secrets.reader import Secrets
from collector.wechat.client import MAX_TRIES, Client
from collector.wechat.errcodes import api_error
from collector.wechat.external_tokens import LIFE_S, External, grant_in, name_of
from collector.wechat.tokens import Grant, Tokens

APPID = "wx0123456789abcdef"
URL = "http://tokens.internal:8080/path-7/{appid}?key=query-7"
ASKED = f"http://tokens.internal:8080/path-7/{APPID}?key=query-7"
SERVER = "the server http://tokens.internal:8080"
LEAKS = ("path-7", "query-7", "user-7", "password-7", "body-7", "header-7")
KEY = Secret("Bearer header-7")

PLAIN = FromUrl(Secret(URL))
JSON = FromUrl(Secret(URL), json="data.token", expires_json="data.left")
COMMAND = FromCommand(("/opt/get-token", "argument-7"))
COMMAND_JSON = replace(COMMAND, json="data.token", expires_json="data.left")


@pytest.fixture
def source(client: Client, secrets: Secrets) -> Callable[[FromUrl | FromCommand], External]:
    return lambda origin: External(origin, APPID, client, secrets)


Sourced = Callable[[FromUrl | FromCommand], External]


def shown(error: BaseException) -> str:
    """All that an error shows of itself, wherever it may be printed."""
    return "\n".join([str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)])


def body_of(token: object, **rest: object) -> bytes:
    return orjson.dumps({"data": {"token": token, **rest}})


# What is in a body


@pytest.mark.parametrize("origin", [PLAIN, COMMAND])
@pytest.mark.parametrize("body", [b"TOKEN", b" \r\nTOKEN\r\n", b"\xef\xbb\xbfTOKEN\n"])
def test_plain_body_is_the_token(origin: FromUrl | FromCommand, body: bytes) -> None:
    """Without json the body is the token and lives two hours."""
    assert grant_in(body, origin) == Grant(Secret("TOKEN"), 7200)


@pytest.mark.parametrize("origin", [JSON, COMMAND_JSON])
@pytest.mark.parametrize(
    ("life", "seconds"),
    [(345, 345), ("345", 345), (345.9, 345), (1, 1), (7200, 7200), (10 * LIFE_S, 72000), ("72000", 72000)],
)
def test_dotted_paths(origin: FromUrl | FromCommand, life: object, seconds: int) -> None:
    assert grant_in(body_of("TOKEN", left=life), origin) == Grant(Secret("TOKEN"), seconds)


def test_json_without_lifetime() -> None:
    assert grant_in(body_of("TOKEN", left=5), replace(JSON, expires_json=None)) == Grant(Secret("TOKEN"), 7200)


def test_path_of_one_key() -> None:
    assert grant_in(b'{"token": "TOKEN"}', replace(JSON, json="token", expires_json=None)).value == Secret("TOKEN")


REFUSED_PLAIN = [
    (b"", "{} gave nothing: see that the value is there"),
    (b" \r\n", "{} gave nothing: see that the value is there"),
    (b"body-7 body-7", "{} gave more than one word: see that the value alone is there"),
    (b"body-7\nbody-7", "{} gave more than one word: see that the value alone is there"),
    (b"body-7\xff", "{} gave bytes that aren't UTF-8: see that the value is there, as plain text"),
    (b"\n<html>body-7</html>", "{} gave HTML, and not the value alone: name its place with `json`"),
    (b'{"token": "body-7"}', "{} gave JSON, and not the value alone: name its place with `json`"),
    (b'["body-7"]', "{} gave JSON, and not the value alone: name its place with `json`"),
]
NO_LIFE = (
    "the value at `data.left` that {} gave is no number of seconds to live: "
    "correct `expires_json`, or leave it out: two hours count then"
)
RUN_OUT = "the token that {} gave has expired: see that it is renewed there"
NO_TOKEN = "the JSON that {} gave has no `data.token`: correct `json` or `expires_json`"
NO_JSON = "{} gave something else instead of JSON: see what it answers, and correct the address"
REFUSED_JSON = [
    (b"", "{} gave nothing: see that the value is there"),
    (b" \n", "{} gave nothing: see that the value is there"),
    (b" <html>body-7</html>", "{} gave HTML instead of JSON: see what it answers, and correct the address"),
    (b"body-7", NO_JSON),
    (b'{"data": {"token": "body-7"', NO_JSON),
    (b'{"data": {"token": "body-7\xff", "left": 5}}', NO_JSON),
    (b"[" * 5000, NO_JSON),
    (b"null", NO_TOKEN),
    (b"[]", NO_TOKEN),
    (b'"body-7"', NO_TOKEN),
    (b'{"data": null}', NO_TOKEN),
    (b'{"data": ["body-7"]}', NO_TOKEN),
    (b'{"data.token": "body-7"}', NO_TOKEN),
    (b'{"data": {"Token": "body-7"}}', NO_TOKEN),
    (body_of("body-7"), "the JSON that {} gave has no `data.left`: correct `json` or `expires_json`"),
    (body_of(None, left=5), "the value at `data.token` that {} gave is no text: correct `json`"),
    (body_of(7, left=5), "the value at `data.token` that {} gave is no text: correct `json`"),
    (body_of({"body-7": 1}, left=5), "the value at `data.token` that {} gave is no text: correct `json`"),
    (body_of("", left=5), "`data.token` that {} gave holds nothing: see that the value is there"),
    (
        body_of("body-7 x", left=5),
        "`data.token` that {} gave holds more than one word: see that the value alone is there",
    ),
    (body_of("body-7", left=0), RUN_OUT),
    (body_of("body-7", left=-5), RUN_OUT),
    (body_of("body-7", left="-5"), RUN_OUT),
    (body_of("body-7", left=0.5), RUN_OUT),
    (body_of("body-7", left=1795500000), NO_LIFE),
    (body_of("body-7", left="1795500000"), NO_LIFE),
    (body_of("body-7", left="9" * 5000), NO_LIFE),
    (body_of("body-7", left=1e300), NO_LIFE),
    (body_of("body-7", left=True), NO_LIFE),
    (body_of("body-7", left=None), NO_LIFE),
    (body_of("body-7", left=""), NO_LIFE),
    (body_of("body-7", left="２"), NO_LIFE),
    (body_of("body-7", left="2026-11-24T10:00:00Z"), NO_LIFE),
    (body_of("body-7", left=[5]), NO_LIFE),
]
ORIGINS = [(PLAIN, JSON, SERVER), (COMMAND, COMMAND_JSON, "the command get-token")]


@pytest.mark.parametrize(("plain", "_", "who"), ORIGINS)
@pytest.mark.parametrize(("body", "message"), REFUSED_PLAIN)
def test_malformed_body_isnt_shown(
    plain: FromUrl | FromCommand, _: object, who: str, body: bytes, message: str
) -> None:
    with pytest.raises(OriginError) as failed:
        grant_in(body, plain)
    assert str(failed.value) == message.format(who)
    assert not [leak for leak in LEAKS if leak in shown(failed.value)]


@pytest.mark.parametrize(("_", "with_json", "who"), ORIGINS)
@pytest.mark.parametrize(("body", "message"), REFUSED_JSON)
def test_incomplete_json_isnt_shown(
    _: object, with_json: FromUrl | FromCommand, who: str, body: bytes, message: str
) -> None:
    with pytest.raises(OriginError) as failed:
        grant_in(body, with_json)
    assert str(failed.value) == message.format(who)
    assert not [leak for leak in LEAKS if leak in shown(failed.value)]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "token", "left"]), inner),
    max_leaves=8,
)
_NEARLY = st.fixed_dictionaries({"data": st.fixed_dictionaries({"token": _VALUES, "left": _VALUES})})


@given(body=st.binary() | (_VALUES | _NEARLY).map(orjson.dumps), origin=st.sampled_from([PLAIN, JSON, COMMAND_JSON]))
def test_any_body(body: bytes, origin: FromUrl | FromCommand) -> None:
    try:
        grant = grant_in(body, origin)
    except OriginError:
        return
    value = grant.value.get_secret_value()
    assert value.split() == [value]
    whole = orjson.loads(body)["data"]["token"] if origin.json else body.decode("utf-8-sig")
    assert whole.strip() == value
    assert 0 < grant.expires_in_s <= 10 * LIFE_S


# Who is asked, and how


async def test_request_to_a_server(web: Any, source: Sourced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server is asked by GET, with the appid in its URL and the headers read from their origins."""
    sent = []

    def answer(url: object, **kwargs: Any) -> CallbackResult:
        sent.append((kwargs["headers"], kwargs["allow_redirects"], kwargs.get("proxy")))
        return CallbackResult(body="TOKEN\n")

    for name, text in (("file", "Bearer from-a-file\n"), ("credential", "from-systemd")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    web.get(ASKED, callback=answer)
    headers = (
        ("X-Text", Secret("two words")),
        ("Authorization", FromFile(tmp_path / "file")),
        ("X-Credential", FromCredential("credential")),
        ("X-Command", FromCommand(("echo", "from a command"))),
    )
    assert await source(replace(PLAIN, headers=headers)).grant() == Grant(Secret("TOKEN"), 7200)
    assert sent == [
        (
            {
                "X-Text": "two words",
                "Authorization": "Bearer from-a-file",
                "X-Credential": "from-systemd",
                "X-Command": "from a command",
            },
            False,
            None,
        )
    ]


async def test_header_without_a_value(client: Client, source: Sourced, tmp_path: Path) -> None:
    """Without the value of a header the server isn't asked."""
    origin = replace(PLAIN, headers=(("Authorization", FromFile(tmp_path / "gone")),))
    with pytest.raises(OriginError, match="gone can't be read"):
        await source(origin).grant()
    assert client.token_calls == 0


async def test_appid_in_arguments(source: Sourced) -> None:
    assert await source(FromCommand(("echo", "token-of-{appid}"))).grant() == Grant(Secret(f"token-of-{APPID}"), 7200)
    script = 'echo "{\\"data\\": {\\"token\\": \\"$0\\", \\"left\\": $1}}"'
    origin = FromCommand(("sh", "-c", script, "{appid}", "345"), json="data.token", expires_json="data.left")
    assert await source(origin).grant() == Grant(Secret(APPID), 345)


async def test_failed_command_runs_once(client: Client, source: Sourced) -> None:
    with pytest.raises(OriginError, match="the command sh failed with exit code 1: run it by hand"):
        await client.retrying(source(FromCommand(("sh", "-c", "echo sealed >&2; exit 1"))).grant)
    assert client.retries == 0


def test_no_forced_token(source: Sourced) -> None:
    assert not source(PLAIN).can_force


# A server in trouble


@pytest.mark.parametrize("status", [500, 502, 503, 408, 429])
async def test_server_error_is_retried(web: Any, client: Client, source: Sourced, status: int) -> None:
    web.get(ASKED, status=status, body="body-7", repeat=True)
    with pytest.raises(TransientError) as failed:
        await client.retrying(source(PLAIN).grant)
    assert str(failed.value) == f"the server http://tokens.internal:8080 gives no answer (HTTP {status})"
    assert failed.value.hint == (
        f"{SERVER} gives no answer (HTTP {status}): see that it runs and can be reached from here"
    )
    assert (failed.value.kind, client.token_calls, client.retries) == (CallKind.TOKEN, MAX_TRIES, MAX_TRIES - 1)
    assert not [leak for leak in LEAKS if leak in shown(failed.value)]


@pytest.mark.parametrize("status", [401, 403, 404, 400, 204, 301, 302, 307])
async def test_refusal_isnt_retried(web: Any, client: Client, source: Sourced, status: int) -> None:
    """A server that refuses fails at once, and no redirect is followed."""
    web.get(ASKED, status=status, body="body-7", headers={"Location": "http://elsewhere.internal/"}, repeat=True)
    web.get("http://elsewhere.internal/", body="TOKEN", repeat=True)
    with pytest.raises(OriginError) as failed:
        await client.retrying(source(PLAIN).grant)
    assert str(failed.value) == f"{SERVER} answered HTTP {status}: check `url` and `headers`"
    assert (failed.value.reaction, client.token_calls) == (Reaction.ACCOUNT, 1)
    assert not [leak for leak in LEAKS if leak in shown(failed.value)]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (TimeoutError(), "timed out"),
        (ConnectionRefusedError(), "no connection"),
        (ConnectionResetError(), "the connection broke"),
    ],
)
async def test_unreachable_server(web: Any, client: Client, source: Sourced, fault: Exception, said: str) -> None:
    """An unreachable token server isn't taken for WeChat."""
    web.get(ASKED, exception=fault, repeat=True)
    with pytest.raises(TransientError) as failed:
        await client.retrying(source(PLAIN).grant)
    assert str(failed.value) == f"the server http://tokens.internal:8080 gives no answer ({said})"
    assert not isinstance(failed.value, HostError)
    assert (client.token_calls, client.answered) == (MAX_TRIES, False)
    assert (failed.value.__cause__, failed.value.__context__) == (None, None)


async def test_impossible_request(client: Client, source: Sourced) -> None:
    origin = replace(PLAIN, url=Secret("http://user-7:password-7@localhost:1/"), headers=(("Authorization", KEY),))
    with pytest.raises(OriginError) as failed:
        await client.retrying(source(origin).grant)
    assert str(failed.value) == "the server http://localhost:1 can't be asked like this: check `url` and `headers`"
    assert not [leak for leak in LEAKS if leak in shown(failed.value)]


async def test_server_recovers(web: Any, client: Client, source: Sourced) -> None:
    web.get(ASKED, status=502)
    web.get(ASKED, body="TOKEN")
    assert await client.retrying(source(PLAIN).grant) == Grant(Secret("TOKEN"), 7200)
    assert not client.answered  # that is about WeChat


@pytest.mark.parametrize("status", [500, 401])
async def test_url_and_headers_arent_shown(web: Any, source: Sourced, status: int) -> None:
    origin = FromUrl(
        Secret("https://user-7:password-7@tokens.internal/path-7/?key=query-7"),
        (("X-Key", Secret("header-7")),),
    )
    web.get(origin.url.get_secret_value(), status=status, body="body-7")
    with pytest.raises(CallError) as failed:
        await source(origin).grant()
    assert "https://tokens.internal" in failed.value.hint
    assert not [leak for leak in LEAKS if leak in shown(failed.value) + repr(origin)]


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("http://u:p@h.internal:8080/x?y#z", "http://h.internal:8080"),
        ("https://u:p%40@h.internal", "https://h.internal"),
        ("http://[2001:db8::7]:80/x", "http://[2001:db8::7]:80"),
        ("http://u@v:p@h.internal/x@y", "http://h.internal"),
    ],
)
def test_server_of_a_url(url: str, server: str) -> None:
    assert server_of(Secret(url)) == server
    assert name_of(FromUrl(Secret(url))) == f"the server {server}"


# What WeChat refuses


def _refusal() -> ApiError:
    return api_error(40001, "invalid credential", CallKind.DATA)


async def test_refused_token_of_a_server(web: Any, client: Client, source: Sourced, clock: Any) -> None:
    """A refused token is fetched once more; if it is the same, the remedy names the server."""
    web.get(ASKED, body="TOKEN", repeat=True)
    tokens = Tokens(source(PLAIN), client, clock=clock, owner="x")
    token = await tokens.get()
    with pytest.raises(ApiError) as failed:
        await tokens.after_refusal(token, _refusal())
    assert failed.value.hint == (
        f"WeChat refuses the token that {SERVER} gives: see that it holds the account's newest one, "
        "and that nothing else renews it"
    )
    assert client.token_calls == 2


async def outcome(tokens: Tokens) -> str | PostponedError:
    """Return the token, the failure's hint, or the postponement."""
    try:
        return (await tokens.get()).value.get_secret_value()
    except PostponedError as postponed:
        return postponed
    except CallError as error:
        return error.hint


@pytest.fixture
def account_of(client: Client, source: Sourced, clock: FakeClock) -> Callable[[], Tokens]:
    """Tokens of another account of the same server."""
    return lambda: Tokens(source(PLAIN), client, clock=clock, owner="x")


Accounts = Callable[[], Tokens]
NO_ANSWER = f"{SERVER} gives no answer (HTTP 500): see that it runs and can be reached from here"


async def test_breaker_of_a_server(web: Any, client: Client, account_of: Accounts, clock: FakeClock) -> None:
    """A server that gave several accounts no answer isn't asked for the others, which are postponed."""
    web.get(ASKED, status=500, repeat=True)
    outcomes = [await outcome(account_of()) for _ in range(MAX_FAILURES + 5)]
    assert outcomes[: MAX_FAILURES - 1] == [NO_ANSWER] * (MAX_FAILURES - 1)
    postponed = [each for each in outcomes[MAX_FAILURES - 1 :] if isinstance(each, PostponedError)]
    assert [each.at_s for each in postponed] == [clock.monotonic() + PROBE_EVERY_S] * 6
    assert {str(each) for each in postponed} == {"the server http://tokens.internal:8080 gives no answer (HTTP 500)"}
    assert client.token_calls == MAX_FAILURES * MAX_TRIES


async def test_server_away_for_12_s(web: Any, client: Client, account_of: Accounts, clock: FakeClock) -> None:
    """Of 1,000 accounts only those fail that found a restarting server unresponsive before its breaker opened."""
    back = clock.instant + timedelta(seconds=12)

    def answer(*_: object, **__: object) -> CallbackResult:
        return CallbackResult(status=500 if clock.now() < back else 200, body="TOKEN")

    web.get(ASKED, callback=answer, repeat=True)
    queue, outcomes = deque(account_of() for _ in range(1000)), Counter[str]()
    while queue:
        got = await outcome(tokens := queue.popleft())
        if isinstance(got, PostponedError):
            queue.append(tokens)
            clock.instant += timedelta(seconds=0.01)
        else:
            outcomes[got] += 1
    assert outcomes == {"TOKEN": 1000 - (MAX_FAILURES - 1), NO_ANSWER: MAX_FAILURES - 1}
    assert client.token_calls <= MAX_FAILURES * MAX_TRIES + 1000


async def test_accounts_at_work_are_postponed(web: Any, account_of: Accounts) -> None:
    """An account whose last try fails once the breaker is open is postponed as well."""
    web.get(ASKED, status=500, repeat=True)
    outcomes = await asyncio.gather(*(outcome(account_of()) for _ in range(64)))
    assert len([each for each in outcomes if isinstance(each, PostponedError)]) == 64 - (MAX_FAILURES - 1)


async def test_too_many_open_files(web: Any, client: Client, account_of: Accounts) -> None:
    """This host's limit of open files isn't the token server's trouble, so its breaker stays closed."""
    error = aiohttp.ClientConnectorError(Mock(ssl=True, host="h", port=1), OSError(errno.EMFILE, "too many"))
    web.get(ASKED, exception=error, repeat=True)
    for _ in range(MAX_FAILURES + 1):
        with pytest.raises(OpenFilesError):
            await account_of().get()
    assert not client.breakers.of(SERVER, SERVER).is_open


async def test_retries_after_a_postponement(web: Any, client: Client, source: Sourced) -> None:
    """A postponed account has all its retries once the server answers."""
    web.get(ASKED, status=500)
    early = source(PLAIN)
    with pytest.raises(TransientError):
        await early.grant()
    breaker = client.breakers.of(SERVER, SERVER)
    breaker.failed(TransientError("no answer"), at_once=True)
    with pytest.raises(PostponedError):
        await early.grant()
    breaker.succeeded()
    for _ in range(MAX_TRIES - 1):
        web.get(ASKED, status=500)
    web.get(ASKED, body="TOKEN")
    assert await client.retrying(early.grant) == Grant(Secret("TOKEN"), 7200)


async def test_traceback_of_an_unresponsive_server_doesnt_grow(
    web: Any, client: Client, account_of: Accounts, clock: FakeClock
) -> None:
    """A token server that fails for thousands of accounts raises an exception of its own to each."""
    web.get(ASKED, status=500, repeat=True)
    client.breakers.of(SERVER, SERVER).failed(TransientError("no answer"), at_once=True)
    frames = Counter[int]()
    for wait_s in (0, POSTPONE_S, 0):
        clock.instant += timedelta(seconds=wait_s)
        for _ in range(1_000):
            with pytest.raises((TransientError, PostponedError)) as failed:
                await account_of().get()
            frames[sum(1 for _ in traceback.walk_tb(failed.value.__traceback__))] += 1
    assert len(frames) <= 3


async def test_renewal_has_retries_of_its_own(web: Any, client: Client, source: Sourced, clock: Any) -> None:
    """One hiccup at a renewal is retried, however many tries the first token took."""
    for _ in range(MAX_TRIES - 1):
        web.get(ASKED, status=503)
    web.get(ASKED, body=b"FIRST")
    web.get(ASKED, status=503)
    web.get(ASKED, body=b"SECOND")
    tokens = Tokens(source(PLAIN), client, clock=clock, owner="acme")
    assert (await tokens.get()).value.get_secret_value() == "FIRST"
    clock.instant += timedelta(seconds=LIFE_S)
    assert (await tokens.get()).value.get_secret_value() == "SECOND"


async def test_refusal_while_the_server_is_away(
    web: Any, client: Client, account_of: Accounts, clock: FakeClock, secrets: Secrets
) -> None:
    """The refused token isn't used again: once the server is back, its newer one is."""
    url = "http://tokens.internal/x"
    web.get(url, body="T1")
    source = External(FromUrl(Secret(url)), "wx0000000000000001", client, secrets)
    tokens = Tokens(source, client, clock=clock, owner="a")
    refused = await tokens.get()
    tokens.worked(refused)
    client.breakers.of("the server http://tokens.internal", "").failed(TransientError("no answer"), at_once=True)
    with pytest.raises(PostponedError):
        await tokens.after_refusal(refused, api_error(40001, "invalid credential", CallKind.DATA))
    clock.instant += timedelta(seconds=PROBE_EVERY_S)
    web.get(url, body="T2")
    assert (await tokens.get()).value == Secret("T2")
