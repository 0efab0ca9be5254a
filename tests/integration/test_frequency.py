"""Nobody gets more marketing than the controller's caps allow, also from two runs at once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from sender.consent.objection import Objection, record_objection
from sender.delivery.frequency import Person, caps_on
from sender.store.campaigns import Run
from sender.store.contacts import Contact, ContactPoint
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.journal_marks import LostMessage, LostRun
from sender.store.suppressions import Block
from sender.vocabulary import CampaignKind, Channel, DeliveryState, RunState
from tests.support.factory import (
    NOW,
    OPERATOR,
    Organisation,
    add_campaign,
    add_contact,
    add_delivery,
    add_point,
    add_policy,
    add_run,
    address_id_of,
    block,
    establish,
)
from tests.support.waiting import Rival

DAY = timedelta(days=1)
ONE_A_WEEK = {"messages": 1, "days": 7, "across_channels": False}
TWO_A_WEEK = {"messages": 2, "days": 7, "across_channels": False}
ONE_ON_ANY_CHANNEL = {"messages": 1, "days": 7, "across_channels": True}


@dataclass
class Desk:
    """A controller with caps, and messages that were sent."""

    store: Store
    body: Organisation
    campaigns: int = field(default=0)

    def caps(self, session: Session, *caps: Mapping[str, Any]) -> None:
        add_policy(session, self.body.controller, frequency_caps={"caps": list(caps)})

    def run(self, session: Session, channel: Channel = Channel.EMAIL, **changed: Any) -> Run:
        self.campaigns += 1
        _, version = add_campaign(session, self.body.controller, f"campaign-{self.campaigns}")
        columns = {"kind": CampaignKind.MARKETING, "state": RunState.RUNNING, **changed}
        return add_run(session, self.body, version, channel=channel, **columns)

    def person(self, session: Session, *channels: Channel) -> list[ContactPoint]:
        contact = add_contact(session, self.body.controller)
        return [add_point(session, contact, channel=one) for one in channels or (Channel.EMAIL,)]

    def sent(
        self,
        session: Session,
        point: ContactPoint,
        delivery_state: DeliveryState = DeliveryState.ACCEPTED,
        ago: timedelta = DAY,
        **of_run: Any,
    ) -> Delivery:
        earlier = self.run(session, point.channel, **of_run)
        at = NOW - ago
        return add_delivery(session, earlier, point, state=delivery_state, dispatched_at=at)

    def pending(self, session: Session, run: Run, *points: ContactPoint) -> list[Person]:
        return [
            Person(add_delivery(session, run, point).id, point.address_id, point.contact_id)
            for point in points
        ]


@pytest.fixture
def desk(store: Store) -> Desk:
    with store.write() as session:
        return Desk(store, establish(session))


@contextmanager
def _statements(store: Store) -> Iterator[list[str]]:
    """Collect what is sent to the database meanwhile."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(store.engine, "before_cursor_execute", note)
    yield sent
    event.remove(store.engine, "before_cursor_execute", note)


def _ids(people: Sequence[Person]) -> set[int]:
    return {person.delivery_id for person in people}


def test_whoever_had_as_many_as_may_be_gets_no_more(desk: Desk) -> None:
    with desk.store.write() as session:
        desk.caps(session, TWO_A_WEEK)
        (full,), (half,), (fresh,) = (desk.person(session) for _ in range(3))
        for point in (full, full, half):
            desk.sent(session, point)
        run = desk.run(session)
        people = desk.pending(session, run, full, half, fresh)
        assert caps_on(session, run, people, NOW)(people) == _ids(people[:1])


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        (DeliveryState.DISPATCHING, True),
        (DeliveryState.UNKNOWN, True),
        (DeliveryState.ACCEPTED, True),
        (DeliveryState.DELIVERED, True),
        (DeliveryState.FAILED, True),
        (DeliveryState.PENDING, False),
        (DeliveryState.REJECTED, False),
        (DeliveryState.SKIPPED, False),
    ],
)
def test_what_a_provider_has_or_may_have_counts(
    desk: Desk, state: DeliveryState, *, counts: bool
) -> None:
    with desk.store.write() as session:
        desk.caps(session, ONE_A_WEEK)
        (point,) = desk.person(session)
        desk.sent(session, point, state)
        run = desk.run(session)
        people = desk.pending(session, run, point)
        assert bool(caps_on(session, run, people, NOW)(people)) is counts


