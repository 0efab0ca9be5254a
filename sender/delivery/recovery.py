"""After a crash: find the dispatchers that are gone, and what they may or may not have sent.

A delivery that is `dispatching` under a dispatcher that is gone becomes `unknown`. It is never sent
again by itself: only the provider's events can tell (invariant 4).
"""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from sender.delivery.parts import free_parts
from sender.store.campaigns import Dispatcher, RunPart
from sender.store.deliveries import Delivery
from sender.vocabulary import DeliveryState

HEARTBEAT_EVERY = timedelta(seconds=5)
SILENT_AFTER = timedelta(seconds=30)
"""A dispatcher counts as gone after this silence; one whose process is seen to be gone, at once.

One that wakes up later can do no harm: its deadlines have passed, so it starts no request, what it
had marked is `unknown` by then, and its last looks mark nobody any more.
"""


def start_dispatcher(
    session: Session, run_id: int, now: datetime, worker_id: int | None = None
) -> int:
    """Enter this process as a dispatcher of the run and return its id."""
    row = Dispatcher(
        run_id=run_id,
        worker_id=worker_id,
        host=socket.gethostname(),
        place=this_place(),
        process_id=os.getpid(),
        started_at=now,
        heartbeat_at=now,
    )
    session.add(row)
    session.flush()
    return row.id


def beat(session: Session, dispatcher_id: int, now: datetime, accepted: int = 0) -> None:
    """Say that this dispatcher is alive, and how many messages it saw accepted so far."""
    session.execute(
        update(Dispatcher)
        .where(Dispatcher.id == dispatcher_id)
        .values(heartbeat_at=now, accepted=accepted)
    )


def end_dispatcher(session: Session, dispatcher_id: int, now: datetime, accepted: int = 0) -> None:
    """Say that this dispatcher has stopped and holds nothing any more."""
    session.execute(
        update(Dispatcher)
        .where(Dispatcher.id == dispatcher_id)
        .values(heartbeat_at=now, ended_at=now, accepted=accepted)
    )
    session.execute(
        update(RunPart).where(RunPart.dispatcher_id == dispatcher_id).values(dispatcher_id=None)
    )


def was_ended(session: Session, dispatcher_id: int) -> bool:
    """Whether a dispatcher has ended, or was given up for lost; then it has no say any more.

    So it is with one that the database does not know: that was restored from a backup of before.
    """
    query = select(Dispatcher.id).where(
        Dispatcher.id == dispatcher_id, Dispatcher.ended_at.is_(None)
    )
    return session.scalar(query) is None


def live_dispatchers(session: Session, run_id: int, now: datetime) -> list[Dispatcher]:
    """Return the run's dispatchers that are at work, as far as can be told from here."""
    rows = session.scalars(
        select(Dispatcher).where(Dispatcher.run_id == run_id, Dispatcher.ended_at.is_(None))
    )
    return [row for row in rows if is_alive(row, now)]


def is_alive(dispatcher: Dispatcher, now: datetime) -> bool:
    """Whether a dispatcher may still be working: its heart beats, and its process is there."""
    if dispatcher.ended_at is not None or dispatcher.heartbeat_at <= now - SILENT_AFTER:
        return False
    return dispatcher.place != this_place() or _process_exists(dispatcher.process_id)


@cache
def this_place() -> str:
    """Return what tells the world of this process's id from all others.

    Containers may share a host's name, and machines too; their process ids don't mean the same.
    """
    parts = [socket.gethostname()]
    with suppress(OSError):  # only Linux tells these
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return sha256("\n".join(parts).encode()).hexdigest()[:32]


def recover(session: Session, run_id: int, now: datetime) -> int:
    """Mark what the run's lost dispatchers left `dispatching` as `unknown`; return how many.

    Their parts are free for others again.
    """
    alive = [row.id for row in live_dispatchers(session, run_id, now)]
    found = session.execute(
        update(Delivery)
        .where(
            Delivery.run_id == run_id,
            Delivery.state == DeliveryState.DISPATCHING,
            or_(Delivery.dispatcher_id.is_(None), Delivery.dispatcher_id.not_in(alive)),
        )
        .values(state=DeliveryState.UNKNOWN, provider_code="dispatcher lost")
    )
    _close_lost(session, run_id, alive, now)
    free_parts(session, run_id, alive)
    return found.rowcount  # type: ignore[attr-defined,no-any-return]  # an UPDATE's result has it


def _close_lost(session: Session, run_id: int, alive: Sequence[int], now: datetime) -> None:
    session.execute(
        update(Dispatcher)
        .where(
            Dispatcher.run_id == run_id,
            Dispatcher.ended_at.is_(None),
            Dispatcher.id.not_in(alive),
        )
        .values(ended_at=now)
    )


def _process_exists(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
