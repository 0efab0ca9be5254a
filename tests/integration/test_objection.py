"""Withdrawing a purpose, opting out of a channel and objecting are three different things."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from sender.consent.checking import check_history
from sender.consent.objection import Objection, record_objection
from sender.consent.person import load_person
from sender.consent.policy import decide
from sender.consent.scopes import load_scope
from sender.store.consents import ConsentEvent, ConsentState, Purpose
from sender.store.contacts import Contact, ContactPoint
from sender.store.engine import Store
from sender.store.suppressions import Block, SuppressionEvent
from sender.vocabulary import BlockCause, Channel, ConsentKind, Reason
from tests.support.factory import (
    NOW,
    OPERATOR,
    Organisation,
    add_contact,
    add_point,
    add_purpose,
    address_id_of,
    block,
    establish,
    record_consent,
)
from tests.support.waiting import Rival

HOUR = timedelta(hours=1)
EMAIL, SMS = Channel.EMAIL, Channel.SMS
Answers = dict[tuple[Channel, str], Reason | None]


@dataclass(frozen=True)
class Ann:
    """Somebody who agreed to two purposes on both channels."""

    body: Organisation
    purposes: Mapping[str, Purpose]
    contact: Contact
    points: Mapping[Channel, ContactPoint]

    def answers(self, session: Session) -> Answers:
        """Return why not, for each channel and purpose."""
        return {
            (channel, slug): reason(session, self.body, point.address_id, channel, purpose)
            for channel, point in self.points.items()
            for slug, purpose in self.purposes.items()
        }

    def all_allowed(self, session: Session) -> Answers:
        return dict.fromkeys(self.answers(session))


def reason(
    session: Session, body: Organisation, address_id: int, channel: Channel, purpose: Purpose
) -> Reason | None:
    session.expire_all()
    person = load_person(
        session,
        address_id=address_id,
        controller_id=body.id,
        channel=channel,
        purpose_id=purpose.id,
    )
    scope = load_scope(
        session, controller_id=body.id, channel=channel, purpose_id=purpose.id, at=NOW
    )
    return decide(person, scope).refusal


def ann_in(session: Session, slug: str = "riverside") -> Ann:
    body = establish(session, slug)
    other = add_purpose(session, body.controller, "fundraising")
    contact = add_contact(session, body.controller)
    points = {
        EMAIL: add_point(session, contact, "ann@example.org"),
        SMS: add_point(session, contact, "+447700900001", channel=SMS),
    }
    for point in points.values():
        for purpose in (body.purpose, other):
            record_consent(session, body, point.address_id, purpose=purpose)
    return Ann(body, {"news": body.purpose, "funds": other}, contact, points)


def object_by(
    session: Session, body: Organisation, address_id: int, *, at: timedelta = timedelta(0)
) -> None:
    objection = Objection(
        controller_id=body.id,
        address_id=address_id,
        occurred_at=NOW + at,
        source="page",
        operator=OPERATOR,
    )
    record_objection(session, objection, NOW)


class TestThreeDifferentThings:
    def test_withdrawing_a_purpose_leaves_the_other_purpose_and_the_other_address(
        self, store: Store
    ) -> None:
        with store.write() as session:
            ann = ann_in(session)
            address_id = ann.points[EMAIL].address_id
            record_consent(session, ann.body, address_id, kind=ConsentKind.WITHDRAWN)
            expected = {**ann.all_allowed(session), (EMAIL, "news"): Reason.WITHDRAWN}
            assert ann.answers(session) == expected

    def test_opting_out_of_a_channel_takes_all_its_purposes_and_leaves_the_other(
        self, store: Store
    ) -> None:
        with store.write() as session:
            ann = ann_in(session)
            address_id = ann.points[SMS].address_id
            block(session, address_id, controller=ann.body.controller, channel=SMS.value)
            expected = {
                (EMAIL, "news"): None,
                (EMAIL, "funds"): None,
                (SMS, "news"): Reason.SUPPRESSED,
                (SMS, "funds"): Reason.SUPPRESSED,
            }
            assert ann.answers(session) == expected

    def test_an_objection_takes_everything(self, store: Store) -> None:
        with store.write() as session:
            ann = ann_in(session)
            object_by(session, ann.body, ann.points[EMAIL].address_id)
            assert ann.answers(session) == dict.fromkeys(ann.answers(session), Reason.OBJECTED)

    def test_none_of_them_reaches_another_controller(self, store: Store) -> None:
        with store.write() as session:
            here, there = ann_in(session, "riverside"), ann_in(session, "candidate")
            assert here.points[EMAIL].address_id == there.points[EMAIL].address_id
            address_id = here.points[EMAIL].address_id
            record_consent(session, here.body, address_id, kind=ConsentKind.WITHDRAWN)
            block(session, address_id, controller=here.body.controller)
            object_by(session, here.body, address_id)
            assert there.answers(session) == there.all_allowed(session)
            assert there.contact.objected_at is None


class TestReach:
    def test_a_mobile_learned_after_an_objection_by_e_mail_is_refused(self, store: Store) -> None:
        with store.write() as session:
            ann = ann_in(session)
            object_by(session, ann.body, ann.points[EMAIL].address_id)
        with store.write() as session:
            contact = session.get_one(Contact, ann.contact.id)
            later = add_point(session, contact, "+447700900777", channel=SMS)
            record_consent(session, ann.body, later.address_id, occurred_at=NOW)
            answer = reason(session, ann.body, later.address_id, SMS, ann.body.purpose)
            assert answer is Reason.OBJECTED

    def test_an_objection_needs_no_contact(self, store: Store) -> None:
        with store.write() as session:
            body = establish(session)
            address_id = address_id_of(session)
            object_by(session, body, address_id)
            assert session.scalar(select(func.count()).select_from(Contact)) == 0
            (found,) = session.scalars(select(Block))
            assert (found.cause, found.controller_id) == (BlockCause.OBJECTION, body.id)
            assert reason(session, body, address_id, EMAIL, body.purpose) is Reason.INVALID_ADDRESS

    def test_a_stranger_s_objection_holds_when_they_become_a_contact(self, store: Store) -> None:
        with store.write() as session:
            body = establish(session)
            object_by(session, body, address_id_of(session, "ann@example.org"))
            contact = add_contact(session, body.controller)
            point = add_point(session, contact, "ann@example.org")
            record_consent(session, body, point.address_id, occurred_at=NOW)
            assert reason(session, body, point.address_id, EMAIL, body.purpose) is Reason.OBJECTED

    def test_it_holds_after_an_erasure(self, store: Store) -> None:
        """The plain address is gone; whoever brings it in again meets the block."""
        with store.write() as session:
            ann = ann_in(session)
            point = ann.points[EMAIL]
            object_by(session, ann.body, point.address_id)
            session.execute(update(ContactPoint).values(address=None))
            assert reason(session, ann.body, point.address_id, EMAIL, ann.body.purpose) is (
                Reason.INVALID_ADDRESS
            )
            session.execute(delete(ContactPoint))
            session.execute(delete(Contact))
            again = add_point(session, add_contact(session, ann.body.controller), "ann@example.org")
            assert again.address_id == point.address_id
            record_consent(session, ann.body, again.address_id, occurred_at=NOW)
            answer = reason(session, ann.body, again.address_id, EMAIL, ann.body.purpose)
            assert answer is Reason.OBJECTED

    def test_it_is_in_both_ledgers_for_every_address(self, store: Store) -> None:
        with store.write() as session:
            ann = ann_in(session)
            object_by(session, ann.body, ann.points[SMS].address_id)
            addresses = sorted(point.address_id for point in ann.points.values())
            objected = select(ConsentEvent.address_id).where(
                ConsentEvent.kind == ConsentKind.OBJECTED
            )
            assert sorted(session.scalars(objected)) == sorted(addresses * 2)
            blocked = select(SuppressionEvent.address_id, SuppressionEvent.by_person)
            found = sorted(tuple(row) for row in session.execute(blocked))
            assert found == [(address_id, True) for address_id in addresses]
            states = set(session.scalars(select(ConsentState.status)))
            assert states == {ConsentKind.OBJECTED}
        with store.read() as session:
            assert check_history(session, lambda _: None).faults == ()

    def test_a_later_yes_alone_does_not_lift_it(self, store: Store) -> None:
        """Ticking a box somewhere is no word to this controller that the objection is over."""
        with store.write() as session:
            ann = ann_in(session)
            address_id = ann.points[EMAIL].address_id
            object_by(session, ann.body, address_id, at=-HOUR)
            record_consent(session, ann.body, address_id, occurred_at=NOW)
            answer = reason(session, ann.body, address_id, EMAIL, ann.body.purpose)
            assert answer is Reason.OBJECTED

    def test_a_second_objection_keeps_the_time_of_the_first(self, store: Store) -> None:
        with store.write() as session:
            ann = ann_in(session)
            for at in (-HOUR, timedelta(0)):
                object_by(session, ann.body, ann.points[EMAIL].address_id, at=at)
            session.expire_all()
            assert session.get_one(Contact, ann.contact.id).objected_at == NOW - HOUR

    def test_a_fast_clock_costs_no_objection(self, store: Store) -> None:
        with store.write() as session:
            ann = ann_in(session)
            object_by(session, ann.body, ann.points[EMAIL].address_id, at=HOUR)
            assert set(ann.answers(session).values()) == {Reason.OBJECTED}

    def test_other_people_are_left_alone(self, store: Store) -> None:
        with store.write() as session:
            ann = ann_in(session)
            bob = add_point(session, add_contact(session, ann.body.controller), "bob@example.org")
            record_consent(session, ann.body, bob.address_id)
            object_by(session, ann.body, ann.points[EMAIL].address_id)
            assert reason(session, ann.body, bob.address_id, EMAIL, ann.body.purpose) is None


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_an_address_that_arrives_during_the_objection_is_refused(store: Store) -> None:
    """The new mobile and its consent are committed while the objection is being recorded."""
    with store.write() as session:
        ann = ann_in(session)

    def learn_mobile() -> None:
        with store.write() as session:
            contact = session.get_one(Contact, ann.contact.id)
            point = add_point(session, contact, "+447700900777", channel=SMS)
            record_consent(session, ann.body, point.address_id, occurred_at=NOW)

    rival = Rival(store, learn_mobile)
    with store.write() as session:
        object_by(session, ann.body, ann.points[EMAIL].address_id)
        rival.start()
    rival.finish()
    with store.read() as session:
        learned = session.scalars(
            select(ContactPoint.address_id).where(ContactPoint.address == "+447700900777")
        ).one()
        assert reason(session, ann.body, learned, SMS, ann.body.purpose) is Reason.OBJECTED