@pytest.mark.parametrize(
    ("ago", "counts"),
    [
        (7 * DAY - timedelta(seconds=1), True),
        (7 * DAY, False),
        (-timedelta(minutes=1), True),  # by a clock that is fast
    ],
)
def test_the_days_are_those_before_this_moment(desk: Desk, ago: timedelta, *, counts: bool) -> None:
    with desk.store.write() as session:
        desk.caps(session, ONE_A_WEEK)
        (point,) = desk.person(session)
        desk.sent(session, point, ago=ago)
        run = desk.run(session)
        people = desk.pending(session, run, point)
        assert bool(caps_on(session, run, people, NOW)(people)) is counts


def test_each_cap_has_days_of_its_own(desk: Desk) -> None:
    a_month = {"messages": 2, "days": 30, "across_channels": False}
    with desk.store.write() as session:
        desk.caps(session, ONE_A_WEEK, a_month)
        (recent,), (often,), (seldom,) = (desk.person(session) for _ in range(3))
        desk.sent(session, recent)
        for point in (often, often, seldom):
            desk.sent(session, point, ago=20 * DAY)
        run = desk.run(session)
        people = desk.pending(session, run, recent, often, seldom)
        assert caps_on(session, run, people, NOW)(people) == _ids(people[:2])


@pytest.mark.parametrize(
    ("run", "counts"),
    [
        ({"kind": None}, True),  # of before the kind was kept
        ({"kind": CampaignKind.MARKETING}, True),
        ({"kind": CampaignKind.RESEARCH}, False),
        ({"kind": CampaignKind.SERVICE}, False),
        ({"is_test": True}, False),
        ({"state": RunState.FINISHED, "ended_at": NOW - DAY}, True),
        ({"state": RunState.PAUSED}, True),
    ],
)
def test_marketing_counts_and_tests_do_not(
    desk: Desk, run: dict[str, Any], *, counts: bool
) -> None:
    with desk.store.write() as session:
        desk.caps(session, ONE_A_WEEK)
        (point,) = desk.person(session)
        desk.sent(session, point, **run)
        now = desk.run(session)
        people = desk.pending(session, now, point)
        assert bool(caps_on(session, now, people, NOW)(people)) is counts


@pytest.mark.parametrize(
    "run", [{"is_test": True}, {"kind": CampaignKind.SERVICE}, {"kind": CampaignKind.RESEARCH}]
)
def test_what_is_no_marketing_is_not_capped_and_asks_nothing(
    desk: Desk, run: dict[str, Any]
) -> None:
    with desk.store.write() as session:
        desk.caps(session, ONE_A_WEEK)
        (point,) = desk.person(session)
        desk.sent(session, point)
        now = desk.run(session, **run)
        people = desk.pending(session, now, point)
        with _statements(desk.store) as statements:
            assert caps_on(session, now, people, NOW)(people) == set()
        assert statements == []


def test_without_a_cap_one_question_is_asked(desk: Desk) -> None:
    with desk.store.write() as session:
        (point,) = desk.person(session)
        desk.sent(session, point)
        run = desk.run(session)
        people = desk.pending(session, run, point)
        with _statements(desk.store) as statements:
            assert caps_on(session, run, people, NOW)(people) == set()
        assert len(statements) == 1


def test_the_latest_policy_rules(desk: Desk) -> None:
    with desk.store.write() as session:
        desk.caps(session, ONE_A_WEEK)
        desk.caps(session, TWO_A_WEEK)
        (point,) = desk.person(session)
        desk.sent(session, point)
        run = desk.run(session)
        people = desk.pending(session, run, point)
        assert caps_on(session, run, people, NOW)(people) == set()
        add_policy(session, desk.body.controller)  # it says nothing any more
        desk.sent(session, point)
        assert caps_on(session, run, people, NOW)(people) == set()


