"""Find people of one controller by name, reference, postcode or address; list import batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from sender.contacts.addresses import find_address_ids
from sender.contacts.written_name import signed_as
from sender.store.contact_changes import ContactMerge
from sender.store.contacts import Contact, ContactPoint, ImportBatch
from sender.store.erased_references import shown
from sender.store.keys import AddressHasher
from sender.vocabulary import Channel, ContactSource


@dataclass(frozen=True, slots=True)
class Found:
    """A person as one controller knows them."""

    id: int
    external_ref: str | None
    name: str
    postcode: str | None
    addresses: tuple[str, ...]
    source: ContactSource
    objected_at: datetime | None
    created_at: datetime


def find_people(session: Session, controller_id: int, text: str, *, limit: int) -> list[Found]:
    """Return people whose reference, last or full name, or postcode is the text.

    The reference of a contact that was merged finds the person that they are now.

    Case and space don't matter, nor in names accents and apostrophes; the text is no pattern. Names
    and postcodes may be given in part from their beginning, a name also as letters are signed:
    `Mrs A. Okafor`, `Okafor, A.`.

    Args:
        session: any open session.
        controller_id: whose people; nobody else's are looked at.
        text: what to look for.
        limit: how many at most.
    """
    wanted = text.strip().lower()
    if not wanted:
        return []
    query = (
        select(Contact)
        .where(
            Contact.controller_id == controller_id,
            Contact.id.not_in(select(ContactMerge.merged_contact_id)),
            or_(
                func.lower(Contact.external_ref) == wanted,
                Contact.id.in_(_merged_as(controller_id, wanted)),
                Contact.id.in_(_signed(session, controller_id, text, limit)),
                *_by_postcode(text),
            ),
        )
        .order_by(Contact.last_name, Contact.first_name, Contact.id)
        .limit(limit)
    )
    return _described(session, session.scalars(query).all())


def _merged_as(controller_id: int, reference: str) -> Select[int]:
    """Return the query for whom the contact of this reference was merged into."""
    return (
        select(ContactMerge.into_contact_id)
        .join(Contact, Contact.id == ContactMerge.merged_contact_id)
        .where(
            Contact.controller_id == controller_id, func.lower(Contact.external_ref) == reference
        )
    )


def _signed(session: Session, controller_id: int, text: str, limit: int) -> list[int]:
    """Return who may have signed so, in the order in which people are listed.

    Names are compared here: SQLite and PostgreSQL under some collations know capitals of A to Z.
    """
    query = (
        select(Contact.id, Contact.first_name, Contact.last_name)
        .where(
            Contact.controller_id == controller_id,
            or_(Contact.first_name.is_not(None), Contact.last_name.is_not(None)),
            Contact.id.not_in(select(ContactMerge.merged_contact_id)),
        )
        .order_by(Contact.last_name, Contact.first_name, Contact.id)
        .execution_options(yield_per=5_000)
    )
    may_sign, everybody = signed_as(text), session.execute(query)
    signed = (one.id for one in everybody if may_sign(one[1] or "", one[2] or ""))
    found = list(islice(signed, limit))
    everybody.close()
    return found


def _by_postcode(text: str) -> list[ColumnElement[bool]]:
    """A part of a postcode has a figure; letters alone are a name."""
    squeezed = "".join(text.split()).lower()
    if not any(letter.isdigit() for letter in squeezed):
        return []
    whole = func.replace(func.lower(Contact.postcode), " ", "")
    return [whole.startswith(squeezed, autoescape=True)]


def find_by_address(
    session: Session, hasher: AddressHasher, controller_id: int, channel: Channel, address: str
) -> list[Found]:
    """Return the person whom this normalised address belongs to at the controller, if known."""
    known = find_address_ids(session, hasher, channel, [address])
    query = (
        select(Contact)
        .join(ContactPoint, ContactPoint.contact_id == Contact.id)
        .where(
            ContactPoint.controller_id == controller_id,
            ContactPoint.address_id == known.get(address, 0),
        )
    )
    return _described(session, session.scalars(query).all())


def list_batches(session: Session, controller_id: int) -> Sequence[ImportBatch]:
    """Return the controller's imports, latest first."""
    query = select(ImportBatch).where(ImportBatch.controller_id == controller_id)
    return session.scalars(query.order_by(ImportBatch.id.desc())).all()


def _described(session: Session, contacts: Sequence[Contact]) -> list[Found]:
    points = session.execute(
        select(ContactPoint.contact_id, ContactPoint.address)
        .where(ContactPoint.contact_id.in_([contact.id for contact in contacts]))
        .order_by(ContactPoint.channel, ContactPoint.id)
    ).all()
    return [
        Found(
            id=contact.id,
            external_ref=shown(contact.external_ref),
            name=_name(contact),
            postcode=contact.postcode,
            addresses=tuple(
                address for owner, address in points if owner == contact.id and address
            ),
            source=contact.source,
            objected_at=contact.objected_at,
            created_at=contact.created_at,
        )
        for contact in contacts
    ]


def _name(contact: Contact) -> str:
    parts = (contact.title, contact.first_name, contact.last_name)
    return " ".join(part for part in parts if part)
