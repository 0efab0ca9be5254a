"""An objection is total: the contact, every address of theirs, those learned later too (¶71-73)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from sender.consent.ledger import ConsentAct, record
from sender.contacts.addresses import lock_addresses
from sender.store.consents import ConsentEvent
from sender.store.contacts import Contact, ContactPoint
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.vocabulary import BlockCause, ConsentKind


@dataclass(frozen=True, slots=True)
class Objection:
    """A person's no to all direct marketing of one controller.

    Attributes:
        controller_id: to whom.
        address_id: an address by which the person is known; no contact is needed.
        occurred_at: when the person objected.
        source: how it reached us, e.g. `page`, `letter`, `complaint`.
        operator: who recorded it.
        delivery_id: the message that it answers, if known.
        batch_id: the import that it came with, if any.
    """

    controller_id: int
    address_id: int
    occurred_at: datetime
    source: str
    operator: str
    delivery_id: int | None = None
    batch_id: int | None = None


def lock_people(session: Session, controller_id: int, address_ids: Iterable[int]) -> None:
    """Lock the people of these addresses: their contacts, then all their addresses, in id order.

    For whoever must look at something before an objection is recorded. To lock the one address
    first would be the other way round than imports and last looks do it, and one of two would fail.
    """
    known = set(address_ids)
    point = ContactPoint
    found = select(point.contact_id).where(
        point.controller_id == controller_id, point.address_id.in_(known)
    )
    contacts = select(Contact.id).where(Contact.id.in_(found)).order_by(Contact.id)
    contact_ids = session.scalars(contacts.with_for_update(key_share=True)).all()
    theirs = select(point.address_id).where(point.contact_id.in_(contact_ids))
    lock_addresses(session, known.union(session.scalars(theirs)))


def record_objection(session: Session, objection: Objection, now: datetime) -> list[int]:
    """Block every address of the person at this controller and mark the contact.

    Returns the ids of the suppression events, one for each address.

    The addresses are locked by being blocked, so they are read again afterwards: what an import
    brought in the meantime is found then, and no other can bring more.
    """
    addresses: list[int] = []
    event_ids: list[int] = []
    while found := sorted(set(_addresses_of_person(session, objection)) - set(addresses)):
        _mark_contacts(session, objection)
        event_ids += suppress(session, [_block(objection, address) for address in found], now)
        addresses += found
    _mark_contacts(session, objection)
    record(session, _consent_acts(session, objection, addresses), now)
    return event_ids


def _mark_contacts(session: Session, objection: Objection) -> None:
    session.execute(
        update(Contact)
        .where(
            Contact.id.in_(_contacts_of(objection)),
            Contact.objected_at.is_(None),
        )
        .values(objected_at=objection.occurred_at)
    )


def _contacts_of(objection: Objection) -> Select[int]:
    """Of this controller, and so all that hangs on them; said twice, SQLite would walk them all."""
    return select(ContactPoint.contact_id).where(
        ContactPoint.controller_id == objection.controller_id,
        ContactPoint.address_id == objection.address_id,
    )


def _addresses_of_person(session: Session, objection: Objection) -> list[int]:
    query = select(ContactPoint.address_id).where(
        ContactPoint.contact_id.in_(_contacts_of(objection))
    )
    return sorted({objection.address_id, *session.scalars(query)})


def _block(objection: Objection, address_id: int) -> Suppression:
    return Suppression(
        scope=BlockScope(address_id=address_id, controller_id=objection.controller_id),
        cause=BlockCause.OBJECTION,
        occurred_at=objection.occurred_at,
        source=objection.source,
        by_person=True,
        operator=objection.operator,
        delivery_id=objection.delivery_id,
        batch_id=objection.batch_id,
    )


def _consent_acts(
    session: Session, objection: Objection, addresses: Sequence[int]
) -> list[ConsentAct]:
    """End all that was ever said to this controller, also a yes that waits to be approved."""
    event = ConsentEvent
    asked = session.execute(
        select(event.purpose_id, event.address_id)
        .where(event.controller_id == objection.controller_id, event.address_id.in_(addresses))
        .distinct()
        .order_by(event.purpose_id, event.address_id)
    )
    return [
        ConsentAct(
            controller_id=objection.controller_id,
            purpose_id=purpose_id,
            address_id=address_id,
            kind=ConsentKind.OBJECTED,
            occurred_at=objection.occurred_at,
            method=objection.source,
            source=objection.source,
            operator=objection.operator,
            batch_id=objection.batch_id,
        )
        for purpose_id, address_id in asked
    ]
