"""What /metrics says of sending is what `sender status` says, in totals."""

from datetime import timedelta

import pytest
from sqlalchemy import event, func, select

from sender.context import Context
from sender.jobs.queue import Queue
from sender.monitoring.accepted import AcceptedMessages
from sender.monitoring.gauges import DatabaseGauges
from sender.store.campaigns import Dispatcher
from sender.store.engine import Store
from sender.vocabulary import Channel, RunState
from tests.support.factory import NOW
from tests.support.status_world import Floor, fill_floor
from tests.support.web_context import SteppedClock, web_context

Key = tuple[str, ...]


def samples(context: Context) -> dict[Key, float]:
    """Return each sample by its name and the values of its labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in DatabaseGauges(context).collect()
        for sample in metric.samples
    }


@pytest.fixture
def context(store: Store) -> Context:
    return web_context(store)


def test_an_idle_installation_has_its_figures_at_nought(context: Context) -> None:
    found = samples(context)
    assert found["sender_database_up",] == 1
    assert {key for key, value in found.items() if value} == {("sender_database_up",)}
    assert found["sender_deliveries_pending", "sms"] == 0
    assert found["sender_messages_accepted_total", "email"] == 0
    assert found["sender_runs", "paused"] == 0


def test_sending_is_told_in_totals(context: Context) -> None:
    fill_floor(context)
    found = samples(context)
    expected = {
        ("sender_deliveries_pending", "email"): 10,
        ("sender_deliveries_pending", "sms"): 3,
        ("sender_dispatchers",): 2,
        ("sender_messages_accepted_total", "email"): 1_400,
        ("sender_messages_accepted_total", "sms"): 12,
        ("sender_parts", "in_hand"): 1,
        ("sender_parts", "ready"): 1,
        ("sender_parts", "unplanned"): 1,
        ("sender_parts_oldest_ready_seconds",): 60,
        ("sender_quota_allowed", "local-outbox"): 50_000,
        ("sender_quota_remaining", "local-outbox"): 4_321,
        ("sender_rate_claims", "local-outbox"): 1,
        ("sender_runs", "paused"): 1,
        ("sender_runs", "running"): 2,
        ("sender_schedules", "active"): 1,
        ("sender_schedules", "held"): 1,
    }
    assert {key: found[key] for key in expected} == expected
    assert 0.5 < found["sender_rate_part_left", "local-outbox"] < 1


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_workers_and_jobs_are_counted(context: Context) -> None:
    fill_floor(context)
    found = samples(context)
    assert (found["sender_workers",], found["sender_workers_lost",]) == (1, 1)
    assert found["sender_worker_slots",] == 4
    assert found["sender_jobs", Queue.SEND, "waiting"] == 1
    assert found["sender_jobs", Queue.HOUSE, "doing"] == 0
    assert 7 <= found["sender_jobs_oldest_seconds", Queue.SEND] < 60


def test_an_unlimited_account_has_no_quota_to_run_out(context: Context) -> None:
    with context.store.write() as session:
        there = Floor(session, NOW)
        there.quota(there.account(), None, None)
    assert not [key for key in samples(context) if key[0].startswith("sender_quota")]


def total(context: Context, accepted: AcceptedMessages) -> int:
    with context.store.read() as session:
        return accepted.by_channel(session, context.clock.now())[Channel.EMAIL]


def test_accepted_messages_only_ever_rise(context: Context) -> None:
    assert isinstance(context.clock, SteppedClock)
    accepted = AcceptedMessages()
    with context.store.write() as session:
        there = Floor(session, NOW)
        over = there.run("over", state=RunState.FINISHED, ended_at=NOW - timedelta(days=9))
        there.dispatcher(over, 1_000, began=9_000, beat=8_000, ended=True)
        sending = there.run("sending")
        mine = there.dispatcher(sending, 10)
    assert total(context, accepted) == 1_010
    with context.store.write() as session:
        session.get_one(Dispatcher, mine.id).accepted = 40
    assert total(context, accepted) == 1_040
    with context.store.write() as session:
        session.merge(sending).state = RunState.FINISHED
        session.merge(sending).ended_at = NOW
    assert total(context, accepted) == 1_040
    context.clock.wall += timedelta(seconds=30)
    with context.store.write() as session:  # the last word of a dispatcher that was just leaving
        session.get_one(Dispatcher, mine.id).accepted = 45
    for minutes in range(5):
        context.clock.wall += timedelta(minutes=minutes)
        assert total(context, accepted) == 1_045
    assert total(context, AcceptedMessages()) == 1_045


def test_runs_that_are_over_are_added_up_once(context: Context) -> None:
    accepted = AcceptedMessages()
    with context.store.write() as session:
        there = Floor(session, NOW)
        for number in range(3):
            over = there.run(f"{number}", state=RunState.FINISHED, ended_at=NOW - timedelta(days=1))
            there.dispatcher(over, 7, began=90_000, beat=86_400, ended=True)
    assert total(context, accepted) == 21
    with context.store.write() as session:  # what nobody reads any more may change unseen
        for row in session.scalars(select(Dispatcher)):
            row.accepted = 1_000
    assert total(context, accepted) == 21


def test_a_scrape_asks_the_same_of_the_database_whatever_was_sent(context: Context) -> None:
    asked: list[str] = []
    event.listen(context.store.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    samples(context)
    idle = len(asked)
    with context.store.write() as session:
        there = Floor(session, NOW)
        for number in range(5):
            run = there.run(f"{number}", state=RunState.FINISHED, ended_at=NOW)
            for _ in range(5):
                there.dispatcher(run, 7, ended=True)
        assert session.scalar(select(func.sum(Dispatcher.accepted))) == 175
    asked.clear()
    samples(context)
    assert len(asked) == idle
