import asyncio
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from aioresponses import CallbackResult
from structlog.testing import capture_logs
from support import FakeClock

from collector.errors import ApiError, CallError, OriginError, TransientError
from collector.kinds import CallKind, Reaction
from collector.model.accounts import Account, FromFile, Secret
from collector.model.days import ONE_DAY
from collector.secrets.files import private_file
from collector.secrets.reader import Secrets
from collector.wechat.client import MAX_TRIES, Client
from collector.wechat.errcodes import ROTATING_HINT, api_error
from collector.wechat.routes import Route
from collector.wechat.tokens import Classic, ForcedTokens, Grant, Source, Stable, Tokens

HOST = "https://wechat.test"
STABLE = f"{HOST}/cgi-bin/stable_token"
REFUSAL = {"errcode": 40001, "errmsg": "invalid credential"}


@pytest.fixture
def tokens(account: Account, client: Client, route: Route, secrets: Secrets, clock: FakeClock) -> Tokens:
    forced = _resumed(clock, None, 0)
    return Tokens(Stable(account, route, secrets), client, clock=clock, owner=str(account), forced=forced)


class StableCall:
    """WeChat's stable call: gives `tokens` in order, the last one for ever, and notes what it was asked."""

    def __init__(self, *tokens: str, expires_in: Any = 7200) -> None:
        self.tokens = list(tokens)
        self.expires_in = expires_in
        self.asked: list[bool] = []

    def __call__(self, url: object, **kwargs: Any) -> CallbackResult:
        self.asked.append(kwargs["json"]["force_refresh"])
        token = self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]
        return CallbackResult(payload={"access_token": token, "expires_in": self.expires_in})


def _refusal() -> ApiError:
    return api_error(40001, "invalid credential", CallKind.DATA)


async def test_one_token_for_many_calls(web: Any, client: Client, tokens: Tokens) -> None:
    call = StableCall("T1")
    web.post(STABLE, callback=call, repeat=True)
    got = await asyncio.gather(*(tokens.get() for _ in range(10)))
    assert {token.value.get_secret_value() for token in got} == {"T1"}
    assert call.asked == [False]
    assert client.token_calls == 1


async def test_get_during_a_replacement(web: Any, tokens: Tokens) -> None:
    """A call for the token while a refused one is being replaced gets the newer one."""
    call = StableCall("T1", "T2")

    async def slowly(url: object, **kwargs: Any) -> CallbackResult:
        await asyncio.sleep(0.01)
        return call(url, **kwargs)

    web.post(STABLE, callback=slowly, repeat=True)
    refused = await tokens.get()
    replacing = asyncio.create_task(tokens.after_refusal(refused, _refusal()))
    await asyncio.sleep(0)
    assert (await tokens.get()).value.get_secret_value() == "T2"
    await replacing


async def test_classic_call(web: Any, account: Account, route: Route, secrets: Secrets) -> None:
    query = f"appid={account.appid}&grant_type=client_credential&secret=s3cret-of-acme"
    web.get(f"{HOST}/cgi-bin/token?{query}", payload={"access_token": "C1", "expires_in": 7200})
    grant = await Classic(account, route, secrets).grant()
    assert (grant.value.get_secret_value(), grant.expires_in_s) == ("C1", 7200)


async def test_renewal(web: Any, tokens: Tokens, clock: FakeClock) -> None:
    """A token near its end is renewed, at most every ten seconds."""
    call = StableCall("T1", "T2", "T3", expires_in=345)
    web.post(STABLE, callback=call, repeat=True)
    await tokens.get()
    await clock.sleep(345 - 61)
    assert (await tokens.get()).value.get_secret_value() == "T1"
    await clock.sleep(2)
    call.expires_in = 30  # the same token goes on to its end
    assert (await tokens.get()).value.get_secret_value() == "T2"
    await clock.sleep(9)
    assert (await tokens.get()).value.get_secret_value() == "T2"
    await clock.sleep(1)
    assert (await tokens.get()).value.get_secret_value() == "T3"
    assert call.asked == [False] * 3


async def test_calls_refused_together(web: Any, tokens: Tokens) -> None:
    call = StableCall("T1", "T2")
    web.post(STABLE, callback=call, repeat=True)
    first = await tokens.get()
    newer = await asyncio.gather(*(tokens.after_refusal(first, _refusal()) for _ in range(4)))
    assert {token.value.get_secret_value() for token in newer} == {"T2"}
    assert call.asked == [False, False]


async def test_refused_token_gets_a_second_look(web: Any, tokens: Tokens, clock: FakeClock) -> None:
    """The same token is tried once more after two seconds, and nothing is forced if it works then."""
    call = StableCall("T1")
    web.post(STABLE, callback=call, repeat=True)
    first = await tokens.get()
    again = await asyncio.gather(*(tokens.after_refusal(first, _refusal()) for _ in range(4)))
    assert {token.value.get_secret_value() for token in again} == {"T1"}
    assert (call.asked, clock.slept) == ([False, False], [2])
    tokens.worked(again[0])
    assert await tokens.get() is again[0]


