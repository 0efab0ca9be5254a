"""Who confirmed is a contact of the controller from then on, by the address that was confirmed."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.store.contacts import Contact, ContactPoint
from sender.store.sign_ups import SignUp
from sender.vocabulary import ContactSource


def take_in(session: Session, sign_up: SignUp, now: datetime) -> None:
    """Give the address in plain to the controller's contacts; its people are locked.

    An address that is known stays with its contact. One that an erasure emptied begins a new
    contact: what was erased does not come back. The two addresses of one form are one person, so
    that an objection covers both, once both were confirmed.
    """
    point = _point(session, sign_up.controller_id, sign_up.address_id)
    if point is None:
        session.add(
            ContactPoint(
                controller_id=sign_up.controller_id,
                contact_id=(_confirmed_beside(session, sign_up) or _new(session, sign_up, now)).id,
                channel=sign_up.channel,
                address_id=sign_up.address_id,
                address=sign_up.address,
                created_at=now,
            )
        )
    elif point.address is None:
        point.contact_id = _new(session, sign_up, now).id
        point.address = sign_up.address
    session.flush()


def _point(session: Session, controller_id: int, address_id: int) -> ContactPoint | None:
    return session.scalar(
        select(ContactPoint)
        .where(ContactPoint.controller_id == controller_id, ContactPoint.address_id == address_id)
        .execution_options(populate_existing=True)
    )


def _confirmed_beside(session: Session, sign_up: SignUp) -> Contact | None:
    """Return the contact that the other address of the same form was confirmed for."""
    beside = select(SignUp.address_id).where(
        (SignUp.id == sign_up.beside_id) | (SignUp.beside_id == sign_up.id),
        SignUp.confirmed_at.is_not(None),
        SignUp.disowned_at.is_(None),
    )
    return session.scalar(
        select(Contact)
        .join(ContactPoint, ContactPoint.contact_id == Contact.id)
        .where(
            ContactPoint.controller_id == sign_up.controller_id,
            ContactPoint.address_id.in_(beside),
            Contact.objected_at.is_(None),
            Contact.erased_at.is_(None),
        )
        .order_by(Contact.id)
        .limit(1)
    )


def _new(session: Session, sign_up: SignUp, now: datetime) -> Contact:
    contact = Contact(
        controller_id=sign_up.controller_id,
        source=ContactSource.DIRECT,
        attributes={},
        created_at=now,
        updated_at=now,
    )
    session.add(contact)
    session.flush()
    return contact
