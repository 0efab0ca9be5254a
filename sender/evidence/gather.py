"""Put together all that is held on why somebody was written to.

It is found by the keyed hash of the address that the asker supplies, so it answers after an erasure
too, when no table holds the address any more, and after a change of the key.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.history import Subject
from sender.contacts.addresses import find_address_ids
from sender.controllers.lookup import current_version, find_controller, purposes
from sender.evidence.changes import changes_of
from sender.evidence.consents import consents_of
from sender.evidence.messages import events_relied_on, messages_of
from sender.evidence.names import load_names
from sender.evidence.opt_outs import opt_outs_of
from sender.evidence.past import Question, scope_then
from sender.evidence.records import (
    Answer,
    ConsentRecord,
    ContactSummary,
    Evidence,
    Held,
    Message,
    Party,
)
from sender.store.address_moves import predecessors
from sender.store.addresses import Address
from sender.store.consents import ConsentEvent
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import Controller
from sender.store.deliveries import Reply
from sender.store.erased_references import shown
from sender.store.keys import AddressHasher, database_name
from sender.vocabulary import Channel


def gather(session: Session, hasher: AddressHasher, subject: Subject, now: datetime) -> Evidence:
    """Return the evidence of one controller on one address; of an unknown one, that there is none.

    Raises:
        NotFoundError: no such controller.
    """
    controller = find_controller(session, subject.controller)
    ids = find_address_ids(session, hasher, subject.channel, [subject.address])
    address_id = ids.get(subject.address, 0)
    address = session.get(Address, address_id)
    names = load_names(session)
    messages = messages_of(session, names, controller.id, address_id)
    before = _events_before_moving(session, controller.id, address_id)
    relied_on = events_relied_on(messages) | before
    consents = consents_of(session, names, controller.id, address_id, relied_on)
    contact = _contact(session, controller.id, address_id)
    sent_at = [one.dispatched_at for one in messages if one.dispatched_at is not None]
    return Evidence(
        party=_party(session, controller),
        address=subject.address,
        channel=subject.channel,
        principal_id=address.key_hash.hex() if address else "",
        subject_ref=f"{database_name(session)}/{address_id}" if address else "",
        made_at=now,
        hold_months=_hold_months(session, controller.id, subject.channel, now),
        contact=contact,
        messages=messages,
        consents=consents,
        opt_outs=opt_outs_of(session, names, controller.id, address_id, sent_at),
        answers=_answers(session, controller.id, address_id),
        changes=changes_of(session, controller.id, address_id),
        gone=tuple(_gone(contact, messages, consents)),
    )


def _events_before_moving(session: Session, controller_id: int, address_id: int) -> set[int]:
    """Return the acts at the person's former address, which those at this one rest on."""
    query = select(ConsentEvent.id).where(
        ConsentEvent.controller_id == controller_id,
        ConsentEvent.address_id.in_(predecessors(session, controller_id, address_id)),
    )
    return set(session.scalars(query))


def _party(session: Session, controller: Controller) -> Party:
    version = current_version(session, controller.id)
    return Party(
        slug=controller.slug,
        name=version.name,
        postal_address=version.postal_address,
        email=version.contact_email,
        phone=version.contact_phone,
        website=version.website,
        privacy_notice_url=version.privacy_notice_url,
    )


def _hold_months(
    session: Session, controller_id: int, channel: Channel, now: datetime
) -> dict[str, int]:
    """Return by purpose how old a yes may be now."""
    return {
        purpose.slug: scope_then(
            session, Question(0, controller_id, channel, purpose.id, now)
        ).freshness.hold_months
        for purpose in purposes(session, controller_id)
    }


def _contact(session: Session, controller_id: int, address_id: int) -> ContactSummary | None:
    row = session.execute(
        select(Contact, ContactPoint)
        .join(ContactPoint, ContactPoint.contact_id == Contact.id)
        .where(ContactPoint.controller_id == controller_id, ContactPoint.address_id == address_id)
    ).one_or_none()
    if row is None:
        return None
    contact, point = row
    parts = (contact.title, contact.first_name, contact.last_name)
    return ContactSummary(
        reference=shown(contact.external_ref),
        name=" ".join(part for part in parts if part),
        known_since=point.created_at,
        source=contact.source.value,
        source_detail=contact.source_detail,
        objected_at=contact.objected_at,
        erased_at=contact.erased_at,
        address_is=_address_is(contact, point),
    )


def _address_is(contact: Contact, point: ContactPoint) -> Held:
    """Say whether the address is held; beside a no it may never have been kept in plain."""
    if point.address is not None:
        return Held.HELD
    return Held.NONE if contact.erased_at is None else Held.ERASED


def _answers(session: Session, controller_id: int, address_id: int) -> tuple[Answer, ...]:
    query = (
        select(Reply.kind, Reply.sent_at)
        .where(Reply.controller_id == controller_id, Reply.address_id == address_id)
        .order_by(Reply.sent_at)
    )
    return tuple(Answer(row.kind, row.sent_at) for row in session.execute(query))


def _gone(
    contact: ContactSummary | None,
    messages: Sequence[Message],
    consents: Sequence[ConsentRecord],
) -> list[str]:
    said = []
    if contact is not None and contact.erased_at is not None:
        day = f"{contact.erased_at:%d %B %Y}"
        said.append(f"The person's name, address and attributes were erased on {day}.")
    elif contact is not None and contact.address_is is Held.NONE:
        said.append("The address itself is not kept; it is known by its keyed hash alone.")
    if values := sum(one.values_are is Held.ERASED for one in messages):
        said.append(f"The personal values used in {values} of the messages were erased.")
    if evidence := sum(one.personal_is is Held.ERASED for one in consents):
        said.append(f"The personal details beside {evidence} of the consent events were erased.")
    return said
