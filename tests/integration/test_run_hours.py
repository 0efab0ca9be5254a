"""A run is opened with the hours of its file or its controller; an approver may lift them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.opening import campaign_row, find_or_open, open_run
from sender.campaigns.pinning import pin
from sender.campaigns.resolve import resolve
from sender.campaigns.window import override_window
from sender.store.audit import AuditEvent
from sender.store.campaigns import Run, RunPart
from sender.store.contacts import ContactPoint
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.vocabulary import CampaignKind, DeliveryState, Priority
from tests.support.campaign_folder import USUAL_HOURS, Office, open_office
from tests.support.factory import OPERATOR, add_delivery, add_policy

NIGHT = datetime(2026, 5, 7, 22, tzinfo=UTC)
MORNING = NIGHT + timedelta(hours=10)
WINDOW = '[window]\nfrom = "10:00"\nto = "24:00"\n'


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Iterator[Office]:
    with open_office(store, tmp_path, people=3) as opened:
        yield opened


def open_one(office: Office, definition: CampaignDefinition) -> Run:
    with office.store.write() as session:
        campaign = resolve(session, definition)
        run_id, _ = find_or_open(session, office.context, campaign, new_run=False)
        return session.get_one(Run, run_id)


def hours(run: Run) -> tuple[int | None, int | None]:
    return run.window_opens, run.window_closes


def say_hours(office: Office, opens: int, closes: int) -> None:
    with office.store.write() as session:
        window = {"opens": opens, "closes": closes}
        add_policy(session, office.organisation.controller, window=window)


def test_without_a_word_the_usual_hours_hold(office: Office) -> None:
    assert hours(open_one(office, office.email(USUAL_HOURS))) == (540, 1200)


def test_a_file_that_says_nothing_has_the_controllers_hours(office: Office) -> None:
    say_hours(office, 600, 1080)
    assert hours(open_one(office, office.email(USUAL_HOURS))) == (600, 1080)


def test_a_file_s_own_hours_replace_the_controllers(office: Office) -> None:
    say_hours(office, 720, 780)
    assert hours(open_one(office, office.email(WINDOW))) == (600, 1440)


def test_a_run_keeps_the_hours_that_it_was_opened_with(office: Office) -> None:
    run = open_one(office, office.email(USUAL_HOURS))
    say_hours(office, 720, 780)
    assert hours(open_one(office, office.email(USUAL_HOURS))) == (540, 1200)
    assert office.open_runs() == [run.state]


def test_a_run_keeps_what_its_file_says_of_kind_rate_and_limit(office: Office) -> None:
    definition = office.email(
        kind="research", priority="urgent", weight=7, max_recipients=12, name="survey"
    )
    run = open_one(office, definition)
    assert (run.kind, run.priority, run.weight) == (CampaignKind.RESEARCH, Priority.URGENT, 7)
    assert run.most_recipients == 12
    usual = open_one(office, office.email())
    assert (usual.kind, usual.priority, usual.weight) == (
        CampaignKind.MARKETING,
        Priority.NORMAL,
        1,
    )


def test_a_test_goes_at_any_time(office: Office) -> None:
    definition = office.email(USUAL_HOURS)
    with office.store.write() as session:
        campaign = resolve(session, definition)
        row = campaign_row(session, campaign, NIGHT)
        version = pin(session, row, definition, now=NIGHT, operator=OPERATOR)
        run_id = open_run(
            session, office.context, campaign, row, version, exclude_sent=False, is_test=True
        )
        assert hours(session.get_one(Run, run_id)) == (None, None)


class TestAnApproverLiftsTheHours:
    def test_of_one_run_and_answers_for_it(self, office: Office) -> None:
        run = open_one(office, office.email(USUAL_HOURS))
        other = open_one(office, office.email(USUAL_HOURS, name="other"))
        lift(office, run)
        assert hours(office.run(run.id)) == (None, None)
        assert hours(office.run(other.id)) == (540, 1200)
        with office.store.read() as session:
            event = session.scalars(
                select(AuditEvent).where(AuditEvent.action == "run.any_time")
            ).one()
        assert (event.operator, event.recorded_at) == (OPERATOR, NIGHT)
        assert event.details == {"run": run.id}

    def test_only_once(self, office: Office) -> None:
        run = open_one(office, office.email(USUAL_HOURS))
        lift(office, run)
        lift(office, run)
        with office.store.read() as session:
            actions = session.scalars(select(AuditEvent.action)).all()
        assert actions.count("run.any_time") == 1

    def test_for_those_who_were_put_off_until_the_morning_too(self, office: Office) -> None:
        """What was given back keeps a moment after its mark: the journal's check goes by that."""
        run = open_one(office, office.email(USUAL_HOURS))
        other = open_one(office, office.email(USUAL_HOURS, name="other"))
        given_back = NIGHT - timedelta(minutes=1)
        with office.store.write() as session:
            points = session.scalars(select(ContactPoint)).all()
            for point, until in zip(points, (MORNING, given_back, None), strict=True):
                add_delivery(session, run, point, not_before=until)
            add_delivery(session, other, points[0], not_before=MORNING)
            for mine in (run, other):
                session.add(
                    RunPart(
                        run_id=mine.id,
                        above=0,
                        through=99,
                        planned_at=NIGHT,
                        ready_at=MORNING,
                    )
                )
        lift(office, run)
        with office.store.read() as session:
            put_off = session.scalars(
                select(Delivery.not_before)
                .where(Delivery.state == DeliveryState.PENDING)
                .order_by(Delivery.id)
            ).all()
            parts = session.scalars(select(RunPart.ready_at).order_by(RunPart.run_id)).all()
        assert put_off == [NIGHT, given_back, None, MORNING]
        assert parts == [None, MORNING]


def lift(office: Office, run: Run) -> None:
    with office.store.write() as session:
        own = session.get_one(Run, run.id)
        override_window(session, own, operator=OPERATOR, now=NIGHT)
