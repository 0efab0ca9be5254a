"""Ask whether legally separate bodies should hear of an objection, and tell them (guidance ¶74)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.objection import Objection, record_objection
from sender.contacts.addresses import lock_addresses
from sender.controllers.lookup import current_version
from sender.inbound.opt_out import OPERATOR, PAGE
from sender.inbound.opt_out_message import LinkedMessage, Stopped, contact_of, read_standing
from sender.store.campaigns import RunBody
from sender.store.contacts import ContactPoint
from sender.store.controllers import Controller
from sender.store.inbound import ObjectionPassOn
from sender.store.journal_entries import note_suppressions
from sender.store.suppressions import Block, SuppressionEvent
from sender.vocabulary import BlockCause


@dataclass(frozen=True, slots=True)
class Relative:
    """A body of its own that the reader may take for the controller."""

    controller_id: int
    slug: str
    name: str


def bodies_to_ask_about(session: Session, message: LinkedMessage) -> list[Relative]:
    """Return the bodies that an objection may be passed on to, by name; none without one.

    They are the controller's relatives and those that the message spoke for, as far as they are
    controllers here, without those that were told before. A no is asked again: whoever said it may
    have been another reader of a forwarded message.
    """
    told = _told_before(session, message)
    return [body for body in _bodies(session, message) if body.controller_id not in told]


def pass_on(
    session: Session, message: LinkedMessage, chosen: Collection[str], now: datetime
) -> list[Relative]:
    """Record the answer for each body that was asked about, and object at the chosen ones.

    Args:
        session: a writing session.
        message: of the link.
        chosen: the slugs that the person ticked; those that were not asked about are left out.
        now: when.

    Returns:
        The chosen bodies, which are told now or were told before.
    """
    address_ids = _addresses_of_person(session, message)
    lock_addresses(session, address_ids)
    told_before = _told_before(session, message)
    answered = _answered_here(session, message)
    bodies = _bodies(session, message)
    for body in bodies:
        is_chosen = body.slug in chosen
        if body.controller_id in told_before:
            _note_again(session, message, body, address_ids)
            continue
        if is_chosen or body.controller_id not in answered:
            session.add(_answer(message, body, now, passed_on=is_chosen))
        if is_chosen:
            _object_there(session, message, body, address_ids, now)
    session.flush()
    return [body for body in bodies if body.slug in chosen]


def _bodies(session: Session, message: LinkedMessage) -> list[Relative]:
    if read_standing(session, message).stopped is not Stopped.EVERYTHING:
        return []
    slugs = current_version(session, message.controller_id).relatives
    spoken_for = select(RunBody.controller_id).where(RunBody.run_id == message.run_id)
    query = select(Controller).where(
        Controller.slug.in_(slugs) | Controller.id.in_(spoken_for),
        Controller.id != message.controller_id,
    )
    found = [
        Relative(row.id, row.slug, current_version(session, row.id).name)
        for row in session.scalars(query)
    ]
    return sorted(found, key=lambda one: one.name)


def _told_before(session: Session, message: LinkedMessage) -> set[int]:
    """Return the bodies that were told, and where what they were told still holds."""
    query = (
        select(ObjectionPassOn.to_controller_id)
        .join(
            Block,
            (Block.controller_id == ObjectionPassOn.to_controller_id)
            & (Block.address_id == ObjectionPassOn.address_id)
            & (Block.cause == BlockCause.OBJECTION),
        )
        .where(
            ObjectionPassOn.from_controller_id == message.controller_id,
            ObjectionPassOn.address_id == message.address_id,
            ObjectionPassOn.passed_on,
        )
    )
    return set(session.scalars(query))


def _answered_here(session: Session, message: LinkedMessage) -> set[int]:
    """Return the bodies that this link's reader was asked about before."""
    query = select(ObjectionPassOn.to_controller_id).where(
        ObjectionPassOn.from_controller_id == message.controller_id,
        ObjectionPassOn.address_id == message.address_id,
        ObjectionPassOn.delivery_id == message.delivery_id,
    )
    return set(session.scalars(query))


def _note_again(
    session: Session, message: LinkedMessage, body: Relative, address_ids: Sequence[int]
) -> None:
    """Let the journal hear of it again: it may have failed the first time."""
    query = select(SuppressionEvent.id).where(
        SuppressionEvent.address_id.in_(address_ids),
        SuppressionEvent.controller_id == body.controller_id,
        SuppressionEvent.source == _source(message),
    )
    note_suppressions(session, session.scalars(query).all())


def _object_there(
    session: Session,
    message: LinkedMessage,
    body: Relative,
    address_ids: Sequence[int],
    now: datetime,
) -> None:
    """Object at the other body, which may know the person by another of their addresses.

    The delivery is not named there: what one controller sent is no business of another.
    """
    for address_id in address_ids:
        objection = Objection(
            controller_id=body.controller_id,
            address_id=address_id,
            occurred_at=now,
            source=_source(message),
            operator=OPERATOR,
        )
        record_objection(session, objection, now)


def _addresses_of_person(session: Session, message: LinkedMessage) -> Sequence[int]:
    query = select(ContactPoint.address_id).where(ContactPoint.contact_id.in_(contact_of(message)))
    return sorted({message.address_id, *session.scalars(query)})


def _source(message: LinkedMessage) -> str:
    return f"passed-on:{message.controller_slug}"


def _answer(
    message: LinkedMessage,
    body: Relative,
    now: datetime,
    *,
    passed_on: bool,
) -> ObjectionPassOn:
    return ObjectionPassOn(
        from_controller_id=message.controller_id,
        to_controller_id=body.controller_id,
        address_id=message.address_id,
        passed_on=passed_on,
        answered_at=now,
        source=PAGE,
        delivery_id=message.delivery_id,
    )
