"""The worker, in this process: turns, priorities, house work, and what it survives."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import generate_latest
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError

from sender.context import Context
from sender.delivery.progress import Ending
from sender.errors import ProviderError, RefusedError
from sender.jobs.queue import Job, Queue, put
from sender.jobs.sending import enqueue_all, enqueue_sending
from sender.store.campaigns import Campaign, Run, Worker
from sender.store.engine import Store, open_store
from sender.store.inbound import Alert
from sender.vocabulary import Priority, RunState
from sender.worker.house import Duty
from sender.worker.metrics import CONNECTIONS, metrics_registry
from sender.worker.slices import REST, SHORT_REST, Slices
from tests.support.databases import PostgresDatabases
from tests.support.factory import add_campaign, add_campaign_version, add_run, establish
from tests.support.postgres import running_postgres
from tests.support.web_context import web_context
from tests.support.worker_floor import Carriage, jobs, wait_until, worker

NORMAL, URGENT = Priority.NORMAL, Priority.URGENT
RUNS = 3
SILENT_WORKERS = text(
    "SELECT count(*) FROM worker WHERE heartbeat_at < now() - interval '30 minutes'"
)
REFUSE_TO_DELETE = (
    "CREATE TABLE refusal AS SELECT 1",
    (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF EXISTS (SELECT FROM refusal) THEN RAISE EXCEPTION 'not now'; END IF;"
        " RETURN OLD; END $$"
    ),
    (
        "CREATE TRIGGER refuse BEFORE DELETE ON procrastinate_jobs"
        " FOR EACH ROW EXECUTE FUNCTION refuse()"
    ),
)
KEEP_MOMENTS = (
    "CREATE TABLE moments (moment bigint)",
    (
        "CREATE FUNCTION keep_moment() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO moments VALUES ((NEW.args->>'timestamp')::bigint); RETURN NEW; END $$"
    ),
    (
        "CREATE TRIGGER keep_moment AFTER INSERT ON procrastinate_jobs"
        " FOR EACH ROW EXECUTE FUNCTION keep_moment()"
    ),
)
"""Remembers for which moments a job was queued; the jobs themselves are deleted when done."""


@pytest.fixture
def store(postgresql_url: str) -> Iterator[Store]:
    opened = open_store(postgresql_url)
    yield opened
    opened.close()


@pytest.fixture
def context(store: Store) -> Context:
    return with_runs(store)


def with_runs(store: Store) -> Context:
    """Open an installation with three runs, 1 to 3, that were confirmed."""
    opened = web_context(store)
    with store.write() as session:
        body = establish(session, "party")
        _, version = add_campaign(session, body.controller)
        assert [add_run(session, body, version, state=RunState.READY).id for _ in range(RUNS)] == [
            1,
            2,
            3,
        ]
    return opened


def enqueue(store: Store, *runs: int, priority: Priority = NORMAL) -> None:
    with store.write() as session:
        for run_id in runs:
            enqueue_sending(session, run_id, priority)


def held() -> tuple[threading.Event, Callable[[int, Callable[[], bool]], Ending]]:
    """Return a gate, and a slice that waits until it is opened, or the worker stops."""
    gate = threading.Event()

    def act(_run_id: int, stopping: Callable[[], bool]) -> Ending:
        while not gate.wait(0.05):
            if stopping():
                return Ending.INTERRUPTED
        return Ending.FINISHED

    return gate, act


def test_a_launch_is_taken_up_at_once_and_its_job_goes(context: Context) -> None:
    carriage = Carriage()
    with worker(context, carriage) as running:
        enqueue(context.store, 1)
        assert carriage.next_run() == 1
        wait_until(lambda: jobs(context.store, "todo") + jobs(context.store, "doing") == 0)
        assert running.stop() == 0
    assert carriage.closed
    assert carriage.untils == [context.clock.now() + timedelta(seconds=10)]


def test_two_runs_take_turns(context: Context) -> None:
    carriage = Carriage(lambda _run_id, _stopping: Ending.HANDED_ON)
    enqueue(context.store, 1, 2)
    with worker(context, carriage):
        turns = [carriage.next_run() for _ in range(8)]
    assert turns == [1, 2] * 4


def test_urgent_runs_have_the_first_turn_of_all_hands(context: Context) -> None:
    """One hand is kept for them; the others take them first too."""
    gate, act = held()
    carriage = Carriage(act)
    enqueue(context.store, 1, 2)
    with worker(context, carriage, slots=1):
        assert carriage.next_run() == 1
        enqueue(context.store, 3, priority=URGENT)
        assert carriage.next_run() == 3
        gate.set()
        assert carriage.next_run() == 2


def test_an_urgent_run_goes_before_those_that_wait_already(context: Context) -> None:
    carriage = Carriage()
    enqueue(context.store, 1, 2)
    enqueue(context.store, 3, priority=URGENT)
    with worker(context, carriage):
        assert {carriage.next_run(), carriage.next_run()} == {3, 1}
        assert carriage.next_run() == 2


def test_what_came_back_passes_a_backlog_of_sending(context: Context) -> None:
    _, act = held()
    carriage = Carriage(act)
    done = threading.Event()

    def do(_context: Context) -> dict[str, int]:
        done.set()
        return {"events": 1}

    duty = Duty("stragglers", Queue.INBOUND, "0 0 1 1 *", do)
    enqueue(context.store, 1, 2, 3)
    with worker(context, carriage, duties=[duty]):
        carriage.next_run()
        done.clear()
        with context.store.write() as session:
            put(session, Job("stragglers", Queue.INBOUND, "stragglers", {"timestamp": 1}))
        assert done.wait(60)
        assert jobs(context.store, "todo") == 2


def test_two_workers_share_one_run(context: Context) -> None:
    gate, act = held()
    carriages = [Carriage(act), Carriage(act)]
    with worker(context, carriages[0]), worker(context, carriages[1]):
        wait_until(lambda: living(context) == 2)
        with context.store.write() as session:
            assert enqueue_all(session, [(1, NORMAL)]) == 2
        assert [carriage.next_run() for carriage in carriages] == [1, 1]
        gate.set()


def living(context: Context) -> int:
    with context.store.read() as session:
        return len(session.scalars(select(Worker.id).where(Worker.ended_at.is_(None))).all())


def test_a_worker_keeps_saying_that_it_lives(context: Context) -> None:
    def silent() -> int:
        with context.store.read() as session:
            return int(session.scalar(SILENT_WORKERS) or 0)

    with worker(context, Carriage()):
        wait_until(lambda: living(context) == 1)
        with context.store.write() as session:
            session.execute(text("UPDATE worker SET heartbeat_at = now() - interval '1 hour'"))
        assert silent() == 1
        wait_until(lambda: silent() == 0)


def test_the_metrics_say_what_was_done(context: Context) -> None:
    Slices(context, Carriage(), lambda: False, None).send(1, 1)
    said = generate_latest(metrics_registry(context)).decode()
    assert 'sender_worker_slices_total{ending="finished"}' in said
    assert "sender_worker_slices_under_way 0.0" in said
    assert "sender_database_up 1.0" in said


def test_a_stop_lets_a_slice_finish_and_leaves_the_rest_to_others(context: Context) -> None:
    _, act = held()
    carriage, other = Carriage(act), Carriage()
    with worker(context, carriage) as running:
        enqueue(context.store, 1, 2)
        assert carriage.next_run() == 1
        assert running.stop() == 0
    assert carriage.begun.empty()
    assert living(context) == 0
    with worker(context, other):
        assert [other.next_run(), other.next_run()] == [2, 1]


def test_a_failed_slice_is_told_and_left_alone_for_a_while(context: Context) -> None:
    def fail(_run_id: int, _stopping: Callable[[], bool]) -> Ending:
        raise ProviderError("The account cannot send.", remedy="Mend it.")

    carriage = Carriage(fail)
    slices = Slices(context, carriage, lambda: False, None)
    slices.send(1, 1)
    slices.send(1, 1)
    assert slices.failed == 1
    slices.send(2, 1)
    assert [carriage.next_run(), carriage.next_run()] == [1, 2]
    clock: Any = context.clock
    clock.wall += REST
    slices.send(1, 1)
    assert carriage.next_run() == 1
    with context.store.read() as session:
        alert = session.scalars(select(Alert).order_by(Alert.id)).first()
    assert alert is not None
    assert alert.subject == "run 1 of party/spring-appeal"
    assert alert.details["because"] == "The account cannot send."
    assert slices.busy == 0


def test_a_run_is_not_left_alone_for_long_because_the_database_failed(context: Context) -> None:
    def fail(_run_id: int, _stopping: Callable[[], bool]) -> Ending:
        raise OperationalError(None, None, Exception())

    carriage = Carriage(fail)
    slices = Slices(context, carriage, lambda: False, None)
    slices.send(1, 1)
    slices.send(1, 1)
    assert slices.failed == 1
    clock: Any = context.clock
    clock.wall += SHORT_REST
    slices.send(1, 1)
    assert slices.failed == 2


@pytest.mark.parametrize("change", [{"state": RunState.PAUSED}, {"version_id": 2}])
def test_a_run_that_came_out_of_their_hands_meanwhile_is_no_failure(
    context: Context, change: dict[str, Any]
) -> None:
    with context.store.write() as session:
        add_campaign_version(session, session.get_one(Campaign, 1), version=2)

    def refuse(run_id: int, _stopping: Callable[[], bool]) -> Ending:
        with context.store.write() as session:
            session.execute(update(Run).where(Run.id == run_id).values(**change))
        raise RefusedError("Not now.")

    slices = Slices(context, Carriage(refuse), lambda: False, None)
    slices.send(1, 1)
    assert slices.failed == 0


def test_a_job_that_comes_too_late_does_nothing(context: Context) -> None:
    with context.store.write() as session:
        session.execute(update(Run).where(Run.id == 1).values(state=RunState.FINISHED))
    carriage = Carriage()
    Slices(context, carriage, lambda: False, None).send(1, 1)
    assert carriage.begun.empty()


def test_a_failure_ends_neither_the_worker_nor_other_runs(context: Context) -> None:
    def fail(run_id: int, _stopping: Callable[[], bool]) -> Ending:
        if run_id == 1:
            raise ZeroDivisionError
        return Ending.FINISHED

    carriage = Carriage(fail)
    enqueue(context.store, 1, 2)
    with worker(context, carriage) as running:
        assert [carriage.next_run(), carriage.next_run()] == [1, 2]
        assert running.stop() == 0


def test_a_duty_is_done_once_a_moment_however_many_workers_there_are(context: Context) -> None:
    with context.store.engine.begin() as connection:
        for statement in KEEP_MOMENTS:
            connection.execute(text(statement))
    times = iter(range(1_000))
    third = threading.Event()

    def do(_context: Context) -> dict[str, int]:
        if next(times) == 2:
            third.set()
        return {}

    duty = Duty("often", Queue.HOUSE, "* * * * * *", do)
    with worker(context, Carriage(), duties=[duty]), worker(context, Carriage(), duties=[duty]):
        assert third.wait(60)
    with context.store.read() as session:
        moments = session.scalars(text("SELECT moment FROM moments")).all()
    assert len(moments) >= 3
    assert len(set(moments)) == len(moments)


def test_a_failed_duty_comes_again(context: Context) -> None:
    tries: list[str] = []
    again = threading.Event()

    def do(_context: Context) -> dict[str, int]:
        tries.append("try")
        if len(tries) == 1:
            raise ZeroDivisionError
        again.set()
        return {}

    with worker(context, Carriage(), duties=[Duty("often", Queue.HOUSE, "* * * * * *", do)]):
        assert again.wait(60)


def test_a_dead_workers_jobs_go_on_elsewhere(context: Context) -> None:
    carriage = Carriage()
    with context.store.write() as session:
        enqueue_sending(session, 1, NORMAL)
        session.execute(
            text(
                "INSERT INTO procrastinate_workers (last_heartbeat)"
                " VALUES (now() - interval '31 seconds')"
            )
        )
        taken = "UPDATE procrastinate_jobs SET status = 'doing', worker_id = 1"
        session.execute(text(taken))
    with worker(context, carriage):
        assert carriage.next_run() == 1


def test_cut_connections_are_made_anew_and_nothing_stays_in_dead_hands(context: Context) -> None:
    carriage = Carriage()
    with worker(context, carriage):
        enqueue(context.store, 1)
        assert carriage.next_run() == 1
        with context.store.engine.connect() as connection:
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name"
            assert connection.execute(text(cut + " = 'sender worker'")).rowcount
        enqueue(context.store, 2)
        assert carriage.next_run() == 2
        wait_until(lambda: jobs(context.store, "doing") == 0)


def test_a_job_whose_end_could_not_be_written_does_not_stay_in_living_hands(
    context: Context,
) -> None:
    """Or a run would have a slice less, and a duty would never be done again."""
    with context.store.engine.begin() as connection:
        for statement in REFUSE_TO_DELETE:
            connection.execute(text(statement))
    carriage, before = Carriage(), CONNECTIONS._value.get()
    with worker(context, carriage):
        enqueue(context.store, 1)
        assert carriage.next_run() == 1
        wait_until(lambda: CONNECTIONS._value.get() > before)
        with context.store.engine.begin() as connection:
            connection.execute(text("DELETE FROM refusal"))
        assert carriage.next_run() == 1
        wait_until(lambda: jobs(context.store, "doing") == 0)


def test_a_restarted_postgresql_is_no_end() -> None:
    with running_postgres() as server:
        databases = PostgresDatabases(server.url)
        store = open_store(databases.create_migrated())
        carriage = Carriage()
        with closing(store), worker(with_runs(store), carriage):
            enqueue(store, 1)
            assert carriage.next_run() == 1
            databases.close()
            server.restart(crash=True)
            enqueue(store, 2)
            assert carriage.next_run() == 2


def test_once_ends_when_nothing_is_left(context: Context) -> None:
    carriage = Carriage()
    done: list[str] = []

    def note(name: str) -> Callable[[Context], dict[str, int]]:
        def do(_context: Context) -> dict[str, int]:
            done.append(name)
            return {}

        return do

    needed = Duty("sweep", Queue.HOUSE, "* * * * *", note("sweep"), with_once=True)
    other = Duty("retention", Queue.INBOUND, "* * * * * *", note("retention"))
    enqueue(context.store, 1, 2, 3)
    with worker(context, carriage, duties=[needed, other], once=True) as running:
        assert running.finish() == 0
    assert sorted(carriage.begun.queue) == [1, 2, 3]
    assert carriage.untils == [None] * 3
    assert done == ["sweep", "sweep"]
    assert living(context) == 0


def test_once_says_that_something_failed(context: Context) -> None:
    def fail(_run_id: int, _stopping: Callable[[], bool]) -> Ending:
        raise ZeroDivisionError

    enqueue(context.store, 1)
    with worker(context, Carriage(fail), once=True) as running:
        assert running.finish() == 1
