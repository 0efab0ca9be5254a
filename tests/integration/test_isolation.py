"""One address at two controllers: neither sees the other's name, attributes, consents or blocks."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sender.consent.eligibility import People, any_of, decisions
from sender.consent.person import load_person
from sender.consent.policy import Decision, decide
from sender.consent.scopes import load_scope
from sender.store.addresses import Address
from sender.store.contacts import Contact, ContactPoint
from sender.store.engine import Store
from sender.vocabulary import BlockCause, Channel, ConsentKind, ContactSource, Reason
from tests.support.factory import (
    NOW,
    Organisation,
    add_contact,
    add_freeze,
    add_freshness,
    add_point,
    add_purpose,
    address_id_of,
    block,
    establish,
    record_consent,
)

ADDRESS = "ann@example.org"
MOBILE = "+447700900001"


def decision(session: Session, body: Organisation, address_id: int) -> Decision:
    session.expire_all()
    scope = load_scope(
        session,
        controller_id=body.id,
        channel=Channel.EMAIL,
        purpose_id=body.purpose.id,
        at=NOW,
    )
    person = load_person(
        session,
        address_id=address_id,
        controller_id=body.id,
        channel=Channel.EMAIL,
        purpose_id=body.purpose.id,
    )
    explained = decide(person, scope)
    assert _by_sql(session, body, address_id) is explained.refusal
    return explained


def _by_sql(session: Session, body: Organisation, address_id: int) -> Reason | None:
    scope = load_scope(
        session,
        controller_id=body.id,
        channel=Channel.EMAIL,
        purpose_id=body.purpose.id,
        at=NOW,
    )
    held = ContactPoint.address.is_not(None).label("has_address")
    rows = (
        select(ContactPoint.id.label("key"), ContactPoint.address_id, held, ContactPoint.contact_id)
        .where(ContactPoint.controller_id == body.id, ContactPoint.address_id == address_id)
        .subquery("people")
    )
    people = People(rows, any_of([address_id]))
    return session.execute(decisions(people, [scope])).one().reason  # type: ignore[no-any-return] # a labelled column


def both(session: Session) -> tuple[Organisation, Organisation, int]:
    """Two controllers that know one address under different names."""
    here, there = establish(session, "riverside"), establish(session, "candidate")
    for body, name, source in (
        (here, "Ann", ContactSource.DIRECT),
        (there, "Mrs Abbott", ContactSource.CASEWORK),
    ):
        contact = add_contact(
            session, body.controller, source=source, first_name=name, attributes={"of": name}
        )
        point = add_point(session, contact, ADDRESS)
        add_point(session, contact, MOBILE, channel=Channel.SMS)
    return here, there, point.address_id


def test_one_address_is_two_people_with_two_names(store: Store) -> None:
    with store.write() as session:
        here, there, address_id = both(session)
        assert session.scalars(select(Address.id).where(Address.channel == "email")).all() == [
            address_id
        ]
        for body, name in ((here, "Ann"), (there, "Mrs Abbott")):
            mine = (
                select(Contact)
                .join(ContactPoint)
                .where(ContactPoint.controller_id == body.id, ContactPoint.address_id == address_id)
            )
            contact = session.scalars(mine).one()
            assert (contact.first_name, contact.attributes) == (name, {"of": name})


def test_a_controller_knows_an_address_once(store: Store) -> None:
    """Two people who share an address are one contact point: a no of either holds for both."""
    with store.write() as session:
        here = both(session)[0]
    with pytest.raises(IntegrityError), store.write() as session:
        add_point(session, add_contact(session, here.controller), ADDRESS)


def test_consent_here_is_none_there(store: Store) -> None:
    with store.write() as session:
        here, there, address_id = both(session)
        event_id = record_consent(session, here, address_id)
        assert decision(session, here, address_id).consent_event_id == event_id
        assert decision(session, there, address_id).refusal is Reason.CASEWORK


def test_consent_by_another_channel_or_to_another_purpose_is_told_of_ones_own_only(
    store: Store,
) -> None:
    """The reason for a refusal tells nothing of another controller's records either."""
    with store.write() as session:
        here, there = establish(session, "riverside"), establish(session, "candidate")
        for body in (here, there):
            contact = add_contact(session, body.controller)
            point = add_point(session, contact, ADDRESS)
            mobile = add_point(session, contact, MOBILE, channel=Channel.SMS)
        record_consent(session, here, mobile.address_id)
        assert decision(session, here, point.address_id).refusal is Reason.WRONG_CHANNEL
        assert decision(session, there, point.address_id).refusal is Reason.NO_CONSENT
        other = add_purpose(session, here.controller, "fundraising")
        record_consent(session, here, point.address_id, purpose=other)
        assert decision(session, there, point.address_id).refusal is Reason.NO_CONSENT


MISHAPS = st.sampled_from(
    ["withdrawn", "opt-out", "objected", "frozen", "strict", "erased", "casework"]
)


@settings(max_examples=15)
@given(st.lists(MISHAPS, unique=True, min_size=1))
def test_whatever_happens_here_leaves_the_decision_there(store: Store, mishaps: list[str]) -> None:
    with Session(store.engine) as session:
        here, there, address_id = both(session)
        allowed = record_consent(session, there, address_id)
        record_consent(session, here, address_id)
        for mishap in mishaps:
            befall(session, here, address_id, mishap)
        assert decision(session, there, address_id).consent_event_id == allowed
        assert mishaps == ["casework"] or decision(session, here, address_id).refusal is not None
        session.rollback()


def befall(session: Session, body: Organisation, address_id: int, mishap: str) -> None:
    contacts = session.scalars(select(Contact).where(Contact.controller_id == body.id)).all()
    match mishap:
        case "withdrawn":
            record_consent(session, body, address_id, kind=ConsentKind.WITHDRAWN, occurred_at=NOW)
        case "opt-out":
            block(session, address_id, controller=body.controller)
        case "objected":
            contacts[0].objected_at = NOW
        case "frozen":
            add_freeze(session, body.controller, NOW)
        case "strict":
            record_consent(session, body, address_id, occurred_at=NOW - timedelta(days=200))
            add_freshness(session, body.controller, warn_months=0, hold_months=0)
        case "erased":
            for point in session.scalars(
                select(ContactPoint).where(ContactPoint.controller_id == body.id)
            ):
                point.address = None
        case _:
            contacts[0].source = ContactSource.CASEWORK
    session.flush()


def test_only_a_block_on_everybody_reaches_everybody(store: Store) -> None:
    with store.write() as session:
        here, there, address_id = both(session)
        for body in (here, there):
            record_consent(session, body, address_id)
        block(session, address_id, cause=BlockCause.BOUNCE)
        for body in (here, there):
            assert decision(session, body, address_id).refusal is Reason.BOUNCED


def test_the_same_slug_is_another_purpose_at_another_controller(store: Store) -> None:
    with store.write() as session:
        here, there = establish(session, "riverside"), establish(session, "candidate")
        assert here.purpose.slug == there.purpose.slug
        address_id = address_id_of(session)
        record_consent(session, here, address_id)
        crossed = load_person(
            session,
            address_id=address_id,
            controller_id=there.id,
            channel=Channel.EMAIL,
            purpose_id=here.purpose.id,
        )
        assert crossed.consent is None
