"""Who confirmed is a contact of the controller from then on, by the address that was confirmed."""

from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.contacts.merged import move_points, record_merge
from sender.signup.evidence import OPERATOR
from sender.store.contacts import Contact, ContactPoint
from sender.store.sign_ups import SignUp
from sender.vocabulary import ContactSource

_DETAILS: Final = ("external_ref", "title", "first_name", "last_name", "postcode", "source_detail")


def take_in(session: Session, sign_up: SignUp, now: datetime) -> None:
    """Give the address in plain to the controller's contacts; its people are locked.

    An address that is known stays with its contact, also where beside a no its hash alone was kept.
    One that an erasure emptied leaves its contact: what was erased does not come back. The two
    addresses of one form are one person, so that an objection covers both, once both were
    confirmed, in whichever order: a contact that began with the other address, and is nothing else,
    gives it to this one.
    """
    point = _point(session, sign_up.controller_id, sign_up.address_id)
    if point is None:
        session.add(
            ContactPoint(
                controller_id=sign_up.controller_id,
                contact_id=_whose(session, sign_up, now).id,
                channel=sign_up.channel,
                address_id=sign_up.address_id,
                address=sign_up.address,
                created_at=now,
            )
        )
    elif session.get_one(Contact, point.contact_id).erased_at is not None:
        point.contact_id = _whose(session, sign_up, now).id
        point.address = sign_up.address
    else:
        point.address = point.address or sign_up.address
        _join_other(session, sign_up, point.contact_id, now)
    session.flush()


def _whose(session: Session, sign_up: SignUp, now: datetime) -> Contact:
    return _confirmed_beside(session, sign_up) or _new(session, sign_up, now)


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


def _join_other(session: Session, sign_up: SignUp, contact_id: int, now: datetime) -> None:
    """Let the address that was confirmed first come to the contact that was there before."""
    other = _confirmed_beside(session, sign_up)
    if other is None or other.id == contact_id or not _is_bare(other):
        return
    held = select(func.count()).select_from(ContactPoint)
    if session.scalar(held.where(ContactPoint.contact_id == other.id)) == 1:
        move_points(session, other.id, contact_id, now)
        record_merge(session, other.id, contact_id, operator=OPERATOR, now=now)


def _is_bare(contact: Contact) -> bool:
    """Whether nothing is known of the person but an address: no file or operator told of them."""
    return not contact.attributes and not any(getattr(contact, name) for name in _DETAILS)


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
