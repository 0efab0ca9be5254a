"""A person of whom every table holds something, each value of theirs carrying one mark."""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.store import audit_trail
from sender.store.campaigns import CampaignVersion, Run, StagedRecipient
from sender.store.contacts import Contact, ContactPoint, TestAddress
from sender.store.deliveries import Delivery, DeliveryReliance, Reply
from sender.store.foreign_hashes import ForeignHash, ForeignScheme
from sender.store.inbound import InboundNotification, InboxMessage
from sender.store.journal_marks import LostMessage, LostRun
from sender.store.refreshes import RefreshAsk
from sender.store.sign_ups import SignUp, SignUpForm
from sender.store.tables import metadata
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.vocabulary import BlockCause, Channel, DeliveryState, ReplyMeaning, RunState
from tests.support.contact_changes import add_changes
from tests.support.factory import (
    HASHER,
    NOW,
    OPERATOR,
    Organisation,
    add_batch,
    add_campaign,
    add_contact,
    add_delivery,
    add_event,
    add_pass_on,
    add_point,
    add_request,
    add_run,
    record_consent,
)


@dataclass(frozen=True, slots=True)
class Held:
    """What was written about the person at one controller."""

    mark: str
    address: str
    number: str
    contact: Contact
    email: ContactPoint
    sms: ContactPoint
    pending: Delivery
    sent: Delivery


def hold(session: Session, body: Organisation, other: Organisation, mark: str) -> Held:
    """Write the person into every table that can hold one, at `body`.

    Args:
        session: a writing session.
        body: who holds all that.
        other: a further body, for consent relied on and an objection passed on.
        mark: a word that every personal value carries.
    """
    contact = add_contact(session, body.controller, attributes={"street": f"{mark} Lane"})
    contact.external_ref, contact.title = f"ref-{mark}", f"Dr {mark}"
    contact.first_name, contact.last_name = f"First{mark}", f"Last{mark}"
    contact.postcode, contact.source_detail = f"PC{mark}", f"from {mark}'s friend"
    contact.retained_for = f"calls to {mark}"
    contact.locale, contact.time_zone = f"l-{mark}", f"z-{mark}"
    # Numbers are told apart by the mark's letters, as digits.
    number = "+447911" + "".join(str(ord(letter) % 10) for letter in mark[:6])
    email = add_point(session, contact, f"{mark.lower()}@example.org")
    sms = add_point(session, contact, number, channel=Channel.SMS)
    personal = {"ip": f"192.0.2.{mark}", "form": {"name": mark}}
    event_id = record_consent(session, body, email.address_id, evidence=personal)
    _suppress(session, body, email.address_id, personal)
    campaign, version = add_campaign(
        session, body.controller, f"appeal-{body.controller.slug}-" + str(contact.id)
    )
    run = add_run(session, body, version, state=RunState.RUNNING)
    pending = add_delivery(session, run, email)
    sent = _sent(session, body, version, email, mark)
    session.add(
        DeliveryReliance(
            delivery_id=sent.id,
            controller_id=other.id,
            dispatched_at=NOW,
            consent_event_id=event_id,
        )
    )
    session.add(
        RefreshAsk(
            purpose_id=body.purpose.id,
            address_id=email.address_id,
            delivery_id=sent.id,
            asked_at=NOW,
            quiet_until=NOW,
        )
    )
    _inbound(session, run, sent, mark)
    _beside(session, body, run, email, mark)
    add_pass_on(session, body, other, email.address_id)
    add_request(
        session,
        email,
        sent,
        requester=f"Madam {mark}",
        words=f"What do you know of {mark}?",
        identity_check=f"passport of {mark}",
        answer=f"All of {mark}",
    )
    lost = LostRun(
        controller_id=body.id,
        campaign_name=campaign.name,
        run_key="00" * 16,
        messages=1,
        recorded_at=NOW,
    )
    session.add(lost)
    session.flush()
    session.add(LostMessage(lost_run_id=lost.id, address_id=email.address_id))
    audit_trail.record(
        session,
        now=NOW,
        operator=OPERATOR,
        action="test.hold",
        controller_id=body.id,
        details={"address_id": email.address_id},
        personal={"said": mark},
    )
    session.flush()
    add_changes(session, email, external_ref=f"twin-{mark}")
    _sign_up(session, body, email)
    _hashed_opt_out(session, body, email)
    address = email.address or ""
    return Held(mark, address, number, contact, email, sms, pending, sent)


