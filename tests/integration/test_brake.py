"""The brake on both databases: what it counts, when it is silent, and what a resume changes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text
from sqlalchemy.orm import Session

from sender.delivery.brake import JUDGE_EVERY, LONGEST_BREAK, alert_stopped, brake
from sender.delivery.recovery import HEARTBEAT_EVERY
from sender.store.addresses import Address
from sender.store.campaigns import Dispatcher, Run
from sender.store.controllers import ProviderAccount
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.inbound import Alert
from sender.vocabulary import Arrival, Channel, DeliveryState, ProviderName, RunState
from tests.support.factory import (
    NOW,
    Organisation,
    add_account,
    add_campaign,
    add_identity,
    add_notification,
    add_policy,
    add_run,
    establish,
)

EVENTS = ("hard_bounced", "complained", "opted_out")
COUNTED = ("hard_bounces", "complaints", "opt_outs")
TOPIC = "arn:aws:sns:eu-west-2:123456789012:ses-events"


@dataclass(frozen=True, slots=True)
class Desk:
    """A running run, what its providers say of it, and the brake."""

    store: Store
    party: Organisation
    run_id: int
    dispatcher_id: int
    beats: Iterator[int] = field(default_factory=count)

    def accept(self, number: int) -> None:
        """Let the dispatcher's next sign of life tell of `number` messages more."""
        with self.store.write() as session:
            session.get_one(Dispatcher, self.dispatcher_id).accepted += number

    def tell(self, what: str, number: int, *, sent_at: datetime = NOW) -> None:
        """Let `number` messages that went out at `sent_at` bounce for good, be complained about…"""
        with self.store.write() as session:
            deliver(session, self.run_id, number, dispatched_at=sent_at, **{f"{what}_at": NOW})

    def brake(self, at: datetime | None = None) -> str | None:
        """Judge, five seconds after the time before unless it says when."""
        beat = NOW + HEARTBEAT_EVERY * next(self.beats)
        with self.store.write() as session:
            run = session.get_one(Run, self.run_id)
            reason = brake(session, run, at or beat)
            if reason is not None:
                run.state = RunState.PAUSED
            return reason

    def resume(self) -> None:
        with self.store.write() as session:
            session.get_one(Run, self.run_id).state = RunState.RUNNING

    def alerts(self) -> Sequence[Alert]:
        with self.store.read() as session:
            return session.scalars(select(Alert)).all()


def deliver(session: Session, run_id: int, number: int, **columns: Any) -> None:
    """Write `number` accepted deliveries of the run at once."""
    first = session.scalar(text("SELECT coalesce(max(id), 0) FROM address")) or 0
    hashes = [(first + one).to_bytes(32) for one in range(1, number + 1)]
    rows = [{"channel": Channel.EMAIL, "key_hash": one} for one in hashes]
    ids = session.scalars(insert(Address).returning(Address.id), rows).all()
    values = {"run_id": run_id, "state": DeliveryState.ACCEPTED, **columns}
    session.execute(insert(Delivery), [{"address_id": one, **values} for one in ids])


def open_desk(store: Store, **account: Any) -> Desk:
    with store.write() as session:
        party = establish(session)
        row = add_account(session, "main", **account) if account else add_account(session)
        identity = add_identity(
            session, party.controller, Channel.EMAIL, account=row, name="second"
        )
        _, version = add_campaign(session, party.controller)
        run = add_run(session, party, version, state=RunState.RUNNING)
        run.sender_identity_id = identity.id
        dispatcher = Dispatcher(
            run_id=run.id, host="here", process_id=1, started_at=NOW, heartbeat_at=NOW
        )
        session.add(dispatcher)
        session.flush()
        return Desk(store, party, run.id, dispatcher.id)


@pytest.fixture
def desk(store: Store) -> Desk:
    return open_desk(store)


@pytest.fixture
def heard(store: Store) -> Desk:
    """Like `desk`, with an account that expects events."""
    return open_desk(store, provider=ProviderName.SES, options={"topic_arns": [TOPIC]})


@pytest.mark.parametrize(
    ("what", "most"), [("hard_bounced", 50), ("complained", 1), ("opted_out", 20)]
)
def test_a_run_pauses_when_too_much_of_it_goes_wrong(desk: Desk, what: str, most: int) -> None:
    desk.accept(1000)
    desk.tell(what, most)
    assert desk.brake() is None
    desk.tell(what, 1)
    assert desk.brake() is not None
    [alert] = desk.alerts()
    assert (alert.kind, alert.subject) == (
        "run.paused", f"run {desk.run_id} of riverside/spring-appeal",
    )  # fmt: skip
    assert alert.details["accepted"] == 1000
    assert most + 1 in {alert.details[name] for name in COUNTED}


