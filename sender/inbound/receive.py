"""Take in what a provider tells: keep it once, stop whom it stops, tell the delivery.

    provider → signature → `Notification` → keep → for each event: suppress, advance, write down

All of it is one transaction; the provider hears 2xx after it has committed, or tries again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.objection import Objection, record_objection
from sender.contacts.addresses import ensure_address_ids, lock_addresses
from sender.contacts.normalise import AddressRefusedError, normalise
from sender.inbound.controllers import controllers_of_accounts, controllers_of_sender
from sender.inbound.notifications import Arrived, keep, note_suppressed
from sender.inbound.outcomes import advance
from sender.providers.events import Notification, ProviderEvent
from sender.store.campaigns import Run
from sender.store.deliveries import Delivery
from sender.store.inbound import InboundEvent
from sender.store.keys import AddressHasher
from sender.suppression.journal import remember
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.vocabulary import Arrival, BlockCause, EventKind

TRANSIENT_BOUNCES = 3
TRANSIENT_WITHIN = timedelta(days=30)
"""So many in a row within this time stop messages to the address."""

_WHOLE_BOUNCE = "provider:three transient bounces"
_OPERATOR = "sender"
_LONGEST_SOURCE = 200
_LONGEST_CODE = 200


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a notification; `again` if all of it was known."""

    again: bool
    suppression_event_ids: tuple[int, ...] = ()


def receive(
    session: Session,
    hasher: AddressHasher,
    notification: Notification,
    *,
    account_id: int | None,
    arrived_by: Arrival,
    now: datetime,
    keep_for: timedelta,
) -> Received:
    """Take a notification in; told again, it changes nothing but is journaled again.

    Args:
        session: a writing session; acknowledge only after it has committed.
        hasher: with the database's key.
        notification: what was told, of an origin that was verified.
        account_id: the provider account that it concerns; None where that is not known.
        arrived_by: how it came.
        now: when.
        keep_for: how long what came is kept as it came, without addresses.
    """
    arrived = Arrived(account_id, arrived_by, now, keep_for)
    told = notification
    kept = keep(
        session,
        told.provider,
        told.name,
        raw_type=told.raw_type,
        payload=told.payload,
        arrived=arrived,
    )
    if kept.again:
        remember(session, kept.suppression_event_ids)
        return Received(again=True, suppression_event_ids=kept.suppression_event_ids)
    taker = _Taker(session, hasher, kept.notification_id, arrived)
    event_ids = [row_id for event in told.events for row_id in taker.take(event)]
    note_suppressed(session, kept, event_ids)
    return Received(again=False, suppression_event_ids=tuple(event_ids))


