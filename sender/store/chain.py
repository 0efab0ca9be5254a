"""Hash chains over the append-only ledgers.

Each row commits to the row before it in its chain and, through a salted digest, to a personal
payload that lies beside it and can be erased without breaking the chain.

A transaction takes whichever chain of its ledger no other transaction holds, or opens a new one, so
that writers never wait for each other; there are as many chains as there ever were writers at once.
Every opening is written to the audit trail. On SQLite there is one writer, hence one chain.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sqlalchemy import MappingResult, event, insert, select, update
from sqlalchemy.orm import Session, SessionTransaction

from sender.store.audit import AuditEvent, AuditPayload, Chain
from sender.store.consents import ConsentEvent, ConsentPayload
from sender.store.portable import new_ids, table_of
from sender.store.suppressions import SuppressionEvent, SuppressionPayload

NO_PAYLOAD = bytes(32)
"""The digest of a row that never had a personal payload."""

_GENESIS = hashlib.sha256(b"consent-sender chain").digest()
_UNHASHED = frozenset({"row_hash"})
_OPENING = "chain.open"
_HELD = "chains"


@dataclass(frozen=True, slots=True)
class Ledger:
    """One append-only table, its payload table and its name in `chain.ledger`."""

    name: str
    rows: type[ConsentEvent | SuppressionEvent | AuditEvent]
    payloads: type[ConsentPayload | SuppressionPayload | AuditPayload]

    @property
    def hashed_columns(self) -> tuple[str, ...]:
        """The columns that the row hash covers, in name order."""
        names = {column.key for column in self.rows.__table__.columns}
        return tuple(sorted(names - _UNHASHED))


CONSENT_LEDGER = Ledger("consent", ConsentEvent, ConsentPayload)
SUPPRESSION_LEDGER = Ledger("suppression", SuppressionEvent, SuppressionPayload)
AUDIT_LEDGER = Ledger("audit", AuditEvent, AuditPayload)
LEDGERS = (CONSENT_LEDGER, SUPPRESSION_LEDGER, AUDIT_LEDGER)


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row to append: its columns without chain fields, and its personal payload if any."""

    columns: Mapping[str, Any]
    payload: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where a chain does not hold."""

    ledger: str
    chain_id: int
    seq: int
    row_id: int | None
    problem: str


def append(session: Session, ledger: Ledger, rows: Sequence[NewRow], now: datetime) -> list[int]:
    """Append rows to a free chain of the ledger and return their ids, in order."""
    if not rows:
        return []
    chain = _take_chain(session, ledger, now)
    columns = ledger.hashed_columns
    prepared: list[dict[str, Any]] = []
    salts: list[bytes | None] = []
    head, seq = chain.head_hash, chain.head_seq
    ids = new_ids(session, ledger.rows, len(rows))
    for row_id, row in zip(ids, rows, strict=True):
        seq += 1
        salt = None if row.payload is None else secrets.token_bytes(16)
        digest = NO_PAYLOAD if row.payload is None else payload_digest(salt or b"", row.payload)
        place = {"id": row_id, "chain_id": chain.id, "seq": seq, "payload_digest": digest}
        values = {**row.columns, **place}
        head = row_hash(head, columns, values)
        prepared.append({**values, "row_hash": head})
        salts.append(salt)
    session.execute(insert(table_of(ledger.rows)), prepared)
    _insert_payloads(session, ledger, rows, ids, salts)
    chain.head_hash, chain.head_seq = head, seq
    session.execute(update(Chain).where(Chain.id == chain.id).values(head_hash=head, head_seq=seq))
    return ids


def verify(session: Session, ledger: Ledger) -> Iterator[Break]:
    """Yield the first break of each chain of the ledger; nothing when all is well.

    A chain that was removed whole is told by its opening in the audit trail. What nothing inside
    the database can tell: the end of a chain cut off together with its head in `chain`, and an
    audit chain removed whole that tells of no other chain.
    """
    chains = session.scalars(select(Chain).where(Chain.ledger == ledger.name)).all()
    for chain in chains:
        found = _verify_chain(session, ledger, chain)
        if found is not None:
            yield found
    yield from _strays(session, ledger)
    yield from _unmatched_openings(session, ledger, {chain.id for chain in chains})


def payload_digest(salt: bytes, payload: Mapping[str, Any]) -> bytes:
    """Return the salted digest that a row commits to in place of its personal payload."""
    return hashlib.sha256(salt + _canonical(payload)).digest()


def row_hash(previous: bytes, columns: Sequence[str], values: Mapping[str, Any]) -> bytes:
    """Return the hash of a row that follows the row (or chain start) hashed as `previous`."""
    return hashlib.sha256(
        previous + _canonical({name: values.get(name) for name in columns})
    ).digest()


def _take_chain(session: Session, ledger: Ledger, now: datetime) -> Chain:
    held: dict[str, Chain] = session.info.setdefault(_HELD, {})
    if ledger.name not in held:
        free = (
            select(Chain)
            .where(Chain.ledger == ledger.name)
            .order_by(Chain.id)
            .limit(1)
            .with_for_update(skip_locked=True)
            .execution_options(populate_existing=True)  # the lock's row, not one read before it
        )
        held[ledger.name] = session.scalar(free) or _open_chain(session, ledger, now)
    return held[ledger.name]


@event.listens_for(Session, "after_soft_rollback")
def _forget_held_chains(session: Session, _transaction: SessionTransaction) -> None:
    """A savepoint that is rolled back gives back the locks, and the chains, taken in it."""
    session.info.pop(_HELD, None)


def _open_chain(session: Session, ledger: Ledger, now: datetime) -> Chain:
    chain = Chain(
        ledger=ledger.name,
        opened_at=now,
        opened_by="sender",
        head_seq=0,
        head_hash=_GENESIS,
    )
    session.add(chain)
    session.flush()
    session.info[_HELD][ledger.name] = chain
    opening = {
        "recorded_at": now,
        "operator": "sender",
        "action": _OPENING,
        "controller_id": None,
        "details": {"ledger": ledger.name, "chain": chain.id},
    }
    append(session, AUDIT_LEDGER, [NewRow(opening)], now)
    return chain


def _insert_payloads(
    session: Session,
    ledger: Ledger,
    rows: Sequence[NewRow],
    ids: Sequence[int],
    salts: Sequence[bytes | None],
) -> None:
    payloads = [
        {"event_id": row_id, "salt": salt, "payload": dict(row.payload)}
        for row, row_id, salt in zip(rows, ids, salts, strict=True)
        if row.payload is not None
    ]
    if payloads:
        session.execute(insert(ledger.payloads), payloads)


def _verify_chain(session: Session, ledger: Ledger, chain: Chain) -> Break | None:
    try:
        return _walk(session, ledger, chain, rows_at_once=5_000)
    except _UnreadableError:
        pass
    try:
        return _walk(session, ledger, chain, rows_at_once=1)
    except _UnreadableError as error:
        return Break(ledger.name, chain.id, error.seq, None, "its columns can't be read")


class _UnreadableError(Exception):
    """A value that its column can't mean, at `seq` or as many rows later as are read at once."""

    def __init__(self, seq: int) -> None:
        super().__init__(seq)
        self.seq = seq


