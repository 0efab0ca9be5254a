"""A person's changed address: each no follows at once, a yes once they confirm the new one.

From the day that somebody tells of it the old address is written to no more, for it may be a
stranger's by now. A code goes to the new one; whoever reads it there gives it back, and only then
does the consent hold there that stood at the old one: as old as it was, under the wording that was
seen then. The change itself is no act of consent, and renews none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from sender.campaigns.codes import hash_code, new_code
from sender.campaigns.reply_mail import hand_over
from sender.consent.moved import MOVED
from sender.consent.objection import lock_people
from sender.contacts.addresses import ensure_address_ids
from sender.context import Context
from sender.controllers.lookup import find_controller, purposes
from sender.errors import NotFoundError, RefusedError
from sender.store import audit_trail
from sender.store.consents import ConsentEvent, ConsentState
from sender.store.contact_changes import AddressMove
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import Controller
from sender.store.requests import SubjectRequest
from sender.store.suppressions import Block, SuppressionEvent
from sender.subjects.holding_still import hold_controller
from sender.subjects.move_code import CODE_USE, CodeTo, prepare_code, why_not_now
from sender.subjects.noes import Carriage, Carried, carry_noes, object_again, objections_of
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.vocabulary import (
    EVERY,
    BlockCause,
    Channel,
    ConsentFlaw,
    ConsentKind,
    SuppressionAct,
)

LEFT: Final = "address-left"
"""The source of the block on the old address."""


@dataclass(frozen=True, slots=True)
class NewAddress:
    """What a person told of.

    Attributes:
        controller: the slug of whom they told.
        channel: of both addresses.
        old: the address that is theirs no more, normalised.
        new: the one that is, normalised.
        request_id: their request at the desk, if there is one.
    """

    controller: str
    channel: Channel
    old: str
    new: str
    request_id: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What was done at once.

    Attributes:
        blocks: noes that hold at the new address from now on.
        refusals: likewise, refusals of one purpose.
        objected: whether the person objects to everything.
        waiting: the purposes whose consent follows once the new address is confirmed.
        no_code_because: why no code went there; empty where one did.
    """

    blocks: int
    refusals: int
    objected: bool
    waiting: tuple[str, ...]
    no_code_because: str


@dataclass(frozen=True, slots=True)
class Ends:
    """Both ends of a move, as the ledgers know them."""

    controller: Controller
    channel: Channel
    old_id: int
    new_id: int


def tell_of_move(context: Context, told: NewAddress) -> Told:
    """Take a person's word that their address changed.

    Told again before it was confirmed, it sends another code. Another new address takes the place
    of one that nobody confirmed.

    Raises:
        NotFoundError: no such controller or request, or nothing is known of the old address.
        RefusedError: the person was erased, the new address is another contact's, a reply from the
            old one waits to be read, or the change is confirmed already.
        ProviderError: the provider did not take the code; everything else was done.
    """
    now, code = context.clock.now(), new_code()
    with context.store.write() as session:
        ends = _ends(session, context, told)
        contact = lock_ends(session, ends)
        request_id = _request(session, ends.controller, told.request_id)
        row = _row(session, context, ends, request_id, now)
        carried, objected = carry_what_was_refused(session, context, ends, contact, now)
        _leave(session, context, ends, now)
        waiting = [*yeses_to_follow(session, ends, row.told_at), *yeses_left_behind(session, ends)]
        because = _why_no_code(session, ends, waiting, now)
        prepared = None
        if not because:
            row.code_hash = hash_code(context.hasher, CODE_USE, ends.controller.id, code)
            row.code_sent_at, row.failures = now, 0
            prepared = prepare_code(
                session, CodeTo(ends.controller, ends.new_id, told.new), code, now
            )
        slugs = _slugs(session, ends.controller, waiting)
        result = Told(carried.blocks, carried.refusals, objected, slugs, because)
        _audit(session, context, ends, row, result)
    if prepared is not None:  # after it was written down: a crash can't send it twice
        hand_over(context, prepared)
    return result


def _why_no_code(
    session: Session, ends: Ends, waiting: Sequence[ConsentEvent], now: datetime
) -> str:
    if not waiting:
        return "No consent waits for it."
    if in_the_way(session, ends):
        return "The new address is blocked: its holder opted out, or it does not work."
    return why_not_now(session, ends.controller.id, ends.new_id, ends.channel, now)