@dataclass(frozen=True, slots=True)
class _Taker:
    """Takes the events of one notification in."""

    session: Session
    hasher: AddressHasher
    notification_id: int
    arrived: Arrived

    def take(self, event: ProviderEvent) -> list[int]:
        """Take one event in; return the suppression events that it caused."""
        address_id = self._address_id(event)
        delivery = self._delivery(event, address_id)
        occurred_at = min(event.occurred_at or self.arrived.at, self.arrived.at)
        if delivery is not None:
            message_id = event.provider_message_id or ""
            advance(delivery, event.kind, occurred_at, event.code, message_id, block=event.block)
            if event.block is BlockCause.OPT_OUT:
                delivery.opted_out_at = delivery.opted_out_at or occurred_at
        known = {address_id, delivery.address_id if delivery is not None else None}
        address_ids = sorted(one for one in known if one is not None)
        lock_addresses(self.session, address_ids)
        self._write_down(event, occurred_at, delivery, address_ids)
        block = self._block_of(event, address_ids)
        if block is None or not address_ids:
            return []
        act = _Act(
            block, occurred_at, self._source(event, block), delivery.id if delivery else None
        )
        return self._stop(act, address_ids, self._controllers(event, delivery), event)

    def _address_id(self, event: ProviderEvent) -> int | None:
        try:
            plain = normalise(event.channel, event.address or "")
        except AddressRefusedError:
            return None
        found = ensure_address_ids(self.session, self.hasher, event.channel, [plain], for_a_no=True)
        return found[plain]

    def _delivery(self, event: ProviderEvent, address_id: int | None) -> Delivery | None:
        """Return the delivery that the event is about, locked.

        After a restored backup a delivery's number may stand for another message: it is only
        believed together with the address, or the provider's own name of the message.
        """
        if event.delivery_id is not None and event.delivery_id > 0:
            found = self.session.get(
                Delivery, event.delivery_id, with_for_update=True, populate_existing=True
            )
            return found if found is not None and _fits(found, event, address_id) else None
        if event.delivery_id is not None or not event.provider_message_id:
            return None  # negative numbers are those of replies
        query = (
            select(Delivery)
            .where(Delivery.provider_message_id == event.provider_message_id)
            .order_by(Delivery.id)
            .limit(1)
            .with_for_update()
        )
        return self.session.scalar(query)

    def _write_down(
        self,
        event: ProviderEvent,
        occurred_at: datetime,
        delivery: Delivery | None,
        address_ids: Sequence[int],
    ) -> None:
        waits = delivery is None and event.delivery_id is None and event.provider_message_id
        self.session.add(
            InboundEvent(
                notification_id=self.notification_id,
                kind=event.kind,
                raw_type=event.raw_type[:64],
                code=event.code[:_LONGEST_CODE] or None,
                block=event.block,
                occurred_at=occurred_at,
                recorded_at=self.arrived.at,
                delivery_id=delivery.id if delivery is not None else event.delivery_id,
                address_id=address_ids[0] if address_ids else None,
                provider_message_id=event.provider_message_id,
                applied_at=None if waits else self.arrived.at,
            )
        )
        self.session.flush()

    def _block_of(self, event: ProviderEvent, address_ids: Sequence[int]) -> BlockCause | None:
        if event.block is None and event.transient and self._keeps_bouncing(address_ids):
            return BlockCause.BOUNCE
        return event.block

    def _keeps_bouncing(self, address_ids: Sequence[int]) -> bool:
        """Whether the last events of the address, this one among them, are bounces in a row."""
        telling = (EventKind.BOUNCED, EventKind.DELIVERED)
        query = (
            select(InboundEvent.kind)
            .where(
                InboundEvent.address_id.in_(address_ids),
                InboundEvent.kind.in_(telling),
                InboundEvent.occurred_at > self.arrived.at - TRANSIENT_WITHIN,
            )
            .order_by(InboundEvent.occurred_at.desc(), InboundEvent.id.desc())
            .limit(TRANSIENT_BOUNCES)
        )
        last = list(self.session.scalars(query))
        return len(last) == TRANSIENT_BOUNCES and set(last) == {EventKind.BOUNCED}

    def _source(self, event: ProviderEvent, block: BlockCause) -> str:
        if event.block is None:
            return _WHOLE_BOUNCE
        what = "complaint" if block is BlockCause.COMPLAINT else "provider"
        return f"{what}:{event.code or event.raw_type}"[:_LONGEST_SOURCE]

    def _controllers(self, event: ProviderEvent, delivery: Delivery | None) -> list[int]:
        """Return whose message it was; nobody where that cannot be known, which means everybody."""
        if delivery is not None:
            return [self.session.get_one(Run, delivery.run_id).controller_id]
        if event.sender:
            found = controllers_of_sender(self.session, event.channel, event.sender)
            if found:
                return found
        if self.arrived.account_id is None:
            return []
        return controllers_of_accounts(self.session, [self.arrived.account_id])

    def _stop(
        self,
        act: "_Act",
        address_ids: Sequence[int],
        controller_ids: Sequence[int],
        event: ProviderEvent,
    ) -> list[int]:
        if act.cause is BlockCause.COMPLAINT and controller_ids:
            return self._object(act, address_ids, controller_ids)
        total = act.cause is BlockCause.COMPLAINT
        whom: Sequence[int | None] = controller_ids or [None]
        acts = [
            Suppression(
                scope=BlockScope(address_id, controller_id)
                if total
                else BlockScope(address_id, controller_id, event.channel.value),
                cause=act.cause,
                occurred_at=act.occurred_at,
                source=act.source,
                by_person=act.cause.set_by_person,
                operator=_OPERATOR,
                delivery_id=act.delivery_id,
            )
            for address_id in address_ids
            for controller_id in whom
        ]
        return suppress(self.session, acts, self.arrived.at)

    def _object(
        self, act: "_Act", address_ids: Sequence[int], controller_ids: Sequence[int]
    ) -> list[int]:
        """A complaint is an objection: total, for every address of the person (¶71-72)."""
        return [
            event_id
            for address_id in address_ids
            for controller_id in controller_ids
            for event_id in record_objection(
                self.session,
                Objection(
                    controller_id=controller_id,
                    address_id=address_id,
                    occurred_at=act.occurred_at,
                    source=act.source,
                    operator=_OPERATOR,
                    delivery_id=act.delivery_id,
                ),
                self.arrived.at,
            )
        ]


@dataclass(frozen=True, slots=True)
class _Act:
    """What stops an address."""

    cause: BlockCause
    occurred_at: datetime
    source: str
    delivery_id: int | None


def _fits(delivery: Delivery, event: ProviderEvent, address_id: int | None) -> bool:
    if event.run_id is not None and event.run_id != delivery.run_id:
        return False
    if event.provider_message_id and delivery.provider_message_id:
        return event.provider_message_id == delivery.provider_message_id
    return address_id is None or address_id == delivery.address_id
