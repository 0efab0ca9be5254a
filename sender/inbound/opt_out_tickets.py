"""Tickets: short signed notes that a page or a mail carries back to us, bound to one message.

A ticket holds a number and the time of its issue; the message and the use are signed with them. So
a ticket of one message, or for one use, is none for another.
"""

import base64
import binascii
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from sender.suppression.tokens import TokenKeys

_TOLD: Final = struct.Struct(">QQ")
_BOUND: Final = struct.Struct(">QQQ")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)


class TicketUse(StrEnum):
    """What a ticket is for."""

    UNDO = "undo"
    """Its number is the suppression event that may be undone."""
    RETURN = "return"
    """Its number is the controller whose messages are wanted again."""


UNDO_WITHIN: Final = timedelta(hours=1)
RETURN_WITHIN: Final = timedelta(days=7)
_LASTS: Final = {TicketUse.UNDO: UNDO_WITHIN, TicketUse.RETURN: RETURN_WITHIN}


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket says: its number, and when it was issued."""

    number: int
    issued_at: datetime


def make_ticket(
    keys: TokenKeys, use: TicketUse, delivery_id: int, number: int, now: datetime
) -> str:
    """Return a ticket of 43 URL-safe characters."""
    issued = (now - _EPOCH) // _TICK
    signature = keys.sign(use, _BOUND.pack(delivery_id, number, issued))
    return base64.urlsafe_b64encode(_TOLD.pack(number, issued) + signature).decode().rstrip("=")


def read_ticket(
    keys: TokenKeys, use: TicketUse, delivery_id: int, text: str, now: datetime
) -> Ticket | None:
    """Return what the ticket says; None where it is not ours, or too old."""
    try:
        data = base64.b64decode(text.encode("ascii") + b"=", altchars=b"-_", validate=True)
        number, issued = _TOLD.unpack(data[: _TOLD.size])
    except (UnicodeEncodeError, binascii.Error, struct.error):
        return None
    signed = _BOUND.pack(delivery_id, number, issued)
    if not keys.signed(use, signed, data[_TOLD.size :]):
        return None
    issued_at = _EPOCH + issued * _TICK
    return Ticket(number, issued_at) if now - issued_at <= _LASTS[use] else None
