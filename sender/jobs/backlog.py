"""How much waits in the job queue, and for how long."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from sender.jobs.queue import Queue, has_queue

_WAITING = text(
    """
    SELECT job.queue_name,
           count(DISTINCT job.id) FILTER (WHERE job.status = 'todo'),
           count(DISTINCT job.id) FILTER (WHERE job.status = 'doing'),
           now() - min(event.at) FILTER (WHERE job.status = 'todo')
    FROM procrastinate_jobs AS job
    LEFT JOIN procrastinate_events AS event
        ON event.job_id = job.id AND event.type IN ('deferred', 'deferred_for_retry', 'retried')
    WHERE job.status IN ('todo', 'doing')
    GROUP BY job.queue_name
    """
)


@dataclass(frozen=True, slots=True)
class Backlog:
    """One queue.

    Attributes:
        queue: which.
        waiting: jobs that nobody has taken.
        doing: jobs that a worker has in hand.
        oldest: for how long the oldest of those that wait has waited; None when none does.
    """

    queue: Queue
    waiting: int
    doing: int
    oldest: timedelta | None


def backlogs(session: Session) -> list[Backlog]:
    """Return every queue, the first served first; none on SQLite, which has no queue.

    What is over is deleted, so the table is short whatever was sent.
    """
    if not has_queue(session):
        return []
    found = {name: (waiting, doing, age) for name, waiting, doing, age in session.execute(_WAITING)}
    return [Backlog(queue, *found.get(queue.value, (0, 0, None))) for queue in Queue]
