"""Read the people behind deliveries: address, template fields, and what they must be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from sender.store.campaigns import Run, StagedRecipient
from sender.store.contacts import Contact, ContactPoint
from sender.store.deliveries import Delivery
from sender.vocabulary import ContactSource

CONTACT_FIELDS = ("title", "first_name", "last_name", "postcode", "locale", "time_zone")
"""The columns of a contact that templates may use."""


@dataclass(frozen=True, slots=True)
class Addressee:
    """The person behind one delivery.

    Attributes:
        delivery_id: the delivery.
        address_id: the ledger's id of the address.
        address: in plain; None when it was erased.
        fields: what templates may use; without missing values.
        contact_id: the controller's contact, if the person is one.
        untold_source: who passed the details on, if the person has not been told yet.
    """

    delivery_id: int
    address_id: int
    address: str | None
    fields: dict[str, Any]
    contact_id: int | None
    untold_source: str | None


def load_addressees(session: Session, run: Run, delivery_ids: Sequence[int]) -> list[Addressee]:
    """Return the people behind these deliveries of the run, in order of delivery id.

    A staged recipient's own attributes stand over the fields of a contact of the same address.
    """
    point_of_delivery = and_(
        ContactPoint.controller_id == run.controller_id,
        ContactPoint.address_id == Delivery.address_id,
    )
    query = (
        select(
            Delivery.id,
            Delivery.address_id,
            func.coalesce(StagedRecipient.address, ContactPoint.address),
            StagedRecipient.attributes,
            Contact,
        )
        .outerjoin(ContactPoint, point_of_delivery)
        .outerjoin(Contact, Contact.id == ContactPoint.contact_id)
        .outerjoin(StagedRecipient, StagedRecipient.id == Delivery.staged_recipient_id)
        .where(Delivery.id.in_(delivery_ids), Delivery.run_id == run.id)
        .order_by(Delivery.id)
    )
    return [
        Addressee(
            delivery_id=delivery_id,
            address_id=address_id,
            address=address,
            fields=fields_of(contact) | _present(staged or {}),
            contact_id=contact.id if contact else None,
            untold_source=untold_source(contact),
        )
        for delivery_id, address_id, address, staged, contact in session.execute(query)
    ]


def fields_of(contact: Contact | None) -> dict[str, Any]:
    """Return what templates may use of a contact: columns over attributes, without missing ones."""
    if contact is None:
        return {}
    columns = {name: getattr(contact, name) for name in CONTACT_FIELDS}
    return _present(contact.attributes) | _present(columns)


def untold_source(contact: Contact | None) -> str | None:
    """Return who passed a contact's details on, if the person has yet to be told (¶76-77)."""
    if contact is None or contact.source is not ContactSource.THIRD_PARTY:
        return None
    if contact.source_told_at is not None:
        return None
    return contact.source_detail or "another organisation"


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
