"""Sources of a third-party platform's own token, the component_access_token."""

from __future__ import annotations

from dataclasses import dataclass

from collector.errors import OriginError
from collector.kinds import CallKind
from collector.model.accounts import Component, FromCommand, FromUrl, Origin, Secret
from collector.secrets.reader import Secrets
from collector.wechat.answers import Request
from collector.wechat.external_tokens import External, value_in
from collector.wechat.routes import Route
from collector.wechat.tokens import Grant, Source, app_secret, granted

STALE_HINT = "the platform {} has no valid token: see that its ticket arrives, and that nothing else renews its token"


def source_of(component: Component, route: Route, secrets: Secrets) -> Source:
    """Return the source of a platform's token: the origin that is configured, else its secret and its ticket."""
    hint = STALE_HINT.format(component.name)

    def external(origin: FromUrl | FromCommand) -> External:
        return External(origin, component.appid, route.client, secrets, refused_hint=hint, is_shared=True)

    if component.access_token is not None:
        return external(component.access_token)
    ticket = component.verify_ticket
    return _ByTicket(
        component, external(ticket) if isinstance(ticket, FromUrl | FromCommand) else ticket, route, secrets, hint
    )


@dataclass(frozen=True, slots=True)
class _ByTicket(Source):
    """Platform token in exchange for its secret and the newest ticket."""

    component: Component
    ticket: External | Origin | None
    route: Route
    secrets: Secrets
    refused_hint: str

    async def grant(self) -> Grant:
        """Fetch a new token, which invalidates the one that the platform's own systems use."""
        component = self.component
        if component.secret is None or self.ticket is None:
            message = f"the platform {component.name} has no way to its token"
            raise OriginError(message, "give it an `access_token`, or a `secret` and a `verify_ticket`")
        secret = await app_secret(component.secret, self.secrets, component=component.name)
        ticket = await self._newest(self.ticket)
        body = {
            "component_appid": component.appid,
            "component_appsecret": secret,
            "component_verify_ticket": ticket.get_secret_value(),
        }
        path, key = "/cgi-bin/component/api_component_token", "component_access_token"
        return granted(await self.route.request(Request(CallKind.COMPONENT, "POST", path, key, {}, body)), key)

    async def _newest(self, ticket: External | Origin) -> Secret:
        """Read the newest ticket: WeChat sends another every ten minutes, so none is kept."""
        if isinstance(ticket, External):
            return value_in(await ticket.body(), ticket.origin)
        return await self.secrets.read(ticket, fresh=True)
