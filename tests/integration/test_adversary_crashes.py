"""Crashes, late returns and two at once: nobody is sent twice, half-sent or left behind."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from sender.campaigns.amend import preview_amendment
from sender.campaigns.launch import Launch, prepare_launch, prepare_resume
from sender.clock import SystemClock
from sender.consent import objection as objection_module
from sender.consent.objection import Objection, record_objection
from sender.delivery import dispatch
from sender.delivery.audience import ContactAudience
from sender.delivery.outcomes import Outcome, record_outcomes
from sender.delivery.planning import plan
from sender.delivery.progress import Ending, Progress
from sender.delivery.recovery import start_dispatcher
from sender.delivery.runs import cancel, get_run, move, pause
from sender.providers.base import Accepted, NotStarted, Outgoing, Rejected, Result
from sender.store.addresses import Address
from sender.store.campaigns import Dispatcher as DispatcherRow
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import ProviderAccount
from sender.store.deliveries import Delivery
from sender.store.engine import Store, open_store
from sender.store.suppressions import Block
from sender.vocabulary import BlockCause, Channel, DeliveryState, ProviderName, Reason, RunState
from tests.fakes.ses import SesFake
from tests.support.campaign_folder import CREDENTIALS, Office, open_office
from tests.support.dispatch_world import World, build_world
from tests.support.factory import (
    NOW,
    OPERATOR,
    add_contact,
    add_point,
    establish,
)

Build = Callable[[int], World]


@pytest.fixture
def fake() -> Iterator[SesFake]:
    with SesFake() as running:
        yield running


@pytest.fixture
def build(store: Store, fake: SesFake) -> Build:
    def make(people: int) -> World:
        return build_world(store, fake, people=people)

    return make


# What a provider says, however long it says it


@pytest.mark.parametrize(
    "result",
    [
        Accepted("m" * 500),
        Rejected(code="c" * 500, detail="", block=BlockCause.INVALID),
    ],
)
def test_a_long_answer_of_a_provider_loses_no_result(build: Build, result: Result) -> None:
    world = build(2)
    world.plan()
    with world.store.write() as session:
        dispatcher_id = _mark_all(session, world)
        run = get_run(session, world.run_id)
        ids = _delivery_ids(session, world)
        outcomes = [
            Outcome(ids[0], world.points[0].address_id, Accepted("fine")),
            Outcome(ids[1], world.points[1].address_id, result),
        ]
        record_outcomes(session, run, dispatcher_id, outcomes, world.clock.now())
    assert world.counts().by_state[DeliveryState.DISPATCHING] == 0


def _mark_all(session: Session, world: World) -> int:
    dispatcher_id = start_dispatcher(session, world.run_id, world.clock.now())
    session.execute(
        update(Delivery).values(state=DeliveryState.DISPATCHING, dispatcher_id=dispatcher_id)
    )
    return dispatcher_id


def _delivery_ids(session: Session, world: World) -> list[int]:
    query = select(Delivery.id).where(Delivery.run_id == world.run_id).order_by(Delivery.id)
    return list(session.scalars(query))


# Dispatchers that are gone, or come back late


def _leave_a_dead_dispatcher(world: World, state: RunState) -> None:
    with world.store.write() as session:
        dispatcher_id = _mark_all(session, world)
        session.execute(
            update(DispatcherRow)
            .where(DispatcherRow.id == dispatcher_id)
            .values(place="elsewhere", heartbeat_at=world.clock.now() - timedelta(hours=1))
        )
        run = get_run(session, world.run_id, lock=True)
        move(session, run, state, now=world.clock.now(), operator=OPERATOR)


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.PAUSED, RunState.STOPPED])
def test_cancelling_after_a_crash_leaves_nobody_half_sent(build: Build, state: RunState) -> None:
    world = build(3)
    world.plan()
    _leave_a_dead_dispatcher(world, state)
    with world.store.write() as session:
        cancel(session, world.run_id, now=world.clock.now(), operator=OPERATOR)
    assert world.counts().by_state == {DeliveryState.UNKNOWN: 3}


def test_a_pause_that_its_dispatcher_did_not_live_to_see_is_a_pause(build: Build) -> None:
    world = build(3)
    world.plan()
    _leave_a_dead_dispatcher(world, RunState.PAUSING)
    with world.store.write() as session:
        state = pause(session, world.run_id, now=world.clock.now(), operator=OPERATOR)
    assert state is RunState.PAUSED
    assert world.counts().by_state == {DeliveryState.UNKNOWN: 3}


def test_what_comes_back_after_a_cancellation_is_cancelled(build: Build) -> None:
    world = build(2)
    world.plan()
    with world.store.write() as session:
        dispatcher_id = _mark_all(session, world)
        run = get_run(session, world.run_id, lock=True)
        move(session, run, RunState.CANCELLED, now=world.clock.now(), operator=OPERATOR)
    with world.store.write() as session:
        ids = _delivery_ids(session, world)
        outcomes = [
            Outcome(row_id, point.address_id, NotStarted())
            for row_id, point in zip(ids, world.points, strict=True)
        ]
        run = get_run(session, world.run_id)
        record_outcomes(session, run, dispatcher_id, outcomes, world.clock.now())
    assert world.counts().by_reason == {Reason.CANCELLED: 2}


def test_a_dispatcher_that_waits_for_its_last_call_is_seen_to_be_alive(build: Build) -> None:
    class Ahead(SystemClock):
        by = timedelta(0)

        def now(self) -> datetime:
            return super().now() + self.by

    world = build(1)
    world.clock = clock = Ahead()
    world.plan()
    seen: list[bool] = []

    def wait_for_two_beats(_batch: list[Outgoing]) -> None:
        dispatcher.request_stop()
        for minutes in (5, 10):
            clock.by = timedelta(minutes=minutes)
            seen.append(_beats_after(world, SystemClock().now() + clock.by - timedelta(minutes=1)))

    with world.provider() as provider:
        provider.before = wait_for_two_beats
        dispatcher = world.dispatcher(provider)
        dispatcher.run()
    assert seen == [True, True]


def _beats_after(world: World, moment: datetime) -> bool:
    """Wait for a heartbeat later than this; it takes a quarter of a second where there is one."""
    pause = threading.Event()
    for _ in range(300):
        with world.store.read() as session:
            if session.scalars(select(DispatcherRow.heartbeat_at)).one() > moment:
                return True
        pause.wait(0.01)
    return False


@pytest.fixture
def office(
    store: Store, tmp_path: Path, fake: SesFake, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with open_office(store, tmp_path, ses=fake, people=4) as opened:
        yield opened


def _stop_after_planning(office: Office, state: RunState) -> int:
    """Leave a run as a process that died in mid-work left it."""
    launch = prepare_launch(office.context, office.email())
    launch.confirm()
    launch.close()
    now = office.context.clock.now()
    with office.store.write() as session:
        run = get_run(session, launch.run_id, lock=True)
        move(session, run, RunState.RUNNING, now=now, operator=OPERATOR)
        move(session, run, state, now=now, operator=OPERATOR)
    return launch.run_id


def test_a_pause_cut_short_can_be_resumed(office: Office, fake: SesFake) -> None:
    run_id = _stop_after_planning(office, RunState.PAUSING)
    assert office.resume(run_id) is Ending.FINISHED
    assert len(fake.messages) == 4


def test_an_amendment_is_looked_at_without_a_lock(office: Office) -> None:
    run_id = _stop_after_planning(office, RunState.PAUSED)
    office.write("letter.html", "<p>Dear {{ recipient.first_name }}, come on Sunday.</p>")
    assert "Sunday" in preview_amendment(office.context, run_id, office.email())


@pytest.mark.parametrize("under_way", [1, 3])
def test_a_quota_of_our_own_is_kept_over_launches(
    office: Office, fake: SesFake, monkeypatch: pytest.MonkeyPatch, under_way: int
) -> None:
    monkeypatch.setattr(dispatch, "UNDER_WAY", under_way)
    with office.store.write() as session:
        account = session.scalars(
            select(ProviderAccount).where(ProviderAccount.provider == ProviderName.SES)
        ).one()
        account.options = {**account.options, "daily_quota": 3}
    launch = prepare_launch(office.context, office.email())
    launch.confirm()
    dispatcher_stops_at_the_quota(launch)
    launch.close()
    assert len(fake.messages) == 3
    again = prepare_resume(office.context, launch.run_id)
    again.confirm()
    dispatcher_stops_at_the_quota(again)
    again.close()
    assert len(fake.messages) == 3


def dispatcher_stops_at_the_quota(launch: Launch) -> None:
    """Interrupt the dispatch as soon as it waits."""

    def interrupt(progress: Progress) -> None:
        if progress.waiting_until is not None:
            raise KeyboardInterrupt

    launch.on_progress = interrupt
    assert launch.dispatch() is Ending.INTERRUPTED


# Concurrency on PostgreSQL


@pytest.fixture
def postgres(postgresql_url: str) -> Iterator[Store]:
    opened = open_store(postgresql_url)
    yield opened
    opened.close()


def test_a_reading_session_sees_one_picture(postgres: Store) -> None:
    count = select(func.count()).select_from(Address)
    with postgres.read() as reading:
        before = reading.scalar(count)
        with postgres.write() as writing:
            writing.add(Address(channel=Channel.EMAIL, key_hash=bytes(32)))
        assert reading.scalar(count) == before


def test_two_who_plan_at_once_agree_where_the_audience_ends(
    postgres: Store, fake: SesFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = build_world(postgres, fake, people=2)
    audience = ContactAudience(world.organisation.id, Channel.EMAIL)
    first, last = (point.address_id for point in world.points)
    others: list[threading.Thread] = []
    asked: list[str] = []

    def while_another_plans(_audience: ContactAudience, _session: Session) -> int:
        if others:
            asked.append("by the other too")
            return first
        asked.append("by one alone")
        others.append(threading.Thread(target=lambda: list(world_plan(world, audience))))
        others[0].start()
        others[0].join(timeout=0.3)  # waits for us, or is done
        return last

    monkeypatch.setattr(ContactAudience, "last", while_another_plans)
    list(world_plan(world, audience))
    others[0].join()
    with postgres.read() as session:
        run = get_run(session, world.run_id)
        assert run.planned_through == run.plan_ends_at == last
    assert asked == ["by one alone"]
    assert world.counts().planned == 2


def world_plan(world: World, audience: ContactAudience) -> Iterator[int]:
    return plan(world.store, world.clock, world.run_id, audience)


def test_an_objection_reaches_addresses_that_arrive_meanwhile(
    postgres: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres.write() as session:
        organisation = establish(session)
        stray = add_contact(session, organisation.controller)
        known = add_point(session, stray)
        address_id = known.address_id
        session.delete(known)
    arrived: list[int] = []

    def import_meanwhile() -> None:
        with postgres.write() as session:
            contact = add_contact(session, organisation.controller)
            session.add(
                ContactPoint(
                    controller_id=organisation.id, contact_id=contact.id, channel=Channel.EMAIL,
                    address_id=address_id, address="x@example.org", created_at=NOW,
                )
            )  # fmt: skip
            arrived.append(add_point(session, contact, channel=Channel.SMS).address_id)

    real = objection_module._addresses_of_person

    def read_then_import(session: Session, objection: Objection) -> list[int]:
        found = real(session, objection)
        if not arrived:
            importing = threading.Thread(target=import_meanwhile)
            importing.start()
            importing.join()
        return found

    monkeypatch.setattr(objection_module, "_addresses_of_person", read_then_import)
    with postgres.write() as session:
        objection = Objection(organisation.id, address_id, NOW, "letter", OPERATOR)
        record_objection(session, objection, NOW)
    with postgres.read() as session:
        blocked = set(session.scalars(select(Block.address_id)))
        objected = session.scalars(
            select(Contact.objected_at)
            .join(ContactPoint)
            .where(ContactPoint.address_id.in_(arrived))
        ).all()
    assert blocked == {address_id, *arrived}
    assert objected == [NOW]


# Providers


def test_exceptions_of_one_batch_do_not_lose_the_results_of_others(build: Build) -> None:
    world = build(400)
    world.plan()
    failed = threading.Event()

    def fail_once(_batch: list[Outgoing]) -> None:
        if not failed.is_set():
            failed.set()
            raise ZeroDivisionError

    with world.provider() as provider:
        provider.before = fail_once
        with pytest.raises(ZeroDivisionError):
            world.dispatcher(provider).run()
    counts = world.counts()
    assert counts.by_state[DeliveryState.DISPATCHING] == 0
    assert counts.by_state[DeliveryState.ACCEPTED] == len(world.fake.messages)
    assert counts.planned == 400
