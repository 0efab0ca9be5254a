"""Attacks on many workers: sent wrongly, twice, never, or at the wrong time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sender.campaigns.carrying import Carrier
from sender.campaigns.launch import prepare_launch, prepare_resume
from sender.campaigns.schedule_desk import add_schedule
from sender.campaigns.scheduling import tick
from sender.clock import SystemClock
from sender.consent.objection import Objection, record_objection
from sender.contacts.addresses import lock_addresses
from sender.delivery import dispatch
from sender.delivery.lanes import Lanes
from sender.delivery.left_alone import pause_if_left
from sender.delivery.pace import Pace
from sender.delivery.progress import Ending, Progress
from sender.delivery.quota import Quota
from sender.delivery.recovery import live_dispatchers, start_dispatcher
from sender.delivery.runs import get_run, pause
from sender.delivery.turns import Turn
from sender.inbound.opt_out import object_to_all
from sender.inbound.opt_out_message import LinkedMessage, find_message
from sender.providers.base import Capacity, Outgoing
from sender.store.alert_book import RUN_PAUSED
from sender.store.audit import AuditEvent
from sender.store.campaigns import CampaignVersion, Dispatcher, Run
from sender.store.contacts import Contact
from sender.store.engine import Store
from sender.store.inbound import Alert
from sender.store.schedules import Schedule, ScheduleOccurrence
from sender.vocabulary import (
    Channel,
    OccurrenceState,
    ProviderName,
    Reason,
    RunState,
    ScheduleState,
)
from tests.fakes.ses import SesFake
from tests.support.campaign_folder import CREDENTIALS, USUAL_HOURS, Office, open_office
from tests.support.claimants import SimulatedClock
from tests.support.dispatch_world import TOKENS, World, build_world
from tests.support.factory import (
    OPERATOR,
    add_account,
    add_campaign,
    add_contact,
    add_controller_version,
    add_delivery,
    add_point,
    add_policy,
    add_run,
    establish,
    record_consent,
)
from tests.support.set_clock import MORNING, NIGHT, SetClock
from tests.support.waiting import Rival

NO_PROCESS = 2**22 + 1
"""Linux and macOS give no process an id as large."""


@dataclass
class Desk:
    office: Office
    ses: SesFake
    clock: SetClock

    def confirm(self) -> int:
        """Say yes to a launch and leave the sending to others."""
        launch = prepare_launch(self.office.context, self.office.email(USUAL_HOURS))
        try:
            launch.confirm()
        finally:
            launch.close()
        return launch.run_id


@pytest.fixture
def desk(
    store: Store, tmp_path: Path, ses: SesFake, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    clock = SetClock()
    with open_office(store, tmp_path, ses=ses, people=3, clock=clock) as office:
        yield Desk(office, ses, clock)


class TestBeforeTheYes:
    def test_a_plan_for_any_time_that_is_only_looked_at_sends_nothing_at_night(
        self, desk: Desk
    ) -> None:
        run_id = desk.confirm()
        desk.clock.set(NIGHT)
        definition = desk.office.email(USUAL_HOURS)
        prepare_launch(desk.office.context, definition, any_time=True).close()
        assert Carrier(desk.office.context).carry_on(run_id) is Ending.WAITING
        assert desk.ses.messages == []
        with desk.office.store.read() as session:
            assert "run.any_time" not in session.scalars(select(AuditEvent.action)).all()

    def test_a_yes_to_any_time_sends_at_night(self, desk: Desk) -> None:
        run_id = desk.confirm()
        desk.clock.set(NIGHT)
        definition = desk.office.email(USUAL_HOURS)
        launch = prepare_launch(desk.office.context, definition, any_time=True)
        launch.confirm()
        launch.close()
        assert Carrier(desk.office.context).carry_on(run_id) is Ending.FINISHED
        assert len(desk.ses.messages) == 3


@pytest.mark.parametrize(("waited", "asked"), [(0.4, 1), (0.6, 2)])
def test_a_turn_at_the_rate_that_was_not_used_in_time_is_asked_for_again(
    store: Store, ses: SesFake, monkeypatch: pytest.MonkeyPatch, waited: float, asked: int
) -> None:
    class Late(Lanes):
        def take_turn(self, stopping: Callable[[], bool]) -> bool:
            clock.later_by += waited
            return super().take_turn(stopping)

    class Asked(Pace):
        def reserve(self, messages: int) -> Turn:
            turns.append(messages)
            return super().reserve(messages)

    turns: list[int] = []
    clock = LaterClock()
    monkeypatch.setattr(dispatch, "Lanes", Late)
    world = build_world(store, ses, people=3, clock=clock)
    world.plan()
    with world.provider() as provider:
        dispatcher = world.dispatcher(provider)
        dispatcher.pace = Asked(store, clock, "account:1", 1_000)
        assert dispatcher.run() is Ending.FINISHED
    assert turns == [3] * asked


class LaterClock(SystemClock):
    """Its monotonic time can be moved on."""

    later_by = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.later_by


def test_a_launcher_that_was_given_up_for_lost_says_how_the_run_stands(
    store: Store, ses: SesFake
) -> None:
    world = build_world(store, ses, people=2)
    world.plan()

    def meanwhile(_batch: list[Outgoing]) -> None:
        now = world.clock.now()
        with store.write() as session:
            session.execute(update(Dispatcher).values(heartbeat_at=now - timedelta(hours=3)))
            assert pause(session, world.run_id, now=now, operator=OPERATOR) is RunState.PAUSED

    with world.provider() as provider:
        provider.before = meanwhile
        assert world.dispatcher(provider).run() is Ending.PAUSED


def test_the_same_host_and_process_elsewhere_is_somebody_else(store: Store, ses: SesFake) -> None:
    """Two containers may share a host's name, and then each has a process of this id."""
    world = build_world(store, ses, people=1)
    now = world.clock.now()
    with store.write() as session:
        mine = start_dispatcher(session, world.run_id, now)
        gone = update(Dispatcher).where(Dispatcher.id == mine).values(process_id=NO_PROCESS)
        session.execute(gone)
        assert live_dispatchers(session, world.run_id, now) == []
        session.execute(gone.values(place="another container"))
        assert len(live_dispatchers(session, world.run_id, now)) == 1


