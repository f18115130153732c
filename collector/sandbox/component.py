"""The calls of a third-party platform, which gets its accounts' tokens without their secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from collector.sandbox.question import Question, RefusalError
from collector.sandbox.tokens import Kind, Tokens
from collector.sandbox.world import World

PAGE = 500
"""The most accounts that one page of the list holds."""

_USER_MANAGEMENT = 2
"""The permission set that covers both datasets."""

_AUTHORISED_AT = 1_500_000_000


class ComponentApi:
    """The component calls of one world, whose accounts have all authorised its component."""

    def __init__(self, world: World, tokens: Tokens) -> None:
        self._world = world
        self._tokens = tokens
        folder = "/cgi-bin/component"
        self.calls: dict[str, Callable[[Question], dict[str, Any]]] = {
            f"{folder}/api_component_token": self._component_token,
            f"{folder}/api_authorizer_token": self._authorizer_token,
            f"{folder}/api_get_authorizer_list": self._authorizer_list,
            f"{folder}/api_get_authorizer_info": self._authorizer_info,
        }

    def _component_token(self, question: Question) -> dict[str, Any]:
        component, data = self._world.component, question.require_data()
        if data.get("component_appid") != component.appid:
            raise RefusalError(61011)
        if data.get("component_appsecret") != component.secret:
            raise RefusalError(40125)
        if data.get("component_verify_ticket") != component.verify_ticket:
            raise RefusalError(61006)
        token = self._tokens.replace(component.appid, Kind.COMPONENT, question.seconds)
        return {"component_access_token": token.text, "expires_in": token.expires_in(question.seconds)}

    def _authorizer_token(self, question: Question) -> dict[str, Any]:
        data = self._authorised(question)
        appid = self._authorizer(data)
        refresh_token = self._world.refresh_token(appid)
        if data.get("authorizer_refresh_token") != refresh_token:
            raise RefusalError(61023)
        token = self._tokens.replace(appid, Kind.AUTHORIZER, question.seconds)
        return {
            "authorizer_access_token": token.text,
            "expires_in": token.expires_in(question.seconds),
            "authorizer_refresh_token": refresh_token,
        }

    def _authorizer_list(self, question: Question) -> dict[str, Any]:
        data = self._authorised(question)
        offset, count = data.get("offset"), data.get("count")
        if not isinstance(offset, int) or not isinstance(count, int) or offset < 0 or not 0 < count <= PAGE:
            raise RefusalError(61451)
        accounts = self._world.accounts
        page = [
            {
                "authorizer_appid": account.appid,
                "refresh_token": self._world.refresh_token(account.appid),
                "auth_time": _AUTHORISED_AT,
            }
            for account in accounts[offset : offset + count]
        ]
        return {"total_count": len(accounts), "list": page}

    def _authorizer_info(self, question: Question) -> dict[str, Any]:
        appid = self._authorizer(self._authorised(question))
        return {
            "authorizer_info": {
                "nick_name": self._world.account_of[appid].name,
                "service_type_info": {"id": 2},
                "verify_type_info": {"id": 0},
            },
            "authorization_info": {
                "authorizer_appid": appid,
                "authorizer_refresh_token": self._world.refresh_token(appid),
                "func_info": [{"funcscope_category": {"id": _USER_MANAGEMENT}}],
            },
        }

    def _authorised(self, question: Question) -> dict[str, Any]:
        """The body of a call that carries the component's own token."""
        token = self._tokens.find(question.token, question.seconds)
        if token.kind is not Kind.COMPONENT:
            raise RefusalError(40001)
        data = question.require_data()
        if data.get("component_appid") != token.appid:
            raise RefusalError(61011)
        return data

    def _authorizer(self, data: dict[str, Any]) -> str:
        appid = str(data.get("authorizer_appid"))
        if appid not in self._world.account_of:
            raise RefusalError(61003)
        return appid
