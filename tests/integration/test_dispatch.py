"""Dispatch through the real SES SDK to the local fake: invariants 1, 2, 4 and 5."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from sender.clock import SystemClock
from sender.consent.objection import Objection, record_objection
from sender.delivery.batch import Batch
from sender.delivery.outcomes import Outcome
from sender.delivery.progress import Ending
from sender.delivery.recovery import SILENT_AFTER
from sender.delivery.runs import cancel, get_run, move, pause
from sender.errors import RefusedError
from sender.providers.base import BatchResult, NotStarted, Outgoing
from sender.store.campaigns import Dispatcher as DispatcherRow
from sender.store.campaigns import Run
from sender.store.consents import ConsentEvent
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import SenderIdentity
from sender.store.deliveries import Delivery
from sender.store.engine import Store, open_store
from sender.vocabulary import (
    BlockCause,
    Channel,
    ConsentKind,
    ContactSource,
    DeliveryState,
    Reason,
    RunState,
)
from tests.fakes.http import Fault
from tests.fakes.ses import SesFake, error_answer
from tests.support.dispatch_world import World, build_world, make_renderer
from tests.support.factory import (
    OPERATOR,
    add_body,
    add_contact,
    add_freeze,
    add_identity,
    add_point,
    block,
    establish,
    record_consent,
)

Build = Callable[..., World]
RATE_EXCEEDED = "Maximum sending rate exceeded."


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = open_store(database_url)
    yield opened
    opened.close()


@pytest.fixture
def fake() -> Iterator[SesFake]:
    with SesFake() as running:
        yield running


@pytest.fixture
def build(store: Store, fake: SesFake) -> Build:
    def make(people: int) -> World:
        return build_world(store, fake, people=people)

    return make


def test_everybody_who_agreed_is_sent_one_message_and_the_ledger_says_so(build: Build) -> None:
    world = build(120)
    assert world.plan().pending == 120
    assert world.dispatch() is Ending.FINISHED
    assert Counter(world.fake.delivery_ids).most_common(1)[0][1] == 1
    assert len(world.fake.messages) == 120
    counts = world.counts()
    assert counts.by_state == {DeliveryState.ACCEPTED: 120}
    with world.store.read() as session:
        delivery = world.delivery_of(session, world.points[7])
        event = session.get_one(ConsentEvent, delivery.consent_event_id)
        assert event.address_id == world.points[7].address_id
        assert delivery.values == {"first_name": "Pat7"}
        assert delivery.message_hash is not None
        assert delivery.version_id == world.version_id
        assert delivery.provider_message_id


def test_an_opt_out_after_planning_is_seen_by_the_last_look(build: Build) -> None:
    world = build(10)
    world.plan()
    with world.store.write() as session:
        block(
            session, world.points[3].address_id, controller=world.organisation.controller,
            channel="email", now=world.clock.now(),
        )  # fmt: skip
    world.dispatch()
    assert len(world.fake.messages) == 9
    assert world.counts().by_reason == {Reason.SUPPRESSED: 1}


def test_a_withdrawal_while_sending_stops_whoever_is_not_yet_marked(build: Build) -> None:
    world = build(20)
    world.plan()

    def withdraw_the_last(_batch: list[Outgoing]) -> None:
        if world.fake.messages:
            return
        with world.store.write() as session:
            record_consent(
                session, world.organisation, world.points[19].address_id,
                kind=ConsentKind.WITHDRAWN, occurred_at=world.clock.now(), now=world.clock.now(),
            )  # fmt: skip

    with world.provider(mode="single") as provider:
        provider.before = withdraw_the_last
        world.dispatcher(provider, one_by_one=True).run()
    assert len(world.fake.messages) == 19
    assert world.counts().by_reason == {Reason.WITHDRAWN: 1}


def test_an_objection_while_sending_stops_every_address_of_the_contact(build: Build) -> None:
    world = build(2)
    with world.store.write() as session:
        contact = session.get_one(Contact, world.points[0].contact_id)
        second = add_point(session, contact)
        record_consent(
            session, world.organisation, second.address_id,
            occurred_at=world.clock.now() - timedelta(days=1), now=world.clock.now(),
        )  # fmt: skip
    assert world.plan().pending == 3
    with world.store.write() as session:
        objection = Objection(
            controller_id=world.organisation.id, address_id=second.address_id,
            occurred_at=world.clock.now(), source="letter", operator=OPERATOR,
        )  # fmt: skip
        record_objection(session, objection, world.clock.now())
    world.dispatch()
    assert len(world.fake.messages) == 1
    assert world.counts().by_reason == {Reason.OBJECTED: 2}


def test_a_freeze_stops_the_run_at_the_next_look(build: Build) -> None:
    world = build(3)
    world.plan()
    with world.store.write() as session:
        add_freeze(session, world.organisation.controller, world.clock.now())
    world.dispatch()
    assert world.fake.messages == []
    assert world.counts().by_reason == {Reason.CONTROLLER_FROZEN: 3}


def test_a_body_spoken_for_needs_its_own_consent(build: Build) -> None:
    world = build(2)
    with world.store.write() as session:
        candidate = establish(session, "candidate")
        add_body(session, get_run(session, world.run_id), candidate)
        record_consent(
            session, candidate, world.points[0].address_id,
            occurred_at=world.clock.now() - timedelta(days=1), now=world.clock.now(),
        )  # fmt: skip
    counts = world.plan()
    assert (counts.pending, counts.by_reason) == (1, {Reason.NO_CONSENT: 1})
    world.dispatch()
    assert len(world.fake.messages) == 1
    with world.store.read() as session:
        assert world.delivery_of(session, world.points[1]).refused_by_id == candidate.id


def test_nothing_starts_on_a_look_that_is_over_a_second_old(build: Build) -> None:
    class Late(SystemClock):
        late = 0.0

        def monotonic(self) -> float:
            return super().monotonic() + self.late

    clock = Late()
    answers: list[BatchResult] = []
    world = build(5)
    world.clock = clock
    world.plan()
    with world.provider() as provider:

        def dawdle(_batch: list[Outgoing]) -> None:
            clock.late += 1.5

        provider.before, provider.after = dawdle, answers.append
        assert world.dispatcher(provider).run() is Ending.STOPPED
    assert world.fake.messages == []
    assert {type(result) for answer in answers for result in answer.results} == {NotStarted}
    assert world.counts().pending == 5
    with world.store.read() as session:
        assert "a second" in (get_run(session, world.run_id).stopped_because or "")


def test_a_record_that_fails_for_a_moment_is_written_again_and_no_call_repeated(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = build(5)
    world.plan()
    failures = iter([True, True])
    write = Batch._write

    def fail_twice(batch: Batch, outcomes: list[Outcome]) -> None:
        if next(failures, False):
            raise OperationalError("UPDATE", {}, Exception("connection lost"))
        write(batch, outcomes)

    monkeypatch.setattr(Batch, "_write", fail_twice)
    assert world.dispatch() is Ending.FINISHED
    assert world.counts().by_state == {DeliveryState.ACCEPTED: 5}
    assert len(world.fake.messages) == 5


def test_a_sender_identity_that_is_retired_sends_no_more(build: Build) -> None:
    world = build(3)
    world.plan()
    with world.store.write() as session:
        used = world.organisation.identities[Channel.EMAIL]
        add_identity(session, world.organisation.controller, Channel.EMAIL, name="another")
        session.execute(
            update(SenderIdentity)
            .where(SenderIdentity.id == used.id)
            .values(retired_at=world.clock.now())
        )
    world.dispatch()
    assert world.fake.messages == []
    assert world.counts().by_reason == {Reason.NO_SENDER_IDENTITY: 3}


@pytest.mark.parametrize("fault", [Fault.SILENCE, Fault.RESET_MIDWAY])
def test_an_unanswered_call_is_unknown_and_never_repeated(build: Build, fault: Fault) -> None:
    world = build(60)
    world.plan()
    world.fake.script.append(fault)
    with world.provider(timeout=0.5) as provider:
        assert world.dispatcher(provider).run() is Ending.FINISHED
    counts = world.counts()
    assert counts.unknown > 0
    assert counts.unknown + counts.by_state[DeliveryState.ACCEPTED] == 60
    assert max(Counter(world.fake.delivery_ids).values()) == 1


def test_an_exception_in_the_middle_of_a_call_leaves_unknowns_not_repeats(build: Build) -> None:
    world = build(5)
    world.plan()

    def fail(_batch: list[Outgoing]) -> None:
        raise ZeroDivisionError

    with world.provider() as provider:
        provider.before = fail
        with pytest.raises(ZeroDivisionError):
            world.dispatcher(provider).run()
    assert world.counts().unknown == 5
    assert world.dispatch_again() is Ending.FINISHED
    assert world.fake.messages == []


def test_what_a_lost_dispatcher_had_marked_becomes_unknown(build: Build) -> None:
    world = build(4)
    world.plan()
    with world.store.write() as session:
        lost = DispatcherRow(
            run_id=world.run_id, host="elsewhere", process_id=1,
            started_at=world.clock.now() - timedelta(hours=1),
            heartbeat_at=world.clock.now() - SILENT_AFTER,
        )  # fmt: skip
        session.add(lost)
        session.flush()
        delivery = world.delivery_of(session, world.points[1])
        delivery.state, delivery.dispatcher_id = DeliveryState.DISPATCHING, lost.id
    assert world.dispatch() is Ending.FINISHED
    assert len(world.fake.messages) == 3
    assert world.counts().unknown == 1


def test_two_dispatchers_do_not_work_on_one_run(build: Build) -> None:
    world = build(3)
    world.plan()
    with world.provider() as first, world.provider() as second:

        def try_too(_batch: list[Outgoing]) -> None:
            with pytest.raises(RefusedError, match="being sent already"):
                world.dispatcher(second).run()

        first.before = try_too
        world.dispatcher(first).run()
    assert len(world.fake.messages) == 3


def test_a_paused_run_sends_nothing_more_and_goes_on_where_it_was(build: Build) -> None:
    world = build(200)
    world.plan()
    with world.provider() as provider:

        def pause_it(_answer: object) -> None:
            with world.store.write() as session:
                pause(session, world.run_id, now=world.clock.now(), operator=OPERATOR)

        provider.after = pause_it
        assert world.dispatcher(provider).run() is Ending.PAUSED
    counts = world.counts()
    assert 0 < counts.by_state[DeliveryState.ACCEPTED] < 200
    assert counts.planned == 200
    assert world.dispatch_again() is Ending.FINISHED
    assert sorted(Counter(world.fake.delivery_ids).values()) == [1] * 200


def test_cancelling_skips_whoever_is_pending(build: Build) -> None:
    world = build(200)
    world.plan()
    with world.provider() as provider:

        def cancel_it(_answer: object) -> None:
            with world.store.write() as session:
                if get_run(session, world.run_id).state is RunState.RUNNING:
                    cancel(session, world.run_id, now=world.clock.now(), operator=OPERATOR)

        provider.after = cancel_it
        assert world.dispatcher(provider).run() is Ending.CANCELLED
    counts = world.counts()
    assert counts.pending == 0
    assert counts.by_reason[Reason.CANCELLED] + len(world.fake.messages) == 200


def test_an_expired_run_sends_nothing(build: Build) -> None:
    world = build(3)
    world.plan()
    with world.store.write() as session:
        session.execute(update(Run).values(expires_at=world.clock.now()))
    assert world.dispatch() is Ending.FINISHED
    assert world.fake.messages == []
    assert world.counts().by_reason == {Reason.EXPIRED: 3}


def test_an_erased_address_is_skipped(build: Build) -> None:
    world = build(2)
    world.plan()
    with world.store.write() as session:
        session.execute(
            update(ContactPoint).where(ContactPoint.id == world.points[0].id).values(address=None)
        )
    world.dispatch()
    assert world.counts().by_reason == {Reason.ERASED: 1}
    assert len(world.fake.messages) == 1


def test_a_message_that_fails_the_check_is_not_sent(build: Build) -> None:
    world = build(2)
    world.plan()
    hidden = make_renderer("<p>{{ '{' }}{ recipient.first_name }}</p>")
    with world.provider() as provider:
        world.dispatcher(provider, renderer=hidden).run()
    assert world.fake.messages == []
    assert world.counts().by_reason == {Reason.RENDERED_CHECK: 2}


def test_a_rejected_message_is_not_offered_again(build: Build) -> None:
    world = build(2)
    world.plan()
    with world.store.read() as session:
        delivery_id = world.delivery_of(session, world.points[0]).id
    world.fake.entry_failures[delivery_id] = ("MESSAGE_REJECTED", "Content was rejected.")
    assert world.dispatch() is Ending.FINISHED
    assert world.counts().by_state == {DeliveryState.REJECTED: 1, DeliveryState.ACCEPTED: 1}


def test_a_stop_of_the_provider_stops_the_run_and_loses_nobody(build: Build) -> None:
    world = build(80)
    world.plan()
    with world.store.read() as session:
        ids = session.scalars(select(Delivery.id)).all()
    world.fake.entry_failures = dict.fromkeys(ids, ("ACCOUNT_SUSPENDED", "Suspended."))
    assert world.dispatch() is Ending.STOPPED
    counts = world.counts()
    assert counts.pending == 80
    with world.store.read() as session:
        assert "ACCOUNT_SUSPENDED" in (get_run(session, world.run_id).stopped_because or "")


def test_throttling_slows_a_run_down_and_loses_nobody(build: Build) -> None:
    class Patient(SystemClock):
        """Waits without waiting, so that a deferral of seconds takes none."""

        waited = 0.0

        def now(self) -> datetime:
            return super().now() + timedelta(seconds=self.waited)

        def monotonic(self) -> float:
            return super().monotonic() + self.waited

        def sleep(self, seconds: float) -> None:
            self.waited += seconds

    world = build(150)
    world.clock = Patient()
    world.plan()
    world.fake.script.extend([error_answer(429, "TooManyRequestsException", RATE_EXCEEDED)] * 2)
    with world.provider() as provider:
        dispatcher = world.dispatcher(provider)
        assert dispatcher.run() is Ending.FINISHED
    assert dispatcher.progress.returned > 0
    assert 0.05 <= dispatcher.pace.current_rate_per_second / dispatcher.pace.rate_per_second < 1
    assert sorted(Counter(world.fake.delivery_ids).values()) == [1] * 150
    assert world.counts().by_state == {DeliveryState.ACCEPTED: 150}


def test_third_party_people_are_told_their_source_once(build: Build) -> None:
    world = build(0)
    with world.store.write() as session:
        contact = add_contact(
            session, world.organisation.controller, source=ContactSource.THIRD_PARTY,
            source_detail="Valley Residents' Forum",
        )  # fmt: skip
        point = add_point(session, contact)
        record_consent(
            session, world.organisation, point.address_id,
            occurred_at=world.clock.now() - timedelta(days=2), now=world.clock.now(),
        )  # fmt: skip
    world.plan()
    assert world.dispatch() is Ending.FINISHED
    assert "Valley Residents" in str(world.fake.messages[0].message)
    with world.store.read() as session:
        assert session.get_one(Contact, contact.id).source_told_at is not None


def test_planning_again_after_a_crash_repeats_nobody(build: Build) -> None:
    world = build(30)
    world.plan()
    with world.store.write() as session:
        run = get_run(session, world.run_id)
        move(session, run, RunState.PLANNING, now=world.clock.now(), operator=OPERATOR)
    assert world.plan().pending == 30
    assert world.ledger_total() == 30


def test_a_block_on_another_channel_or_controller_does_not_apply(build: Build) -> None:
    world = build(2)
    with world.store.write() as session:
        other = establish(session, "elsewhere")
        block(session, world.points[0].address_id, controller=other.controller)
        block(session, world.points[1].address_id, channel="sms", cause=BlockCause.BOUNCE)
    assert world.plan().pending == 2


def test_deliveries_of_other_runs_are_left_alone(build: Build) -> None:
    world = build(2)
    world.plan()
    with world.store.read() as session:
        ids = set(session.scalars(select(Delivery.id)))
    world.dispatch()
    assert set(world.fake.delivery_ids) == ids
    assert Channel.EMAIL in Channel
