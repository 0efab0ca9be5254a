"""What the reader of an opt-out link may do: stop, narrow, widen, and undo their own press.

Each act needs nothing but the message that the link came with (guidance ¶56): no contact, consent
or campaign. Acknowledge it only after the session has committed.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, exists, select, update
from sqlalchemy.orm import Session, aliased

from sender.consent.objection import Objection, lock_people, record_objection
from sender.contacts.addresses import lock_addresses
from sender.errors import RefusedError
from sender.inbound.opt_out_message import LinkedMessage, contact_of
from sender.store.contacts import Contact, ContactPoint
from sender.store.deliveries import Delivery
from sender.store.journal_entries import note_suppressions
from sender.store.suppressions import Block, SuppressionEvent, SuppressionPayload
from sender.suppression.ledger import BlockScope, Suppression, release, suppress
from sender.vocabulary import EVERY, BlockCause, SuppressionAct

ONE_CLICK = "one-click"
PAGE = "page"
OPERATOR = "sender"
"""Who records what people press: nobody but the program."""

_MOST_PRESSES = 2
"""Two presses of different visits make a block that no ticket undoes; more would add nothing."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a press reached us.

    Attributes:
        source: `one-click` (a mail program's, RFC 8058) or `page`.
        visit: a random word in the page that the browser was given, so that its second press is
            told from another reader's; None where there was no page.
    """

    source: str
    visit: str | None = None


@dataclass(frozen=True, slots=True)
class Press:
    """What came of a press.

    Attributes:
        event_id: the suppression event of this very visit, now or before; None without a visit,
            or where other presses made it needless to record this one.
        is_new: whether it was recorded now.
    """

    event_id: int | None
    is_new: bool


def stop(session: Session, message: LinkedMessage, way: Way, now: datetime) -> Press:
    """Stop the message's channel from its controller; pressed again it changes nothing."""
    return _set(session, message, None, way, now)


def stop_purpose(session: Session, message: LinkedMessage, way: Way, now: datetime) -> Press:
    """Stop the message's purpose only, on its channel; pressed again it changes nothing."""
    return _set(session, message, message.purpose_id, way, now)


def narrow(
    session: Session, message: LinkedMessage, event_id: int, way: Way, now: datetime
) -> Press:
    """Let this press's stop hold for the message's purpose only.

    Where the stop can no longer be undone it stays, and the narrower block is set beside it.

    Args:
        session: a writing session.
        message: of the link.
        event_id: the suppression event that the stop recorded; the caller has seen its ticket.
        way: how this press came.
        now: when.
    """
    press = stop_purpose(session, message, way, now)
    if press.event_id != event_id:
        undo(session, message, event_id, now)
    return press


def object_to_all(session: Session, message: LinkedMessage, now: datetime) -> bool:
    """Record an objection to all direct marketing of the controller (guidance ¶71-73).

    Returns:
        Whether it was news; the same link's second press is none while the first one holds.
    """
    _mark(session, message, now)
    lock_people(session, message.controller_id, [message.address_id])
    if _objection_holds(session, message):
        note_suppressions(session, session.scalars(_own_objections(message)).all())
        return False
    objection = Objection(
        controller_id=message.controller_id,
        address_id=message.address_id,
        occurred_at=now,
        source=PAGE,
        operator=OPERATOR,
        delivery_id=message.delivery_id,
    )
    record_objection(session, objection, now)
    return True


def undoable_since(session: Session, message: LinkedMessage, event_id: int) -> datetime | None:
    """Return when this event set its block; None if it did not, or somebody set it again since."""
    block = session.scalar(_undoable(message, event_id))
    return None if block is None else block.set_at


def undo(session: Session, message: LinkedMessage, event_id: int, now: datetime) -> bool:
    """Lift exactly the block that this event set, as the person's own act.

    The caller has seen the ticket that only the browser of that press was given.

    Returns:
        Whether it was lifted; not if the block stood before that press, was set again since, or is
        lifted already.
    """
    lock_addresses(session, [message.address_id])
    block = session.scalar(_undoable(message, event_id))
    if block is None:
        return False
    scope = BlockScope(
        message.address_id, message.controller_id, block.channel, block.purpose_id or None
    )
    try:
        release(session, _opt_out(message, scope, "page-undo", now), now)
    except RefusedError:  # by the clock of another machine it was set only now, or later
        return False
    return True


def _set(
    session: Session, message: LinkedMessage, purpose_id: int | None, way: Way, now: datetime
) -> Press:
    _mark(session, message, now)
    lock_addresses(session, [message.address_id])
    scope = BlockScope(message.address_id, message.controller_id, message.channel.value, purpose_id)
    visits = _visits(session, message, scope)
    known = [event_id for event_id, visit in visits.items() if visit == way.visit]
    if known or len(visits) >= _MOST_PRESSES:
        note_suppressions(session, list(visits))  # the journal may have failed the first time
        return _press(way, min(known, default=None), is_new=False)
    personal = {"visit": way.visit} if way.visit else None
    [event_id] = suppress(session, [_opt_out(message, scope, way.source, now, personal)], now)
    return _press(way, event_id, is_new=True)


def _press(way: Way, event_id: int | None, *, is_new: bool) -> Press:
    """Keep the event from whoever shows no visit: anybody can post what mail programs post."""
    return Press(event_id if way.visit else None, is_new)


def _mark(session: Session, message: LinkedMessage, now: datetime) -> None:
    """Note the first opt-out on the delivery, which all writers lock before its address."""
    session.execute(
        update(Delivery)
        .where(Delivery.id == message.delivery_id, Delivery.opted_out_at.is_(None))
        .values(opted_out_at=now)
    )


def _visits(session: Session, message: LinkedMessage, scope: BlockScope) -> dict[int, str | None]:
    """Return the presses of this link that stand behind the block in force, with their visits."""
    event, payload = SuppressionEvent, SuppressionPayload
    in_force = select(Block.event_id).where(
        Block.address_id == scope.address_id,
        Block.controller_id == message.controller_id,
        Block.channel == scope.channel,
        Block.purpose_id == (scope.purpose_id or EVERY),
        Block.cause == BlockCause.OPT_OUT,
    )
    query = (
        select(event.id, payload.payload)
        .outerjoin(payload, payload.event_id == event.id)
        .where(
            event.address_id == scope.address_id,
            event.act == SuppressionAct.SET,
            event.cause == BlockCause.OPT_OUT,
            event.controller_id == message.controller_id,
            event.channel == scope.channel,
            event.purpose_id.is_not_distinct_from(scope.purpose_id),
            event.delivery_id == message.delivery_id,
            event.id >= in_force.scalar_subquery(),
        )
    )
    return {row_id: (personal or {}).get("visit") for row_id, personal in session.execute(query)}


def _undoable(message: LinkedMessage, event_id: int) -> Select[Block]:
    newer = aliased(SuppressionEvent)
    set_again = exists().where(
        newer.address_id == Block.address_id,
        newer.act == SuppressionAct.SET,
        newer.cause == BlockCause.OPT_OUT,
        newer.controller_id == Block.controller_id,
        newer.channel == Block.channel,
        newer.id > event_id,
        (newer.purpose_id == Block.purpose_id)
        | (newer.purpose_id.is_(None) & (Block.purpose_id == EVERY)),
    )
    return select(Block).where(
        Block.address_id == message.address_id,
        Block.controller_id == message.controller_id,
        Block.cause == BlockCause.OPT_OUT,
        Block.event_id == event_id,
        ~set_again,
    )


def _objection_holds(session: Session, message: LinkedMessage) -> bool:
    """Whether this link's objection still blocks every address of the person."""
    blocked = select(Block.address_id).where(
        Block.controller_id == message.controller_id, Block.cause == BlockCause.OBJECTION
    )
    gap = select(ContactPoint.id).where(
        ContactPoint.contact_id.in_(contact_of(message)), ContactPoint.address_id.not_in(blocked)
    )
    unmarked = select(Contact.id).where(
        Contact.id.in_(contact_of(message)), Contact.objected_at.is_(None)
    )
    holds = select(Block.event_id).where(
        Block.address_id == message.address_id,
        Block.address_id.in_(blocked),
        exists(_own_objections(message)),
        ~exists(gap),
        ~exists(unmarked),
    )
    return session.scalar(holds.limit(1)) is not None


def _own_objections(message: LinkedMessage) -> Select[int]:
    """Return the query for the events of this link's objections, on all addresses of the person."""
    event = SuppressionEvent
    others = select(ContactPoint.address_id).where(ContactPoint.contact_id.in_(contact_of(message)))
    return select(event.id).where(
        (event.address_id == message.address_id) | event.address_id.in_(others),
        event.delivery_id == message.delivery_id,
        event.act == SuppressionAct.SET,
        event.cause == BlockCause.OBJECTION,
        event.controller_id == message.controller_id,
    )


def _opt_out(
    message: LinkedMessage,
    scope: BlockScope,
    source: str,
    now: datetime,
    personal: dict[str, str] | None = None,
) -> Suppression:
    return Suppression(
        scope=scope,
        cause=BlockCause.OPT_OUT,
        occurred_at=now,
        source=source,
        by_person=True,
        operator=OPERATOR,
        delivery_id=message.delivery_id,
        personal=personal,
    )
