"""The way back: a person who opted out asks for messages again, from the address itself.

Confirmed with the ticket in a mail to that address, the blocks that people set on it for this
controller, channel and purpose are lifted, an objection (also one by a complaint) with all that it
covers. What bounced, is held, or was complained about nobody knows to whom, stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, exists, select, update
from sqlalchemy.orm import Session, aliased

from sender.consent.ledger import ConsentAct, record
from sender.contacts.addresses import lock_addresses
from sender.errors import RefusedError
from sender.inbound.opt_out import OPERATOR
from sender.inbound.opt_out_message import (
    LinkedMessage,
    concerning,
    contact_of,
    may_agree_to,
    read_standing,
)
from sender.inbound.opt_out_tickets import Ticket
from sender.store.consents import ConsentEvent, ConsentState, Notice
from sender.store.contacts import Contact, ContactPoint
from sender.store.suppressions import Block, SuppressionEvent
from sender.suppression.ledger import BlockScope, Suppression, release
from sender.vocabulary import (
    BlockCause,
    ConsentFlaw,
    ConsentKind,
    SuppressionAct,
)

SOURCE = "return-confirmed"


@dataclass(frozen=True, slots=True)
class Offer:
    """What the person would agree to by coming back.

    Attributes:
        wording: the exact words of the notice that is relied on again; empty where no consent is
            needed, or none can be asked for here.
        notice_id: that notice; None likewise.
        consent_lacks: whether messages stay away until the person agrees anew elsewhere.
    """

    wording: str = ""
    notice_id: int | None = None
    consent_lacks: bool = False


def read_offer(session: Session, message: LinkedMessage, now: datetime) -> Offer:
    """Return what coming back means now.

    An objection ended the consent. It can be renewed here if the wording that it rested on is
    still shown and still names this controller, channel and purpose (guidance ¶25, ¶55).
    """
    state = session.get(
        ConsentState, (message.controller_id, message.purpose_id, message.address_id)
    )
    if state is None:
        return Offer(consent_lacks=True)
    if state.status is not ConsentKind.OBJECTED:
        return Offer(consent_lacks=not state.status.is_affirmative)
    notice = session.scalar(_notice_relied_on(message))
    if notice is None or not may_agree_to(session, notice, message, now):
        return Offer(consent_lacks=True)
    return Offer(wording=notice.wording, notice_id=notice.id)


def is_usable(session: Session, message: LinkedMessage, ticket: Ticket) -> bool:
    """Whether the ticket is of this controller, and nobody opted out since it was issued."""
    event = SuppressionEvent
    newer = select(event.id).where(
        event.address_id == message.address_id,
        event.act == SuppressionAct.SET,
        event.cause <= BlockCause.OPT_OUT,
        event.controller_id.is_(None) | (event.controller_id == message.controller_id),
        event.recorded_at >= ticket.issued_at,
    )
    return ticket.number == message.controller_id and session.scalar(newer.limit(1)) is None


def come_back(session: Session, message: LinkedMessage, ticket: Ticket, now: datetime) -> Offer:
    """Lift what the person set, and record the renewed consent that the page offered.

    Confirmed again, it changes nothing.

    Raises:
        RefusedError: somebody opted out since the ticket was issued; or something stands in the
            way that the person cannot lift here.
    """
    addresses = [message.address_id, *_other_addresses(session, message)]
    lock_addresses(session, addresses)
    if not is_usable(session, message, ticket):
        raise RefusedError("Somebody opted out since this was asked for.")
    if not read_standing(session, message).returnable:
        raise RefusedError("What stands in the way cannot be lifted by a link.")
    offer = read_offer(session, message, now)
    blocks = session.scalars(concerning(message)).all()
    lift_blocks(session, blocks, now, delivery_id=message.delivery_id)
    _lift_objection(session, message, now)
    if offer.notice_id is not None:
        record(session, [_reconfirmed(message, offer.notice_id, now)], now)
    return offer


def lift_blocks(
    session: Session,
    blocks: Sequence[Block],
    now: datetime,
    *,
    source: str = SOURCE,
    delivery_id: int | None = None,
) -> None:
    """Lift blocks that the person set, by the person's own act; the caller has seen that it is one.

    Raises:
        RefusedError: one was set again at that time or later.
    """
    for block in blocks:
        scope = BlockScope(
            block.address_id, block.controller_id, block.channel, block.purpose_id or None
        )
        act = Suppression(
            scope=scope,
            cause=block.cause,
            occurred_at=now,
            source=source,
            by_person=True,
            operator=OPERATOR,
            delivery_id=delivery_id,
        )
        release(session, act, now)


def _lift_objection(session: Session, message: LinkedMessage, now: datetime) -> None:
    """Lift the objection from the person's other addresses too, and from the contact.

    One that was made apart from it, of which this address was never told, stays with all it covers.
    """
    others = _other_addresses(session, message)
    if session.scalar(_objected_apart(message, others).limit(1)) is not None:
        raise RefusedError("Another objection of the same person stands.")
    rest = select(Block).where(
        Block.address_id.in_(others),
        Block.controller_id == message.controller_id,
        Block.cause == BlockCause.OBJECTION,
    )
    blocks = session.scalars(rest).all()
    lift_blocks(session, blocks, now, delivery_id=message.delivery_id)
    session.execute(
        update(Contact)
        .where(Contact.id.in_(contact_of(message)), Contact.objected_at.is_not(None))
        .values(objected_at=None)
    )


def _other_addresses(session: Session, message: LinkedMessage) -> list[int]:
    query = select(ContactPoint.address_id).where(
        ContactPoint.contact_id.in_(contact_of(message)),
        ContactPoint.address_id != message.address_id,
    )
    return sorted(session.scalars(query))


def _objected_apart(message: LinkedMessage, others: Sequence[int]) -> Select[int]:
    """Return the query for objections in force on other addresses that this one has none of.

    An objection is written on all addresses with the time of the act; one that an import carried
    to a later address has the contact's time of it.
    """
    event, own = SuppressionEvent, aliased(SuppressionEvent)
    same_act = exists().where(
        own.address_id == message.address_id,
        own.act == SuppressionAct.SET,
        own.cause == BlockCause.OBJECTION,
        own.controller_id == message.controller_id,
        own.occurred_at == event.occurred_at,
    )
    of_contact = exists().where(
        Contact.id.in_(contact_of(message)), Contact.objected_at == event.occurred_at
    )
    return (
        select(event.id)
        .join(
            Block,
            (Block.address_id == event.address_id)
            & (Block.controller_id == message.controller_id)
            & (Block.cause == BlockCause.OBJECTION),
        )
        .where(
            event.address_id.in_(others),
            event.act == SuppressionAct.SET,
            event.cause == BlockCause.OBJECTION,
            event.controller_id == message.controller_id,
            event.id >= Block.event_id,
            ~same_act,
            ~of_contact,
        )
    )


def _notice_relied_on(message: LinkedMessage) -> Select[Notice]:
    """Return the query for the notice of the last sound yes."""
    return (
        select(Notice)
        .join(ConsentEvent, ConsentEvent.notice_id == Notice.id)
        .where(
            ConsentEvent.controller_id == message.controller_id,
            ConsentEvent.purpose_id == message.purpose_id,
            ConsentEvent.address_id == message.address_id,
            ConsentEvent.kind.in_((ConsentKind.GIVEN, ConsentKind.RECONFIRMED)),
            ConsentEvent.flaw == ConsentFlaw.NONE,
        )
        .order_by(ConsentEvent.occurred_at.desc(), ConsentEvent.id.desc())
        .limit(1)
    )


def _reconfirmed(message: LinkedMessage, notice_id: int, now: datetime) -> ConsentAct:
    return ConsentAct(
        controller_id=message.controller_id,
        purpose_id=message.purpose_id,
        address_id=message.address_id,
        kind=ConsentKind.RECONFIRMED,
        occurred_at=now,
        method="return-page",
        source=SOURCE,
        operator=OPERATOR,
        notice_id=notice_id,
        evidence={"delivery": message.delivery_id},
    )
