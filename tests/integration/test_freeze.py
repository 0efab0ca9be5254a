"""A freeze, a closed purpose and an erasure while messages go out (guidance ¶52-53, ¶84-86)."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from sender.campaigns.launch import prepare_launch
from sender.consent.closing import close_purpose
from sender.consent.expiring import expiring
from sender.consent.forecast import forecast
from sender.consent.scopes import closes_at
from sender.delivery.runs import get_run
from sender.errors import RefusedError
from sender.providers.base import Outgoing
from sender.store.engine import Store
from sender.store.schedules import ScheduleOccurrence
from sender.subjects.erase import erase
from sender.subjects.freezing import BECAUSE, freeze_controller
from sender.subjects.whom import Asked
from sender.toml.source import FileErrors
from sender.vocabulary import Channel, OccurrenceState, Reason, ScheduleState
from tests.fakes.ses import SesFake
from tests.support.campaign_folder import open_office
from tests.support.dispatch_world import World, build_world
from tests.support.factory import (
    NOW,
    OPERATOR,
    add_body,
    add_contact,
    add_declaration,
    add_freeze,
    add_notice,
    add_point,
    establish,
    record_consent,
)
from tests.support.schedule_world import DAILY, ScheduleDesk, SetClock
from tests.support.web_context import web_context

Build = Callable[[int], World]
TICK = timedelta(microseconds=1)


@pytest.fixture
def build(store: Store) -> Iterator[Build]:
    with SesFake() as fake:
        yield lambda people: build_world(store, fake, people=people)


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Iterator[ScheduleDesk]:
    clock = SetClock()
    with open_office(store, tmp_path, people=3, clock=clock) as office:
        yield ScheduleDesk(office, clock)


def test_schedules_pause_at_once_and_say_why(desk: ScheduleDesk) -> None:
    schedule_id = desk.add(DAILY)
    done = freeze_controller(desk.office.context, "riverside", reason="A new party")
    assert done.schedules == (schedule_id,)
    schedule = desk.schedule(schedule_id)
    assert (schedule.state, schedule.because) == (ScheduleState.PAUSED, BECAUSE)
    desk.tick("2026-12-02T09:00")
    assert desk.runs() == []
    assert desk.audited() == ["add", "pause"]


def test_what_is_just_being_opened_does_not_go_out(desk: ScheduleDesk) -> None:
    schedule_id, now = desk.add(DAILY), desk.clock.now()
    with desk.office.store.write() as session:
        session.add(
            ScheduleOccurrence(
                schedule_id=schedule_id, due_at=now, state=OccurrenceState.OPENING, decided_at=now
            )
        )
    freeze_controller(desk.office.context, "riverside", reason="A new party")
    with desk.office.store.read() as session:
        occurrence = session.scalars(select(ScheduleOccurrence)).one()
        assert (occurrence.state, occurrence.because) == (OccurrenceState.SKIPPED, BECAUSE)


def test_another_controllers_schedules_go_on(desk: ScheduleDesk) -> None:
    schedule_id = desk.add(DAILY)
    with desk.office.store.write() as session:
        establish(session, "jones")
    assert freeze_controller(desk.office.context, "jones", reason="A new party").schedules == ()
    assert desk.schedule(schedule_id).state is ScheduleState.ACTIVE


def test_a_freeze_needs_its_reason(desk: ScheduleDesk) -> None:
    schedule_id = desk.add(DAILY)
    with pytest.raises(RefusedError, match="needs its reason"):
        freeze_controller(desk.office.context, "riverside", reason=" ")
    assert desk.schedule(schedule_id).state is ScheduleState.ACTIVE


def test_a_frozen_body_cannot_be_named(desk: ScheduleDesk) -> None:
    office = desk.office
    with office.store.write() as session:
        jones = establish(session, "jones")
        add_declaration(session, jones.controller)
    prepare_launch(office.context, office.email(on_behalf_of=["jones"])).close()
    freeze_controller(office.context, "jones", reason="A new party")
    with pytest.raises(FileErrors, match=r"on_behalf_of\[1\]: jones is frozen"):
        prepare_launch(office.context, office.email(on_behalf_of=["jones"]))


def test_a_body_that_is_frozen_while_a_run_goes_is_spoken_for_no_more(build: Build) -> None:
    """Nor by whoever agreed to it anew since: that is between them and that body."""
    world = build(2)
    now = world.clock.now()
    with world.store.write() as session:
        body = establish(session, "jones")
        add_body(session, get_run(session, world.run_id), body)
        later = add_notice(session, body.controller, version=2, shown_from=now - timedelta(days=2))
        for point in world.points:
            agreed_at = now - timedelta(days=1)
            record_consent(
                session, body, point.address_id, occurred_at=agreed_at, notice=later, now=now
            )
    assert world.plan().pending == 2
    with world.store.write() as session:
        add_freeze(session, body.controller, now - timedelta(days=3))
    world.dispatch()
    assert world.fake.messages == []
    assert world.counts().by_reason == {Reason.CONTROLLER_FROZEN: 2}


def test_whoever_agrees_after_the_freeze_under_a_later_wording_is_written_to(build: Build) -> None:
    world = build(3)
    now, frozen_at = world.clock.now(), world.clock.now() - timedelta(days=3)
    with world.store.write() as session:
        controller = world.organisation.controller
        add_freeze(session, controller, frozen_at)
        later = add_notice(session, controller, version=2, shown_from=frozen_at + TICK)
        for point, notice in zip(world.points, (later, world.organisation.notice), strict=False):
            agreed_at = now - timedelta(days=1)
            record_consent(
                session,
                world.organisation,
                point.address_id,
                occurred_at=agreed_at,
                notice=notice,
                now=now,
            )
    world.plan()
    world.dispatch()
    assert len(world.fake.messages) == 1
    assert world.counts().by_reason == {Reason.CONTROLLER_FROZEN: 2}


def test_a_purpose_that_is_closed_while_a_run_goes_ends_it_for_everybody(build: Build) -> None:
    world = build(20)
    world.plan()
    closed: list[bool] = []

    def close_it(_batch: list[Outgoing]) -> None:
        if closed:
            return
        closed.append(True)
        now = world.clock.now()
        with world.store.write() as session:
            close_purpose(
                session,
                "riverside",
                world.organisation.purpose.slug,
                at=now,
                reason="Decided",
                operator=OPERATOR,
                now=now,
            )

    with world.provider(mode="single") as provider:
        provider.before = close_it
        world.dispatcher(provider, one_by_one=True).run()
    sent = len(world.fake.messages)
    assert sent < 5, "those that were marked before"
    assert world.counts().by_reason == {Reason.ENDED: 20 - sent}


def test_a_purpose_that_closes_later_is_open_until_then(build: Build) -> None:
    world = build(2)
    now = world.clock.now()
    with world.store.write() as session:
        close_purpose(
            session,
            "riverside",
            world.organisation.purpose.slug,
            at=now + timedelta(days=1),
            reason="Decided",
            operator=OPERATOR,
            now=now,
        )
    world.plan()
    world.dispatch()
    assert len(world.fake.messages) == 2


def test_a_purpose_is_closed_again_only_to_end_it_sooner(store: Store) -> None:
    with store.write() as session:
        purpose = establish(session).purpose

        def close(days: int) -> datetime:
            return close_purpose(
                session,
                "riverside",
                purpose.slug,
                at=NOW + timedelta(days=days),
                reason="Decided",
                operator=OPERATOR,
                now=NOW,
            )

        assert close(9) == NOW + timedelta(days=9)
        assert close(3) == closes_at(session, purpose.id) == NOW + timedelta(days=3)
        with pytest.raises(RefusedError, match="is closed from"):
            close(6)
        assert close(-1) == closes_at(session, purpose.id) == NOW, "nothing ends before today"


def test_a_closure_is_foretold(store: Store) -> None:
    closes_at = NOW + timedelta(days=3)
    with store.write() as session:
        body = establish(session)
        point = add_point(session, add_contact(session, body.controller))
        record_consent(session, body, point.address_id)
        close_purpose(
            session,
            "riverside",
            body.purpose.slug,
            at=closes_at,
            reason="Decided",
            operator=OPERATOR,
            now=NOW,
        )
    within = timedelta(days=10)
    with store.read() as session:
        (email, _) = forecast(session, "riverside", now=NOW, months=1)
        assert (email.now, email.months[0].contactable) == (1, 0)
        (soon,) = expiring(session, "riverside", now=NOW, within=within)
        assert (soon.until, soon.because) == (closes_at, "ended")


def test_whoever_is_erased_while_a_run_goes_is_skipped_as_erased(build: Build) -> None:
    world = build(20)
    context = web_context(world.store)
    last = world.points[19]
    assert last.address is not None
    asked = Asked(Channel.EMAIL, last.address, "riverside")
    world.plan()

    def erase_the_last(_batch: list[Outgoing]) -> None:
        if not world.fake.messages:
            erase(context, asked)

    with world.provider(mode="single") as provider:
        provider.before = erase_the_last
        world.dispatcher(provider, one_by_one=True).run()
    assert len(world.fake.messages) == 19
    assert world.counts().by_reason == {Reason.ERASED: 1}
