"""Do the hash chains hold? Names the first broken row of each.

A chain that was removed whole is told by its opening in the audit trail, and an end cut off
together with its head in `chain` by the anchors there. What nothing inside the database can tell:
an end cut off since the last anchor, and an audit chain removed whole that tells of no other chain.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import MappingResult, select
from sqlalchemy.orm import Session

from sender.store.audit import AuditEvent, Chain
from sender.store.chain import GENESIS, OPENING, Ledger, payload_digest, row_hash

ANCHORS = "chains"
"""The key of an audit row's details under which heads of chains are kept: `{id: [seq, hash]}`."""


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where a chain does not hold."""

    ledger: str
    chain_id: int
    seq: int
    row_id: int | None
    problem: str


def verify(session: Session, ledger: Ledger) -> Iterator[Break]:
    """Yield the first break of each chain of the ledger; nothing when all is well."""
    chains = session.scalars(select(Chain).where(Chain.ledger == ledger.name)).all()
    for chain in chains:
        found = _verify_chain(session, ledger, chain)
        if found is not None:
            yield found
    yield from _strays(session, ledger)
    yield from _unmatched_openings(session, ledger, {chain.id for chain in chains})
    yield from _lost_anchors(session, ledger, {chain.id for chain in chains})


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
    previous, seq = GENESIS, 0
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
    openings = session.scalars(select(AuditEvent.details).where(AuditEvent.action == OPENING))
    told = {opening["chain"] for opening in openings if opening["ledger"] == ledger.name}
    for chain_id in sorted(told - found):
        yield Break(ledger.name, chain_id, 0, None, "this chain is gone; its opening is on record")
    for chain_id in sorted(found - told):
        yield Break(ledger.name, chain_id, 0, None, "the opening of this chain is not on record")


def _lost_anchors(session: Session, ledger: Ledger, chain_ids: set[int]) -> Iterator[Break]:
    rows = ledger.rows
    for chain_id, (seq, head) in sorted(_anchors(session).items()):
        if chain_id not in chain_ids or seq == 0:
            continue
        found = session.execute(
            select(rows.id, rows.row_hash).where(rows.chain_id == chain_id, rows.seq == seq)
        ).one_or_none()
        if found is None or found.row_hash.hex() != head:
            row_id = None if found is None else found.id
            problem = "this row is not the one that the audit trail holds as an anchor"
            yield Break(ledger.name, chain_id, seq, row_id, problem)


def _anchors(session: Session) -> dict[int, tuple[int, str]]:
    """Return the furthest anchored row of each chain and its hash in hexadecimal digits."""
    furthest: dict[int, tuple[int, str]] = {}
    query = select(AuditEvent.details).execution_options(yield_per=5_000)
    for details in session.scalars(query):
        for chain, (seq, head) in details.get(ANCHORS, {}).items():
            furthest[int(chain)] = max(furthest.get(int(chain), (0, "")), (seq, head))
    return furthest


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
