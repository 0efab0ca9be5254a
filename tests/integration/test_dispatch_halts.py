"""When a dispatcher stops by itself: bounces, a silent provider, hours that end, no account."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from sender.campaigns.carrying import Carrier
from sender.campaigns.launch import Launch, prepare_launch
from sender.delivery import brake, dispatch
from sender.delivery.progress import Ending
from sender.delivery.runs import get_run
from sender.delivery.sweep import sweep
from sender.store.campaigns import Run
from sender.store.contacts import Contact
from sender.store.controllers import ControllerVersion
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.inbound import Alert
from sender.vocabulary import Channel, DeliveryState, Reason, RunState
from tests.fakes.http import Fault
from tests.fakes.ses import SesFake
from tests.support.campaign_folder import CREDENTIALS, Office, on_bulk_call, open_office, written_to
from tests.support.factory import OPERATOR, add_policy
from tests.support.set_clock import SetClock

PEOPLE = 40
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOON)


@pytest.fixture
def office(
    store: Store, tmp_path: Path, ses: SesFake, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(dispatch, "MOST_AT_ONCE", 10)
    with open_office(store, tmp_path, ses=ses, people=PEOPLE, clock=clock) as opened:
        opened.one_call_at_a_time()
        yield opened


def confirmed(office: Office, more: str = "", **changed: Any) -> Launch:
    launch = prepare_launch(office.context, office.email(more, **changed))
    launch.confirm()
    launch.provider.close()
    return launch


def carry(office: Office, run_id: int) -> Ending:
    carrier = Carrier(office.context)
    try:
        return carrier.carry_on(run_id)
    finally:
        carrier.close()


def alerts(office: Office) -> dict[str, Alert]:
    with office.store.read() as session:
        query = select(Alert).where(Alert.resolved_at.is_(None))
        return {alert.kind: alert for alert in session.scalars(query)}


class TestTheBrake:
    def test_a_run_whose_messages_come_back_pauses_itself(
        self, office: Office, ses: SesFake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dispatch, "HEARTBEAT_EVERY", timedelta(0))
        monkeypatch.setattr(dispatch, "_LOOK_ROUND_EVERY", timedelta(0))
        monkeypatch.setattr(brake, "JUDGE_EVERY", timedelta(0))
        with office.store.write() as session:
            thresholds = {"least_accepted": 100, "hard_bounce_percent": 5}
            add_policy(session, office.organisation.controller, brake=thresholds)
        office.add_people(Channel.EMAIL, 400, prefix="more")
        launch = confirmed(office)

        def bounce() -> None:
            with office.store.write() as session:
                session.execute(
                    update(Delivery)
                    .where(Delivery.state == DeliveryState.ACCEPTED)
                    .values(hard_bounced_at=office.context.clock.now())
                )

        on_bulk_call(ses, 15, bounce)
        assert carry(office, launch.run_id) is Ending.PAUSED
        run = office.run(launch.run_id)
        assert run.state is RunState.PAUSED
        assert run.stopped_because is not None
        assert "hard bounces" in run.stopped_because
        assert "run.paused" in alerts(office)
        assert len(ses.messages) < PEOPLE + 400


class TestASilentProvider:
    def test_it_is_left_alone_for_longer_and_longer_and_tried_with_one_message(
        self, office: Office, ses: SesFake, clock: SetClock
    ) -> None:
        launch = confirmed(office)
        asked = [None]  # what the account allows
        ses.script.extend([*asked, *[Fault.RESET] * 3])
        assert carry(office, launch.run_id) is Ending.WAITING
        run = office.run(launch.run_id)
        assert (run.unanswered, office.counts(run.id).unknown) == (3, 30)
        assert run.deferred_until is not None
        assert run.deferred_until - clock.now() <= timedelta(minutes=1)
        assert sweep(office.store, clock, OPERATOR) == []
        clock.set(run.deferred_until)
        ses.script.extend([*asked, Fault.RESET])
        assert carry(office, launch.run_id) is Ending.WAITING
        assert office.counts(run.id).unknown == 31
        again = office.run(launch.run_id).deferred_until
        assert again is not None
        assert again - clock.now() > timedelta(minutes=1)
        clock.set(again)
        assert carry(office, launch.run_id) is Ending.FINISHED
        assert office.run(launch.run_id).unanswered == 0
        counts = office.counts(launch.run_id)
        assert (counts.unknown, counts.handed_over) == (31, PEOPLE - 31)

    def test_what_it_takes_between_begins_the_count_anew(
        self, office: Office, ses: SesFake
    ) -> None:
        launch = confirmed(office)
        asked, taken = [None], [None]
        ses.script.extend([*asked, Fault.RESET, Fault.RESET, *taken, Fault.RESET])
        assert carry(office, launch.run_id) is Ending.FINISHED
        assert office.run(launch.run_id).unanswered == 1
        assert office.counts(launch.run_id).unknown == 30


class TestHours:
    WINDOW = '[window]\nfrom = "09:00"\nto = "20:00"\n'

    def in_new_york(self, office: Office, people: int) -> None:
        with office.store.write() as session:
            first = select(Contact.id).order_by(Contact.id).limit(people)
            session.execute(
                update(Contact).where(Contact.id.in_(first)).values(time_zone="America/New_York")
            )

    def test_people_elsewhere_wait_for_their_own_morning(
        self, office: Office, ses: SesFake, clock: SetClock
    ) -> None:
        self.in_new_york(office, 15)  # where it is seven in the morning
        launch = confirmed(office, self.WINDOW)
        assert carry(office, launch.run_id) is Ending.WAITING
        assert office.counts(launch.run_id).pending == 15
        assert len(ses.messages) == PEOPLE - 15
        assert sweep(office.store, clock, OPERATOR) == []
        clock.set(datetime(2026, 12, 1, 14, tzinfo=UTC))
        assert sweep(office.store, clock, OPERATOR) == [launch.run_id]
        assert carry(office, launch.run_id) is Ending.FINISHED
        assert set(written_to(ses).values()) == {1}

    def test_who_has_no_hours_before_the_run_expires_is_skipped_for_that(
        self, office: Office, ses: SesFake
    ) -> None:
        self.in_new_york(office, 15)
        ends = datetime(2026, 12, 1, 13, 30, tzinfo=UTC)
        launch = confirmed(office, self.WINDOW, expires_at=ends)
        assert carry(office, launch.run_id) is Ending.FINISHED
        assert office.counts(launch.run_id).by_reason == {Reason.OUTSIDE_WINDOW: 15}
        assert len(ses.messages) == PEOPLE - 15

    def test_nobody_is_written_to_after_the_hours_ended(
        self, office: Office, ses: SesFake, clock: SetClock
    ) -> None:
        launch = confirmed(office, self.WINDOW)
        on_bulk_call(ses, 2, lambda: clock.set(datetime(2026, 12, 1, 20, tzinfo=UTC)))
        assert carry(office, launch.run_id) is Ending.WAITING
        assert len(ses.messages) == 20
        with office.store.read() as session:
            waiting = select(Delivery.not_before).where(Delivery.state == DeliveryState.PENDING)
            assert set(session.scalars(waiting)) == {datetime(2026, 12, 2, 9, tzinfo=UTC)}


class TestWhatIsRendered:
    def test_a_controller_that_says_something_else_of_itself_is_taken_at_its_word(
        self, office: Office, ses: SesFake
    ) -> None:
        launch = confirmed(office)
        with office.store.write() as session:
            old = office.organisation.version
            columns = {
                column.key: getattr(old, column.key)
                for column in ControllerVersion.__table__.columns
                if column.key not in {"id", "version"}
            }
            new = ControllerVersion(**{**columns, "version": 2, "name": "Riverside Reborn"})
            session.add(new)
            session.flush()
            new_id = new.id
        assert carry(office, launch.run_id) is Ending.FINISHED
        with office.store.read() as session:
            said = set(session.scalars(select(Delivery.controller_version_id)))
        assert said == {new_id}
        assert all("Riverside Reborn" in str(one.message) for one in ses.messages)

    def test_a_run_whose_account_cannot_be_used_waits_and_says_so(
        self, office: Office, ses: SesFake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        launch = confirmed(office)
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        assert carry(office, launch.run_id) is Ending.WAITING
        assert "account.unusable" in alerts(office)
        assert sweep(office.store, office.context.clock, OPERATOR) == []
        with office.store.write() as session:
            assert get_run(session, launch.run_id).state is RunState.READY
        assert ses.messages == []

    def test_a_run_whose_file_names_what_is_gone_stops(self, office: Office) -> None:
        launch = confirmed(office)
        with office.store.write() as session:
            identity = office.organisation.identities[Channel.EMAIL]
            session.merge(identity).retired_at = NOON
        assert carry(office, launch.run_id) is Ending.STOPPED
        with office.store.read() as session:
            assert session.get_one(Run, launch.run_id).state is RunState.STOPPED
        assert "run.stopped" in alerts(office)
