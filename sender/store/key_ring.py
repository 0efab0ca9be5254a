"""Bring a database's address hashes under newer keys, all in one transaction.

At any time all hashes are under the same keys, so that each look-up is one hash and a crash changes
nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import bindparam, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from sender.errors import DatabaseError
from sender.store.addresses import Address
from sender.store.keys import AddressHasher, registered, require_key
from sender.store.portable import table_of

ROWS_AT_ONCE = 10_000

LOCK_WAIT = timedelta(seconds=20)
"""How long to wait for transactions that write about addresses; others wait behind that."""

_BY_ARRAYS = text(
    "UPDATE address SET key_hash = made.key_hash "
    "FROM unnest(CAST(:ids AS bigint[]), CAST(:hashes AS bytea[])) AS made (id, key_hash) "
    "WHERE address.id = made.id"
)
_BY_ROW = (
    update(table_of(Address))
    .where(table_of(Address).c.id == bindparam("row_id"))
    .values(key_hash=bindparam("made"))
)


@dataclass(frozen=True, slots=True)
class KeysToAdd:
    """What a database lacks of its program's keys.

    Attributes:
        newest: the fingerprint of the key that its hashes are under.
        fingerprints: of the keys that it does not know yet, oldest first.
    """

    newest: str
    fingerprints: tuple[str, ...]


def hold_writers_off(session: Session) -> None:
    """Let nobody write about an address until this transaction ends; reading goes on.

    Raises:
        DatabaseError: somebody writes for so long that it was not waited for.
    """
    if session.get_bind().dialect.name == "sqlite":
        return  # a writing transaction is alone there
    try:
        session.execute(text(f"SET LOCAL lock_timeout = '{LOCK_WAIT.seconds}s'"))
        session.execute(text("LOCK TABLE address IN EXCLUSIVE MODE"))
    except OperationalError:
        raise DatabaseError(
            "Something else has been writing about addresses for a while.",
            remedy="Stop imports and senders, and try again.",
        ) from None


def keys_to_add(session: Session, hasher: AddressHasher) -> KeysToAdd:
    """Return which keys are newer than the database's newest; none if it knows them all.

    Raises:
        KeyRefusedError: the database's own keys are not among them, in their order.
    """
    known = registered(session)
    if not known or known[-1] not in hasher.fingerprints:
        require_key(session, hasher)
    return KeysToAdd(known[-1], hasher.fingerprints[len(known) :])


def rewrite(
    session: Session, hasher: AddressHasher, under: str, progress: Callable[[int], None]
) -> int:
    """Bring every address's hash under the newest key, and return how many there are.

    The keys stay in this process: the database is given hashes only.

    Args:
        session: a writing session, with other writers held off.
        hasher: with all keys.
        under: the fingerprint of the newest key that the hashes are under now.
        progress: told how many were dealt with, each time.
    """
    query = select(Address.id, Address.key_hash).order_by(Address.id).limit(ROWS_AT_ONCE)
    done = last = 0
    while found := session.execute(query.where(Address.id > last)).all():
        made = [hasher.lift(key_hash, under) for _, key_hash in found]
        _write(session, [row_id for row_id, _ in found], made)
        last = found[-1].id
        done += len(found)
        progress(len(found))
    return done


def _write(session: Session, ids: Sequence[int], hashes: Sequence[bytes]) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(_BY_ARRAYS, {"ids": ids, "hashes": hashes})
        return
    rows = [{"row_id": row_id, "made": made} for row_id, made in zip(ids, hashes, strict=True)]
    session.connection().execute(_BY_ROW, rows)