def test_it_waits_for_a_thousand_over_all_dispatchers(desk: Desk) -> None:
    desk.accept(999)
    desk.tell("hard_bounced", 999)
    assert desk.brake() is None
    with desk.store.write() as session:
        session.add(
            Dispatcher(
                run_id=desk.run_id, host="there", process_id=2, started_at=NOW,
                heartbeat_at=NOW, ended_at=NOW, accepted=1,
            )
        )  # fmt: skip
    assert desk.brake() is not None


def test_bounces_that_may_pass_and_other_runs_are_not_counted(desk: Desk) -> None:
    desk.accept(1000)
    with desk.store.write() as session:
        _, version = add_campaign(session, desk.party.controller, "another")
        other = add_run(session, desk.party, version, state=RunState.RUNNING)
        deliver(session, other.id, 100, hard_bounced_at=NOW, dispatched_at=NOW)
        deliver(session, desk.run_id, 100, bounced_at=NOW, failed_at=NOW, dispatched_at=NOW)
    assert desk.brake() is None


def test_a_controller_may_have_thresholds_of_its_own(desk: Desk) -> None:
    with desk.store.write() as session:
        add_policy(
            session, desk.party.controller, brake={"least_accepted": 10, "opt_out_percent": 50.0}
        )
    desk.accept(10)
    desk.tell("opted_out", 5)
    assert desk.brake() is None
    desk.tell("opted_out", 1)
    assert desk.brake() is not None


def test_who_resumes_has_looked_at_what_was_sent_before(desk: Desk) -> None:
    desk.accept(1000)
    desk.tell("complained", 2)
    assert desk.brake(NOW + timedelta(minutes=1)) is not None
    desk.resume()
    desk.tell("complained", 50)  # late complaints, still about the old messages
    desk.accept(1000)
    assert desk.brake(NOW + timedelta(minutes=9)) is None
    desk.tell("complained", 2, sent_at=NOW + timedelta(minutes=8))
    assert desk.brake(NOW + timedelta(minutes=10)) is not None
    assert [alert.times for alert in desk.alerts()] == [2]


def test_after_a_resume_a_thousand_more_are_waited_for(desk: Desk) -> None:
    desk.accept(5000)
    desk.tell("complained", 50)
    assert desk.brake(NOW + timedelta(minutes=1)) is not None
    desk.resume()
    desk.tell("complained", 50, sent_at=NOW + timedelta(minutes=2))
    desk.accept(999)
    assert desk.brake(NOW + timedelta(minutes=3)) is None


def test_a_run_that_is_paused_already_raises_nothing(desk: Desk) -> None:
    desk.accept(1000)
    desk.tell("complained", 50)
    with desk.store.write() as session:
        session.get_one(Run, desk.run_id).state = RunState.PAUSING
    assert desk.brake() is None
    assert desk.alerts() == []


def test_several_dispatchers_judge_a_run_once(desk: Desk) -> None:
    """Each of them beats every five seconds; a run of millions is counted once in that time."""
    assert JUDGE_EVERY < HEARTBEAT_EVERY  # one alone judges at each heartbeat
    desk.accept(1000)
    assert desk.brake(NOW) is None
    desk.tell("complained", 2)
    assert desk.brake(NOW + JUDGE_EVERY - timedelta(milliseconds=1)) is None
    assert desk.brake(NOW + JUDGE_EVERY) is not None


def test_a_clock_that_steps_back_does_not_stop_the_judging(desk: Desk) -> None:
    desk.accept(1000)
    assert desk.brake(NOW) is None
    desk.tell("complained", 2)
    assert desk.brake(NOW - timedelta(hours=1)) is not None


def test_a_dead_webhook_pauses_the_run_after_15_minutes_of_sending(heard: Desk) -> None:
    assert send_for(heard, 15) is None
    reason = send_for(heard, 1, from_minute=16)
    assert reason is not None
    assert "no event" in reason


def test_an_event_by_webhook_shows_that_it_lives(heard: Desk) -> None:
    tell_of_account(heard, NOW + timedelta(minutes=14))
    assert send_for(heard, 28) is None
    assert send_for(heard, 2, from_minute=29) is not None


@pytest.mark.parametrize(
    ("columns", "silent"),
    [
        ({"provider": ProviderName.SES}, False),  # one topic of several accounts names none
        ({"provider": ProviderName.TWILIO}, True),
        ({"provider": ProviderName.SES, "arrived_by": Arrival.RECONCILE}, True),
    ],
)
def test_what_others_tell_is_no_sign_of_life(
    heard: Desk, columns: dict[str, Any], *, silent: bool
) -> None:
    with heard.store.write() as session:
        add_notification(session, received_at=NOW + timedelta(minutes=14), **columns)
    assert (send_for(heard, 20) is not None) == silent


