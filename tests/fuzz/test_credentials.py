"""Hostile tokens, lists of accounts and quotas over real HTTP: a whole credential, or an error of ours."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from random import Random

import orjson
import pytest
from fuzz.bodies import HostileBodies
from fuzz.oracle import NotPlain, is_whole, object_in
from fuzz.server import Asked, Server
from hypothesis import given, settings
from hypothesis import strategies as st
from support import FakeClock

from collector.errors import CallError, OriginError
from collector.model.accounts import Account, Component, FromComponent, FromUrl, Secret, TokenKind
from collector.runtime import Stop
from collector.secrets.reader import Secrets
from collector.wechat.api import AccountApi
from collector.wechat.client import Client
from collector.wechat.component import PAGE, ComponentApi
from collector.wechat.external_tokens import LIFE_S, grant_in
from collector.wechat.routes import Route
from collector.wechat.session import Session
from collector.wechat.tokens import Grant

TOKEN = {"access_token": "T", "component_access_token": "T", "authorizer_access_token": "T", "expires_in": 7200}
COMPONENT = Component("agency", "wx00000000000000c0", secret=Secret("secret-7"), verify_ticket=Secret("ticket-7"))
KEYS = {
    "stable_token": "access_token",
    "api_component_token": "component_access_token",
    "api_authorizer_token": "authorizer_access_token",
}
LISTED = b'{"total_count": 1, "list": [{"authorizer_appid": "wx0123456789abcdef", "refresh_token": "R"}]}'
OUTSIDE = FromUrl(Secret("http://tokens.internal/7"), json="access_token", expires_json="expires_in")


class Platform:
    """WeChat's side: answers with `said` by the last part of a path, else plainly."""

    def __init__(self) -> None:
        self.said: dict[str, bytes] = {}
        self.server = Server(self._answer)

    def _answer(self, asked: Asked) -> bytes:
        name = asked.path.rpartition("/")[2]
        plain = {"api_get_authorizer_list": LISTED, "getusersummary": b'{"list": []}'}
        return self.said.get(name) or plain.get(name) or json.dumps(TOKEN).encode()


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
async def access(platform: Platform, stop: Stop, clock: FakeClock) -> AsyncIterator[Callable[[], Session]]:
    """Make a session of a run, a new one each time."""
    async with platform.server.serving() as address, Client.opened(timeout_s=5, connections=8, stop=stop) as client:
        yield lambda: Session(Route(client, [address], None, Secrets()), Secrets(), [COMPONENT], clock=clock, stop=stop)


def _with_token(hostile: HostileBodies, key: str, chance: Random) -> bytes:
    """An answer with a token, most of it sound."""
    odd = hostile.value(2).encode(errors="surrogatepass")
    token, life = chance.choice([b'"T"', b'"T"', b'"T"', odd]), chance.choice([b"7200", b"7200", b"345", b"-5", odd])
    more = chance.choice([b"", b"", b', "errcode": 0', b', "errcode": ' + odd, b', "x": ' + odd])
    body = b'{"%s": %s, "expires_in": %s%s}' % (key.encode(), token, life, more)
    return hostile.mutated(body) if chance.random() < 0.3 else body


def _token_in(body: bytes, key: str) -> str | None:
    """Return the token that a body plainly gives, with its life."""
    try:
        answer = object_in(body)
    except NotPlain:
        return None
    token, life = answer.get(key), answer.get("expires_in")
    return token if isinstance(token, str) and token and is_whole(life) else None


def _is_usable(body: bytes, key: str) -> bool:
    """Return whether a token can be sent and expires in our time; tests below have those that can't and don't."""
    token, life = (object_in(body)[name] for name in (key, "expires_in"))
    return bool(token.isascii() and token.isprintable() and token.split() == [token] and life <= 10 * LIFE_S)


@pytest.mark.parametrize(("call", "key"), KEYS.items())
async def test_token_is_what_the_answer_gives(
    call: str, key: str, platform: Platform, access: Callable[[], Session], account: Account
) -> None:
    token = TokenKind.STABLE if call == "stable_token" else FromComponent("agency")
    seen: Counter[bool] = Counter()
    for seed in range(200):
        chance = Random(seed)
        body = _with_token(HostileBodies(chance), key, chance)
        said = _token_in(body, key)
        if said and not _is_usable(body, key):
            continue
        platform.said = {call: body}
        api = AccountApi(replace(account, token=token), access())
        try:
            await api.log_in()
        except CallError:
            assert said is None, body
        else:
            assert said is not None, body
            assert api._tokens.token
            assert api._tokens.token.value.get_secret_value() == ("T" if call == "api_component_token" else said), body
        seen[said is not None] += 1
    assert min(seen.values()) > 50, seen


@pytest.mark.parametrize("life", [10**12, 2**63])
async def test_endless_token(life: int, platform: Platform, access: Callable[[], Session], account: Account) -> None:
    platform.said = {"stable_token": orjson.dumps({"access_token": "T", "expires_in": life})}
    with pytest.raises(CallError):
        await AccountApi(account, access()).log_in()


async def test_unsendable_token(platform: Platform, access: Callable[[], Session], account: Account) -> None:
    platform.said = {"stable_token": rb'{"access_token": "\ud800", "expires_in": 7200}'}
    with pytest.raises(CallError):
        await AccountApi(account, access()).log_in()


async def test_list_of_accounts_is_whole_or_refused(platform: Platform, access: Callable[[], Session]) -> None:
    """Hostile rows, totals and refresh tokens: an error of ours, or texts by appid."""
    seen: Counter[bool] = Counter()
    for seed in range(200):
        chance = Random(seed)
        platform.said = {"api_get_authorizer_list": _listed(HostileBodies(chance), chance)}
        try:
            listing = await access().components["agency"].authorizers()
        except CallError:
            seen[False] += 1
            continue
        seen[True] += 1
        assert all(isinstance(appid, str) for appid in listing.refresh_tokens)
        assert all(isinstance(token, str | None) for token in listing.refresh_tokens.values())
    assert min(seen.values()) > 50, seen


