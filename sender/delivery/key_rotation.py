"""Rotate the key of the address hashes: `sender db rotate-key`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.context import Context
from sender.delivery.recovery import is_alive
from sender.errors import RefusedError
from sender.jobs.workers import LOST_AFTER
from sender.store.audit_trail import record as audit
from sender.store.campaigns import Dispatcher, Worker
from sender.store.key_ring import hold_writers_off, keys_to_add, rewrite
from sender.store.keys import add_keys


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did.

    Attributes:
        keys: how many keys the database learned; 0 if it knew them all.
        addresses: how many hashes were rewritten.
    """

    keys: int
    addresses: int


def rotate_key(context: Context, progress: Callable[[int], None] = lambda _rows: None) -> Rotation:
    """Bring the database under every key of `SENDER_HASH_KEY`, in one transaction.

    A process that dies half-way has changed nothing. One that was started under the old keys alone
    is refused as soon as it looks an address up; what it does by a personal link goes on.

    Args:
        context: opened by `sender.context.open_for_rotation`.
        progress: told how many hashes were rewritten, each time.

    Raises:
        KeyRefusedError: the database's keys are not among the settings', in their order.
        RefusedError: somebody is sending.
        DatabaseError: somebody writes for so long that it was not waited for.
    """
    hasher, now = context.hasher, context.clock.now()
    with context.store.write() as session:
        hold_writers_off(session)
        adding = keys_to_add(session, hasher)
        if not adding.fingerprints:
            return Rotation(0, 0)
        _require_nobody_sends(session, now)
        addresses = rewrite(session, hasher, adding.newest, progress)
        add_keys(session, adding.fingerprints, now)
        done = Rotation(len(adding.fingerprints), addresses)
        details = {"keys": done.keys, "addresses": addresses}
        audit(
            session, now=now, operator=context.operator, action="hash_key.rotate", details=details
        )
    return done


def _require_nobody_sends(session: Session, now: datetime) -> None:
    rows = session.scalars(select(Dispatcher).where(Dispatcher.ended_at.is_(None)))
    busy: list[Dispatcher | Worker] = [row for row in rows if is_alive(row, now)]
    living = Worker.ended_at.is_(None) & (Worker.heartbeat_at > func.now() - LOST_AFTER)
    if session.get_bind().dialect.name == "postgresql":  # there are no workers elsewhere
        busy += session.scalars(select(Worker).where(living))
    for row in busy:
        raise RefusedError(
            f"Process {row.process_id} on {row.host} is sending, or ready to.",
            remedy="Stop every worker and launch. One that is gone already is given up for lost "
            "after half a minute.",
        )
