"""Jobs that send: each is a slice of one run's time, not a message.

A run has as many as it may have workers' slots, so the queue stays short however many people there
are, and a slice that ends goes to the tail: runs take turns.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from sender.jobs.queue import Job, Queue, has_queue, put
from sender.jobs.workers import live_slots
from sender.vocabulary import Priority

SEND_SLICE: Final = "send_slice"

MOST_AT_ONCE: Final = 64
"""Slices of one run at the same time, however many workers there are."""

_UNDER_WAY = text(
    "SELECT (args->>'run_id')::bigint, (args->>'number')::bigint FROM procrastinate_jobs"
    " WHERE task_name = :task AND status IN ('todo', 'doing')"
)


def enqueue_sending(session: Session, run_id: int, priority: Priority | None) -> None:
    """Let the workers carry the run on, as soon as this session commits; on SQLite do nothing."""
    if not has_queue(session):
        return
    under_way = _under_way(session)
    runs = {run for run, _ in under_way} | {run_id}
    most = share(live_slots(session), len(runs), priority)
    _fill_up(session, run_id, priority, most, under_way)


def enqueue_all(session: Session, runs: Sequence[tuple[int, Priority | None]]) -> int:
    """Let the workers carry on all runs that have work now; return how many slices were missing."""
    under_way, slots = _under_way(session), live_slots(session)
    return sum(
        _fill_up(session, run_id, priority, share(slots, len(runs), priority), under_way)
        for run_id, priority in runs
    )


def enqueue_again(session: Session, run_id: int, number: int, priority: Priority | None) -> bool:
    """Put a slice that is over back to the tail; False if the run has more than its share now."""
    runs = {run for run, _ in _under_way(session)} | {run_id}
    if number > share(live_slots(session), len(runs), priority):
        return False
    return put(session, _slice(run_id, number, priority))


def share(slots: int, runs: int, priority: Priority | None) -> int:
    """Return how many slices a run may have at the same time.

    Runs share the slots evenly, rounded down: where there are several, one whose provider hangs
    never holds all slots. An urgent run may have all.

    Args:
        slots: of all living workers, >= 0.
        runs: that have work, >= 1.
        priority: the run's.
    """
    fair = slots if priority is Priority.URGENT else slots // runs
    return max(1, min(fair, MOST_AT_ONCE))


def _under_way(session: Session) -> set[tuple[int, int]]:
    rows = session.execute(_UNDER_WAY, {"task": SEND_SLICE})
    return {(run_id, number) for run_id, number in rows}


def _fill_up(
    session: Session,
    run_id: int,
    priority: Priority | None,
    most: int,
    under_way: set[tuple[int, int]],
) -> int:
    missing = [number for number in range(1, most + 1) if (run_id, number) not in under_way]
    return sum(put(session, _slice(run_id, number, priority)) for number in missing)


def _slice(run_id: int, number: int, priority: Priority | None) -> Job:
    queue = Queue.URGENT if priority is Priority.URGENT else Queue.SEND
    arguments = {"run_id": run_id, "number": number}
    return Job(SEND_SLICE, queue, f"{SEND_SLICE}:{run_id}:{number}", arguments)
