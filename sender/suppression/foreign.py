"""Opt-outs that came as hashes: hold them until an address arrives that they are about.

Whatever puts an address in plain into the database first asks for its id, and there, in the same
transaction, the address is compared with these hashes. A hash that is found becomes an ordinary
block. It is compared each time, not only when an address is new: of an address that is known by its
keyed hash alone, nothing else could be compared before.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, exists, select, text, tuple_, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from sender.clock import Clock
from sender.errors import DatabaseError, KeyRefusedError
from sender.store.addresses import Address
from sender.store.contacts import ImportBatch
from sender.store.foreign_hashes import ForeignHash, ForeignScheme
from sender.store.id_lists import among
from sender.store.keys import AddressHasher
from sender.store.portable import CHUNK, chunks, table_of
from sender.store.tables import metadata
from sender.suppression.foreign_digests import (
    Digest,
    ForeignKeyValue,
    HashAlgorithm,
    digest_by,
    read_key,
    spellings,
)
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.vocabulary import BlockCause, Channel

Begin = Callable[[], AbstractContextManager[Session]]
"""Opens one transaction after another."""

Held = tuple[int, Channel, str]
"""The id of an address, its channel, and the address in plain."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way in which opt-outs that are held were hashed, ready to hash by."""

    id: int
    digest: Digest


def any_scheme() -> ColumnElement[bool]:
    """Return, as part of a statement, whether any opt-outs came as hashes."""
    return exists(select(ForeignScheme.id))


def has_uncompared(session: Session) -> bool:
    """Return whether an address that is held may be on a list and not be blocked yet.

    So it is from an import's first hashes until it has compared them with all addresses, which is
    the last that it does. Any unfinished import counts: which of them bring hashes is not noted,
    and a look too many finds nothing.
    """
    return session.connection().scalar(_UNCOMPARED) is True


_UNCOMPARED = select(
    any_scheme() & exists(select(ImportBatch.id).where(ImportBatch.finished_at.is_(None)))
)


def ensure_scheme(
    session: Session,
    algorithm: HashAlgorithm,
    key: ForeignKeyValue | None,
    operator: str,
    now: datetime,
) -> Scheme:
    """Return the scheme of a list, noted if it is new. A key may have moved to another variable."""
    fingerprint, variable = ("", "") if key is None else (key.fingerprint, key.variable)
    known = session.scalar(
        select(ForeignScheme).where(
            ForeignScheme.algorithm == algorithm, ForeignScheme.key_fingerprint == fingerprint
        )
    )
    if known is None:
        known = ForeignScheme(
            algorithm=algorithm.value,
            key_fingerprint=fingerprint,
            key_variable=variable,
            recorded_at=now,
            operator=operator,
        )
        session.add(known)
    known.key_variable = variable
    session.flush()
    return Scheme(known.id, digest_by(algorithm, key))


def open_schemes(session: Session, environ: Mapping[str, str] = os.environ) -> list[Scheme]:
    """Return every scheme of the hashes that are held.

    Raises:
        KeyRefusedError: the environment lacks the key of one, or has another in its place.
    """
    rows = session.execute(
        select(
            ForeignScheme.id,
            ForeignScheme.algorithm,
            ForeignScheme.key_fingerprint,
            ForeignScheme.key_variable,
        ).order_by(ForeignScheme.id)
    )
    found = []
    for scheme_id, name, fingerprint, variable in rows:
        algorithm = HashAlgorithm(name)
        key = read_key(variable, environ) if algorithm.is_keyed else None
        if key is not None and key.fingerprint != fingerprint:
            raise KeyRefusedError(
                f"{variable} is not the key that opt-outs were hashed with.",
                remedy=f"Set {variable} to the key with which the list was brought in.",
            )
        found.append(Scheme(scheme_id, digest_by(algorithm, key)))
    return found