def _walk(session: Session, ledger: Ledger, chain: Chain, *, rows_at_once: int) -> Break | None:
    columns = ledger.hashed_columns
    previous, seq = _GENESIS, 0
    for row, payload in _stream(session, ledger, chain.id, rows_at_once):
        seq += 1
        if row["seq"] != seq:
            return Break(ledger.name, chain.id, seq, None, "this row is missing")
        previous = row_hash(previous, columns, row)
        if row["row_hash"] != previous:
            return Break(ledger.name, chain.id, seq, row["id"], "its columns were changed")
        if payload is not None and payload_digest(*payload) != row["payload_digest"]:
            return Break(ledger.name, chain.id, seq, row["id"], "its payload was changed")
    if (chain.head_seq, chain.head_hash) != (seq, previous):
        problem = f"the chain should end at row {chain.head_seq}"
        return Break(ledger.name, chain.id, seq + 1, None, problem)
    return None


def _strays(session: Session, ledger: Ledger) -> Iterator[Break]:
    """Yield a row that hangs on another ledger's chain, where no walk along its own would pass."""
    rows = ledger.rows
    query = (
        select(rows.id, rows.chain_id, rows.seq)
        .join(Chain, Chain.id == rows.chain_id)
        .where(Chain.ledger != ledger.name)
        .order_by(rows.id)
        .limit(1)
    )
    for row_id, chain_id, seq in session.execute(query):
        yield Break(ledger.name, chain_id, seq, row_id, "its chain belongs to another ledger")


def _unmatched_openings(session: Session, ledger: Ledger, found: set[int]) -> Iterator[Break]:
    openings = session.scalars(select(AuditEvent.details).where(AuditEvent.action == _OPENING))
    told = {opening["chain"] for opening in openings if opening["ledger"] == ledger.name}
    for chain_id in sorted(told - found):
        yield Break(ledger.name, chain_id, 0, None, "this chain is gone; its opening is on record")
    for chain_id in sorted(found - told):
        yield Break(ledger.name, chain_id, 0, None, "the opening of this chain is not on record")


def _stream(
    session: Session, ledger: Ledger, chain_id: int, rows_at_once: int
) -> Iterator[tuple[Mapping[str, Any], tuple[bytes, Mapping[str, Any]] | None]]:
    rows, payloads = ledger.rows.__table__, ledger.payloads.__table__
    query = (
        select(rows, payloads.c.salt.label("_salt"), payloads.c.payload.label("_payload"))
        .select_from(rows.outerjoin(payloads, payloads.c.event_id == rows.c.id))
        .where(rows.c.chain_id == chain_id)
        .order_by(rows.c.seq)
        .execution_options(yield_per=rows_at_once)
    )
    seq = 0
    # Whoever finds a break stops early: the server's cursor must not stay open.
    with session.execute(query) as result:
        read = result.mappings()
        while (row := _next(read, seq + 1)) is not None:
            seq += 1
            salt = row["_salt"]
            yield dict(row), None if salt is None else (salt, row["_payload"])


def _next(rows: MappingResult, seq: int) -> Mapping[Any, Any] | None:
    try:
        return rows.fetchone()
    except (TypeError, ValueError) as error:
        raise _UnreadableError(seq) from error


def _canonical(values: Mapping[str, Any]) -> bytes:
    return json.dumps(
        values, default=_plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True
    ).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} has no canonical form")