def test_each_controller_counts_its_own(desk: Desk) -> None:
    with desk.store.write() as session:
        other = Desk(desk.store, establish(session, "hillside"))
        desk.caps(session, ONE_A_WEEK)
        (point,) = desk.person(session)
        plain = point.address
        theirs = add_point(session, add_contact(session, other.body.controller), plain)
        other.sent(session, theirs)
        run = desk.run(session)
        people = desk.pending(session, run, point)
        assert caps_on(session, run, people, NOW)(people) == set()
        desk.sent(session, point)
        run_of_theirs = other.run(session)
        people = other.pending(session, run_of_theirs, theirs)
        assert caps_on(session, run_of_theirs, people, NOW)(people) == set()


def test_all_addresses_of_a_contact_are_one_person_s(desk: Desk) -> None:
    with desk.store.write() as session:
        desk.caps(session, ONE_A_WEEK)
        home, work = desk.person(session, Channel.EMAIL, Channel.EMAIL)
        desk.sent(session, home)
        run = desk.run(session)
        people = desk.pending(session, run, work)
        assert caps_on(session, run, people, NOW)(people) == _ids(people)


def test_of_two_addresses_in_one_batch_the_first_goes(desk: Desk) -> None:
    with desk.store.write() as session:
        desk.caps(session, ONE_A_WEEK)
        home, work = desk.person(session, Channel.EMAIL, Channel.EMAIL)
        run = desk.run(session)
        people = desk.pending(session, run, home, work)
        assert caps_on(session, run, people, NOW)(people[::-1]) == _ids(people[1:])


def test_who_is_refused_for_something_else_takes_no_place_of_a_cap(desk: Desk) -> None:
    with desk.store.write() as session:
        desk.caps(session, ONE_A_WEEK)
        home, work = desk.person(session, Channel.EMAIL, Channel.EMAIL)
        run = desk.run(session)
        people = desk.pending(session, run, home, work)
        assert caps_on(session, run, people, NOW)(people[1:]) == set()


def test_channels_count_apart_or_together_as_the_cap_says(desk: Desk) -> None:
    with desk.store.write() as session:
        email, sms = desk.person(session, Channel.EMAIL, Channel.SMS)
        desk.sent(session, sms)
        run = desk.run(session)
        people = desk.pending(session, run, email)
        desk.caps(session, ONE_A_WEEK)
        assert caps_on(session, run, people, NOW)(people) == set()
        desk.caps(session, ONE_ON_ANY_CHANNEL)
        assert caps_on(session, run, people, NOW)(people) == _ids(people)
        desk.caps(session, {**ONE_ON_ANY_CHANNEL, "messages": 2}, ONE_A_WEEK)
        assert caps_on(session, run, people, NOW)(people) == set()


def test_somebody_who_is_no_contact_is_known_by_the_address(desk: Desk) -> None:
    with desk.store.write() as session:
        desk.caps(session, ONE_ON_ANY_CHANNEL)
        earlier, run = desk.run(session), desk.run(session)
        ids = [address_id_of(session) for _ in range(2)]
        state = DeliveryState.UNKNOWN
        session.add(Delivery(run_id=earlier.id, address_id=ids[0], state=state, dispatched_at=NOW))
        people = [Person(number, address_id, None) for number, address_id in enumerate(ids)]
        session.flush()
        assert caps_on(session, run, people, NOW)(people) == {0}


def test_a_message_that_only_its_provider_tells_of_counts(desk: Desk) -> None:
    with desk.store.write() as session:
        desk.caps(session, ONE_A_WEEK)
        (told,), (long_ago,), (doubted,) = (desk.person(session) for _ in range(3))
        earlier, run = desk.run(session), desk.run(session)
        accepted = DeliveryState.ACCEPTED
        add_delivery(session, earlier, told, state=accepted, accepted_at=NOW - DAY)
        add_delivery(session, earlier, long_ago, state=accepted, accepted_at=NOW - 8 * DAY)
        add_delivery(session, earlier, doubted, state=DeliveryState.UNKNOWN)  # a restored backup
        people = desk.pending(session, run, told, long_ago, doubted)
        assert caps_on(session, run, people, NOW)(people) == _ids([people[0], people[2]])


