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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sqlalchemy import event, insert, select
from sqlalchemy.orm import Session, SessionTransaction

from sender.store.audit import AuditEvent, AuditPayload, Chain
from sender.store.bulk import insert_many
from sender.store.consents import ConsentEvent, ConsentPayload
from sender.store.portable import new_ids, table_of
from sender.store.suppressions import SuppressionEvent, SuppressionPayload

NO_PAYLOAD = bytes(32)
"""The digest of a row that never had a personal payload."""

GENESIS = hashlib.sha256(b"consent-sender chain").digest()
"""What the first row of every chain follows."""

OPENING = "chain.open"
"""The audit action that tells of a new chain, with its `ledger` and `chain` as details."""

_UNHASHED = frozenset({"row_hash"})
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
    insert_many(session, table_of(ledger.rows), prepared)
    _insert_payloads(session, ledger, rows, ids, salts)
    chain.head_hash, chain.head_seq = head, seq
    session.flush()
    return ids


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
        head_hash=GENESIS,
    )
    session.add(chain)
    session.flush()
    session.info[_HELD][ledger.name] = chain
    opening = {
        "recorded_at": now,
        "operator": "sender",
        "action": OPENING,
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
