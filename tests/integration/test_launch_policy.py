"""A launch keeps each person's own hours and the controller's caps; an approver may lift hours."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from sender.campaigns.approval import review
from sender.campaigns.launch import prepare_launch, prepare_resume
from sender.delivery.progress import Ending
from sender.operators.authority import NotAllowedError
from sender.operators.roles import Role
from sender.store.audit import AuditEvent
from sender.store.contacts import Contact
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.toml.source import FileErrors
from sender.vocabulary import Channel, DeliveryState, Reason
from tests.fakes.ses import SesFake
from tests.support.campaign_folder import CREDENTIALS, USUAL_HOURS, Office, carry_out, open_office
from tests.support.factory import OPERATOR, add_policy
from tests.support.operators import enter
from tests.support.set_clock import MORNING, NIGHT, SetClock

AUCKLAND_OPENS = datetime(2026, 12, 1, 20, tzinfo=UTC)
"""09:00 on 2 December there, in summer time."""


@dataclass
class Desk:
    office: Office
    ses: SesFake
    clock: SetClock

    def states(self, run_id: int) -> Counter[DeliveryState]:
        return self.office.counts(run_id).by_state

    def move_first_person(self, zone: str) -> None:
        with self.office.store.write() as session:
            first = select(Contact.id).order_by(Contact.id).limit(1).scalar_subquery()
            session.execute(update(Contact).where(Contact.id == first).values(time_zone=zone))


@pytest.fixture
def desk(
    store: Store, ses: SesFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    clock = SetClock()
    with open_office(store, tmp_path, ses=ses, people=4, clock=clock) as office:
        yield Desk(office, ses, clock)


def test_whoever_lives_where_it_is_night_waits_for_the_morning_there(desk: Desk) -> None:
    desk.move_first_person("Pacific/Auckland")
    run_id, ending = desk.office.launch(desk.office.email(USUAL_HOURS))
    assert ending is Ending.WAITING
    assert desk.states(run_id) == {DeliveryState.ACCEPTED: 3, DeliveryState.PENDING: 1}
    with desk.office.store.read() as session:
        waits = session.scalars(
            select(Delivery.not_before).where(Delivery.state == DeliveryState.PENDING)
        ).one()
    assert waits == AUCKLAND_OPENS


def test_an_approver_sends_to_those_who_wait_too(desk: Desk) -> None:
    desk.move_first_person("Pacific/Auckland")
    run_id, _ = desk.office.launch(desk.office.email(USUAL_HOURS))
    _, ending = carry_out(prepare_resume(desk.office.context, run_id, any_time=True))
    assert ending is Ending.FINISHED
    assert desk.states(run_id) == {DeliveryState.ACCEPTED: 4}


def test_a_zone_that_does_not_exist_is_the_controllers(desk: Desk) -> None:
    desk.move_first_person("Mars/Olympus")
    run_id, ending = desk.office.launch(desk.office.email(USUAL_HOURS))
    assert ending is Ending.FINISHED
    assert desk.states(run_id) == {DeliveryState.ACCEPTED: 4}


def test_whose_morning_comes_after_the_end_is_skipped_with_that_reason(desk: Desk) -> None:
    desk.move_first_person("Pacific/Auckland")
    ends = AUCKLAND_OPENS - timedelta(minutes=1)
    definition = desk.office.email(USUAL_HOURS, expires_at=ends)
    run_id, ending = desk.office.launch(definition)
    assert ending is Ending.FINISHED
    assert desk.office.counts(run_id).by_reason == {Reason.OUTSIDE_WINDOW: 1}
    assert desk.states(run_id)[DeliveryState.ACCEPTED] == 3


def test_at_night_only_an_approver_launches_and_answers_for_it(desk: Desk) -> None:
    desk.clock.set(NIGHT)
    definition = desk.office.email(USUAL_HOURS)
    with pytest.raises(FileErrors, match="--any-time"):
        prepare_launch(desk.office.context, definition)
    run_id, ending = carry_out(prepare_launch(desk.office.context, definition, any_time=True))
    assert ending is Ending.FINISHED
    assert desk.states(run_id) == {DeliveryState.ACCEPTED: 4}
    with desk.office.store.read() as session:
        lifted = session.scalars(
            select(AuditEvent).where(AuditEvent.action == "run.any_time")
        ).one()
    assert (lifted.operator, lifted.details) == (OPERATOR, {"run": run_id})


def test_hours_are_lifted_by_an_operator_who_may_approve_and_by_no_other(desk: Desk) -> None:
    desk.clock.set(NIGHT)
    definition = desk.office.email(USUAL_HOURS)
    olive = enter(desk.office.context, "olive", Role.OFFICER, Role.LAUNCH, Role.APPROVE)
    ben = enter(olive, "ben", Role.LAUNCH)
    launch = prepare_launch(ben, definition, any_time=True)
    with pytest.raises(NotAllowedError, match="approve"):
        launch.confirm()
    launch.close()
    assert desk.states(launch.run_id).total() == 0
    run_id, _ = carry_out(prepare_launch(olive, definition, any_time=True))
    assert desk.states(run_id) == {DeliveryState.ACCEPTED: 4}


def test_a_second_campaign_of_the_week_leaves_out_whoever_had_enough(desk: Desk) -> None:
    office = desk.office
    with office.store.write() as session:
        cap = {"messages": 1, "days": 7, "across_channels": False}
        add_policy(session, office.organisation.controller, frequency_caps={"caps": [cap]})
    office.launch(office.email())
    office.add_people(Channel.EMAIL, 2, prefix="new")
    second, ending = office.launch(office.email(name="second"))
    assert ending is Ending.FINISHED
    assert office.counts(second).by_reason == {Reason.FREQUENCY_CAP: 4}
    assert desk.states(second)[DeliveryState.ACCEPTED] == 2
    moved = office.email(name="moved", kind="service")
    review(office.context, moved).approve("Tells of a new time")
    service, _ = office.launch(moved)
    assert desk.states(service) == {DeliveryState.ACCEPTED: 6}
    desk.clock.set(MORNING + timedelta(days=7, minutes=5))
    third, _ = office.launch(office.email(name="third"))
    assert desk.states(third) == {DeliveryState.ACCEPTED: 6}
