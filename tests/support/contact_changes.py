"""Rows of merged contacts and changed addresses."""

from sqlalchemy.orm import Session

from sender.store.contact_changes import AddressMove, ContactMerge, ContactPointMove
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import Controller
from tests.support.factory import NOW, OPERATOR, add_contact, address_id_of


def add_changes(session: Session, point: ContactPoint, *, external_ref: str | None = None) -> None:
    """Add a twin that was merged into the point's contact, and what it was before."""
    contact = session.get_one(Contact, point.contact_id)
    controller = session.get_one(Controller, contact.controller_id)
    twin = add_contact(session, controller, external_ref=external_ref)
    session.add(
        ContactMerge(
            merged_contact_id=twin.id, into_contact_id=contact.id, merged_at=NOW, operator=OPERATOR
        )
    )
    session.add(
        ContactPointMove(
            contact_point_id=point.id,
            from_contact_id=twin.id,
            to_contact_id=contact.id,
            moved_at=NOW,
        )
    )
    session.add(
        AddressMove(
            controller_id=contact.controller_id,
            old_address_id=address_id_of(session),
            new_address_id=point.address_id,
            told_at=NOW,
            operator=OPERATOR,
            code_hash=bytes(32),
            code_sent_at=NOW,
        )
    )
    session.flush()
