"""The status says who sends, what waits and how fast it goes, and costs little to ask for."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event

from sender.campaigns import status_sending
from sender.campaigns.status import Status, look
from sender.context import Context
from sender.jobs.queue import Queue
from sender.store.alert_book import raise_alert
from sender.store.engine import Store
from sender.store.inbound import Alert
from sender.vocabulary import DeliveryState, Priority, RunState, ScheduleState
from tests.support.factory import (
    NOW,
    add_contact,
    add_delivery,
    add_identity,
    add_point,
)
from tests.support.status_world import CRON, Floor, fill_floor
from tests.support.web_context import SteppedClock, web_context

ON_POSTGRESQL = pytest.mark.parametrize("dialect", ["postgresql"])


@pytest.fixture
def context(store: Store) -> Context:
    return web_context(store)


@contextmanager
def floor(context: Context) -> Iterator[Floor]:
    with context.store.write() as session:
        yield Floor(session, NOW)


def runs(status: Status) -> list[str]:
    return [one.campaign for one in status.runs]


def test_an_empty_installation_has_nothing_to_say(context: Context) -> None:
    status = look(context)
    assert (status.at, status.runs, status.accounts, status.alerts) == (NOW, [], [], [])
    assert status.document["parts"] == {
        "unplanned": 0, "ready": 0, "in_hand": 0, "later": 0, "oldest_ready_seconds": None,
    }  # fmt: skip


def test_an_idle_queue_is_there_on_postgresql_only(context: Context) -> None:
    idle = [(queue, 0, 0, None) for queue in Queue]
    expected = idle if context.store.dialect == "postgresql" else []
    queues = look(context).queues
    assert [(one.queue, one.waiting, one.doing, one.oldest) for one in queues] == expected


@ON_POSTGRESQL
def test_a_worker_that_falls_silent_is_lost_and_one_that_left_is_gone(context: Context) -> None:
    with floor(context) as there:
        for silent in (2, 29, 31, 3_000, 4_000):
            there.worker(silent=silent)
        there.worker(ended=True)
    found = look(context).workers
    assert [one.lost for one in found] == [False, False, True, True]
    assert [round(one.silent_for.total_seconds()) for one in found] == [2, 29, 31, 3_000]


@ON_POSTGRESQL
def test_a_worker_shows_what_it_sends_now(context: Context) -> None:
    with floor(context) as there:
        one, other = there.run("one"), there.run("other")
        worker_id = there.worker()
        there.dispatcher(other, 5, worker_id=worker_id)
        there.dispatcher(one, 5, worker_id=worker_id)
        there.dispatcher(one, 5, worker_id=worker_id, ended=True)
        there.dispatcher(one, 5, began=90, beat=40, worker_id=worker_id)
        there.dispatcher(one, 5)
        expected = (one.id, other.id)
    [found] = look(context).workers
    assert (found.runs, found.slots) == (expected, 4)


@ON_POSTGRESQL
def test_jobs_are_counted_by_queue_with_the_age_of_the_oldest(context: Context) -> None:
    with floor(context) as there:
        there.job(Queue.SEND, 1, waits=20)
        there.job(Queue.SEND, 2, waits=5)
        there.job(Queue.URGENT, 3)
    found = {one.queue: one for one in look(context).queues}
    assert [found[queue].waiting for queue in Queue] == [0, 0, 1, 2]
    oldest = found[Queue.SEND].oldest
    assert oldest is not None
    assert round(oldest.total_seconds()) == 20


def test_messages_of_the_last_minute_are_the_share_of_it(context: Context) -> None:
    with floor(context) as there:
        run = there.run("spring", pending=1)
        there.dispatcher(run, 100, began=20, beat=10, ended=True)  # wholly within
        there.dispatcher(run, 100, began=110, beat=10)  # half of it
        there.dispatcher(run, 1_000, began=120, beat=61, ended=True)  # before
        there.dispatcher(run, 7, began=0, beat=0)  # has only just begun
    [found] = look(context).runs
    assert (found.last_minute, found.sent) == (157, 1_207)


def test_a_run_says_when_it_will_be_done_at_this_rate(context: Context) -> None:
    with floor(context) as there:
        run = there.run("spring", pending=30)
        there.dispatcher(run, 10, began=60)
    [found] = look(context).runs
    assert found.done_at == NOW + timedelta(minutes=3)


def test_a_run_that_has_just_begun_is_not_taken_for_slow(context: Context) -> None:
    with floor(context) as there:
        run = there.run("spring", pending=30)
        there.dispatcher(run, 10, began=6)
        there.dispatcher(run, 5, began=3)
    [found] = look(context).runs
    assert (found.last_minute, found.done_at) == (15, NOW + timedelta(seconds=12))


@pytest.mark.parametrize(
    "changed",
    [
        {"state": RunState.PAUSED},
        {"deferred_until": NOW + timedelta(hours=1)},
        {"planned_through": 5, "plan_ends_at": 9},
    ],
)
def test_a_run_that_stands_still_or_is_being_planned_promises_nothing(
    context: Context, changed: dict[str, Any]
) -> None:
    with floor(context) as there:
        run = there.run("spring", pending=30, **changed)
        there.dispatcher(run, 10, began=60)
    [found] = look(context).runs
    assert found.done_at is None
    assert found.waits_until == changed.get("deferred_until")
    assert found.is_planned == ("plan_ends_at" not in changed)


def test_a_run_of_which_some_wait_for_their_hours_promises_nothing(context: Context) -> None:
    with floor(context) as there:
        run = there.run("spring", pending=30)
        there.dispatcher(run, 10, began=60)
        there.part(run, 0, ready_at=NOW + timedelta(hours=7))
    [found] = look(context).runs
    assert (found.last_minute, found.done_at) == (10, None)


def test_runs_are_those_that_were_confirmed_and_are_not_over(context: Context) -> None:
    with floor(context) as there:
        for state in RunState:
            there.run(state.value, state=state)
        there.run("first", priority=Priority.URGENT)
        there.run("a-test", is_test=True)
    assert runs(look(context)) == [
        "first", "ready", "running", "pausing", "paused", "stopped", "cancelling",
    ]  # fmt: skip


def test_so_many_pending_people_are_not_counted(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_sending, "MOST_COUNTED", 5)
    with floor(context) as there:
        run = there.run("many", pending=9, recipients_planned=40)
        there.dispatcher(run, 28)
        there.run("few", pending=4)
        there.run("older", pending=9)
    found = {one.campaign: (one.pending, one.pending_is_about) for one in look(context).runs}
    assert found == {"many": (12, True), "few": (4, False), "older": (5, True)}


def test_only_pending_people_are_pending(context: Context) -> None:
    with floor(context) as there:
        run = there.run("spring")
        for state in DeliveryState:
            person = add_contact(there.session, there.organisation().controller)
            add_delivery(there.session, run, add_point(there.session, person), state=state)
    assert [one.pending for one in look(context).runs] == [1]


def test_parts_tell_what_lies_ready_and_for_how_long(context: Context) -> None:
    with floor(context) as there:
        run = there.run("spring")
        mine = there.dispatcher(run, 0)
        there.part(run, 0, planned_at=None)
        there.part(run, 10, dispatcher_id=mine.id)
        there.part(run, 20, planned_at=NOW - timedelta(seconds=90))
        there.part(run, 30, planned_at=NOW - timedelta(hours=5), ready_at=NOW)
        there.part(run, 40, ready_at=NOW + timedelta(minutes=1))
        there.part(run, 50, done_at=NOW)
        paused = there.run("paused", state=RunState.PAUSED)
        there.part(paused, 0, planned_at=NOW - timedelta(hours=9))
    parts = look(context).parts
    assert (parts.unplanned, parts.in_hand, parts.ready, parts.later) == (1, 1, 2, 1)
    assert parts.oldest_ready == timedelta(seconds=90)


def test_what_was_put_off_lies_ready_only_since_then(context: Context) -> None:
    with floor(context) as there:
        put_off = there.run("put-off", deferred_until=NOW - timedelta(seconds=10))
        there.part(put_off, 0, planned_at=NOW - timedelta(hours=9))
        waits = there.run("waits", deferred_until=NOW + timedelta(hours=1))
        there.part(waits, 0, planned_at=NOW - timedelta(hours=9))
    parts = look(context).parts
    assert (parts.ready, parts.later, parts.oldest_ready) == (1, 1, timedelta(seconds=10))


def test_an_account_says_its_rate_its_runs_and_its_quota(context: Context) -> None:
    with floor(context) as there:
        account = there.account(rate_per_second=14)
        run, silent = there.run("spring"), there.run("silent")
        there.dispatcher(run, 30, began=30)
        there.claim(account, run, ago=1)
        there.claim(account, silent, ago=9)
        there.rate(account, slowed_to=0.5, ago=0)
        there.quota(account, 50_000, 4_321)
    [found] = look(context).accounts
    assert (found.rate_per_second, found.part_left) == (14, 0.5)
    assert (found.runs_that_want_it, found.last_minute) == (1, 30)
    assert (found.quota_a_day, found.quota_left) == (50_000, 4_321)
    assert found.quota_counted_at == NOW - timedelta(minutes=1)


def test_what_the_provider_told_goes_before_what_the_file_says(context: Context) -> None:
    with floor(context) as there:
        there.quota(there.account(rate_per_second=14), None, None, rate=200)
    [found] = look(context).accounts
    assert found.rate_per_second == 200


def test_a_slowed_rate_comes_back_with_time(context: Context) -> None:
    with floor(context) as there:
        there.rate(there.account(), slowed_to=0.5, ago=61)
    [found] = look(context).accounts
    assert (found.part_left, found.rate_per_second) == (1.0, None)


def test_an_account_of_retired_identities_is_left_out(context: Context) -> None:
    with floor(context) as there:
        for identity in there.organisation().identities.values():
            identity.retired_at = NOW
    assert look(context).accounts == []
    with floor(context) as there:
        other = there.organisation("northside")
        for identity in other.identities.values():
            identity.retired_at = NOW
        add_identity(there.session, other.controller, identity.channel, name="new")
    assert [one.name for one in look(context).accounts] == ["local-outbox"]


def test_schedules_say_their_next_occurrence_held_ones_first(context: Context) -> None:
    with floor(context) as there:
        there.schedule("weekly")
        there.schedule("daily", CRON.replace("* * MON", "* * *"))
        there.schedule("held", state=ScheduleState.HELD, because="The file was changed.")
        there.schedule("gone", state=ScheduleState.REMOVED)
        there.schedule("unreadable", "name = 7")
    found = look(context).schedules
    london = ZoneInfo("Europe/London")
    monday = datetime(2026, 5, 11, 9, 30, tzinfo=london)
    assert [(one.campaign, one.next_at) for one in found] == [
        ("held", monday),
        ("daily", datetime(2026, 5, 8, 9, 30, tzinfo=london)),
        ("weekly", monday),
        ("unreadable", None),
    ]
    assert (found[0].because, str(found[1].next_at)) == (
        "The file was changed.", "2026-05-08 09:30:00+01:00",
    )  # fmt: skip
    assert found[3].because


def test_standing_alerts_come_newest_first(context: Context) -> None:
    with context.store.write() as session:
        for minutes, subject in enumerate(["old", "new", "seen-to"]):
            raise_alert(session, "run.paused", subject, now=NOW + timedelta(minutes=minutes))
        raise_alert(session, "run.paused", "old", now=NOW)
    with context.store.write() as session:
        session.query(Alert).filter_by(subject="seen-to").one().resolved_at = NOW
    assert [(one.subject, one.times) for one in look(context).alerts] == [("new", 1), ("old", 2)]


def asked_for(context: Context) -> list[tuple[str, Any]]:
    """Return the statements of one look, with their parameters."""
    asked: list[tuple[str, Any]] = []

    def note(*call: Any) -> None:
        asked.append((call[2], call[3]))

    event.listen(context.store.engine, "before_cursor_execute", note)
    look(context)
    event.remove(context.store.engine, "before_cursor_execute", note)
    return asked


def plan_of(context: Context, statement: str, parameters: Any) -> str:
    explain = "EXPLAIN QUERY PLAN" if context.store.dialect == "sqlite" else "EXPLAIN"
    with context.store.read() as session:
        connection = session.connection()
        if context.store.dialect == "postgresql":  # a table without rows is otherwise read whole
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        return str(connection.exec_driver_sql(f"{explain} {statement}", parameters).all())


@pytest.mark.parametrize(
    ("table", "index"),
    [
        ("FROM delivery", "ix_delivery_pending"),
        ("FROM run_part JOIN", "ix_run_part_open"),
        ("sum(dispatcher.accepted)", "ix_dispatcher_run_id"),
    ],
)
def test_the_large_tables_are_asked_by_their_indexes(
    context: Context, table: str, index: str
) -> None:
    with floor(context) as there:
        there.run("spring", pending=2)
    found = [one for one in asked_for(context) if table in one[0].replace("\n", "")]
    assert found
    for statement, parameters in found:
        assert index in plan_of(context, statement, parameters)


def test_a_look_does_not_ask_more_for_more_people(context: Context) -> None:
    with floor(context) as there:
        there.run("spring", pending=1)
    few = len(asked_for(context))
    with floor(context) as there:
        run = there.run("autumn", slug="northside", pending=40)
        for place in range(40):
            there.part(run, place * 10)
    assert len(asked_for(context)) - few <= 3  # of one run more


def test_everything_has_a_form_for_scripts(context: Context) -> None:
    assert isinstance(context.clock, SteppedClock)
    fill_floor(context)
    document = look(context).document
    run = next(one for one in document["runs"] if one["campaign"] == "spring-appeal")
    assert (run["sent"], run["pending"], run["dispatchers"]) == (1_400, 8, 1)
    assert document["parts"]["oldest_ready_seconds"] == 60.0
    # docs/handover.md stops everything by these
    assert {(one["run"], one["state"]) for one in document["runs"]} == {
        (1, "running"), (2, "running"), (3, "paused"),
    }  # fmt: skip
    assert [(one["schedule"], one["state"]) for one in document["schedules"]] == [
        (2, "held"), (1, "active"),
    ]  # fmt: skip
    if context.store.dialect == "postgresql":
        [alive, lost] = document["workers"]
        assert (alive["lost"], lost["lost"], alive["runs"]) == (False, True, (1, 2))
        assert lost["silent_for_seconds"] >= 50
        assert [one["queue"] for one in document["queues"]] == [*Queue]
        assert document["queues"][1]["oldest_seconds"] is None
