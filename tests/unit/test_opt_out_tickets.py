"""Tickets: only ours, only for their message and use, only in their time."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.inbound.opt_out_tickets import (
    RETURN_WITHIN,
    UNDO_WITHIN,
    Ticket,
    TicketUse,
    make_ticket,
    read_ticket,
)
from sender.suppression.tokens import TokenKeys
from tests.support.factory import NOW

OLD, NEW = "1:" + "ab" * 32, "2:" + "cd" * 32
KEYS = TokenKeys.parse(NEW)
IDS = st.integers(min_value=1, max_value=2**56)


@given(IDS, IDS, st.sampled_from(TicketUse))
def test_a_ticket_says_what_was_put_into_it(delivery: int, number: int, use: TicketUse) -> None:
    text = make_ticket(KEYS, use, delivery, number, NOW)
    assert len(text) == 43
    assert text.replace("-", "").replace("_", "").isalnum()
    assert read_ticket(KEYS, use, delivery, text, NOW) == Ticket(number, NOW)


@given(IDS, st.integers(0, 42), st.characters())
def test_no_changed_ticket_is_ours(delivery: int, place: int, letter: str) -> None:
    text = make_ticket(KEYS, TicketUse.UNDO, delivery, 7, NOW)
    changed = text[:place] + letter + text[place + 1 :]
    if changed != text:
        assert read_ticket(KEYS, TicketUse.UNDO, delivery, changed, NOW) in {
            None,
            # base64 leaves the last two bits of the last letter unused
            Ticket(7, NOW) if place == 42 else None,
        }


@given(st.text())
def test_nothing_that_is_written_there_breaks_it(text: str) -> None:
    assert read_ticket(KEYS, TicketUse.RETURN, 1, text, NOW) is None


def test_a_ticket_of_another_message_or_use_is_none() -> None:
    text = make_ticket(KEYS, TicketUse.UNDO, 1, 7, NOW)
    assert read_ticket(KEYS, TicketUse.UNDO, 2, text, NOW) is None
    assert read_ticket(KEYS, TicketUse.RETURN, 1, text, NOW) is None


def test_a_ticket_of_an_older_key_of_the_ring_is_ours() -> None:
    text = make_ticket(TokenKeys.parse(OLD), TicketUse.UNDO, 1, 7, NOW)
    ring = TokenKeys.parse(f"{NEW},{OLD}")
    assert read_ticket(ring, TicketUse.UNDO, 1, text, NOW) == Ticket(7, NOW)
    assert read_ticket(KEYS, TicketUse.UNDO, 1, text, NOW) is None


@pytest.mark.parametrize(
    ("use", "lasts"), [(TicketUse.UNDO, UNDO_WITHIN), (TicketUse.RETURN, RETURN_WITHIN)]
)
def test_a_ticket_has_its_time(use: TicketUse, lasts: timedelta) -> None:
    text = make_ticket(KEYS, use, 1, 7, NOW)
    assert read_ticket(KEYS, use, 1, text, NOW + lasts) is not None
    assert read_ticket(KEYS, use, 1, text, NOW + lasts + timedelta(microseconds=1)) is None
