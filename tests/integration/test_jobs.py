"""The queue: a job comes with its transaction, once for each key, and never dies with a worker."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from sender.jobs.queue import Job, Queue, put
from sender.jobs.sending import enqueue_again, enqueue_all, enqueue_sending
from sender.jobs.upkeep import rescue, tidy
from sender.jobs.workers import LOST_AFTER, beat, enter, leave, live_slots
from sender.store.campaigns import Worker
from sender.store.engine import Store, open_store
from sender.vocabulary import Priority

NORMAL, URGENT = Priority.NORMAL, Priority.URGENT
JOBS = text("SELECT queue_name, args FROM procrastinate_jobs WHERE status = 'todo' ORDER BY id")


@pytest.fixture
def store(postgresql_url: str) -> Iterator[Store]:
    opened = open_store(postgresql_url)
    yield opened
    opened.close()


def queued(store: Store) -> list[tuple[str, int, int]]:
    with store.read() as session:
        return [(queue, args["run_id"], args["number"]) for queue, args in session.execute(JOBS)]


def execute(session: Session, statement: str) -> None:
    session.execute(text(statement))


def fetch_all(session: Session, last_sign: str = "now()") -> None:
    """Let a Procrastinate worker, last heard of at `last_sign`, have every job in hand."""
    worker = text(
        f"INSERT INTO procrastinate_workers (last_heartbeat) VALUES ({last_sign}) RETURNING id"
    )
    session.execute(
        text("UPDATE procrastinate_jobs SET status = 'doing', worker_id = :worker"),
        {"worker": session.scalar(worker)},
    )


def work(store: Store, slots: int) -> int:
    with store.write() as session:
        return enter(session, slots)


def test_a_job_comes_with_its_transaction(store: Store) -> None:
    with store.write() as session:
        enqueue_sending(session, 7, NORMAL)
        assert queued(store) == []
    assert queued(store) == [("send", 7, 1)]


def test_a_rollback_takes_the_job_with_it(store: Store) -> None:
    with store.write() as session:
        enqueue_sending(session, 7, NORMAL)
        session.rollback()
    assert queued(store) == []


def test_on_sqlite_nothing_is_queued(sqlite_url: str) -> None:
    embedded = open_store(sqlite_url)
    with embedded.write() as session:
        enqueue_sending(session, 7, NORMAL)
    embedded.close()


def test_a_second_launch_in_the_same_moment_keeps_its_transaction(store: Store) -> None:
    job = Job("send_slice", Queue.SEND, "send_slice:7:1", {"run_id": 7, "number": 1})
    with store.write() as session:
        assert put(session, job)
        assert not put(session, job)
        worker_id = enter(session, 2)
    assert queued(store) == [("send", 7, 1)]
    with store.read() as session:
        assert session.get(Worker, worker_id) is not None


def test_urgent_runs_wait_in_a_queue_of_their_own(store: Store) -> None:
    with store.write() as session:
        enqueue_sending(session, 1, None)
        enqueue_sending(session, 2, URGENT)
    assert queued(store) == [("send", 1, 1), ("urgent", 2, 1)]


def test_a_run_alone_has_as_many_slices_as_there_are_slots(store: Store) -> None:
    work(store, 2)
    work(store, 3)
    with store.write() as session:
        enqueue_sending(session, 7, NORMAL)
        enqueue_sending(session, 7, NORMAL)
    assert queued(store) == [("send", 7, number) for number in range(1, 6)]


def test_runs_share_the_slots(store: Store) -> None:
    work(store, 5)
    with store.write() as session:
        assert enqueue_all(session, [(1, URGENT), (2, NORMAL), (3, None)]) == 7
        assert enqueue_all(session, [(1, URGENT), (2, NORMAL), (3, None)]) == 0
    assert Counter(run for _, run, _ in queued(store)) == {1: 5, 2: 1, 3: 1}


def test_no_crowd_of_workers_makes_the_queue_long(store: Store) -> None:
    work(store, 1_000)
    with store.write() as session:
        assert enqueue_all(session, [(1, NORMAL)]) == 64


def test_a_slice_that_is_over_goes_to_the_tail(store: Store) -> None:
    work(store, 2)
    with store.write() as session:
        enqueue_all(session, [(1, NORMAL), (2, NORMAL)])
        fetch = text("UPDATE procrastinate_jobs SET status = 'doing' WHERE args->>'run_id' = '1'")
        session.execute(fetch)
        assert enqueue_again(session, 1, 1, NORMAL)
    assert queued(store) == [("send", 2, 1), ("send", 1, 1)]


def test_a_slice_beyond_the_runs_share_is_not_queued_again(store: Store) -> None:
    work(store, 2)
    with store.write() as session:
        enqueue_all(session, [(1, NORMAL)])
        fetch_all(session)
        enqueue_sending(session, 2, NORMAL)
        assert not enqueue_again(session, 1, 2, NORMAL)
    assert queued(store) == [("send", 2, 1)]


def test_slices_in_hand_are_not_queued_a_second_time(store: Store) -> None:
    work(store, 2)
    with store.write() as session:
        enqueue_all(session, [(1, NORMAL)])
        fetch_all(session)
        assert enqueue_all(session, [(1, NORMAL)]) == 0


def test_a_silent_workers_jobs_are_put_back(store: Store) -> None:
    with store.write() as session:
        enqueue_all(session, [(1, NORMAL), (2, URGENT)])
        fetch_all(session, "now() - interval '31 seconds'")
    assert queued(store) == []
    with store.write() as session:
        assert rescue(session) == 2
    assert sorted(queued(store)) == [("send", 1, 1), ("urgent", 2, 1)]


def test_jobs_whose_worker_was_struck_off_are_put_back(store: Store) -> None:
    with store.write() as session:
        enqueue_all(session, [(1, NORMAL)])
        fetch_all(session)
        execute(session, "DELETE FROM procrastinate_workers")
        assert rescue(session) == 1
    assert queued(store) == [("send", 1, 1)]


def test_a_living_workers_jobs_stay_in_its_hands(store: Store) -> None:
    with store.write() as session:
        enqueue_all(session, [(1, NORMAL)])
        fetch_all(session)
        assert rescue(session) == 0
    assert queued(store) == []


def test_a_job_that_waits_again_already_is_not_put_back_twice(store: Store) -> None:
    with store.write() as session:
        enqueue_all(session, [(1, NORMAL)])
        fetch_all(session, "now() - interval '1 hour'")
        assert enqueue_again(session, 1, 1, NORMAL)
        assert rescue(session) == 1
    assert queued(store) == [("send", 1, 1)]


def test_what_is_over_is_deleted_and_the_rest_stays(store: Store) -> None:
    with store.write() as session:
        enqueue_all(session, [(1, NORMAL), (2, NORMAL)])
        cancel = "UPDATE procrastinate_jobs SET status = 'cancelled' WHERE args->>'run_id' = '1'"
        execute(session, cancel)
    with store.write() as session:
        assert tidy(session) == 1
    assert queued(store) == [("send", 2, 1)]


def test_only_living_workers_count(store: Store) -> None:
    first, second, third = work(store, 1), work(store, 2), work(store, 4)
    with store.write() as session:
        session.execute(
            text("UPDATE worker SET heartbeat_at = now() - :silent WHERE id IN (:first, :second)"),
            {"silent": LOST_AFTER + timedelta(seconds=1), "first": first, "second": second},
        )
        assert live_slots(session) == 4
        beat(session, second)
        assert live_slots(session) == 6
        leave(session, third)
        assert live_slots(session) == 2
        assert session.scalars(select(Worker.ended_at).where(Worker.id == third)).one() is not None