def test_messages_that_only_a_journal_remembers_count(desk: Desk) -> None:
    with desk.store.write() as session:
        desk.caps(session, ONE_A_WEEK)
        (point,), (other,) = desk.person(session), desk.person(session)
        lost = LostRun(
            controller_id=desk.body.id,
            campaign_name="autumn",
            run_key="00" * 16,
            messages=1,
            recorded_at=NOW - DAY,
        )
        session.add(lost)
        session.flush()
        session.add(LostMessage(lost_run_id=lost.id, address_id=point.address_id))
        run = desk.run(session)
        people = desk.pending(session, run, point, other)
        assert caps_on(session, run, people, NOW)(people) == _ids(people[:1])
        assert caps_on(session, run, people, NOW + 8 * DAY)(people) == set()


def test_a_batch_costs_few_statements(desk: Desk) -> None:
    with desk.store.write() as session:
        desk.caps(session, ONE_ON_ANY_CHANNEL)
        points = [desk.person(session)[0] for _ in range(60)]
        run = desk.run(session)
        people = desk.pending(session, run, *points)
        with _statements(desk.store) as statements:
            assert caps_on(session, run, people, NOW)(people) == set()
        assert len(statements) <= 7


ON_POSTGRESQL = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
"""SQLite has one writer; only PostgreSQL has two sessions at the same moment."""


@dataclass
class Sending:
    """A run that marks a person when it may, in a session of its own."""

    store: Store
    run_id: int
    people: Sequence[Person]
    went: set[int] = field(default_factory=set)

    def __call__(self) -> None:
        with self.store.write() as session:
            self.mark(session)

    def mark(self, session: Session) -> None:
        run = session.get_one(Run, self.run_id)
        held = caps_on(session, run, self.people, NOW)(self.people)
        for person in self.people:
            if person.delivery_id not in held:
                delivery = session.get_one(Delivery, person.delivery_id)
                delivery.state = DeliveryState.DISPATCHING
                delivery.dispatched_at = NOW
                self.went.add(person.delivery_id)
        session.flush()


def _sending(desk: Desk, session: Session, *points: ContactPoint) -> Sending:
    run = desk.run(session, points[0].channel)
    return Sending(desk.store, run.id, desk.pending(session, run, *points))


@ON_POSTGRESQL
@pytest.mark.parametrize("across", [False, True])
def test_of_two_runs_at_the_same_moment_one_goes(desk: Desk, *, across: bool) -> None:
    with desk.store.write() as session:
        desk.caps(session, {**ONE_A_WEEK, "across_channels": across})
        points = [
            desk.person(session, Channel.EMAIL, Channel.SMS if across else Channel.EMAIL)
            for _ in range(20)
        ]
        first = _sending(desk, session, *(one for one, _ in points))
        second = _sending(desk, session, *(other for _, other in points[::-1]))
    rival = Rival(desk.store, second)
    with desk.store.write() as session:
        first.mark(session)
        rival.start()
    rival.finish()
    assert (len(first.went), len(second.went)) == (20, 0)


@ON_POSTGRESQL
def test_a_run_that_was_rolled_back_lets_the_other_go(desk: Desk) -> None:
    with desk.store.write() as session:
        desk.caps(session, ONE_A_WEEK)
        (point,) = desk.person(session)
        first, second = _sending(desk, session, point), _sending(desk, session, point)
    rival = Rival(desk.store, second)
    with desk.store.write() as session:
        first.mark(session)
        rival.start()
        session.rollback()
    rival.finish()
    assert len(second.went) == 1


