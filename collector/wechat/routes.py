"""Routes to WeChat: hosts that stand in for one another, by a proxy or without."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog

from collector.errors import ApiError, HostError, ProxyRefusedError
from collector.kinds import CallKind
from collector.model.accounts import Origin, Secret
from collector.runtime import let_others_catch_up
from collector.secrets.addresses import proxy_url, server_of
from collector.secrets.reader import Secrets
from collector.wechat.answers import Request, answer_in, instant_in, refusal
from collector.wechat.client import UNTRUSTED, UNTRUSTED_REMEDY, Client, NoAnswerError, ToWechat, Trouble

log = structlog.get_logger()


class Route:
    """One route to WeChat: its hosts, with failover to the next when a connection fails, by a proxy or without.

    A host that failed isn't tried again before all others were. `answered_by` is the host of the last answer;
    `is_common` says whether it is the route of all accounts that have none of their own.
    """

    def __init__(
        self, client: Client, hosts: Sequence[str], proxy: Origin | None, secrets: Secrets, *, is_common: bool = True
    ) -> None:
        self.client = client
        self.is_common = is_common
        self.hosts = tuple(hosts)
        self.proxy = proxy
        self.answered_by: str | None = None
        self._secrets = secrets
        self._host = 0
        self._left: set[int] = set()

    async def request(self, request: Request) -> dict[str, Any]:
        """Make one request and return its JSON object, which has the key that the request expects.

        Hands WeChat's time to `on_date`. Raises `HostError` without a whole HTTP answer, `TransientError` for HTTP
        5xx, 408, 429 and malformed bodies, `ApiError` for an errcode other than 0, `CallError` for any other HTTP
        status, `OriginError` when the proxy's URL can't be read,
        `OpenFilesError` where this host has no file left for it.
        """
        await let_others_catch_up()
        proxy = proxy_url(await self._secrets.read(self.proxy)) if self.proxy else None
        number = self._host
        host = self.hosts[number]
        unreached: HostError | None = None
        sent_s = self.client.clock.monotonic()
        try:
            status, body, date = await self.client.exchange(ToWechat(host, proxy), request)
        except NoAnswerError as error:
            unreached = self._host_error(number, error.trouble, proxy, request.kind)
        if unreached:
            raise unreached  # outside the handler, so that a traceback shows one error
        self.answered_by = host
        if status != HTTPStatus.OK:
            raise refusal(status, request.kind)
        try:
            answer = answer_in(body, request)
        except ApiError as error:
            self._note_date(date)
            error.sent_at = self.client.clock.instant_of(sent_s)
            raise  # any other error means that it isn't WeChat's answer, nor is the date
        self._note_date(date)
        return answer

    def _note_date(self, date: str | None) -> None:
        """Hand the `Date` of an answer to `on_date`, until that has returned once; a malformed one is left out."""
        if self.is_common and self.client.on_date and (instant := instant_in(date)):
            self.client.on_date(instant)
            self.client.on_date = None  # not before: an error that ends the run must meet all calls in flight

    def _host_error(self, number: int, trouble: Trouble, proxy: str | None, kind: CallKind) -> HostError:
        """Return the error of a call without an answer; unless the proxy is to blame, leave the host."""
        host, words = self.hosts[number], trouble.words
        if proxy and trouble.is_proxys:
            hint = f"{words} ({server_of(Secret(proxy))}): check `proxy`, and that it runs"
        else:
            hint = f"WeChat couldn't be reached ({', '.join(self.hosts)}): check network, proxy and hosts"
            if words == UNTRUSTED:
                hint = f"the certificate of {host} isn't trusted, so nothing was sent to it: {UNTRUSTED_REMEDY}"
            self._leave(number, words)
        error = ProxyRefusedError if trouble.is_final else HostError
        unreached = error(f"{host} gave no answer ({words})", kind=kind, hint=hint)
        unreached.unreachable = self.is_common
        return unreached

    def _leave(self, number: int, trouble: str) -> None:
        """Use the next host for the rest of the run."""
        # Calls that were in flight with this one fail as well; only the first of them moves on.
        if number == self._host and len(self.hosts) > 1:
            self._host = (number + 1) % len(self.hosts)
            if number not in self._left:
                self._left.add(number)
                log.warning("host.left", host=self.hosts[number], trouble=trouble, next_host=self.hosts[self._host])