async def test_second_look_after_it_worked(web: Any, tokens: Tokens) -> None:
    """A token that worked at the second look gets another one when it is refused again."""
    call = StableCall("T1")
    web.post(STABLE, callback=call, repeat=True)
    again = await tokens.after_refusal(await tokens.get(), _refusal())
    tokens.worked(again)
    assert (await tokens.after_refusal(again, _refusal())).value == again.value
    assert call.asked == [False, False, False]


async def test_forced_after_the_second_look(web: Any, tokens: Tokens) -> None:
    call = StableCall("T1", "T1", "T1", "T2")
    web.post(STABLE, callback=call, repeat=True)
    again = await tokens.after_refusal(await tokens.get(), _refusal())
    newer = await asyncio.gather(*(tokens.after_refusal(again, _refusal()) for _ in range(4)))
    assert {token.value.get_secret_value() for token in newer} == {"T2"}
    assert call.asked == [False, False, False, True]


async def test_newer_token_at_the_second_look(web: Any, tokens: Tokens) -> None:
    """Nothing is forced where another system has renewed the token meanwhile."""
    call = StableCall("T1", "T1", "T2")
    web.post(STABLE, callback=call, repeat=True)
    again = await tokens.after_refusal(await tokens.get(), _refusal())
    newer = await tokens.after_refusal(again, _refusal())
    assert newer.value.get_secret_value() == "T2"
    assert call.asked == [False] * 3


async def test_second_stuck_token_is_not_forced(web: Any, tokens: Tokens) -> None:
    """Another forced token would only show that somebody else keeps ending it, and WeChat allows 20 a day."""
    call = StableCall("T1", "T1", "T1", "T2", "T2")
    web.post(STABLE, callback=call, repeat=True)
    newer = await tokens.after_refusal(await tokens.after_refusal(await tokens.get(), _refusal()), _refusal())
    tokens.worked(newer)
    again = await tokens.after_refusal(newer, _refusal())
    with pytest.raises(ApiError):
        await tokens.after_refusal(again, _refusal())
    assert call.asked == [False, False, False, True, False, False]


async def test_forced_call_is_not_repeated(web: Any, tokens: Tokens) -> None:
    """Its answer is lost, though WeChat has replaced the token: a retry asks for that one."""
    call = StableCall("T1", "T1", "T1", "lost", "T2")

    def loses_it(url: object, **kwargs: Any) -> CallbackResult:
        answer = call(url, **kwargs)
        return CallbackResult(status=502) if call.asked[-1] else answer

    web.post(STABLE, callback=loses_it, repeat=True)
    again = await tokens.after_refusal(await tokens.get(), _refusal())
    assert (await tokens.after_refusal(again, _refusal())).value.get_secret_value() == "T2"
    assert call.asked == [False, False, False, True, False]


def _resumed(clock: FakeClock, on: date | None, tokens: int) -> ForcedTokens:
    """The count of a new run, after so many forced tokens of earlier ones."""
    forced = ForcedTokens("wx1", set(), clock=clock)
    forced.resume(on, tokens)
    return forced


def test_three_forced_tokens_a_day(clock: FakeClock) -> None:
    """They are counted by the Beijing day, all runs together."""
    today = date(2026, 11, 24)
    assert [_resumed(clock, today, tokens).is_allowed for tokens in (0, 2, 3)] == [True, True, False]
    assert _resumed(clock, today - ONE_DAY, 3).is_allowed
    forced = _resumed(clock, today - ONE_DAY, 3)
    forced.count()
    assert forced.used == (today, 1)


def test_one_forced_token_a_run(clock: FakeClock) -> None:
    """Whatever the number of the account's turns in it, and on the next Beijing day too."""
    in_run: set[str] = set()
    first = ForcedTokens("wx1", in_run, clock=clock)
    first.resume(None, 0)
    first.count()
    first.resume(None, 0)  # an earlier state, after a crash
    assert first.used == (date(2026, 11, 24), 1)
    clock.instant += ONE_DAY
    again, other = (ForcedTokens(appid, in_run, clock=clock) for appid in ("wx1", "wx2"))
    for forced in (again, other):
        forced.resume(*first.used)
    assert [forced.is_allowed for forced in (first, again, other)] == [False, False, True]


def test_nothing_is_forced_without_the_count(clock: FakeClock) -> None:
    """A check doesn't remember it, so it must not add to it."""
    assert not ForcedTokens("wx1", set(), clock=clock).is_allowed


async def test_new_token_refused(web: Any, tokens: Tokens) -> None:
    call = StableCall("T1", "T2")
    web.post(STABLE, callback=call, repeat=True)
    first = await tokens.get()
    tokens.worked(first)
    second = await tokens.after_refusal(first, _refusal())
    tokens.worked(first)  # an answer that was under way when the token was replaced says nothing of the new one
    with pytest.raises(ApiError) as failed:
        await tokens.after_refusal(second, _refusal())
    assert failed.value.hint == ROTATING_HINT
    assert failed.value.reaction is Reaction.REFRESH
    assert call.asked == [False, False]


