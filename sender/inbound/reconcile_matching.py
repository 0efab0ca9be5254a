"""Which of our messages, and whose address, does a provider's own record tell of?

Twilio's list names no delivery of ours. A message that was accepted is known by its SID; one whose
outcome is unknown has none, and is found by address, sender and time where only one can be meant.
After a restored backup one that was sent may stand as pending: whoever it may be is sent nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from sender.contacts.addresses import find_address_ids
from sender.contacts.normalise import AddressRefusedError, normalise
from sender.providers.events import ProviderEvent
from sender.store.campaigns import Run
from sender.store.controllers import SenderIdentity
from sender.store.deliveries import RESTORED, Delivery
from sender.store.inbound import InboundEvent
from sender.store.keys import AddressHasher
from sender.store.suppressions import Block
from sender.vocabulary import BlockCause, DeliveryState

SETTLED_WITHIN = timedelta(days=1)
"""Longer than any message stays in a provider's queue (validity: at most 10 hours)."""

CLOCKS_DIFFER = timedelta(minutes=5)

_MESSAGING_SERVICE = "MG"


@dataclass(frozen=True, slots=True)
class Matching:
    """Looks events of one provider account up in our own records."""

    session: Session
    hasher: AddressHasher
    account_id: int

    def named(self, event: ProviderEvent) -> ProviderEvent:
        """Return the event with the unknown delivery that it must be about, if there is one."""
        message_id = event.provider_message_id
        if event.delivery_id is not None or not message_id or self._is_known(message_id):
            return event
        self._doubt_restored(event)
        candidates = self._unknown_deliveries(event)
        if len(candidates) != 1:
            return event
        return replace(event, delivery_id=candidates[0].id, run_id=candidates[0].run_id)

    def concerns_us(self, event: ProviderEvent) -> bool:
        """Whether it stops an address, or tells of a message of ours.

        Others may send through the account too; their messages are not kept.
        """
        if event.block is not None or event.transient or event.delivery_id is not None:
            return True
        return event.provider_message_id is not None and self._is_known(event.provider_message_id)

    def is_stopped(self, event: ProviderEvent) -> bool:
        """Whether the address that it would stop is stopped already.

        A provider's list names each address anew, whatever its webhook told of it before.
        """
        address_id = None if event.block is None else self._address_id(event)
        query = select(Block.address_id).where(
            Block.address_id == address_id, Block.cause != BlockCause.HOLD
        )
        return address_id is not None and self.session.scalar(query.limit(1)) is not None

    def _is_known(self, message_id: str) -> bool:
        deliveries = select(Delivery.id).where(Delivery.provider_message_id == message_id)
        events = select(InboundEvent.id).where(  # of replies, which are no deliveries
            InboundEvent.provider_message_id == message_id, InboundEvent.delivery_id.is_not(None)
        )
        found = (self.session.scalar(query.limit(1)) for query in (deliveries, events))
        return any(one is not None for one in found)

    def _doubt_restored(self, event: ProviderEvent) -> None:
        """Let nobody wait in a restored run to whom a message went that no delivery knows."""
        if event.occurred_at is None:
            return
        runs = (
            select(Run.id)
            .join(SenderIdentity, SenderIdentity.id == Run.sender_identity_id)
            .where(
                Run.restored_at.is_not(None),
                Run.created_at < event.occurred_at + CLOCKS_DIFFER,
                *self._sent_by(event),
            )
        )
        self.session.execute(
            update(Delivery)
            .where(
                Delivery.address_id == self._address_id(event),
                Delivery.run_id.in_(runs),
                Delivery.state == DeliveryState.PENDING,
            )
            .values(
                state=DeliveryState.UNKNOWN,
                provider_code=RESTORED,
                dispatched_at=event.occurred_at,
            )
            .execution_options(synchronize_session=False)
        )

    def _sent_by(self, event: ProviderEvent) -> tuple[ColumnElement[bool], ...]:
        return (
            SenderIdentity.provider_account_id == self.account_id,
            (SenderIdentity.address == event.sender)
            | SenderIdentity.address.startswith(_MESSAGING_SERVICE),
        )

    def _unknown_deliveries(self, event: ProviderEvent) -> Sequence[Delivery]:
        address_id = self._address_id(event)
        if address_id is None or event.occurred_at is None:
            return []
        query = (
            select(Delivery)
            .join(Run, Run.id == Delivery.run_id)
            .join(SenderIdentity, SenderIdentity.id == Run.sender_identity_id)
            .where(
                Delivery.address_id == address_id,
                Delivery.state == DeliveryState.UNKNOWN,
                Delivery.provider_message_id.is_(None),
                Delivery.dispatched_at > event.occurred_at - SETTLED_WITHIN,
                Delivery.dispatched_at < event.occurred_at + CLOCKS_DIFFER,
                *self._sent_by(event),
            )
        )
        return self.session.scalars(query.limit(2)).all()

    def _address_id(self, event: ProviderEvent) -> int | None:
        try:
            plain = normalise(event.channel, event.address or "")
        except AddressRefusedError:
            return None
        return find_address_ids(self.session, self.hasher, event.channel, [plain]).get(plain)
