"""Bring a database's hashes under newer keys, all in one transaction.

At any time all hashes are under the same keys, so that each look-up is one hash and a crash changes
nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Table, bindparam, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from sender.errors import DatabaseError
from sender.store.addresses import Address
from sender.store.contacts import Contact
from sender.store.erased_references import PREFIX, is_kept, lifted_reference
from sender.store.foreign_hashes import ForeignHash
from sender.store.keys import AddressHasher, registered, require_key
from sender.store.portable import table_of

ROWS_AT_ONCE = 10_000

LOCK_WAIT = timedelta(seconds=20)
"""How long to wait for transactions that write about addresses; others wait behind that."""


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
        session.execute(text("LOCK TABLE address, foreign_hash IN EXCLUSIVE MODE"))
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
    """Bring every hash under the newest key, and return how many addresses there are.

    So are the hashes by which opt-outs of other systems are kept, and those of the references of
    erased people.

    The keys stay in this process: the database is given hashes only.

    Args:
        session: a writing session, with other writers held off.
        hasher: with all keys.
        under: the fingerprint of the newest key that the hashes are under now.
        progress: told how many were dealt with, each time.
    """
    addresses = _rewrite(session, table_of(Address), hasher, under, progress)
    _rewrite(session, table_of(ForeignHash), hasher, under, progress)
    _rewrite_references(session, hasher, under)
    return addresses


def _rewrite(
    session: Session,
    table: Table,
    hasher: AddressHasher,
    under: str,
    progress: Callable[[int], None],
) -> int:
    query = select(table.c.id, table.c.key_hash).order_by(table.c.id).limit(ROWS_AT_ONCE)
    done = last = 0
    while found := session.execute(query.where(table.c.id > last)).all():
        made = [hasher.lift(key_hash, under) for _, key_hash in found]
        _write(session, table, [row_id for row_id, _ in found], made)
        last = found[-1].id
        done += len(found)
        progress(len(found))
    return done


def _rewrite_references(session: Session, hasher: AddressHasher, under: str) -> None:
    """They lie among contacts, and are few: of people who objected and were erased."""
    contact = table_of(Contact)
    query = (
        select(contact.c.id, contact.c.external_ref)
        .where(contact.c.erased_at.is_not(None), contact.c.external_ref.startswith(PREFIX))
        .order_by(contact.c.id)
        .limit(ROWS_AT_ONCE)
    )
    writing = (
        update(contact)
        .where(contact.c.id == bindparam("row_id"))
        .values(external_ref=bindparam("made"))
    )
    last = 0
    while found := session.execute(query.where(contact.c.id > last)).all():
        made = [
            {"row_id": row_id, "made": lifted_reference(hasher, reference, under)}
            for row_id, reference in found
            if is_kept(reference)
        ]
        if made:
            session.connection().execute(writing, made)
        last = found[-1].id


def _write(session: Session, table: Table, ids: Sequence[int], hashes: Sequence[bytes]) -> None:
    if session.get_bind().dialect.name == "postgresql":
        by_arrays = text(
            f"UPDATE {table.name} SET key_hash = made.key_hash "  # noqa: S608  # one of our own two
            "FROM unnest(CAST(:ids AS bigint[]), CAST(:hashes AS bytea[])) AS made (id, key_hash) "
            f"WHERE {table.name}.id = made.id"
        )
        session.execute(by_arrays, {"ids": ids, "hashes": hashes})
        return
    by_row = (
        update(table).where(table.c.id == bindparam("row_id")).values(key_hash=bindparam("made"))
    )
    rows = [{"row_id": row_id, "made": made} for row_id, made in zip(ids, hashes, strict=True)]
    session.connection().execute(by_row, rows)
