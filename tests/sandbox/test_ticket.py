import pytest

from collector.sandbox import World
from collector.sandbox.question import RefusalError
from collector.sandbox.ticket import Ticket

WORLD = World()


def test_current_ticket_passes() -> None:
    ticket = Ticket(WORLD)
    first = ticket.text
    ticket.check(first)
    ticket.renew()
    assert ticket.text != first
    ticket.check(ticket.text)


@pytest.mark.parametrize(("text", "errcode"), [(WORLD.verify_ticket(1), 61005), ("x", 61006), (None, 61006)])
def test_other_tickets_are_refused(text: str | None, errcode: int) -> None:
    """An earlier ticket is expired, any other text is invalid, the next ticket included."""
    ticket = Ticket(WORLD)
    ticket.renew()
    for wrong, expected in ((text, errcode), (WORLD.verify_ticket(3), 61006)):
        with pytest.raises(RefusalError) as caught:
            ticket.check(wrong)
        assert caught.value.errcode == expected