def test_another_account_of_the_provider_says_nothing_of_this_one(heard: Desk) -> None:
    with heard.store.write() as session:
        other = add_account(session, "other", provider=ProviderName.SES)
        add_notification(session, received_at=NOW + timedelta(minutes=14), account_id=other.id)
    assert send_for(heard, 20) is not None


@pytest.mark.parametrize(
    ("provider", "options", "expects"),
    [
        (ProviderName.SES, {}, False),
        (ProviderName.SMTP, {"topic_arns": [TOPIC]}, False),
        (ProviderName.TWILIO, {"options": {"account_sid": "AC1"}}, False),
        (ProviderName.TWILIO, {"options": {"status_callback_url": "https://x.example/"}}, True),
    ],
)
def test_silence_tells_only_where_events_are_expected(
    store: Store, provider: ProviderName, options: dict[str, Any], *, expects: bool
) -> None:
    desk = open_desk(store, provider=provider, options=options)
    assert (send_for(desk, 20) is not None) == expects


def test_a_night_without_sending_is_no_silence(heard: Desk) -> None:
    assert send_for(heard, 10) is None
    assert send_for(heard, 10, from_minute=13 * 60) is None
    assert send_for(heard, 10, from_minute=13 * 60 + 11) is not None


def test_a_run_that_waits_hears_nothing_and_is_not_blamed(heard: Desk) -> None:
    assert send_for(heard, 14) is None
    idle = NOW + timedelta(minutes=14) + LONGEST_BREAK
    assert heard.brake(idle + timedelta(minutes=1)) is None


def test_a_stopped_run_has_an_alert_that_says_why(desk: Desk) -> None:
    with desk.store.write() as session:
        alert_stopped(session, session.get_one(Run, desk.run_id), "the account is closed", NOW)
    [alert] = desk.alerts()
    assert alert.kind == "run.stopped"
    assert alert.details["because"] == "the account is closed"


def test_it_looks_at_its_own_indexes_alone(heard: Desk) -> None:
    """A run of millions is judged every five seconds."""
    heard.accept(1000)
    with heard.store.write() as session:
        deliver(session, heard.run_id, 3000, dispatched_at=NOW, accepted_at=NOW)
        for _ in range(300):
            add_notification(session, received_at=NOW - timedelta(days=1))
    for what in EVENTS:
        heard.tell(what, 1)
    analyse(heard.store)
    heard.brake(NOW)
    heard.accept(1)
    plans = explained(heard, NOW + timedelta(seconds=5))
    assert [
        plan for plan in plans if "Seq Scan on delivery" in plan or "SCAN delivery" in plan
    ] == []
    used = "\n".join(plans)
    for index in [*(f"ix_delivery_{what}" for what in EVENTS), "ix_inbound_notification_heard"]:
        assert index in used


def analyse(store: Store) -> None:
    with store.write() as session:
        session.execute(text("ANALYZE"))


def explained(desk: Desk, at: datetime) -> list[str]:
    """Return the plan of each query of one judgement that counts or looks for the newest."""
    seen: list[tuple[str, Any]] = []

    def note(_c: Any, _u: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and ("delivery" in statement or "heard" in statement or
                                               "inbound_notification" in statement):  # fmt: skip
            seen.append((statement, parameters))

    engine = desk.store.engine
    event.listen(engine, "before_cursor_execute", note)
    desk.brake(at)
    event.remove(engine, "before_cursor_execute", note)
    assert len(seen) >= len(EVENTS)
    with desk.store.read() as session:
        explain = "EXPLAIN QUERY PLAN " if desk.store.dialect == "sqlite" else "EXPLAIN "
        driver = session.connection()
        return [
            "\n".join(str(row) for row in driver.exec_driver_sql(explain + statement, parameters))
            for statement, parameters in seen
        ]


def send_for(desk: Desk, minutes: int, *, from_minute: int = 0) -> str | None:
    """Send 1,000 messages a minute, judged every time; return the first reason to pause."""
    for minute in range(from_minute, from_minute + minutes + 1):
        desk.accept(1000)
        at = NOW + timedelta(minutes=minute, seconds=1)
        if reason := desk.brake(at):
            return reason
    return None


def tell_of_account(desk: Desk, at: datetime) -> None:
    with desk.store.write() as session:
        account = session.scalars(
            select(ProviderAccount).where(ProviderAccount.name == "main")
        ).one()
        add_notification(session, provider=account.provider, account_id=account.id, received_at=at)
