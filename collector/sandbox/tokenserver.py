"""A central token server as clients and agencies run them, without I/O.

It isn't WeChat: it answers with HTTP statuses and JSON of its own.
"""

from __future__ import annotations

import re

import orjson

from collector.sandbox.faults import Faults, TokenServerFault
from collector.sandbox.question import HTML, Answer, Answered, Question, Reply
from collector.sandbox.ticket import Ticket
from collector.sandbox.tokens import Kind, Tokens
from collector.sandbox.world import World

COMPONENT_TOKEN = "/component-token"
COMPONENT_TICKET = "/component-ticket"

_ACCOUNT = re.compile(r"/tokens/([^/]+)(?:/plain)?")
_JSON = {"Content-Type": "application/json"}
_TEXT = {"Content-Type": "text/plain"}
_LOGIN_PAGE = b"""<html><head><title>Sign in</title></head><body><form method="post" action="/login">
<input name="user"><input name="password" type="password"></form></body></html>"""


def _json(status: int, body: Answer) -> Reply:
    return Reply(status, _JSON, orjson.dumps(body))


def _problem(status: int, message: str) -> Reply:
    return _json(status, {"code": status, "message": message})


_SPOILT = {
    TokenServerFault.EMPTY: Reply(200, _JSON, b""),
    TokenServerFault.HTML: Reply(200, HTML, _LOGIN_PAGE),
    TokenServerFault.ERROR: _problem(500, "internal error"),
    TokenServerFault.LATE: None,
}
"""The replies of faults that need no token; None is no reply at all."""


class TokenServer:
    """The token server of one world.

    * `/tokens/{appid}`: `{"code": 0, "data": {"access_token": …, "expires_in": …}}`; needs the key.
    * `/tokens/{appid}/plain`: the same token and a newline; needs the key.
    * `/component-token`: `{"code": 0, "data": {"token": …, "expires_in": …}}` with the platform's current token.
    * `/component-ticket`: `{"ticket": …}`.
    """

    def __init__(self, world: World, faults: Faults, tokens: Tokens, ticket: Ticket) -> None:
        self._world = world
        self._faults = faults
        self._tokens = tokens
        self._ticket = ticket

    def answer(self, question: Question) -> Answered | None:
        """Answer a question; None for a path of another server."""
        account = _ACCOUNT.fullmatch(question.path)
        if account:
            appid = account[1] if account[1] in self._world.account_of else None
        elif question.path in (COMPONENT_TOKEN, COMPONENT_TICKET):
            appid = self._world.component.appid
        else:
            return None
        if question.method != "GET":
            return Answered(appid, None, _problem(405, "use GET"))
        if account and question.authorization != f"Bearer {self._world.token_server_key}":
            return Answered(appid, None, _problem(401, "unauthorized"))
        # After the key: without it nobody learns which accounts there are.
        if appid is None:
            return Answered(appid, None, _problem(404, "no such account"))
        fault = self._faults.token_server.get(appid)
        return Answered(appid, fault, self._reply(question, appid, fault))

    def _reply(self, question: Question, appid: str, fault: TokenServerFault | None) -> Reply | None:
        if fault in _SPOILT:
            return _SPOILT[fault]
        if question.path == COMPONENT_TICKET:
            value, body = self._ticket.text, {"ticket": self._ticket.text}
        else:
            value, body = self._token(question, appid, fault)
        if fault is TokenServerFault.WRONG_PATH:
            return _json(200, {"code": 0, "result": {"value": value}})
        if question.path.endswith("/plain"):
            return Reply(200, _TEXT, f"{value}\n".encode())
        return _json(200, body)

    def _token(self, question: Question, appid: str, fault: TokenServerFault | None) -> tuple[str, Answer]:
        """Return a token's text and the JSON around it."""
        kind, name = (Kind.COMPONENT, "token") if question.path == COMPONENT_TOKEN else (Kind.SERVER, "access_token")
        now = question.seconds
        token = self._tokens.current(appid, kind, now, even_dead=fault is TokenServerFault.STUCK)
        if fault is TokenServerFault.STUCK:
            token.dead_from = min(token.dead_from, now)
        if fault is TokenServerFault.EXPIRED:
            token.expires_at = now
        return token.text, {"code": 0, "data": {name: token.text, "expires_in": token.expires_in(now)}}
