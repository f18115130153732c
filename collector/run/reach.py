"""Notice when WeChat as a whole is out of reach."""

from __future__ import annotations

from collector.breakers import CircuitBreaker
from collector.errors import UnreachableError
from collector.model.results import AccountResult
from collector.text import counted
from collector.wechat.session import Session


class Reach:
    """Circuit breaker of a run, or of one round of it, over `accounts` accounts with so many `workers`."""

    def __init__(self, session: Session, *, workers: int, accounts: int) -> None:
        self._session = session
        # Twice the workers, so that accounts that were the first to meet a short outage don't end the run. Of few
        # accounts all must have failed.
        self._breaker = CircuitBreaker[UnreachableError](min(2 * workers, accounts))

    def note(self, result: AccountResult) -> None:
        """Note how an account came out.

        Raises `UnreachableError` when no account has had an answer, and twice as many as there are workers no
        connection: hours of waiting for each of thousands of accounts would help nobody.
        """
        client = self._session.client
        if result.unreachable:
            hosts = ", ".join(self._session.route.hosts)
            self._breaker.failed(
                UnreachableError(
                    f"Could not reach WeChat: {counted(self._breaker.failures + 1, 'account')} tried {hosts} and "
                    f"none had an answer ({client.trouble}). Check this host's network, the proxy and api.hosts"
                )
            )
        if not client.answered:
            self._breaker.check()
