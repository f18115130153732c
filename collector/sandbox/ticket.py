"""The ticket that WeChat pushes to the component."""

from __future__ import annotations

from collector.sandbox.question import RefusalError
from collector.sandbox.world import World


class Ticket:
    """The current `component_verify_ticket`; renewing it makes all earlier ones stale."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._nth = 1

    @property
    def text(self) -> str:
        """The current ticket."""
        return self._world.verify_ticket(self._nth)

    def renew(self) -> None:
        """Make the next ticket the current one."""
        self._nth += 1

    def check(self, text: object) -> None:
        """Check that a text is the current ticket.

        Raises:
            RefusalError: it is an earlier ticket (61005), or none at all (61006).
        """
        if text != self.text:
            former = [self._world.verify_ticket(nth) for nth in range(1, self._nth)]
            raise RefusalError(61005 if text in former else 61006)
