"""What an event says of its delivery: the state's rank only rises, times stand beside it.

Events come late, twice, out of order, and before our own record of the call: whatever has not
reached the state that an event proves is brought there, also somebody who is `pending` still,
because a message that a provider tells of must not be sent again.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from sender.store.deliveries import Delivery
from sender.store.inbound import InboundEvent
from sender.vocabulary import BlockCause, DeliveryState, EventKind

PROVES = {
    EventKind.SENT: DeliveryState.ACCEPTED,
    EventKind.DEFERRED: DeliveryState.ACCEPTED,
    EventKind.DELIVERED: DeliveryState.DELIVERED,
    EventKind.BOUNCED: DeliveryState.FAILED,
    EventKind.FAILED: DeliveryState.FAILED,
    EventKind.REJECTED: DeliveryState.REJECTED,
    EventKind.COMPLAINED: DeliveryState.ACCEPTED,
    EventKind.OPENED: DeliveryState.ACCEPTED,
    EventKind.CLICKED: DeliveryState.ACCEPTED,
}
"""The state that each kind proves at least; the others prove nothing of the message itself."""

_TIMES = {
    EventKind.DELIVERED: ("delivered_at",),
    EventKind.BOUNCED: ("bounced_at", "failed_at"),
    EventKind.FAILED: ("failed_at",),
    EventKind.REJECTED: ("failed_at",),
    EventKind.COMPLAINED: ("complained_at",),
    EventKind.OPTED_OUT: ("opted_out_at",),
}

_AWAITED_FOR = timedelta(days=7)
"""Events of messages that others send through the same account are never claimed."""
_LONGEST_CODE = 200


def advance(
    delivery: Delivery,
    kind: EventKind,
    at: datetime,
    code: str,
    message_id: str,
    *,
    block: BlockCause | None = None,
) -> None:
    """Bring a delivery, locked by this transaction, to what an event proves.

    Args:
        delivery: the row.
        kind: what happened.
        at: when it happened.
        code: the provider's own code; kept where the message failed.
        message_id: the provider's name of the message; may be empty.
        block: the block that the event called for by itself; a bounce without one may pass.
    """
    proved = PROVES.get(kind)
    if proved is not None and proved.rank > delivery.state.rank:
        delivery.state = proved
        if proved in {DeliveryState.FAILED, DeliveryState.REJECTED}:
            delivery.provider_code = code[:_LONGEST_CODE] or delivery.provider_code
    if proved is not None and proved is not DeliveryState.REJECTED:
        delivery.accepted_at = delivery.accepted_at or at
    for name in _TIMES.get(kind, ()):
        if getattr(delivery, name) is None:
            setattr(delivery, name, at)
    if kind is EventKind.BOUNCED and block is not None:
        delivery.hard_bounced_at = delivery.hard_bounced_at or at
    if message_id and delivery.provider_message_id is None:
        delivery.provider_message_id = message_id


def apply_waiting(session: Session, by_message_id: Mapping[str, int], now: datetime) -> None:
    """Apply the events that came before our own record of their messages.

    Args:
        session: a writing session.
        by_message_id: delivery ids by the provider's names of messages, just recorded.
        now: when.
    """
    query = _waiting().where(InboundEvent.provider_message_id.in_(list(by_message_id)))
    for event in session.scalars(query).all():
        _apply(session, event, by_message_id[event.provider_message_id or ""], now)


def apply_stragglers(session: Session, now: datetime) -> int:
    """Apply events that were written at the same moment as the record they waited for.

    Neither of the two transactions saw the other's row. Returns how many there were.
    """
    query = (
        _waiting()
        .add_columns(Delivery.id)
        .join(Delivery, Delivery.provider_message_id == InboundEvent.provider_message_id)
        .where(InboundEvent.recorded_at > now - _AWAITED_FOR)
    )
    found = session.execute(query).all()
    for event, delivery_id in found:
        _apply(session, event, delivery_id, now)
    return len(found)


def _waiting() -> Select[InboundEvent]:
    return select(InboundEvent).where(InboundEvent.applied_at.is_(None)).order_by(InboundEvent.id)


def _apply(session: Session, event: InboundEvent, delivery_id: int, now: datetime) -> None:
    delivery = session.get_one(Delivery, delivery_id, with_for_update=True, populate_existing=True)
    advance(delivery, event.kind, event.occurred_at, event.code or "", "", block=event.block)
    event.delivery_id, event.applied_at = delivery_id, now
    session.flush()