def _ends(session: Session, context: Context, told: NewAddress) -> Ends:
    controller = find_controller(session, told.controller)
    if told.old == told.new:
        raise RefusedError("Both addresses are the same.")
    pair = [told.old, told.new]
    ids = ensure_address_ids(session, context.hasher, told.channel, pair)
    return Ends(controller, told.channel, ids[told.old], ids[told.new])


def lock_ends(session: Session, ends: Ends) -> Contact | None:
    """Lock all that a move touches, and return whose the old address is.

    Raises:
        NotFoundError: nothing is known of the old address.
        RefusedError: the person was erased, the new address is another contact's, or a reply from
            the old one waits.
    """
    hold_controller(session, ends.controller.id)
    lock_people(session, ends.controller.id, [ends.old_id, ends.new_id])
    contact, other = (_contact_of(session, ends, one) for one in (ends.old_id, ends.new_id))
    if contact is None and not _is_known(session, ends):
        raise NotFoundError(
            f"{ends.controller.slug} knows nothing of the old address.",
            remedy="If they want nothing at the new one: sender suppress add ADDRESS",
        )
    _require_movable(session, ends, contact, other)
    return contact


def _require_movable(
    session: Session, ends: Ends, contact: Contact | None, other: Contact | None
) -> None:
    if contact is not None and contact.erased_at is not None:
        raise RefusedError(
            "This person was erased: there is nothing left to move.",
            remedy="What they had opted out of holds. A new act of theirs is recorded by itself.",
        )
    if contact is not None and other is not None and contact.id != other.id:
        raise RefusedError(
            "The new address belongs to another contact of this controller.",
            remedy="If they are one person: sender contacts merge",
        )
    held = select(Block.event_id).where(
        Block.address_id == ends.old_id,
        Block.controller_id.in_((EVERY, ends.controller.id)),
        Block.cause == BlockCause.HOLD,
    )
    if session.scalar(held.limit(1)) is not None:
        raise RefusedError(
            "A reply from the old address waits for somebody to read it.",
            remedy=f"Decide it first: sender inbox list -c {ends.controller.slug}",
        )


def _contact_of(session: Session, ends: Ends, address_id: int) -> Contact | None:
    query = (
        select(Contact)
        .join(ContactPoint, ContactPoint.contact_id == Contact.id)
        .where(
            ContactPoint.controller_id == ends.controller.id, ContactPoint.address_id == address_id
        )
    )
    return session.scalar(query)


def _is_known(session: Session, ends: Ends) -> bool:
    """Whether the ledgers tell of the old address, which need not be a contact's."""
    consent, block = ConsentState, Block
    known = (
        select(consent.event_id).where(
            consent.controller_id == ends.controller.id, consent.address_id == ends.old_id
        ),
        select(block.event_id).where(
            block.address_id == ends.old_id, block.controller_id.in_((EVERY, ends.controller.id))
        ),
    )
    return any(session.scalar(query.limit(1)) is not None for query in known)


def _request(session: Session, controller: Controller, request_id: int | None) -> int | None:
    if request_id is None:
        return None
    row = session.get(SubjectRequest, request_id)
    if row is None or row.controller_id != controller.id:
        raise NotFoundError(
            f"{controller.slug} has no request {request_id}.",
            remedy=f"See: sender request list -c {controller.slug}",
        )
    return row.id


def _row(
    session: Session, context: Context, ends: Ends, request_id: int | None, now: datetime
) -> AddressMove:
    """Return the move that is told of again, or a new one in place of one to elsewhere."""
    move = AddressMove
    earlier = session.scalars(
        select(move).where(
            move.controller_id == ends.controller.id,
            move.old_address_id == ends.old_id,
            move.ended_at.is_(None),
        )
    ).all()
    for row in earlier:
        if row.new_address_id == ends.new_id:
            _require_unconfirmed(row)
            return row
    session.execute(
        update(move)
        .where(move.id.in_([row.id for row in earlier]), move.confirmed_at.is_(None))
        .values(ended_at=now)
    )
    new = AddressMove(
        controller_id=ends.controller.id,
        old_address_id=ends.old_id,
        new_address_id=ends.new_id,
        request_id=request_id,
        told_at=now,
        operator=context.operator,
        failures=0,
    )
    session.add(new)
    session.flush()
    return new


def _require_unconfirmed(row: AddressMove) -> None:
    if row.confirmed_at is not None:
        raise RefusedError(f"This change was confirmed on {row.confirmed_at:%d %B %Y}.")


