from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from collector.model.accounts import (
    Account,
    Component,
    FromCommand,
    FromComponent,
    FromFile,
    FromUrl,
    Secret,
    TokenKind,
)
from collector.runtime import Clock, Stop
from collector.secrets.reader import Secrets
from collector.wechat.client import Client
from collector.wechat.component import Authorized
from collector.wechat.external_tokens import External
from collector.wechat.routes import Route
from collector.wechat.session import Session
from collector.wechat.tokens import Classic, Source, Stable

COMPONENTS = (Component("agency", "wx00000000000000c0"), Component("other", "wx00000000000000c1"))


@pytest.fixture
def access(client: Client, secrets: Secrets, clock: Clock, stop: Stop) -> Session:
    route = Route(client, ["https://wechat.test"], Secret("http://u:p@egress:3128"), secrets)
    return Session(route, secrets, COMPONENTS, clock=clock, stop=stop)


def test_common_route(access: Session, account: Account) -> None:
    assert access.route_of(account) is access.route


def test_common_route_by_name(access: Session, account: Account) -> None:
    same = replace(account, hosts=("https://wechat.test",), proxy=Secret("http://u:p@egress:3128"))
    assert access.route_of(same) is access.route


WAYS: list[Callable[[Account], Account]] = [
    lambda account: replace(account, hosts=("https://sh.wechat.test",)),
    lambda account: replace(account, proxy=Secret("http://u:p@egress-2:3128")),
    lambda account: replace(account, proxy=FromFile(Path("/etc/collector/proxy"))),
    lambda account: replace(account, hosts=("https://sh.wechat.test",), proxy=Secret("http://u:p@egress-2:3128")),
]


@pytest.mark.parametrize("own", WAYS)
def test_own_route_is_shared(own: Callable[[Account], Account], access: Session, account: Account) -> None:
    one, two = own(account), own(replace(account, name="beta", appid="wx0000000000000002"))
    route = access.route_of(one)
    assert access.route_of(two) is route
    assert route is not access.route
    assert (route.hosts, route.proxy) == (one.hosts or access.route.hosts, one.proxy or access.route.proxy)


def test_different_routes(access: Session, account: Account) -> None:
    assert len({access.route_of(own(account)) for own in WAYS}) == len(WAYS)


URL, COMMAND = FromUrl(Secret("http://tokens.internal/")), FromCommand(("get-token",))


def test_source_of_a_token(access: Session, account: Account) -> None:
    def source(token: TokenKind | FromComponent | FromUrl | FromCommand) -> Source:
        return access.source_of(replace(account, token=token), access.route)

    assert source(TokenKind.STABLE) == Stable(account, access.route, access.secrets)
    classic = replace(account, token=TokenKind.CLASSIC)
    assert source(TokenKind.CLASSIC) == Classic(classic, access.route, access.secrets)
    authorized = replace(account, token=FromComponent("other"))
    assert source(FromComponent("other")) == Authorized(authorized, access.components["other"])
    for origin, server in ((URL, "the server http://tokens.internal "), (COMMAND, "the command get-token ")):
        outside = source(origin)
        assert isinstance(outside, External)
        assert server in outside.refused_hint
