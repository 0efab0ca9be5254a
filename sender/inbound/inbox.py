"""The inbox: what people wrote back, and what an operator makes of the doubtful ones.

A doubtful reply holds further messages of its channel until somebody has read it. Deciding that it
was no stop releases that hold, and nothing that a person set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from sender.store.addresses import Address
from sender.store.contacts import ContactPoint
from sender.store.inbound import InboxMessage
from sender.store.suppressions import SuppressionEvent
from sender.vocabulary import Channel, ReplyMeaning

HELD_BY = "inbox:"
"""How the source of a hold begins that a reply set; the recogniser's rule follows."""


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """One message, as its controller may see it.

    Attributes:
        id: for `decide`.
        received_at: when it came.
        channel: by which it came.
        address: in plain if the controller still knows it, else empty.
        key_hash: the ledgers' keyed hash of it, hexadecimal.
        body: the words; None once they are erased.
        meaning: what the recogniser made of it.
        rule: the recogniser's rule that put it here; empty for what it was sure of.
        decided_as: what an operator made of it.
        decided_at: when.
        decided_by: who.
    """

    id: int
    received_at: datetime
    channel: Channel
    address: str
    key_hash: str
    body: str | None
    meaning: ReplyMeaning
    rule: str
    decided_as: ReplyMeaning | None
    decided_at: datetime | None
    decided_by: str | None

    @property
    def is_open(self) -> bool:
        """Whether it waits for a decision."""
        return self.meaning is ReplyMeaning.DOUBTFUL and self.decided_at is None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages: the open ones, unless it says otherwise.

    Attributes:
        everything: also those that are decided, or never were in doubt.
        rule: only those that this rule of the recogniser held; empty for all.
        ids: only these; None for all.
        limit: how many at most; None for all.
    """

    everything: bool = False
    rule: str = ""
    ids: Sequence[int] | None = None
    limit: int | None = None


def list_messages(session: Session, controller_id: int, wanted: Wanted) -> list[InboxEntry]:
    """Return the controller's messages: the open ones first, then the latest.

    Of the open ones the longest waiting stands at the top.

    Args:
        session: any open session.
        controller_id: whose; nobody else's are looked at.
        wanted: which of them.
    """
    message = InboxMessage
    known = (ContactPoint.address_id == message.address_id) & (
        ContactPoint.controller_id == controller_id
    )
    query = (
        select(message, SuppressionEvent.source, Address.key_hash, ContactPoint.address)
        .join(Address, Address.id == message.address_id)
        .outerjoin(SuppressionEvent, SuppressionEvent.id == message.hold_event_id)
        .outerjoin(ContactPoint, known)
        .where(*_conditions(controller_id, wanted))
        .order_by(is_open().desc(), case((is_open(), message.id), else_=-message.id))
        .limit(wanted.limit)
    )
    return [_entry(*row) for row in session.execute(query)]


def count_messages(session: Session, controller_id: int, wanted: Wanted) -> int:
    """Return how many there are, whatever the limit."""
    query = (
        select(func.count(InboxMessage.id))
        .outerjoin(SuppressionEvent, SuppressionEvent.id == InboxMessage.hold_event_id)
        .where(*_conditions(controller_id, wanted))
    )
    return session.scalar(query) or 0


def is_open() -> ColumnElement[bool]:
    """Return the condition of a message that waits for a decision."""
    return (InboxMessage.meaning == ReplyMeaning.DOUBTFUL) & InboxMessage.decided_at.is_(None)


def _conditions(controller_id: int, wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions = [InboxMessage.controller_id == controller_id]
    if not wanted.everything:
        conditions.append(is_open())
    if wanted.rule:
        conditions.append(SuppressionEvent.source == HELD_BY + wanted.rule)
    if wanted.ids is not None:
        conditions.append(InboxMessage.id.in_(wanted.ids))
    return conditions


def _entry(
    row: InboxMessage, source: str | None, key_hash: bytes, address: str | None
) -> InboxEntry:
    return InboxEntry(
        id=row.id,
        received_at=row.received_at,
        channel=row.channel,
        address=address or "",
        key_hash=key_hash.hex(),
        body=row.body,
        meaning=row.meaning,
        rule=(source or "").removeprefix(HELD_BY),
        decided_as=row.decided_as,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
    )
