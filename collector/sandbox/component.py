"""The calls of a third-party platform, which gets the tokens of its accounts without their secrets."""

from __future__ import annotations

from collections.abc import Callable

from collector.sandbox.allowlists import Allowlists
from collector.sandbox.authorisations import Authorisation, Authorisations
from collector.sandbox.dice import Dice
from collector.sandbox.faults import Faults, Gap
from collector.sandbox.question import Answer, Question, RefusalError, refuse_if
from collector.sandbox.ticket import Ticket
from collector.sandbox.tokens import Kind, Tokens
from collector.sandbox.world import World

MAX_PAGE = 500
"""The largest `count` of one page of the list."""

_USER_MANAGEMENT = 2
"""The permission set that covers both datasets."""

_MINI_PROGRAM_MANAGEMENT = 18
"""A permission set of mini programs, without figures."""

_ACCOUNT_TYPES = 3
"""Types 0 and 1 are subscription accounts, 2 is a service account; mini programs have 0 too."""


class ComponentApi:
    """The component calls of one world, with its ticket and its authorisations.

    `authorised` is the number of accounts that have authorised it at the start (None: all).
    """

    def __init__(
        self, world: World, faults: Faults, tokens: Tokens, allowlists: Allowlists, authorised: int | None
    ) -> None:
        self._world = world
        self._faults = faults
        self._tokens = tokens
        self._allowlists = allowlists
        self.authorisations = Authorisations(world, authorised)
        self.ticket = Ticket(world)
        self._shrunk_to: int | None = None
        self._size: int | None = None
        folder = "/cgi-bin/component"
        self.calls: dict[str, Callable[[Question], Answer]] = {
            f"{folder}/api_component_token": self._component_token,
            f"{folder}/api_authorizer_token": self._authorizer_token,
            f"{folder}/api_get_authorizer_list": self._authorizer_list,
            f"{folder}/api_get_authorizer_info": self._authorizer_info,
        }

    def shrink_list(self, size: int) -> None:
        """Leave all but the first `size` accounts out of the next reading of the list, and of its `total_count`."""
        self._shrunk_to = size

    def _component_token(self, question: Question) -> Answer:
        component = self._world.component
        self._allowlists.admit_to_component(component.appid)
        refuse_if(self._faults.stale_ticket, 61006)
        data = question.require_data()
        refuse_if(data.get("component_appid") != component.appid, 61011)
        refuse_if(data.get("component_appsecret") != component.secret, 40125)
        self.ticket.check(data.get("component_verify_ticket"))
        token = self._tokens.replace(component.appid, Kind.COMPONENT, question.seconds)
        return {"component_access_token": token.text, "expires_in": token.expires_in(question.seconds)}

    def _authorizer_token(self, question: Question) -> Answer:
        data = self._of_component(question)
        authorisation = self.authorisations.require(str(data.get("authorizer_appid")))
        refuse_if(data.get("authorizer_refresh_token") != authorisation.refresh_token, 61023)
        token = self._tokens.replace(authorisation.appid, Kind.AUTHORIZER, question.seconds)
        return {
            "authorizer_access_token": token.text,
            "expires_in": token.expires_in(question.seconds),
            "authorizer_refresh_token": authorisation.refresh_token,
        }

    def _authorizer_list(self, question: Question) -> Answer:
        data = self._of_component(question)
        offset, count = data.get("offset"), data.get("count")
        if not isinstance(offset, int) or not isinstance(count, int) or offset < 0 or not 0 < count <= MAX_PAGE:
            raise RefusalError(61451)
        if offset == 0:  # another reading begins
            self._size, self._shrunk_to = self._shrunk_to, None
        total, ends_at = len(self.authorisations), self._faults.list_ends_at
        if self._size is not None:
            total = min(total, self._size)
        # `total_count` may be larger than the list: that is how a client can notice a list that ends early.
        end = min(offset + count, total if ends_at is None else ends_at)
        page = [self._entry(authorisation) for authorisation in self.authorisations.page(offset, end)]
        return {"total_count": total, "list": page}

    def _entry(self, authorisation: Authorisation) -> Answer:
        gap = self._faults.list_gap(authorisation.appid)
        entry = {"authorizer_appid": authorisation.appid}
        if gap is not Gap.ABSENT:
            entry["refresh_token"] = "" if gap is Gap.EMPTY else authorisation.refresh_token
        return entry | {"auth_time": authorisation.auth_time}

    def _authorizer_info(self, question: Question) -> Answer:
        appid = str(self._of_component(question).get("authorizer_appid"))
        authorisation = self.authorisations.require(appid)
        is_mini = appid not in self._world.account_of
        # A mini program has the type of a subscription account: only `MiniProgramInfo` identifies it.
        service_type = 0 if is_mini else Dice("service type", appid).below(_ACCOUNT_TYPES)
        permissions = _MINI_PROGRAM_MANAGEMENT if is_mini else _USER_MANAGEMENT
        mini = {"MiniProgramInfo": {"network": {}, "categories": [], "visit_status": 0}} if is_mini else {}
        return {
            "authorizer_info": {
                "nick_name": self._world.nick_name(appid),
                "service_type_info": {"id": service_type},
                "verify_type_info": {"id": 0},
                **mini,
            },
            "authorization_info": {
                "authorizer_appid": appid,
                "authorizer_refresh_token": authorisation.refresh_token,
                "func_info": [{"funcscope_category": {"id": permissions}}],
            },
        }

    def _of_component(self, question: Question) -> Answer:
        """Return the body of a call that is made with the component's own token."""
        self._allowlists.admit_to_component(self._world.component.appid)
        token = self._tokens.find(question.token, question.seconds)
        refuse_if(token.kind is not Kind.COMPONENT, 40001)
        data = question.require_data()
        refuse_if(data.get("component_appid") != token.appid, 61011)
        return data