def _listed(hostile: HostileBodies, chance: Random) -> bytes:
    odd = hostile.value(2).encode(errors="surrogatepass")
    appid, token = chance.choice([b'"wx1"', b'"wx1"', odd]), chance.choice([b'"R"', b'"R"', b"null", odd])
    row = chance.choice([b'{"authorizer_appid": %s, "refresh_token": %s, "auth_time": 1}' % (appid, token)] * 5 + [odd])
    total = chance.choice([b"1", b"1", b"1", b"0", b"5", b"-1", odd])
    body = b'{"total_count": %s, "list": [%s]}' % (total, row)
    return hostile.mutated(body) if chance.random() < 0.2 else body


async def test_authorizer_info_has_a_name_or_fails(platform: Platform, access: Callable[[], Session]) -> None:
    for seed in range(200):
        chance = Random(seed)
        hostile = HostileBodies(chance)
        odd = hostile.value(3).encode(errors="surrogatepass")
        info = chance.choice([b'{"nick_name": "acme", "x": %s}' % odd, b'{"nick_name": %s}' % odd, odd])
        body = b'{"authorizer_info": %s, "authorization_info": %s}' % (info, odd)
        platform.said = {"api_get_authorizer_info": hostile.mutated(body) if chance.random() < 0.2 else body}
        try:
            about = await access().components["agency"].authorizer("wx1")
        except CallError:
            continue
        assert isinstance(about.nick_name, str)


@pytest.mark.parametrize("what", ["list", "info"])
async def test_unsendable_refresh_token(
    what: str, platform: Platform, access: Callable[[], Session], account: Account
) -> None:
    odd_token = rb'{"authorizer_refresh_token": "\ud800"}'
    odd = LISTED.replace(b'"R"', rb'"\ud800"' if what == "list" else b"null")
    platform.said = {
        "api_get_authorizer_list": odd,
        "api_get_authorizer_info": rb'{"authorizer_info": 1, "authorization_info": %s}' % odd_token,
    }
    with pytest.raises(CallError):
        await AccountApi(replace(account, token=FromComponent("agency")), access()).log_in()


async def test_unsendable_appid(platform: Platform, access: Callable[[], Session]) -> None:
    platform.said = {"api_get_authorizer_list": LISTED.replace(b"wx0123456789abcdef", rb"\ud800")}
    api = access().components["agency"]
    try:
        for appid in (await api.authorizers()).refresh_tokens:
            await api.authorizer(appid)
    except CallError:
        return
    pytest.fail("it was sent")


async def test_endless_list_is_given_up(stop: Stop, clock: FakeClock) -> None:
    pages = 0

    def answer(asked: Asked) -> bytes:
        nonlocal pages
        if not asked.path.endswith("list"):
            return json.dumps(TOKEN).encode()
        pages += 1
        rows = [{"authorizer_appid": f"wx{pages}-{number}", "refresh_token": "R"} for number in range(PAGE)]
        # At 125,000 accounts, an end after all, lest the test have none.
        return orjson.dumps({"total_count": 10**12, "list": rows if pages <= 250 else []})

    async with Server(answer).serving() as address, Client.opened(timeout_s=5, connections=2, stop=stop) as client:
        api = ComponentApi(COMPONENT, Route(client, [address], None, Secrets()), Secrets(), clock=clock)
        with pytest.raises(CallError):
            await api.authorizers()
    assert pages < 250


async def test_quota_is_a_whole_number_or_unknown(
    platform: Platform, access: Callable[[], Session], account: Account
) -> None:
    api = AccountApi(account, access())
    for seed in range(200):
        chance = Random(seed)
        hostile = HostileBodies(chance)
        odd = hostile.value(2).encode(errors="surrogatepass")
        quota = chance.choice([b'{"daily_limit": 9, "used": 2, "remain": 7}', b'{"remain": %s}' % odd, odd])
        body = b'{"errcode": 0, "quota": %s}' % quota
        body = hostile.mutated(body) if chance.random() < 0.3 else body
        platform.said = {"get": body}
        try:
            left = await api.quota_left("/datacube/getusersummary")
        except CallError:
            continue
        said = object_in(body)["quota"]
        remain = said.get("remain") if isinstance(said, dict) else None
        if isinstance(remain, bool):
            continue  # see the next test
        assert left == (remain if is_whole(remain) else None), body


async def test_boolean_is_no_quota(platform: Platform, access: Callable[[], Session], account: Account) -> None:
    platform.said = {"get": b'{"errcode": 0, "quota": {"remain": true}}'}
    assert await AccountApi(account, access()).quota_left("/datacube/getusersummary") is None


def _outside(chance: Random) -> bytes:
    return _with_token(HostileBodies(chance), "access_token", chance)


@settings(max_examples=300)
@given(st.binary(max_size=60) | st.randoms(use_true_random=False, note_method_calls=False).map(_outside))
def test_token_server_answers(body: bytes) -> None:
    for origin in (OUTSIDE, replace(OUTSIDE, expires_json=None), replace(OUTSIDE, json=None, expires_json=None)):
        try:
            grant = grant_in(body, origin)
        except OriginError:
            continue
        assert _is_sound(grant)
        assert origin.json is None or json.loads(body)["access_token"].strip() == grant.value.get_secret_value()


def _is_sound(grant: Grant) -> bool:
    token = grant.value.get_secret_value()
    assert token.encode()
    return token.split() == [token] and 1 <= grant.expires_in_s <= 10 * LIFE_S