def test_opposite_orders_and_overlapping_people_end_by_themselves(desk: Desk) -> None:
    with desk.store.write() as session:
        desk.caps(session, ONE_ON_ANY_CHANNEL)
        points = [desk.person(session, Channel.EMAIL, Channel.SMS) for _ in range(30)]
        upwards = [_sending(desk, session, *(one for one, _ in points[:20])) for _ in range(3)]
        downwards = [
            _sending(desk, session, *(other for _, other in points[:5:-1])) for _ in range(3)
        ]
    rivals = [
        Rival(desk.store, one) for pair in zip(upwards, downwards, strict=True) for one in pair
    ]
    for rival in rivals:
        rival._thread.start()
    for rival in rivals:
        rival.finish()
    with desk.store.read() as session:
        written_to = session.scalars(
            select(ContactPoint.contact_id)
            .join(Delivery, Delivery.contact_point_id == ContactPoint.id)
            .where(Delivery.state == DeliveryState.DISPATCHING)
        ).all()
    assert sorted(written_to) == sorted({one.contact_id for one, _ in points})


@ON_POSTGRESQL
def test_an_address_that_is_added_meanwhile_counts(desk: Desk) -> None:
    """The other run wrote to an address that was not known when this one began to wait."""
    with desk.store.write() as session:
        desk.caps(session, ONE_A_WEEK)
        (old,) = desk.person(session)
        sending = _sending(desk, session, old)
        contact = session.get_one(Contact, old.contact_id)
    rival = Rival(desk.store, sending)
    with desk.store.write() as session:
        run = desk.run(session)
        new = add_point(session, contact)
        people = desk.pending(session, run, new)
        assert caps_on(session, run, people, NOW)(people) == set()
        delivery = session.get_one(Delivery, people[0].delivery_id)
        delivery.state, delivery.dispatched_at = DeliveryState.DISPATCHING, NOW
        rival.start()
    rival.finish()
    assert sending.went == set()


class TestANoAtTheSameMoment:
    """It neither waits forever nor is overlooked: locks are taken in one order."""

    @ON_POSTGRESQL
    def test_a_stop_that_is_first_is_seen_by_the_look(self, desk: Desk) -> None:
        with desk.store.write() as session:
            desk.caps(session, ONE_A_WEEK)
            (point,) = desk.person(session)
            run = desk.run(session)
            people = desk.pending(session, run, point)
        seen: list[int] = []

        def look() -> None:
            with desk.store.write() as session:
                caps_on(session, session.get_one(Run, run.id), people, NOW)(people)
                seen.extend(session.scalars(select(Block.address_id)))

        rival = Rival(desk.store, look)
        with desk.store.write() as session:
            block(session, point.address_id, controller=desk.body.controller)
            rival.start()
        rival.finish()
        assert seen == [point.address_id]

    @ON_POSTGRESQL
    def test_a_stop_that_is_second_waits_for_the_marks(self, desk: Desk) -> None:
        with desk.store.write() as session:
            desk.caps(session, ONE_A_WEEK)
            (point,) = desk.person(session)
            sending = _sending(desk, session, point)
        seen: list[DeliveryState] = []

        def stop() -> None:
            with desk.store.write() as session:
                block(session, point.address_id, controller=desk.body.controller)
                seen.extend(session.scalars(select(Delivery.state)))

        rival = Rival(desk.store, stop)
        with desk.store.write() as session:
            sending.mark(session)
            rival.start()
        rival.finish()
        assert seen == [DeliveryState.DISPATCHING]

    def test_objections_and_runs_over_all_channels_end_by_themselves(self, desk: Desk) -> None:
        with desk.store.write() as session:
            desk.caps(session, ONE_ON_ANY_CHANNEL)
            points = [desk.person(session, Channel.SMS, Channel.EMAIL) for _ in range(20)]
            sending = _sending(desk, session, *(email for _, email in points[::-1]))

        def object_all() -> None:
            for sms, _ in points:
                with desk.store.write() as session:
                    objection = Objection(desk.body.id, sms.address_id, NOW, "page", OPERATOR)
                    record_objection(session, objection, NOW)

        rivals = [Rival(desk.store, sending), Rival(desk.store, object_all)]
        for rival in rivals:
            rival._thread.start()
        for rival in rivals:
            rival.finish()
        assert len(sending.went) == 20
