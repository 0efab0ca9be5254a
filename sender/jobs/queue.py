"""Put jobs into the queue, in the transaction of whoever wants them done."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from procrastinate import App
    from procrastinate.types import JSONValue


class Queue(StrEnum):
    """Each queue has hands of its own in every worker, so that none can hold up another."""

    INBOUND = "inbound"
    """What came back from people and providers: before everything else."""
    HOUSE = "house"
    """Schedules, recovery, alerts."""
    URGENT = "urgent"
    """Slices of urgent runs: hands of their own, and the first turn with those of `send`."""
    SEND = "send"
    """Slices of all other runs."""


PRIORITY: Mapping[Queue, int] = {
    Queue.INBOUND: 30,
    Queue.HOUSE: 20,
    Queue.URGENT: 10,
    Queue.SEND: 0,
}
"""Where one pair of hands serves two queues, the job with the higher number goes first."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done, in ids only.

    Attributes:
        task: the name under which a worker knows it.
        queue: where it waits.
        key: of all jobs with one key only one waits at a time.
        arguments: ids and numbers.
    """

    task: str
    queue: Queue
    key: str
    arguments: Mapping[str, int]


def has_queue(session: Session) -> bool:
    """Whether this database has a job queue: PostgreSQL has, SQLite has not."""
    return session.get_bind().dialect.name == "postgresql"


def put(session: Session, job: Job) -> bool:
    """Queue the job if the session commits; False where one with its key waits already.

    Args:
        session: a writing session on PostgreSQL; it goes on unharmed either way.
        job: what is to be done.
    """
    from procrastinate.exceptions import AlreadyEnqueued  # noqa: PLC0415  # see _app

    arguments: dict[str, JSONValue] = {**job.arguments}
    connection = session.connection()
    deferrer = _app().configure_task(
        job.task,
        queue=job.queue,
        priority=PRIORITY[job.queue],
        queueing_lock=job.key,
        connection=connection.connection.driver_connection,
    )
    try:
        with connection.begin_nested():
            deferrer.defer(**arguments)
    except AlreadyEnqueued:
        return False
    return True


@cache
def _app() -> "App":
    """Return a queue without connections of its own; it writes through those that it is handed."""
    # Half a second to import, which commands that queue nothing need not pay.
    from procrastinate import App, SyncPsycopgConnector  # noqa: PLC0415  # see above

    return App(connector=SyncPsycopgConnector())
