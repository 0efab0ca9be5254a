"""Whom nothing but revoked imports ever said to have agreed is not kept for ever (guidance ¶83).

They get the end that people stored without consent have: `sender retention apply` empties their
details once the day is past, unless they agreed by then. Of whom a no alone is kept, all of it
stays: it is what makes the no hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from sender.store.consents import ConsentEvent
from sender.store.contacts import Contact, ContactPoint, ImportBatch
from sender.vocabulary import ConsentFlaw, ConsentKind

KEPT_AFTER_REVOCATION: Final = timedelta(days=30)
"""Time to bring a corrected file in, and no longer: there is no other reason to hold them."""

_YES: Final = [kind for kind in ConsentKind if kind.is_affirmative]


@dataclass(frozen=True, slots=True)
class Ending:
    """Whose details go because a batch was revoked.

    Attributes:
        people: how many of those who came with it are to go.
        last_day: until when they are kept, in UTC.
    """

    people: int
    last_day: date


def last_day_of(revoked_at: datetime) -> date:
    """Return until when people are kept whom a batch revoked at that time brought."""
    return (revoked_at + KEPT_AFTER_REVOCATION).date()


def give_end(session: Session, batch: ImportBatch, address_ids: Sequence[int]) -> None:
    """Set the end of the people of these addresses who have no reason to be kept but the batch.

    Said again, it changes nothing. An end that they have already stays.

    Args:
        session: a writing session that holds no address locked: contacts come first.
        batch: which was revoked.
        address_ids: some of those that it told a yes of.
    """
    assert batch.revoked_at is not None
    point = ContactPoint
    theirs = select(point.contact_id).where(
        point.controller_id == batch.controller_id, point.address_id.in_(address_ids)
    )
    without = (
        Contact.id.in_(theirs),
        Contact.erased_at.is_(None),
        Contact.retain_until.is_(None),
        _is_held_in_plain(),
        ~_said_yes_otherwise(batch.controller_id),
    )
    query = select(Contact.id).where(*without).order_by(Contact.id)
    ids = session.scalars(query.with_for_update(key_share=True, of=Contact)).all()
    session.execute(
        update(Contact)
        .where(Contact.id.in_(ids))
        .values(retained_for=_reason(batch.id), retain_until=last_day_of(batch.revoked_at))
        .execution_options(synchronize_session=False)
    )


def ending_of(session: Session, batch: ImportBatch) -> Ending:
    """Return how many people go because the batch was revoked, and when."""
    assert batch.revoked_at is not None
    query = select(func.count()).where(
        Contact.controller_id == batch.controller_id,
        Contact.retain_until.is_not(None),
        Contact.retained_for == _reason(batch.id),
        Contact.erased_at.is_(None),
    )
    return Ending(session.scalar(query) or 0, last_day_of(batch.revoked_at))


def _reason(batch_id: int) -> str:
    return f"revoked import batch {batch_id}"


def _is_held_in_plain() -> ColumnElement[bool]:
    """Whether more is held of the contact than the hashes that a no needs."""
    point = ContactPoint
    plain = select(point.id).where(point.contact_id == Contact.id, point.address.is_not(None))
    return plain.correlate(Contact).exists()


def _said_yes_otherwise(controller_id: int) -> ColumnElement[bool]:
    """Whether they agreed by an act of their own, or by a file that was not revoked, ever."""
    event, point = ConsentEvent, ContactPoint
    theirs = (
        select(event.id)
        .join(point, point.address_id == event.address_id)
        .outerjoin(ImportBatch, ImportBatch.id == event.batch_id)
        .where(
            point.contact_id == Contact.id,
            event.controller_id == controller_id,
            event.kind.in_(_YES),
            event.flaw == ConsentFlaw.NONE,
            ImportBatch.revoked_at.is_(None),
        )
    )
    return theirs.correlate(Contact).exists()