def _suppress(
    session: Session, body: Organisation, address_id: int, personal: dict[str, Any]
) -> None:
    act = Suppression(
        scope=BlockScope(address_id, body.id, Channel.EMAIL.value),
        cause=BlockCause.BOUNCE,
        occurred_at=NOW,
        source="test",
        by_person=False,
        operator=OPERATOR,
        personal=personal,
    )
    suppress(session, [act], NOW)


def _sent(
    session: Session, body: Organisation, version: CampaignVersion, point: ContactPoint, mark: str
) -> Delivery:
    run = add_run(session, body, version, state=RunState.FINISHED)
    return add_delivery(
        session,
        run,
        point,
        state=DeliveryState.ACCEPTED,
        dispatched_at=NOW,
        message_hash=bytes(32),
        values={"first_name": f"First{mark}"},
    )


def _sign_up(session: Session, body: Organisation, point: ContactPoint) -> None:
    form = SignUpForm(
        controller_id=body.id,
        slug=f"join-{point.id}",
        version=1,
        notice_slug=body.notice.slug,
        origins=[],
        most_a_day=100,
        is_open=True,
        recorded_at=NOW,
        operator=OPERATOR,
    )
    session.add(form)
    session.flush()
    session.add(
        SignUp(
            form_id=form.id,
            controller_id=body.id,
            notice_id=body.notice.id,
            channel=point.channel,
            address_id=point.address_id,
            address=point.address,
            purpose_ids=[body.purpose.id],
            salt=bytes(4),
            requested_at=NOW,
            due_at=NOW,
        )
    )


def _hashed_opt_out(session: Session, body: Organisation, point: ContactPoint) -> None:
    scheme = session.scalar(select(ForeignScheme))
    if scheme is None:
        scheme = ForeignScheme(
            algorithm="sha256",
            key_fingerprint="",
            key_variable="",
            recorded_at=NOW,
            operator=OPERATOR,
        )
        session.add(scheme)
        session.flush()
    session.add(
        ForeignHash(
            scheme_id=scheme.id,
            key_hash=HASHER.hash_foreign(sha256((point.address or "").encode()).digest()),
            controller_id=body.id,
            batch_id=add_batch(session, body.controller).id,
            occurred_at=NOW,
            recorded_at=NOW,
            source="import",
            address_id=point.address_id,
            matched_at=NOW,
        )
    )


def _inbound(session: Session, run: Run, sent: Delivery, mark: str) -> None:
    controller_id, address_id = run.controller_id, sent.address_id
    told = add_event(session, run, address_id, delivery_id=sent.id)
    notification = session.get_one(InboundNotification, told.notification_id)
    notification.payload = {"mail": {"headers": [mark]}}
    message = InboxMessage(
        notification_id=notification.id,
        controller_id=controller_id,
        address_id=address_id,
        channel=Channel.EMAIL,
        received_at=NOW,
        body=f"Yours, {mark}",
        meaning=ReplyMeaning.OTHER,
        erase_after=NOW + timedelta(days=90),
    )
    session.add(message)
    session.add(
        Reply(controller_id=controller_id, address_id=address_id, kind="test-address", sent_at=NOW)
    )


def _beside(session: Session, body: Organisation, run: Run, point: ContactPoint, mark: str) -> None:
    session.add(
        StagedRecipient(
            run_id=run.id,
            address_id=point.address_id,
            address=point.address,
            attributes={"nickname": mark},
            erase_after=NOW + timedelta(days=30),
        )
    )
    session.add(
        TestAddress(
            controller_id=body.id,
            address_id=point.address_id,
            address=point.address or "",
            code_hash=bytes(32),
            added_at=NOW,
        )
    )


def where_found(session: Session, *words: str) -> set[str]:
    """Return `table.column` of every text, document or blob that has one of the words in it."""
    found: set[str] = set()
    for table in metadata.sorted_tables:
        for column in table.columns:
            for value in session.scalars(select(column)):
                if any(word.lower() in _text(value) for word in words):
                    found.add(f"{table.name}.{column.name}")
    return found


def _text(value: object) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return text.lower()
