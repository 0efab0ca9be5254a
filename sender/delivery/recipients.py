"""Read the people behind deliveries: address, template fields, and what they must be told."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, Select, and_, bindparam, func, or_, select
from sqlalchemy.orm import Session

from sender.store.campaigns import Run, StagedRecipient
from sender.store.contacts import Contact, ContactPoint
from sender.store.deliveries import Delivery
from sender.vocabulary import ContactSource, DeliveryState

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


_OF_CONTACT = 5
"""Columns before those of the contact."""


@lru_cache(64)
def _waiting(controller_id: int) -> Select[Any]:
    """Return the query of the people who are pending in a range of a run, made once.

    Columns instead of objects: a contact as an object costs more than rendering its message.
    """
    point_of_delivery = and_(
        ContactPoint.controller_id == controller_id,
        ContactPoint.address_id == Delivery.address_id,
    )
    return (
        select(
            Delivery.id,
            Delivery.address_id,
            func.coalesce(StagedRecipient.address, ContactPoint.address),
            StagedRecipient.attributes,
            Contact.id,
            Contact.attributes,
            Contact.source,
            Contact.source_detail,
            Contact.source_told_at,
            *[getattr(Contact, name) for name in CONTACT_FIELDS],
        )
        .outerjoin(ContactPoint, point_of_delivery)
        .outerjoin(Contact, Contact.id == ContactPoint.contact_id)
        .outerjoin(StagedRecipient, StagedRecipient.id == Delivery.staged_recipient_id)
        .where(
            Delivery.run_id == bindparam("run"),
            Delivery.address_id > bindparam("above"),
            Delivery.address_id <= bindparam("through"),
            Delivery.state == DeliveryState.PENDING,
            or_(
                Delivery.not_before.is_(None),
                Delivery.not_before <= bindparam("now", type_=Delivery.not_before.type),
            ),
        )
        .order_by(Delivery.address_id)
        .limit(bindparam("most"))
    )


def waiting_people(
    session: Session, run: Run, *, above: int, through: int, most: int, now: datetime
) -> list[Addressee]:
    """Return the first people who may be written to now, with `above < address id <= through`.

    A staged recipient's own attributes stand over the fields of a contact of the same address.
    """
    given = {"run": run.id, "above": above, "through": through, "most": most, "now": now}
    rows = session.connection().execute(_waiting(run.controller_id), given)
    return [_addressee(row) for row in rows]


def _addressee(row: Row[Any]) -> Addressee:
    values = tuple(row)
    delivery_id, address_id, address, staged, contact_id = values[:_OF_CONTACT]
    attributes, source, detail, told_at, *columns = values[_OF_CONTACT:]
    named = dict(zip(CONTACT_FIELDS, columns, strict=True))
    return Addressee(
        delivery_id=delivery_id,
        address_id=address_id,
        address=address,
        fields=_present(attributes or {}) | _present(named) | _present(staged or {}),
        contact_id=contact_id,
        untold_source=_untold(source, detail, told_at),
    )


def fields_of(contact: Contact | None) -> dict[str, Any]:
    """Return what templates may use of a contact: columns over attributes, without missing ones."""
    if contact is None:
        return {}
    columns = {name: getattr(contact, name) for name in CONTACT_FIELDS}
    return _present(contact.attributes) | _present(columns)


def untold_source(contact: Contact | None) -> str | None:
    """Return who passed a contact's details on, if the person has yet to be told (¶76-77)."""
    if contact is None:
        return None
    return _untold(contact.source, contact.source_detail, contact.source_told_at)


def _untold(
    source: ContactSource | None, detail: str | None, told_at: datetime | None
) -> str | None:
    if source is not ContactSource.THIRD_PARTY or told_at is not None:
        return None
    return detail or "another organisation"


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