def match(
    session: Session,
    hasher: AddressHasher,
    schemes: Iterable[Scheme],
    held: Sequence[Held],
    now: datetime,
) -> None:
    """Block those of the addresses whose hash is held.

    A hash is found once: what the person says afterwards, about the block that it became, stands.
    """
    found = [one for scheme in schemes for one in _found(session, hasher, scheme, held)]
    suppress(session, [act for _, act in found], now)
    if found:
        rows = [
            {"row_id": row_id, "found": act.scope.address_id, "at": now} for row_id, act in found
        ]
        session.connection().execute(_FOUND, rows)


_FOUND = (
    update(table_of(ForeignHash))
    .where(table_of(ForeignHash).c.id == bindparam("row_id"))
    .values(address_id=bindparam("found"), matched_at=bindparam("at"))
)


def _found(
    session: Session, hasher: AddressHasher, scheme: Scheme, held: Sequence[Held]
) -> Iterator[tuple[int, Suppression]]:
    by_hash = {
        hasher.hash_foreign(scheme.digest(spelling)): (address_id, channel)
        for address_id, channel, address in held
        for spelling in spellings(channel, address)
    }
    for some in chunks(by_hash):
        query = (
            select(ForeignHash, ImportBatch.operator)
            .join(ImportBatch, ImportBatch.id == ForeignHash.batch_id)
            .where(
                ForeignHash.scheme_id == scheme.id,
                among(session, ForeignHash.key_hash, some),
                ForeignHash.address_id.is_(None),
            )
            .order_by(ForeignHash.id)
        )
        for row, operator in session.execute(query):
            yield row.id, _act(row, *by_hash[row.key_hash], operator)


def _act(row: ForeignHash, address_id: int, channel: Channel, operator: str) -> Suppression:
    return Suppression(
        scope=BlockScope(address_id, row.controller_id, channel),
        cause=BlockCause.OPT_OUT,
        occurred_at=row.occurred_at,
        source=row.source,
        by_person=True,
        operator=operator,
        batch_id=row.batch_id,
    )


def tables_in_plain() -> list[Any]:
    """Return every table that holds addresses in plain beside their ids."""
    return [
        table for table in metadata.sorted_tables if {"address_id", "address"} <= {*table.c.keys()}
    ]


def next_held(session: Session, table: Any, after: Sequence[Any]) -> tuple[list[Held], list[Any]]:
    """Return the next rows of a table in plain, by its key, and the key of the last one.

    Args:
        session: to read with.
        table: one of `tables_in_plain`.
        after: the key up to which was read; empty at first.
    """
    key = list(table.primary_key.columns)
    query = (
        select(table.c.address_id, Address.channel, table.c.address, *key)
        .join(Address, Address.id == table.c.address_id)
        .where(table.c.address.is_not(None))
        .order_by(*key)
        .limit(CHUNK)
    )
    if after:
        query = query.where(tuple_(*key) > tuple_(*after))
    rows = session.execute(query).all()
    return [(row[0], row[1], row[2]) for row in rows], list(rows[-1][3:]) if rows else []


def wait_for_arrivals(begin: Begin, clock: Clock) -> None:
    """Return once nobody brings an address in who looked before these hashes were there.

    Whoever brings one in reads `foreign_scheme` and holds that until it is committed; SQLite has
    one writer anyhow. Others are kept waiting for moments only.

    Raises:
        DatabaseError: that takes too long; the list is to be imported again.
    """
    for _ in range(_ATTEMPTS):
        try:
            with begin() as session:
                if session.get_bind().dialect.name == "sqlite":
                    return
                session.execute(text(f"SET LOCAL lock_timeout = '{_MOMENT.seconds}s'"))
                session.execute(text("LOCK TABLE foreign_scheme IN ACCESS EXCLUSIVE MODE"))
        except OperationalError:
            clock.sleep(_MOMENT.total_seconds())
        else:
            return
    raise DatabaseError(
        "Something else has been bringing addresses in all the time.",
        remedy="Let it end, then import the same list again: it goes on from here.",
    )


_ATTEMPTS = 60
_MOMENT = timedelta(seconds=1)
