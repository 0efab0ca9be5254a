"""Contacts that were merged into another: who the person is now."""

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sender.store.contact_changes import ContactMerge, ContactPointMove
from sender.store.contacts import Contact, ContactPoint
from sender.store.portable import chunks
from sender.store.requests import SubjectRequest


def survivors(session: Session, contact_ids: Iterable[int]) -> dict[int, int]:
    """Return, of those contacts that were merged into another, which one the person is now."""
    merge = ContactMerge
    found: dict[int, int] = {}
    for some in chunks(sorted(set(contact_ids))):
        query = select(merge.merged_contact_id, merge.into_contact_id).where(
            merge.merged_contact_id.in_(some)
        )
        found.update((merged, into) for merged, into in session.execute(query))
    return found


def merged_into(session: Session, contact_ids: Collection[int]) -> set[int]:
    """Return the contacts that were merged into any of these."""
    query = select(ContactMerge.merged_contact_id).where(
        ContactMerge.into_contact_id.in_(contact_ids)
    )
    return set(session.scalars(query))


def merged_references(session: Session, contact_ids: Collection[int]) -> list[tuple[int, str]]:
    """Return the references of contacts that were merged into any of these, each with whom into."""
    query = (
        select(ContactMerge.into_contact_id, Contact.external_ref)
        .join(Contact, Contact.id == ContactMerge.merged_contact_id)
        .where(ContactMerge.into_contact_id.in_(contact_ids), Contact.external_ref.is_not(None))
    )
    return [(into, reference) for into, reference in session.execute(query) if reference]


def move_points(session: Session, from_id: int, into_id: int, now: datetime) -> None:
    """Give a contact's addresses to another, and write down whose each was until now."""
    point = ContactPoint
    query = select(point.id).where(point.contact_id == from_id).order_by(point.id)
    session.add_all(
        ContactPointMove(
            contact_point_id=point_id,
            from_contact_id=from_id,
            to_contact_id=into_id,
            moved_at=now,
        )
        for point_id in session.scalars(query).all()
    )
    session.execute(update(point).where(point.contact_id == from_id).values(contact_id=into_id))
    session.flush()


def record_merge(
    session: Session, from_id: int, into_id: int, *, operator: str, now: datetime
) -> None:
    """Let who was merged into this contact, and what was asked of it, be the other's."""
    merge, request = ContactMerge, SubjectRequest
    session.execute(
        update(merge).where(merge.into_contact_id == from_id).values(into_contact_id=into_id)
    )
    session.execute(update(request).where(request.contact_id == from_id).values(contact_id=into_id))
    session.add(
        ContactMerge(
            merged_contact_id=from_id, into_contact_id=into_id, merged_at=now, operator=operator
        )
    )
    session.flush()
