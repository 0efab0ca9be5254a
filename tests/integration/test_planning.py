"""Planning in ranges: resumable at every step, and nobody lost or planned twice (invariant 5)."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from sender.campaigns.launch import prepare_launch
from sender.clock import SystemClock
from sender.consent.objection import Objection, record_objection
from sender.contacts.filter_language import parse_filter
from sender.delivery import planning
from sender.delivery.audience import ContactAudience
from sender.delivery.planning import forecast, plan
from sender.delivery.progress import Ending
from sender.delivery.runs import move
from sender.delivery.scopes import scopes_of_run
from sender.store.campaigns import Run, RunPart
from sender.store.contacts import ContactPoint
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.vocabulary import Channel, DeliveryState, Reason, RunState
from tests.support.campaign_folder import Office, carry_out, open_office
from tests.support.factory import OPERATOR, block

PEOPLE = 40


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "RANGE_SIZE", 7)


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Iterator[Office]:
    with open_office(store, tmp_path, people=PEOPLE) as opened:
        yield opened


def open_a_run(office: Office) -> int:
    """Open a run as a launch does whose process dies before the yes."""
    launch = prepare_launch(office.context, office.email())
    launch.provider.close()
    return launch.run_id


def not_yet_planned(office: Office, run_id: int) -> int:
    with office.store.read() as session:
        run = session.get_one(Run, run_id)
        unplanned = select(RunPart.above, RunPart.through).where(
            RunPart.run_id == run_id, RunPart.planned_at.is_(None)
        )
        ranges = [
            (run.planned_through, run.plan_ends_at or 2**62),
            *session.execute(unplanned),
        ]
        people = select(func.count()).where(ContactPoint.controller_id == run.controller_id)
        return sum(
            session.scalar(
                people.where(ContactPoint.address_id > above, ContactPoint.address_id <= through)
            )
            or 0
            for above, through in ranges
        )


def audience_of(office: Office) -> ContactAudience:
    return ContactAudience(office.organisation.id, Channel.EMAIL)


def test_nobody_is_lost_at_any_step(office: Office) -> None:
    run_id = open_a_run(office)
    steps = []
    for people in plan(office.store, office.context.clock, run_id, audience_of(office)):
        steps.append(people)
        assert office.counts(run_id).planned + not_yet_planned(office, run_id) == PEOPLE
    assert steps == [7, 7, 7, 7, 7, 5]
    assert not_yet_planned(office, run_id) == 0


def test_a_crash_between_ranges_goes_on_at_the_next(office: Office) -> None:
    run_id = open_a_run(office)
    steps = plan(office.store, office.context.clock, run_id, audience_of(office))
    assert [next(steps), next(steps)] == [7, 7]
    del steps
    office.add_people(Channel.EMAIL, 4, prefix="late")  # no one joins once planning has begun
    assert not_yet_planned(office, run_id) == PEOPLE - 14
    again = prepare_launch(office.context, office.email())
    assert (again.run_id, again.continues) == (run_id, True)
    assert carry_out(again)[1] is Ending.FINISHED
    assert office.counts(run_id).by_state == {DeliveryState.ACCEPTED: PEOPLE}


def test_a_crash_within_a_range_leaves_nothing_of_it(office: Office) -> None:
    class Failing(SystemClock):
        calls = 0

        def now(self) -> object:  # type: ignore[override]  # it fails instead
            self.calls += 1
            if self.calls == 5:
                raise ZeroDivisionError
            return super().now()

    run_id = open_a_run(office)
    with pytest.raises(ZeroDivisionError):
        list(plan(office.store, Failing(), run_id, audience_of(office)))  # type: ignore[arg-type]  # see above
    assert office.counts(run_id).planned == 14
    assert not_yet_planned(office, run_id) == PEOPLE - 14
    list(plan(office.store, office.context.clock, run_id, audience_of(office)))
    assert office.counts(run_id).by_state == {DeliveryState.PENDING: PEOPLE}


def test_planning_of_a_run_that_was_cancelled_meanwhile_ends(office: Office) -> None:
    run_id = open_a_run(office)
    steps = plan(office.store, office.context.clock, run_id, audience_of(office))
    next(steps)
    with office.store.write() as session:
        run = session.get_one(Run, run_id)
        now = office.context.clock.now()
        move(session, run, RunState.CANCELLED, now=now, operator=OPERATOR)
    assert list(steps) == []
    assert office.counts(run_id).planned == 7


def test_everybody_refused_is_kept_with_the_reason(office: Office) -> None:
    with office.store.write() as session:
        for address in office.addresses[Channel.EMAIL][:9]:
            block(session, office.ids[address], controller=office.organisation.controller)
    launch = prepare_launch(office.context, office.email())
    run_id, _ = carry_out(launch)
    assert launch.plan.refused == {Reason.SUPPRESSED: 9}
    with office.store.read() as session:
        rows = session.execute(
            select(Delivery.state, Delivery.reason, Delivery.refused_by_id, func.count())
            .where(Delivery.run_id == run_id)
            .group_by(Delivery.state, Delivery.reason, Delivery.refused_by_id)
        ).all()
    assert Counter({tuple(row[:3]): row[3] for row in rows}) == {
        (DeliveryState.ACCEPTED, None, None): PEOPLE - 9,
        (DeliveryState.SKIPPED, Reason.SUPPRESSED, office.organisation.id): 9,
    }


def test_the_filter_narrows_the_audience_and_the_forecast_is_the_plan(office: Office) -> None:
    office.add_people(Channel.EMAIL, 12, prefix="north", postcode="N1 1AA")
    definition = office.email('[audience]\nwhere = { field = "postcode", starts_with = "N1" }')
    launch = prepare_launch(office.context, definition)
    assert (launch.plan.recipients, launch.plan.refused) == (12, Counter())
    run_id, _ = carry_out(launch)
    assert office.counts(run_id).by_state == {DeliveryState.ACCEPTED: 12}


def test_whoever_objected_is_in_no_filtered_audience(office: Office) -> None:
    addresses = office.add_people(Channel.EMAIL, 3, prefix="north", postcode="N1 1AA")
    now = office.context.clock.now()
    objection = Objection(
        controller_id=office.organisation.id, address_id=office.ids[addresses[1]],
        occurred_at=now, source="letter", operator=OPERATOR,
    )  # fmt: skip
    with office.store.write() as session:
        record_objection(session, objection, now)
    run_id = open_a_run(office)
    where = parse_filter({"field": "postcode", "starts_with": "N1"})
    narrowed = ContactAudience(office.organisation.id, Channel.EMAIL, where)
    with office.store.read() as session:
        scopes = scopes_of_run(session, session.get_one(Run, run_id), now)
        assert forecast(session, scopes, narrowed) == {None: 2}
        everybody = forecast(session, scopes, audience_of(office))
    assert everybody == {None: PEOPLE + 2, Reason.OBJECTED: 1}


def test_a_run_for_nobody_is_over_at_once(store: Store, tmp_path: Path) -> None:
    with open_office(store, tmp_path) as office:
        run_id, ending = office.launch(office.email())
        assert (ending, office.counts(run_id).planned) == (Ending.FINISHED, 0)
