"""Contacts that were merged into another: who the person is now."""

from collections.abc import Collection, Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.store.contact_changes import ContactMerge
from sender.store.contacts import Contact
from sender.store.portable import chunks


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