def carry_what_was_refused(
    session: Session, context: Context, ends: Ends, contact: Contact | None, now: datetime
) -> tuple[Carried, bool]:
    """Let each no of the old address hold at the new one; say how many, and whether all is one."""
    controller_id = ends.controller.id
    carriage = Carriage(controller_id, MOVED, context.operator, now)
    old, new = {ends.old_id: ends.channel}, {ends.new_id: ends.channel}
    carried = carry_noes(session, carriage, old, new)
    moments = objections_of(session, controller_id, contact, old)
    object_again(
        session, carriage, ends.new_id, moments - objections_of(session, controller_id, None, new)
    )
    return carried, bool(moments)


def _leave(session: Session, context: Context, ends: Ends, now: datetime) -> None:
    """Write to the old address no more: it is theirs no longer (guidance ¶57)."""
    act = Suppression(
        scope=BlockScope(ends.old_id, ends.controller.id, ends.channel.value),
        cause=BlockCause.INVALID,
        occurred_at=now,
        source=LEFT,
        by_person=False,
        operator=context.operator,
    )
    suppress(session, [act], now)


def yeses_to_follow(session: Session, ends: Ends, told_at: datetime) -> Sequence[ConsentEvent]:
    """Return the sound yeses of the old address for purposes of which the new one says nothing.

    Without those from after the change was told of: by then the address may be a stranger's.
    """
    spoken_for = select(ConsentState.purpose_id).where(
        ConsentState.controller_id == ends.controller.id,
        ConsentState.address_id == ends.new_id,
        ConsentState.status != ConsentKind.REQUESTED,
    )
    return session.scalars(
        _sound_yeses(ends, ends.old_id).where(
            ConsentState.purpose_id.not_in(spoken_for), ConsentEvent.occurred_at <= told_at
        )
    ).all()


def yeses_left_behind(session: Session, ends: Ends) -> Sequence[ConsentEvent]:
    """Return the sound yeses of a new address that its holder had left, and comes back to."""
    if block_of_leaving(session, ends) is None:
        return []
    return session.scalars(_sound_yeses(ends, ends.new_id)).all()


def _sound_yeses(ends: Ends, address_id: int) -> Select[ConsentEvent]:
    state, event = ConsentState, ConsentEvent
    return (
        select(event)
        .join(state, state.event_id == event.id)
        .where(
            state.controller_id == ends.controller.id,
            state.address_id == address_id,
            state.status.in_([kind for kind in ConsentKind if kind.is_affirmative]),
            state.flaw == ConsentFlaw.NONE,
        )
        .order_by(event.purpose_id)
    )


def in_the_way(session: Session, ends: Ends) -> list[Block]:
    """Return the blocks that keep even a code from the new address.

    That somebody left it once is none: they may have come back to it.
    """
    query = select(Block).where(
        Block.address_id == ends.new_id,
        Block.controller_id.in_((EVERY, ends.controller.id)),
        Block.purpose_id == EVERY,
    )
    left = block_of_leaving(session, ends)
    return [block for block in session.scalars(query) if block is not left]


def block_of_leaving(session: Session, ends: Ends) -> Block | None:
    """Return the block on the new address that only says that its holder had left it."""
    event = SuppressionEvent
    scope = BlockScope(ends.new_id, ends.controller.id, ends.channel.value)
    key = (scope.address_id, scope.controller_id, scope.channel, EVERY, BlockCause.INVALID)
    sources = session.scalars(
        select(event.source).where(
            event.address_id == scope.address_id,
            event.controller_id == scope.controller_id,
            event.channel == scope.channel,
            event.purpose_id.is_(None),
            event.cause == BlockCause.INVALID,
            event.act == SuppressionAct.SET,
        )
    )
    return session.get(Block, key) if {*sources} == {LEFT} else None


def _slugs(
    session: Session, controller: Controller, events: Sequence[ConsentEvent]
) -> tuple[str, ...]:
    names = {row.id: row.slug for row in purposes(session, controller.id)}
    return tuple(names[event.purpose_id] for event in events)


def _audit(session: Session, context: Context, ends: Ends, row: AddressMove, told: Told) -> None:
    details: dict[str, Any] = {
        "move": row.id,
        "address_id": ends.old_id,
        "new_address_id": ends.new_id,
        "request": row.request_id,
        "blocks": told.blocks,
        "refusals": told.refusals,
        "objected": told.objected,
        "code_sent": not told.no_code_because,
    }
    audit_trail.record(
        session,
        now=context.clock.now(),
        operator=context.operator,
        action="contacts.move",
        controller_id=ends.controller.id,
        details=details,
    )