class TestAMachineThatComesBackAfterDays:
    def test_it_sends_no_old_reminders(self, desk: Desk) -> None:
        run_id = desk.confirm()
        desk.clock.set(MORNING + timedelta(days=3))
        assert tick(desk.office.context, dispatch=True).sent is not None
        assert desk.ses.messages == []
        assert desk.office.run(run_id).state is RunState.PAUSED
        with desk.office.store.read() as session:
            [alert] = session.scalars(select(Alert))
        assert alert.kind == RUN_PAUSED
        assert "nobody carried it on" in alert.details["because"]

    def test_a_person_may_say_that_they_still_go(self, desk: Desk) -> None:
        run_id = desk.confirm()
        desk.clock.set(MORNING + timedelta(days=3))
        tick(desk.office.context, dispatch=True)
        launch = prepare_resume(desk.office.context, run_id)
        launch.confirm()
        launch.close()
        tick(desk.office.context, dispatch=True)
        assert len(desk.ses.messages) == 3

    def test_so_it_is_with_a_run_whose_launcher_was_killed(self, desk: Desk) -> None:
        run_id = desk.confirm()
        with desk.office.store.write() as session:
            get_run(session, run_id).state = RunState.RUNNING
            start_dispatcher(session, run_id, MORNING)
        desk.clock.set(MORNING + timedelta(days=3))
        launch = prepare_resume(desk.office.context, run_id)
        launch.confirm()
        launch.close()
        assert Carrier(desk.office.context).carry_on(run_id) is Ending.FINISHED

    @pytest.mark.parametrize(
        ("late_by", "left_for", "paused"),
        [
            (timedelta(hours=1), timedelta(minutes=61), True),
            (timedelta(hours=1), timedelta(minutes=59), False),
            (timedelta(minutes=1), timedelta(minutes=9), False),
            (timedelta(days=7), timedelta(hours=25), True),
        ],
    )
    def test_a_schedule_s_run_is_left_for_no_longer_than_it_may_be_late(
        self, desk: Desk, late_by: timedelta, left_for: timedelta, *, paused: bool
    ) -> None:
        run_id = desk.confirm()
        with desk.office.store.write() as session:
            add_occurrence(session, get_run(session, run_id), late_by)
        desk.clock.set(MORNING + left_for)
        assert pause_if_left(desk.office.store, desk.clock, run_id) is paused

    def test_a_night_is_no_absence(self, desk: Desk) -> None:
        run_id = desk.confirm()
        desk.clock.set(NIGHT)
        assert Carrier(desk.office.context).carry_on(run_id) is Ending.WAITING
        desk.clock.set(MORNING + timedelta(days=1))
        assert Carrier(desk.office.context).carry_on(run_id) is Ending.FINISHED


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_pause_does_not_wait_for_a_range_that_is_being_planned(store: Store) -> None:
    """What is planned refers to the run; meanwhile others would go on sending."""
    with store.write() as session:
        organisation = establish(session)
        _, version = add_campaign(session, organisation.controller)
        run = add_run(session, organisation, version, state=RunState.RUNNING)
        point = add_point(session, add_contact(session, organisation.controller))

    def stop() -> None:
        with store.write() as session:
            pause(session, run.id, now=NIGHT, operator=OPERATOR)

    person = Rival(store, stop)
    with store.write() as planning:
        add_delivery(planning, run, point)
        person.start()
        with store.read() as session:
            assert get_run(session, run.id).state is RunState.PAUSED
    person.finish()


