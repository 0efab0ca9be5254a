"""Whether somebody who asked to be erased is still there."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.store.campaigns import Run, StagedRecipient
from sender.store.contacts import Contact, ContactPoint, TestAddress
from sender.store.controllers import Controller
from sender.store.inbound import InboxMessage
from sender.store.sign_ups import SignUp
from sender.subjects.whom import find_whom


def is_held_in_plain(
    session: Session,
    controller: Controller,
    address_ids: Iterable[int | None],
    contact_id: int | None,
) -> bool:
    """Return whether the controller holds the person in plain, also by what came in of late.

    Args:
        session: any open session.
        controller: whose data.
        address_ids: addresses of the person that are known; None among them says nothing.
        contact_id: their contact, if one is known.
    """
    contact, point, staged, test = Contact, ContactPoint, StagedRecipient, TestAddress
    reply, sign_up = InboxMessage, SignUp
    known = [one for one in address_ids if one is not None]
    whom = find_whom(session, controller, known, everywhere=False)
    contact_ids = [*whom.contact_ids, *([] if contact_id is None else [contact_id])]
    runs = select(Run.id).where(Run.controller_id == controller.id)
    held = (
        select(contact.id).where(contact.id.in_(contact_ids), contact.erased_at.is_(None)),
        select(point.id).where(point.contact_id.in_(contact_ids), point.address.is_not(None)),
        select(staged.id).where(
            staged.address_id.in_(whom.address_ids),
            staged.run_id.in_(runs),
            staged.address.is_not(None),
        ),
        select(test.id).where(
            test.address_id.in_(whom.address_ids), test.controller_id == controller.id
        ),
        select(reply.id).where(
            reply.address_id.in_(whom.address_ids),
            reply.controller_id == controller.id,
            reply.body.is_not(None),
        ),
        select(sign_up.id).where(
            sign_up.address_id.in_(whom.address_ids),
            sign_up.controller_id == controller.id,
            sign_up.address.is_not(None),
        ),
    )
    return any(session.scalar(query.limit(1)) is not None for query in held)
