"""The workers that there are: each says so when it starts, every few seconds, and at its end."""

import os
import socket
from datetime import datetime
from importlib.metadata import version

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sender.delivery.recovery import SILENT_AFTER
from sender.store.campaigns import Worker


def enter_worker(session: Session, slots: int, now: datetime) -> int:
    """Enter this process as a worker that dispatches so many runs at a time; return its id."""
    row = Worker(
        host=socket.gethostname(),
        process_id=os.getpid(),
        slots=slots,
        version=version("consent-sender"),
        started_at=now,
        heartbeat_at=now,
    )
    session.add(row)
    session.flush()
    return row.id


def beat_worker(session: Session, worker_id: int, now: datetime) -> None:
    """Say that this worker is alive."""
    session.execute(update(Worker).where(Worker.id == worker_id).values(heartbeat_at=now))


def end_worker(session: Session, worker_id: int, now: datetime) -> None:
    """Say that this worker has ended."""
    session.execute(
        update(Worker).where(Worker.id == worker_id).values(heartbeat_at=now, ended_at=now)
    )


def live_workers(session: Session, now: datetime) -> list[Worker]:
    """Return the workers whose hearts beat."""
    query = select(Worker).where(
        Worker.ended_at.is_(None), Worker.heartbeat_at > now - SILENT_AFTER
    )
    return list(session.scalars(query.order_by(Worker.id)))
