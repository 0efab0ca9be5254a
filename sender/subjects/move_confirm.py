"""The person gives the code back that went to their new address: the consent follows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.codes import MAX_FAILURES, hash_code, is_code
from sender.consent.ledger import ConsentAct, record
from sender.consent.moved import MOVED, source_of_moved
from sender.contacts.addresses import find_address_ids
from sender.context import Context
from sender.controllers.lookup import find_controller, purposes
from sender.errors import NotFoundError, RefusedError
from sender.store import audit_trail
from sender.store.consents import ConsentEvent
from sender.store.contact_changes import AddressMove
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import Controller
from sender.subjects.holding_still import hold_controller
from sender.subjects.move import (
    Ends,
    block_of_leaving,
    carry_what_was_refused,
    lock_ends,
    yeses_left_behind,
    yeses_to_follow,
)
from sender.subjects.move_code import CODE_USE, LASTS
from sender.suppression.ledger import BlockScope, Suppression, release
from sender.vocabulary import BlockCause, Channel

RETURNED: Final = "address-returned"
"""The source of the release where somebody comes back to an address that they had left."""


@dataclass(frozen=True, slots=True)
class GivenBack:
    """A code, as the person gave it back.

    Attributes:
        controller: the slug of whom they told.
        channel: of the new address.
        address: the new address, normalised.
        code: as they said or wrote it.
        by: how it reached the operator, e.g. `phone`, `letter`.
    """

    controller: str
    channel: Channel
    address: str
    code: str
    by: str


@dataclass(frozen=True, slots=True)
class _Confirmation:
    move: AddressMove
    ends: Ends
    given: GivenBack
    operator: str
    now: datetime


def confirm_move(context: Context, given: GivenBack) -> tuple[str, ...]:
    """Let the consent follow to the new address; return which purposes have it there.

    Raises:
        NotFoundError: no such controller, or no code of it waits for this address.
        RefusedError: the code is wrong, too old, or was tried wrongly five times; or something
            stands in the way of the move by now.
    """
    now = context.clock.now()
    with context.store.write() as session:
        controller = find_controller(session, given.controller)
        hold_controller(session, controller.id)
        move = _waiting(session, context, controller, given)
        _require_usable(move, now)
        code_hash = hash_code(context.hasher, CODE_USE, controller.id, given.code)
        right = is_code(move.code_hash or b"", code_hash)
        if right:
            ends = Ends(controller, given.channel, move.old_address_id, move.new_address_id)
            confirmation = _Confirmation(move, ends, given, context.operator, now)
            slugs = _confirm(session, context, confirmation)
        else:
            move.failures += 1
            slugs = ()
        left = MAX_FAILURES - move.failures
    if not right:  # after the commit: a wrong try must count
        raise RefusedError(
            "That is not the code that was sent there.", remedy=f"Tries left: {left}."
        )
    return slugs


def _waiting(
    session: Session, context: Context, controller: Controller, given: GivenBack
) -> AddressMove:
    known = find_address_ids(session, context.hasher, given.channel, [given.address])
    move = AddressMove
    query = (
        select(move)
        .where(
            move.controller_id == controller.id,
            move.new_address_id == known.get(given.address, 0),
            move.code_sent_at.is_not(None),
            move.confirmed_at.is_(None),
            move.ended_at.is_(None),
        )
        .order_by(move.code_sent_at.desc(), move.id.desc())
    )
    row = session.scalar(query.limit(1))
    if row is None:
        raise NotFoundError(
            f"No code of {controller.slug} waits for this address.",
            remedy="Send one first: sender contacts move OLD NEW",
        )
    return row


def _require_usable(move: AddressMove, now: datetime) -> None:
    sent_at = move.code_sent_at
    if move.failures >= MAX_FAILURES or sent_at is None or now - sent_at > LASTS:
        raise RefusedError(
            "This code can no longer be used.", remedy="Send another: sender contacts move OLD NEW"
        )


def _confirm(session: Session, context: Context, done: _Confirmation) -> tuple[str, ...]:
    contact = lock_ends(session, done.ends)
    if contact is not None:
        _add_point(session, contact, done)
    carry_what_was_refused(session, context, done.ends, contact, done.now)
    left_behind = yeses_left_behind(session, done.ends)
    follow = yeses_to_follow(session, done.ends, done.move.told_at)
    followed = [_moved(done, event) for event in follow]
    event_ids = record(session, followed, done.now)
    _come_back(session, done)
    done.move.confirmed_at, done.move.confirmed_by = done.now, done.operator
    _audit(session, done, event_ids)
    names = {row.id: row.slug for row in purposes(session, done.ends.controller.id)}
    there = [act.purpose_id for act in followed] + [event.purpose_id for event in left_behind]
    return tuple(names[purpose_id] for purpose_id in there)


def _add_point(session: Session, contact: Contact, done: _Confirmation) -> None:
    """Only now is the new address known to be the person's."""
    known = select(ContactPoint.id).where(
        ContactPoint.controller_id == contact.controller_id,
        ContactPoint.address_id == done.ends.new_id,
    )
    if session.scalar(known) is None:
        point = ContactPoint(
            controller_id=contact.controller_id,
            contact_id=contact.id,
            channel=done.ends.channel,
            address_id=done.ends.new_id,
            address=done.given.address,
            created_at=done.now,
        )
        session.add(point)
        session.flush()


def _moved(done: _Confirmation, event: ConsentEvent) -> ConsentAct:
    """Return the yes at the new address: of its old time, wording, end and import.

    So it is as fresh as it was, a freeze in between holds it back, and it falls with a bad import.
    """
    return ConsentAct(
        controller_id=event.controller_id,
        purpose_id=event.purpose_id,
        address_id=done.ends.new_id,
        kind=event.kind,
        occurred_at=event.occurred_at,
        method=MOVED,
        source=source_of_moved(event.id, done.now, done.given.by),
        operator=done.operator,
        notice_id=event.notice_id,
        ends_at=event.ends_at,
        batch_id=event.batch_id,
        evidence={
            "rests_on_event": event.id,
            "address_move": done.move.id,
            "request": done.move.request_id,
            "told_at": done.move.told_at.isoformat(),
            "code_given_back_at": done.now.isoformat(),
            "code_given_back_by": done.given.by,
        },
    )


def _come_back(session: Session, done: _Confirmation) -> None:
    """Lift the block on an address that its holder had left, if nothing else is behind it."""
    block = block_of_leaving(session, done.ends)
    if block is None:
        return
    scope = BlockScope(block.address_id, block.controller_id, block.channel)
    lifting = Suppression(
        scope=scope,
        cause=BlockCause.INVALID,
        occurred_at=done.now,
        source=RETURNED,
        by_person=True,
        operator=done.operator,
    )
    release(session, lifting, done.now)


def _audit(session: Session, done: _Confirmation, event_ids: list[int]) -> None:
    details: dict[str, Any] = {
        "move": done.move.id,
        "address_id": done.ends.new_id,
        "old_address_id": done.ends.old_id,
        "by": done.given.by,
        "consent_events": event_ids,
    }
    audit_trail.record(
        session,
        now=done.now,
        operator=done.operator,
        action="contacts.move_confirmed",
        controller_id=done.ends.controller.id,
        details=details,
    )