def test_a_clock_that_is_set_back_hides_neither_a_pause_nor_the_sign_of_life(
    store: Store, ses: SesFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nobody would look at the run, and no brake judge it, for as long as it was set back."""
    monkeypatch.setattr(dispatch, "UNDER_WAY", 1)
    clock = SetClock()
    world = build_world(store, ses, people=10, clock=clock)
    world.plan()
    calls: list[int] = []
    beats: list[datetime] = []

    def meanwhile(_batch: list[Outgoing]) -> None:
        calls.append(1)
        if len(calls) == 1:
            clock.set(MORNING - timedelta(hours=1))
        if len(calls) == 3:
            with store.write() as session:
                beats.append(session.scalars(select(Dispatcher.heartbeat_at)).one())
                pause(session, world.run_id, now=clock.now(), operator=OPERATOR)

    def watch(_progress: Progress) -> None:
        assert len(calls) < 5
        rounds.append(1)
        assert len(rounds) < 2_000, "it does not see the pause"

    rounds: list[int] = []
    with world.provider() as provider:
        provider.before = meanwhile
        dispatcher = world.dispatcher(provider, one_by_one=True)
        dispatcher.on_progress = watch
        assert dispatcher.run() is Ending.PAUSED
    assert beats[0] < MORNING
    assert len(calls) == 3


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
class TestANoAtTheMomentOfALook:
    """A look under a cap locks all addresses of its people; it never stands in the way of a no."""

    @pytest.fixture
    def world(self, store: Store, ses: SesFake) -> World:
        world = build_world(store, ses, people=1)
        with store.write() as session:
            contact = session.get_one(Contact, world.points[0].contact_id)
            world.points.append(add_point(session, contact))
            record_consent(session, world.organisation, world.points[1].address_id, now=NIGHT)
            caps = [{"messages": 1, "days": 7, "across_channels": False}]
            add_policy(session, world.organisation.controller, frequency_caps={"caps": caps})
        world.plan()
        return world

    def test_the_look_gives_way_and_comes_again(self, world: World) -> None:
        dispatching = Rival(world.store, world.dispatch)
        with world.store.write() as session:
            lock_addresses(session, [world.points[1].address_id])
            dispatching.start()
            record_objection(session, objection_of(world), world.clock.now())
        dispatching.finish()
        assert world.fake.messages == []
        assert world.counts().by_reason[Reason.OBJECTED] == 2

    def test_an_objection_locks_like_an_import_and_a_look(self, world: World) -> None:
        """First the contact, then all addresses in their order; else one of two would fail."""
        message = linked_message(world)

        def object_() -> None:
            with world.store.write() as session:
                object_to_all(session, message, world.clock.now())

        person = Rival(world.store, object_)
        with world.store.write() as session:
            lock_addresses(session, [world.points[0].address_id])
            person.start()
            lock_addresses(session, [one.address_id for one in world.points])
        person.finish()


def add_occurrence(session: Session, run: Run, late_by: timedelta) -> None:
    version = session.get_one(CampaignVersion, run.version_id)
    schedule = Schedule(
        controller_id=run.controller_id,
        campaign_id=version.campaign_id,
        version_id=version.id,
        file_path="/spring.toml",
        content_hash=bytes(32),
        state=ScheduleState.ACTIVE,
        late_by_seconds=int(late_by.total_seconds()),
        considered_through=MORNING,
        operator=OPERATOR,
        created_at=MORNING,
        changed_at=MORNING,
    )
    session.add(schedule)
    session.flush()
    occurrence = ScheduleOccurrence(
        schedule_id=schedule.id,
        due_at=MORNING,
        state=OccurrenceState.LAUNCHED,
        run_id=run.id,
        decided_at=MORNING,
    )
    session.add(occurrence)


def objection_of(world: World) -> Objection:
    return Objection(
        controller_id=world.organisation.id,
        address_id=world.points[1].address_id,
        occurred_at=world.clock.now(),
        source="page",
        operator=OPERATOR,
    )


def linked_message(world: World) -> LinkedMessage:
    with world.store.read() as session:
        delivery_id = world.delivery_of(session, world.points[1]).id
        found = find_message(session, TOKENS, TOKENS.make(delivery_id, None))
    assert found is not None
    return found


def test_a_launcher_leaves_a_run_whose_controller_says_something_else_by_now(
    store: Store, ses: SesFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker beside it adopts the newer words; its own messages say the older ones."""
    monkeypatch.setattr(dispatch, "UNDER_WAY", 1)
    world = build_world(store, ses, people=5)
    world.plan()
    rounds: list[int] = []

    def meanwhile(_batch: list[Outgoing]) -> None:
        with store.write() as session:
            newer = add_controller_version(session, world.organisation.controller, version=2)
            get_run(session, world.run_id).controller_version_id = newer.id

    def watch(_progress: Progress) -> None:
        rounds.append(1)
        assert len(rounds) < 2_000, "it goes on for nothing"

    with world.provider() as provider:
        provider.before = meanwhile
        dispatcher = world.dispatcher(provider, one_by_one=True)
        dispatcher.on_progress = watch
        assert dispatcher.run() is Ending.INTERRUPTED
    assert len(ses.messages) == 1


def test_a_schedule_added_again_by_a_clock_that_lags_sends_nothing_twice(desk: Desk) -> None:
    file = desk.office.file(Channel.EMAIL, "[schedule]\nat = 2026-12-02T10:00:00Z\n")
    due = MORNING + timedelta(days=1)
    add_schedule(desk.office.context, file)
    desk.clock.set(due)
    assert tick(desk.office.context, dispatch=True).launched == 1
    desk.clock.set(due - timedelta(minutes=1))
    add_schedule(desk.office.context, file)
    desk.clock.set(due)
    assert tick(desk.office.context, dispatch=True).launched == 0
    assert len(desk.ses.messages) == 3


def test_what_is_given_back_after_a_count_is_not_given_twice(store: Store) -> None:
    """Taken before the provider was asked again, given back after: it was never on its way."""
    clock = SimulatedClock()
    with store.write() as session:
        account_id = add_account(session, ProviderName.SES).id

    def count() -> Capacity:
        return Capacity(
            rate_per_second=10.0, remaining_today=1_000, sandbox=False, sending_enabled=True,
            detail="",
        )  # fmt: skip

    slow, quick = (Quota(store, clock, account_id, count) for _ in range(2))
    assert slow.take(500) == 500
    clock.seconds += 61
    assert quick.take(1) == 1
    quick.give_back(1)
    slow.give_back(500)
    clock.seconds += 61
    assert quick.take(5_000) <= 1_000
