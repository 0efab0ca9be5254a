"""Keep the queue small and its jobs with the living."""

from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from sender.jobs.queue import Job, Queue, put
from sender.jobs.workers import LOST_AFTER

_TAKE_FROM_THE_LOST = text(
    """
    DELETE FROM procrastinate_jobs AS job
    WHERE job.status = 'doing' AND NOT EXISTS (
        SELECT FROM procrastinate_workers AS worker
        WHERE worker.id = job.worker_id AND worker.last_heartbeat > now() - :lost_after
    )
    RETURNING job.task_name, job.queue_name, job.queueing_lock, job.args
    """
)
_DELETE_OVER = text(
    "DELETE FROM procrastinate_jobs WHERE status NOT IN ('todo', 'doing') RETURNING id"
)
_TABLES = ("procrastinate_jobs", "procrastinate_events", "procrastinate_periodic_defers")


def rescue(session: Session, lost_after: timedelta = LOST_AFTER) -> int:
    """Queue anew what workers had in hand that are silent; return how many jobs that were.

    A frozen one that wakes goes on with its own: the same work is then done by two, which the
    ledger bears.
    """
    taken = session.execute(_TAKE_FROM_THE_LOST, {"lost_after": lost_after}).all()
    for task, queue, key, arguments in taken:
        put(session, Job(task, Queue(queue), key, _numbers(arguments)))
    return len(taken)


def tidy(session: Session) -> int:
    """Delete what is over, and let PostgreSQL count; return how many jobs were deleted.

    Workers delete what they have done; this finds what a person cancelled by hand. Statistics from
    a moment when the queue was long, or empty, make fetching slow.
    """
    deleted = len(session.execute(_DELETE_OVER).all())
    for table in _TABLES:
        session.execute(text(f"ANALYZE {table}"))
    return deleted


def _numbers(arguments: dict[str, Any]) -> dict[str, int]:
    return {name: int(value) for name, value in arguments.items()}
