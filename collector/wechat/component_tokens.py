"""Sources of a third-party platform's own token, the component_access_token."""

from __future__ import annotations

from dataclasses import dataclass

from collector.errors import CallKind, OriginError
from collector.model.accounts import Component, FromCommand, FromUrl, Origin, Secret
from collector.secrets.reader import Secrets
from collector.wechat.answers import Request
from collector.wechat.external_tokens import External, fetched, value_in
from collector.wechat.routes import Route
from collector.wechat.tokens import Grant, Source, granted

STALE_HINT = "the platform {} has no valid token: see that its ticket arrives, and that nothing else renews its token"


def source_of(component: Component, route: Route, secrets: Secrets) -> Source:
    """Return the source of a platform's token: the origin that is configured, else its secret and its ticket."""
    hint = STALE_HINT.format(component.name)
    if component.access_token is None:
        return _ByTicket(component, route, secrets, hint)
    return External(component.access_token, component.appid, route.client, secrets, refused_hint=hint, is_shared=True)


@dataclass(frozen=True, slots=True)
class _ByTicket(Source):
    """Platform token in exchange for its secret and the newest ticket."""

    component: Component
    route: Route
    secrets: Secrets
    refused_hint: str

    async def grant(self) -> Grant:
        """Fetch a new token, which invalidates the one that the platform's own systems use."""
        component = self.component
        if component.secret is None or component.verify_ticket is None:
            message = f"the platform {component.name} has no way to its token"
            raise OriginError(message, "give it an `access_token`, or a `secret` and a `verify_ticket`")
        secret, ticket = await self.secrets.read(component.secret), await self._ticket(component.verify_ticket)
        body = {
            "component_appid": component.appid,
            "component_appsecret": secret.get_secret_value(),
            "component_verify_ticket": ticket.get_secret_value(),
        }
        path, key = "/cgi-bin/component/api_component_token", "component_access_token"
        return granted(await self.route.request(Request(CallKind.COMPONENT, "POST", path, key, {}, body)), key)

    async def _ticket(self, origin: Origin | FromUrl) -> Secret:
        """Read the newest ticket: WeChat sends another every ten minutes, so none is kept."""
        if isinstance(origin, FromUrl | FromCommand):
            body = await fetched(origin, self.route.client, self.secrets, appid=self.component.appid)
            return value_in(body, origin)
        return await self.secrets.read(origin, fresh=True)
