"""Erase people's words, and what providers told, once their time is up. The acts stay."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from sender.contacts.held import held_addresses, is_held
from sender.context import Context
from sender.inbound.inbox import is_open
from sender.store.deliveries import Delivery
from sender.store.inbound import InboundEvent, InboundNotification, InboxMessage

AT_ONCE = 5_000
"""Rows a call and table: the write lock of SQLite stays short."""


@dataclass(frozen=True, slots=True)
class Erased:
    """How many texts and notifications were emptied; call again while there are any."""

    replies: int
    notifications: int

    @property
    def is_all(self) -> bool:
        """Whether nothing is left whose time is up."""
        return max(self.replies, self.notifications) < AT_ONCE


def erase_all_expired(context: Context) -> int:
    """Empty what is past its time, in short transactions; return how many texts and events."""
    count = 0
    while True:
        with context.store.write() as session:
            erased = erase_expired(session, context.clock.now())
        count += erased.replies + erased.notifications
        if erased.is_all:
            return count


def erase_expired(session: Session, now: datetime) -> Erased:
    """Empty what is past its time, at most `AT_ONCE` rows of each.

    Words that still wait for a decision stay, however old: they hold messages to their author.
    """
    return Erased(erase_old_replies(session, now), erase_old_notifications(session, now))


def erase_old_replies(session: Session, now: datetime) -> int:
    """Empty the words of replies past `inbox_retention_days`; return of how many."""
    return _emptied(session, InboxMessage, replies_past(now), "body")


def erase_old_notifications(session: Session, now: datetime) -> int:
    """Empty what providers told as it came, past `event_retention_days`; return of how many."""
    return _emptied(session, InboundNotification, notifications_past(now), "payload")


def replies_past(now: datetime) -> ColumnElement[bool]:
    """Whether the words of a reply are to go; those that wait for a decision or answer stay."""
    message = InboxMessage
    past = (message.erase_after <= now) & message.body.is_not(None)
    return past & ~is_open() & ~is_held(message.controller_id, message.address_id)


def notifications_past(now: datetime) -> ColumnElement[bool]:
    """Whether what a provider told is to go, as it came; not while somebody asks about it."""
    told, event = InboundNotification, InboundEvent
    theirs = held_addresses()
    sent = select(Delivery.id).where(Delivery.address_id.in_(theirs))
    about = select(event.notification_id).where(
        event.address_id.in_(theirs) | event.delivery_id.in_(sent)
    )
    wrote = select(InboxMessage.notification_id).where(InboxMessage.address_id.in_(theirs))
    past = (told.erase_after <= now) & told.payload.is_not(None)
    return past & told.id.not_in(about) & told.id.not_in(wrote)


def _emptied(
    session: Session,
    table: type[InboxMessage | InboundNotification],
    past: ColumnElement[bool],
    column: str,
) -> int:
    some = session.scalars(
        select(table.id).where(past).order_by(table.erase_after).limit(AT_ONCE)
    ).all()
    session.execute(update(table).where(table.id.in_(some)).values({column: None}))
    return len(some)