async def test_refused_three_times(web: Any, tokens: Tokens) -> None:
    call = StableCall("T1", "T2", "T3", "T4", "T5")
    web.post(STABLE, callback=call, repeat=True)
    token = await tokens.get()
    for _ in range(3):
        tokens.worked(token)
        token = await tokens.after_refusal(token, _refusal())
    tokens.worked(token)
    with pytest.raises(ApiError):
        await tokens.after_refusal(token, _refusal())


@pytest.mark.parametrize(
    "answer",
    [
        {"access_token": "", "expires_in": 7200},
        {"access_token": 5, "expires_in": 7200},
        {"access_token": "T", "expires_in": "7200"},
        {"access_token": "T", "expires_in": True},
        {"access_token": "T"},
    ],
)
async def test_malformed_answer(web: Any, tokens: Tokens, answer: dict[str, object]) -> None:
    web.post(STABLE, payload=answer, repeat=True)
    with pytest.raises(CallError, match="lacks access_token or expires_in") as failed:
        await tokens.get()
    assert failed.value.kind is CallKind.TOKEN


async def test_wrong_secret_is_sent_once(web: Any, client: Client, tokens: Tokens) -> None:
    web.post(STABLE, payload=REFUSAL, repeat=True)
    with pytest.raises(ApiError) as failed:
        await tokens.get()
    assert failed.value.reaction is Reaction.ACCOUNT
    assert client.token_calls == 1


async def test_failed_source_is_asked_once(web: Any, client: Client, tokens: Tokens) -> None:
    web.post(STABLE, status=502, repeat=True)
    failed = await asyncio.gather(*(tokens.get() for _ in range(10)), return_exceptions=True)
    assert {str(error) for error in failed} == {"HTTP 502 instead of an answer"}
    assert client.token_calls == MAX_TRIES


async def test_no_retry_without_a_token(web: Any, client: Client, tokens: Tokens) -> None:
    web.post(STABLE, status=502, repeat=True)
    with pytest.raises(TransientError, match="HTTP 502"):
        await client.retrying(tokens.get)
    assert (client.token_calls, client.retries) == (MAX_TRIES, MAX_TRIES - 1)


async def test_source_fails_after_a_refusal(web: Any, client: Client, tokens: Tokens) -> None:
    """If the source fails after a refusal, its error is raised and not the hint about a rotated token."""
    web.post(STABLE, payload={"access_token": "T1", "expires_in": 7200})
    web.post(STABLE, status=502, repeat=True)
    first = await tokens.get()
    calls = (tokens.after_refusal(first, _refusal()) for _ in range(4))
    failed = await asyncio.gather(*calls, return_exceptions=True)
    assert {str(error) for error in failed} == {"HTTP 502 instead of an answer"}
    assert client.token_calls == 1 + MAX_TRIES


@pytest.mark.parametrize("way", [Stable, Classic])
async def test_no_secret(way: Any, client: Client, account: Account, route: Route, secrets: Secrets) -> None:
    source: Source = way(replace(account, secret=None), route, secrets)
    with pytest.raises(OriginError) as failed:
        await source.grant()
    assert str(failed.value) == "the account has no secret: give it a `secret`, or a `token` from elsewhere"
    assert client.token_calls == 0


async def test_secret_is_read_when_needed(
    web: Any, account: Account, route: Route, secrets: Secrets, tmp_path: Path
) -> None:
    sent = []

    def answer(url: object, **kwargs: Any) -> CallbackResult:
        sent.append(kwargs["json"])
        return CallbackResult(payload={"access_token": "T1", "expires_in": 7200})

    web.post(STABLE, callback=answer)
    source = Stable(replace(account, secret=FromFile(tmp_path / "secret")), route, secrets)
    (tmp_path / "secret").write_text("s3cret-of-file\n")
    (tmp_path / "secret").chmod(0o600)
    assert await source.grant() == Grant(Secret("T1"), 7200)
    assert sent == [
        {
            "grant_type": "client_credential",
            "appid": account.appid,
            "secret": "s3cret-of-file",
            "force_refresh": False,
        }
    ]


@pytest.mark.parametrize("secret", ["s3cret", "0123456789abcdef" * 2])
async def test_malformed_secret_of_a_file(
    web: Any, account: Account, route: Route, secrets: Secrets, tmp_path: Path, secret: str
) -> None:
    """The warning gives its length, and no part of it."""
    web.post(STABLE, callback=StableCall("T1"))
    file = private_file(tmp_path / "secret")
    file.write_text(secret)
    with capture_logs() as logs:
        await Stable(replace(account, secret=FromFile(file)), route, secrets).grant()
    what = "the secret isn't an AppSecret of WeChat's, 32 digits and letters (it has 6): copy the real one"
    warning = {"event": "secret.malformed", "log_level": "warning", "account": str(account), "what": what}
    assert logs == [warning] * (secret == "s3cret")
