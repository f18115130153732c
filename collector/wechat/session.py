"""Per-run session with WeChat: client, routes, secrets."""

from __future__ import annotations

from collections.abc import Iterable

from collector.model.accounts import Account, Component, FromComponent, TokenKind
from collector.runtime import Clock, Stop
from collector.secrets.reader import Secrets
from collector.wechat.component import Authorized, ComponentApi
from collector.wechat.external_tokens import External
from collector.wechat.routes import Route
from collector.wechat.tokens import Classic, Source, Stable


class Session:
    """Per-run session with WeChat: client, routes, secrets, third-party platforms, clock and stop signal.

    No call is made before its result is needed.
    """

    def __init__(
        self, route: Route, secrets: Secrets, components: Iterable[Component] = (), *, clock: Clock, stop: Stop
    ) -> None:
        self.client = route.client
        self.route = route
        self.secrets = secrets
        self.components = {each.name: ComponentApi(each, route, secrets, clock=clock) for each in components}
        self.clock = clock
        self.stop = stop
        self.forced_for: set[str] = set()
        """The appids of accounts for which a token was forced in this run."""
        # Accounts with the same hosts and proxy fail over together.
        self._routes = {(route.hosts, route.proxy): route}

    def forget_failures(self) -> None:
        """Let platforms and secrets be tried again that have failed in this run."""
        self.secrets.forget_failures()
        for name, api in self.components.items():
            if api.has_failed:
                self.components[name] = ComponentApi(api.component, self.route, self.secrets, clock=self.clock)

    def route_of(self, account: Account) -> Route:
        """Return the account's route, which all accounts with the same hosts and proxy share."""
        key = (account.hosts or self.route.hosts, account.proxy or self.route.proxy)
        if key not in self._routes:
            self._routes[key] = Route(self.client, *key, self.secrets, is_common=False)
        return self._routes[key]

    def source_of(self, account: Account, route: Route) -> Source:
        """Return the source of the account's token."""
        match account.token:
            case TokenKind.STABLE:
                return Stable(account, route, self.secrets)
            case TokenKind.CLASSIC:
                return Classic(account, route, self.secrets)
            case FromComponent(name):
                return Authorized(account, self.components[name])
            case origin:
                return External(origin, account.appid, self.client, self.secrets)
