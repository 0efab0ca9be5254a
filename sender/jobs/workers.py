"""The workers there are: each says every few seconds that it lives, on the database's clock."""

import os
import socket
from datetime import timedelta
from importlib.metadata import version

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from sender.store.campaigns import Worker

HEARTBEAT_EVERY = timedelta(seconds=5)

LOST_AFTER = timedelta(seconds=30)
"""A worker that has been silent for so long is taken for dead; a frozen one may wake again."""


def enter(session: Session, slots: int) -> int:
    """Write this process down as a worker, and return its number."""
    row = insert(Worker).values(
        host=socket.gethostname()[:255],
        process_id=os.getpid(),
        slots=slots,
        version=version("consent-sender")[:32],
        started_at=func.now(),
        heartbeat_at=func.now(),
    )
    return session.scalars(row.returning(Worker.id)).one()


def beat(session: Session, worker_id: int) -> None:
    """Say that the worker lives."""
    session.execute(update(Worker).where(Worker.id == worker_id).values(heartbeat_at=func.now()))


def leave(session: Session, worker_id: int) -> None:
    """Say that the worker has ended."""
    ended = update(Worker).where(Worker.id == worker_id)
    session.execute(ended.values(heartbeat_at=func.now(), ended_at=func.now()))


def live_slots(session: Session) -> int:
    """Return how many runs all living workers together dispatch at the same time."""
    living = Worker.ended_at.is_(None) & (Worker.heartbeat_at > func.now() - LOST_AFTER)
    return int(session.scalar(select(func.sum(Worker.slots)).where(living)) or 0)
