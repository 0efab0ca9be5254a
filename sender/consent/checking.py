"""Does the history hold: the chains of the ledgers, and the folds against the events they fold."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Executable, Row, func, select
from sqlalchemy.orm import Session

from sender.consent.fold import fold
from sender.consent.ledger import COUNTS, UNSETTLED, event_view
from sender.store.chain import LEDGERS
from sender.store.chain_check import verify
from sender.store.consents import ConsentEvent, ConsentState, Notice
from sender.store.contacts import ImportBatch
from sender.store.suppressions import Block, SuppressionEvent
from sender.vocabulary import EVERY, SuppressionAct

ROWS_AT_ONCE = 5_000

Key = tuple[Any, ...]
Pair = tuple[Key, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing found wrong in one table or chain.

    Attributes:
        table: where.
        row: the row, by its id or key; no address.
        problem: what is wrong, in one sentence.
    """

    table: str
    row: str
    problem: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at, and what was wrong.

    Attributes:
        rows: how many rows each table has.
        faults: at most one for each chain and each fold.
    """

    rows: dict[str, int]
    faults: tuple[Fault, ...]


def check_history(session: Session, progress: Callable[[str], None]) -> Checked:
    """Verify all chains and both folds, streaming; nothing is changed.

    Args:
        session: a reading session: one consistent picture.
        progress: told the name of each table before it is read.
    """
    rows: dict[str, int] = {}
    faults: list[Fault] = []
    for ledger in LEDGERS:
        name = ledger.rows.__tablename__
        progress(name)
        rows[name] = session.scalar(select(func.count()).select_from(ledger.rows)) or 0
        for found in verify(session, ledger):
            row = f"chain {found.chain_id}, row {found.seq}"
            at = f" (id {found.row_id})" if found.row_id else ""
            faults.append(Fault(name, row + at, found.problem))
    faults.extend(_unsettled_batches(session))
    for table, recorded, kept in (
        (ConsentState, _folded_consents(session), _kept_consents(session)),
        (Block, _folded_blocks(session), _kept_blocks(session)),
    ):
        progress(table.__tablename__)
        rows[table.__tablename__] = session.scalar(select(func.count()).select_from(table)) or 0
        faults.extend(_first_difference(table.__tablename__, recorded, kept))
    return Checked(rows, tuple(faults))


def _unsettled_batches(session: Session) -> Iterator[Fault]:
    batches = session.scalars(select(ImportBatch.id).where(UNSETTLED).order_by(ImportBatch.id))
    for batch_id in batches:
        problem = "its approval or revocation was not carried through; say it again"
        yield Fault(ImportBatch.__tablename__, str(batch_id), problem)


def _first_difference(
    table: str, recorded: Iterator[Pair], kept: Iterator[Pair]
) -> Iterator[Fault]:
    """Walk two streams in the same order of keys, and yield the first place where they differ."""
    while True:
        should, found = next(recorded, None), next(kept, None)
        if should is None and found is None:
            return
        if should == found:
            continue
        if found is None or (should is not None and should[0] < found[0]):
            assert should is not None
            yield Fault(table, _named(should[0]), "the events amount to a row that is missing")
        elif should is None or found[0] < should[0]:
            yield Fault(table, _named(found[0]), "no events amount to this row")
        else:
            yield Fault(table, _named(found[0]), "the row is not what its events amount to")
        return


def _named(key: Key) -> str:
    return "key (" + ", ".join(str(part) for part in key) + ")"


def _folded_consents(session: Session) -> Iterator[Pair]:
    event = ConsentEvent
    key = (event.controller_id, event.purpose_id, event.address_id)
    query = (
        select(
            *key, event.id, event.kind, event.occurred_at, event.batch_id, event.flaw,
            event.ends_at, Notice.shown_from, ImportBatch.revoked_at,
        )
        .outerjoin(Notice, Notice.id == event.notice_id)
        .outerjoin(ImportBatch, ImportBatch.id == event.batch_id)
        .where(COUNTS)
        .order_by(*key, event.id)
    )  # fmt: skip
    for subject, events in groupby(_streamed(session, query), _subject):
        view = fold(event_view(tuple(row)[3:]) for row in events)
        assert view is not None
        yield (
            subject,
            (
                view.status,
                view.event_id,
                view.last_affirmative_at,
                view.ends_at,
                view.flaw,
                view.notice_shown_from,
            ),
        )


def _subject(row: Row[Any]) -> Key:
    return tuple(row[:3])


def _kept_consents(session: Session) -> Iterator[Pair]:
    state = ConsentState
    key = (state.controller_id, state.purpose_id, state.address_id)
    query = (
        select(
            *key, state.status, state.event_id, state.last_affirmative_at, state.ends_at,
            state.flaw, state.notice_shown_from,
        )
        .order_by(*key)
    )  # fmt: skip
    for row in _streamed(session, query):
        yield _subject(row), tuple(row[3:])


BlockKey = tuple[int, int, str, int, int]
"""Address, controller, channel, purpose, cause."""


def _folded_blocks(session: Session) -> Iterator[Pair]:
    event = SuppressionEvent
    query = select(
        event.address_id, event.controller_id, event.channel, event.purpose_id, event.cause,
        event.id, event.occurred_at, event.act,
    ).order_by(event.address_id, event.id)  # fmt: skip
    for _, events in groupby(_streamed(session, query), _address):
        in_force: dict[BlockKey, Any] = {}
        for row in events:
            event_id, occurred_at, act = tuple(row)[5:]
            if act is SuppressionAct.SET:
                in_force.setdefault(_block_key(row), (event_id, occurred_at))
            else:
                in_force.pop(_block_key(row), None)
        yield from sorted(in_force.items())


def _kept_blocks(session: Session) -> Iterator[Pair]:
    query = select(
        Block.address_id, Block.controller_id, Block.channel, Block.purpose_id, Block.cause,
        Block.event_id, Block.set_at,
    ).order_by(Block.address_id)  # fmt: skip
    for _, blocks in groupby(_streamed(session, query), _address):
        yield from sorted((_block_key(row), tuple(row)[5:]) for row in blocks)


def _address(row: Row[Any]) -> int:
    return int(row[0])


def _block_key(row: Row[Any]) -> BlockKey:
    address_id, controller_id, channel, purpose_id, cause = tuple(row)[:5]
    return (address_id, controller_id or EVERY, channel, purpose_id or EVERY, int(cause))


def _streamed(session: Session, query: Executable) -> Iterator[Row[Any]]:
    # Whoever finds a difference stops early: the server's cursor must not stay open.
    with session.execute(query.execution_options(yield_per=ROWS_AT_ONCE)) as result:
        yield from result
