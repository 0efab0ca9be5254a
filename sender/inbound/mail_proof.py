"""How far a report by mail is believed: anybody can write one, and numbers can be guessed.

| the report names | bounces, delays, deliveries | complaints |
|---|---|---|
| a return path or token that we signed, or a provider's random id | believed | believed |
| a Message-ID of ours and the very recipient of that message | believed | believed |
| a Message-ID of ours | kept as unknown | believed |
| an address that we wrote to | kept as unknown | believed, of each controller's latest message |
| nothing of ours | kept as unknown | kept as unknown |

Complaints are believed more readily: to stop where nobody complained costs a message, to go on
where somebody did costs trust. A bounce takes a good address away, and only an operator sees why.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.contacts.addresses import find_address_ids
from sender.contacts.normalise import AddressRefusedError, normalise_email
from sender.inbound.controllers import controllers_of_sender
from sender.providers.events import Notification, ProviderEvent
from sender.providers.smtp.events import Report, Traces
from sender.providers.smtp.verp import read_verp
from sender.store.campaigns import Run
from sender.store.controllers import SenderIdentity
from sender.store.deliveries import Delivery
from sender.store.keys import AddressHasher
from sender.suppression.tokens import TokenKeys, TokenRefusedError
from sender.vocabulary import Channel, EventKind

_OUR_MESSAGE_ID = re.compile(r"([1-9]\d{0,16})\.([1-9]\d{0,9})@([^@\s]{1,255})")


@dataclass(frozen=True, slots=True)
class Records:
    """Our own records, which claims are held against; `keys` are those of the opt-out links."""

    session: Session
    hasher: AddressHasher
    keys: TokenKeys | None


def proven(records: Records, report: Report) -> Notification:
    """Return the notification with what is proven of it; the rest is UNKNOWN and names nobody."""
    told = report.notification
    proof = _Proof(records, report.traces, _signed(records, report.traces))
    # Three bounces in a row are counted, so the same message bounces once a report.
    found = {(one.delivery_id, one.kind): one for event in told.events for one in proof.of(event)}
    events = tuple(found.values())
    believed = sum(event.delivery_id is not None for event in events)
    return replace(told, events=events, payload={**told.payload, "believed": believed})


def deliveries_of(session: Session, message_ids: Sequence[str]) -> list[Delivery]:
    """Return the deliveries whose Message-IDs these are, the last named first.

    Our own carry numbers; a provider that sets its own told us of it, and writes it in front of its
    domain (`<…@eu-west-2.amazonses.com>`).
    """
    found = [*_recorded(session, message_ids), *_numbered(session, message_ids)]
    return list({one.id: one for one in found}.values())


@dataclass(frozen=True, slots=True)
class _Proof:
    records: Records
    traces: Traces
    signed: Sequence[Delivery]

    def of(self, event: ProviderEvent) -> list[ProviderEvent]:
        """Return what of the event is proven."""
        address_id = self._address_id(event)
        if self.signed:
            best = next((one for one in self.signed if one.address_id == address_id), None)
            return [_about(event, best or self.signed[0])]
        claimed = deliveries_of(self.records.session, self.traces.message_ids)
        exact = next((one for one in claimed if one.address_id == address_id), None)
        if exact is not None:
            return [_about(event, exact)]
        if event.block is None or not event.block.set_by_person:
            return [_unproven(event)]
        if claimed:
            return [_about(event, claimed[0])]
        return [_about(event, one) for one in self._latest(address_id)] or [_unproven(event)]

    def _address_id(self, event: ProviderEvent) -> int | None:
        try:
            plain = normalise_email(event.address or "")
        except AddressRefusedError:
            return None
        session, hasher = self.records.session, self.records.hasher
        return find_address_ids(session, hasher, Channel.EMAIL, [plain]).get(plain)

    def _latest(self, address_id: int | None) -> Sequence[Delivery]:
        """Return the last message of each controller, of the one that is named as its author."""
        if address_id is None:
            return []
        session = self.records.session
        last = (
            select(func.max(Delivery.id))
            .join(Run, Run.id == Delivery.run_id)
            .where(Delivery.address_id == address_id, Delivery.dispatched_at.is_not(None))
            .group_by(Run.controller_id)
        )
        named = {one for text in self.traces.senders for one in self._controllers(text)}
        theirs = last.where(Run.controller_id.in_(named)) if named else last
        query = select(Delivery).where(Delivery.id.in_(theirs)).order_by(Delivery.id)
        return session.scalars(query).all()

    def _controllers(self, sender: str) -> list[int]:
        return controllers_of_sender(self.records.session, Channel.EMAIL, sender.lower())


def _signed(records: Records, traces: Traces) -> list[Delivery]:
    found = _by_random_ids(records.session, traces.message_ids)
    if records.keys is None:
        return found
    by_token = _by_tokens(records.session, records.keys, traces.tokens)
    return [*by_token, *_by_envelopes(records.session, records.keys, traces.envelopes), *found]


def _by_tokens(session: Session, keys: TokenKeys, tokens: Iterable[str]) -> Iterator[Delivery]:
    for token in tokens:
        try:
            read = keys.read(token)
        except TokenRefusedError:
            continue
        delivery = session.get(Delivery, read.delivery_id)
        if delivery is not None and read.is_for(_run(session, delivery).link_salt):
            yield delivery


def _by_envelopes(
    session: Session, keys: TokenKeys, envelopes: Iterable[str]
) -> Iterator[Delivery]:
    for envelope in envelopes:
        sent = read_verp(envelope, keys)
        delivery = session.get(Delivery, sent.delivery_id) if sent else None
        if delivery is not None and sent is not None and delivery.run_id == sent.run_id:
            yield delivery


def _by_random_ids(session: Session, message_ids: Sequence[str]) -> list[Delivery]:
    return _recorded(session, [one for one in message_ids if not _OUR_MESSAGE_ID.fullmatch(one)])


def _recorded(session: Session, message_ids: Sequence[str]) -> list[Delivery]:
    names = {*message_ids, *(one.partition("@")[0] for one in message_ids)}
    query = select(Delivery).where(Delivery.provider_message_id.in_(sorted(names)))
    return list(session.scalars(query.order_by(Delivery.id.desc()))) if names else []


def _numbered(session: Session, message_ids: Sequence[str]) -> Iterator[Delivery]:
    for one in reversed(message_ids):
        match = _OUR_MESSAGE_ID.fullmatch(one)
        delivery = session.get(Delivery, int(match[1])) if match else None
        if delivery and match and delivery.run_id == int(match[2]):
            run = _run(session, delivery)
            sender = session.get_one(SenderIdentity, run.sender_identity_id)
            if sender.address.rpartition("@")[2].lower() == match[3].lower():
                yield delivery


def _run(session: Session, delivery: Delivery) -> Run:
    return session.get_one(Run, delivery.run_id)


def _about(event: ProviderEvent, delivery: Delivery) -> ProviderEvent:
    """Name our message, and its own recipient: who was told of may be whom it was forwarded to."""
    return replace(event, delivery_id=delivery.id, run_id=delivery.run_id, address=None)


def _unproven(event: ProviderEvent) -> ProviderEvent:
    return replace(
        event,
        kind=EventKind.UNKNOWN,
        code=f"unproven {event.code}".strip(),
        block=None,
        transient=False,
        address=None,
    )
