"""What all accounts of a run share on their way to WeChat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from collector.model.accounts import Account, Component, FromComponent, TokenKind
from collector.runtime import Clock, Stop
from collector.secrets.reader import Secrets
from collector.wechat.client import Route
from collector.wechat.component import Authorized, ComponentApi
from collector.wechat.external_tokens import Outside
from collector.wechat.tokens import Classic, Source, Stable

_BY_SECRET: Mapping[TokenKind, Callable[[Account, Route, Secrets], Source]] = {
    TokenKind.STABLE: Stable,
    TokenKind.CLASSIC: Classic,
}


class Access:
    """The client, the common route, the secrets and the third-party platforms of a run, its clock and its stop signal.

    Nothing is asked before it is needed.
    """

    def __init__(
        self,
        route: Route,
        secrets: Secrets,
        components: Iterable[Component] = (),
        *,
        clock: Clock,
        stop: Stop,
    ) -> None:
        self.client = route.client
        self.route = route
        self.secrets = secrets
        self.components = {
            component.name: ComponentApi(component, route, secrets, clock=clock) for component in components
        }
        self.clock = clock
        self.stop = stop
        self._routes = {(route.hosts, route.proxy): route}

    def route_of(self, account: Account) -> Route:
        """The account's own way to WeChat, shared by all that have the same; mostly the common one."""
        key = (account.hosts or self.route.hosts, account.proxy or self.route.proxy)
        if key not in self._routes:
            self._routes[key] = Route(self.client, *key, self.secrets, is_common=False)
        return self._routes[key]

    def source_of(self, account: Account, route: Route) -> Source:
        """Where the account's token comes from."""
        match account.token:
            case TokenKind() as kind:
                return _BY_SECRET[kind](account, route, self.secrets)
            case FromComponent(name):
                return Authorized(account, self.components[name])
            case origin:
                return Outside(origin, account.appid, self.client, self.secrets)
