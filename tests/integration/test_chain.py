"""The hash chains tell of every change, removal and swap; and what they can't tell is known."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import pytest
from sqlalchemy import Table, delete, insert, select, text, update
from sqlalchemy.orm import Session

from sender.store import audit_trail
from sender.store.audit import Chain
from sender.store.chain import AUDIT_LEDGER, CONSENT_LEDGER, Ledger
from sender.store.chain_check import ANCHORS
from sender.store.engine import Store
from sender.store.portable import table_of
from tests.support.factory import (
    NOW,
    OPERATOR,
    address_id_of,
    record_consent,
)
from tests.support.ledgers import BY_NAME, MIDDLE, Ledgers, filled_ledgers


@pytest.fixture
def ledgers(store: Store) -> Ledgers:
    return filled_ledgers(store)


def table(ledger: Ledger) -> Table:
    return table_of(ledger.rows)


def at(ledger: Ledger, seq: int) -> Any:
    return table(ledger).c.seq == seq


def test_untouched_ledgers_hold(ledgers: Ledgers) -> None:
    assert ledgers.breaks() == []


@pytest.mark.parametrize("name", BY_NAME)
def test_a_changed_column_is_found_in_its_row(ledgers: Ledgers, name: str) -> None:
    ledger = BY_NAME[name]
    whole, row_id = table(ledger), ledgers.id_at(ledger, MIDDLE)
    with ledgers.store.read() as session:
        row = session.execute(select(whole).where(whole.c.id == row_id)).mappings().one()
        values = dict(row)
    for column, value in values.items():
        here = whole.c.id == (another(column, value) if column == "id" else row_id)
        change = update(whole).where(whole.c.id == row_id)
        ledgers.tamper(change.values({column: another(column, value)}))
        found = [(one.ledger, one.seq) for one in ledgers.breaks()]
        ledgers.tamper(update(whole).where(here).values({column: value}))
        assert (name, MIDDLE) in found, column
    assert ledgers.breaks() == []


def another(column: str, value: Any) -> Any:  # noqa: PLR0911 - one for each type
    """Return a value that the column may hold, and does not."""
    match value:
        case Enum():
            return next(word for word in type(value) if word is not value)
        case bool():
            return not value
        case int() | None:
            return (value or 0) + 1000
        case datetime():
            return value - timedelta(microseconds=1)
        case bytes():
            return bytes(31) + b"1"
        case dict():
            return {**value, "more": 1}
        case _:
            return f"{column}-{value}"


@pytest.mark.parametrize("value", ["", "42", "nonsense"])
@pytest.mark.parametrize("column", ["kind", "occurred_at"])
@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_value_that_no_column_can_mean_is_found_in_its_row(
    ledgers: Ledgers, column: str, value: str
) -> None:
    """SQLite stores anything anywhere."""
    ledgers.tamper(text(f"UPDATE consent_event SET {column} = '{value}' WHERE seq = {MIDDLE}"))
    found = ledgers.only_break()
    assert (found.ledger, found.seq, found.problem) == (
        "consent",
        MIDDLE,
        "its columns can't be read",
    )


@pytest.mark.parametrize("name", BY_NAME)
class TestEveryLedger:
    def test_a_removed_row_is_found(self, ledgers: Ledgers, name: str) -> None:
        ledger = BY_NAME[name]
        ledgers.tamper(delete(table(ledger)).where(at(ledger, MIDDLE)))
        found = ledgers.breaks()[0]
        assert (found.ledger, found.seq, found.row_id) == (name, MIDDLE, None)
        assert found.problem == "this row is missing"

    def test_a_removed_end_is_found(self, ledgers: Ledgers, name: str) -> None:
        ledger, last = BY_NAME[name], ledgers.last(BY_NAME[name])
        ledgers.tamper(delete(table(ledger)).where(at(ledger, last)))
        found = ledgers.breaks()[0]
        assert (found.ledger, found.seq) == (name, last)
        assert found.problem == f"the chain should end at row {last}"

    def test_swapped_rows_are_found(self, ledgers: Ledgers, name: str) -> None:
        ledger = BY_NAME[name]
        whole = table(ledger)
        ledgers.tamper(
            update(whole).where(at(ledger, MIDDLE)).values(seq=-1),
            update(whole).where(at(ledger, MIDDLE + 1)).values(seq=MIDDLE),
            update(whole).where(at(ledger, -1)).values(seq=MIDDLE + 1),
        )
        found = ledgers.breaks()[0]
        assert (found.ledger, found.seq) == (name, MIDDLE)

    def test_swapped_ids_are_found(self, ledgers: Ledgers, name: str) -> None:
        """What a delivery relied on can't be turned into another event."""
        ledger = BY_NAME[name]
        whole = table(ledger)
        one, other = (ledgers.id_at(ledger, seq) for seq in (MIDDLE, MIDDLE + 1))
        ledgers.tamper(
            update(whole).where(whole.c.id == one).values(id=-1),
            update(whole).where(whole.c.id == other).values(id=one),
            update(whole).where(whole.c.id == -1).values(id=other),
        )
        found = ledgers.breaks()[0]
        assert (found.ledger, found.seq) == (name, MIDDLE)

    def test_a_moved_head_is_found(self, ledgers: Ledgers, name: str) -> None:
        ledger = BY_NAME[name]
        ledgers.tamper(
            update(Chain).where(Chain.ledger == name).values(head_seq=Chain.head_seq + 1)
        )
        assert ledgers.only_break().seq == ledgers.last(ledger) + 1

    def test_an_erased_payload_breaks_nothing(self, ledgers: Ledgers, name: str) -> None:
        with ledgers.store.write() as session:
            session.execute(delete(BY_NAME[name].payloads))
        assert ledgers.breaks() == []

    def test_a_payload_made_up_for_a_row_is_found(self, ledgers: Ledgers, name: str) -> None:
        ledger = BY_NAME[name]
        row_id = ledgers.id_at(ledger, MIDDLE)
        made_up = {"event_id": row_id, "salt": bytes(16), "payload": {"ip": "made up"}}
        ledgers.tamper(
            delete(ledger.payloads).where(ledger.payloads.event_id == row_id),
            insert(ledger.payloads).values(made_up),
        )
        found = ledgers.only_break()
        assert (found.ledger, found.seq, found.row_id) == (name, MIDDLE, row_id)
        assert found.problem == "its payload was changed"

    def test_a_chain_that_changed_its_ledger_is_found(self, ledgers: Ledgers, name: str) -> None:
        ledgers.tamper(update(Chain).where(Chain.ledger == name).values(ledger="attic"))
        assert name in {found.ledger for found in ledgers.breaks()}

    def test_a_chain_removed_whole_is_found(self, ledgers: Ledgers, name: str) -> None:
        """By its opening in the audit trail; an audit chain by the openings that it told of."""
        ledger = BY_NAME[name]
        ledgers.tamper(delete(table(ledger)), delete(Chain).where(Chain.ledger == name))
        found = ledgers.breaks()
        assert found
        gone = "this chain is gone; its opening is on record"
        untold = "the opening of this chain is not on record"
        expected = {untold} if ledger is AUDIT_LEDGER else {gone}
        assert {one.problem for one in found} == expected

    def test_a_row_cut_off_with_its_head_moved_back_is_beyond_telling(
        self, ledgers: Ledgers, name: str
    ) -> None:
        """Without an anchor nothing inside the database can: only a copy of the heads elsewhere."""
        ledger, last = BY_NAME[name], ledgers.last(BY_NAME[name])
        cut_off(ledgers, ledger, last)
        assert ledgers.breaks() == []


@pytest.mark.parametrize("name", ["consent", "suppression"])
def test_a_row_cut_off_before_an_anchor_is_found(ledgers: Ledgers, name: str) -> None:
    """The end of a run writes the heads of all chains into the audit trail."""
    ledger, last = BY_NAME[name], ledgers.last(BY_NAME[name])
    _anchor(ledgers)
    assert ledgers.breaks() == []
    cut_off(ledgers, ledger, last)
    found = ledgers.only_break()
    assert (found.ledger, found.seq) == (name, last)
    assert "anchor" in found.problem


def test_a_history_written_anew_differs_from_its_anchor(ledgers: Ledgers) -> None:
    """Hashes are no secret: an administrator can make a whole chain that holds in itself."""
    last = ledgers.last(CONSENT_LEDGER)
    _anchor(ledgers)
    cut_off(ledgers, CONSENT_LEDGER, last)
    with ledgers.store.write() as session:
        record_consent(session, ledgers.body, address_id_of(session), evidence={"ip": "forged"})
    found = ledgers.only_break()
    assert (found.ledger, found.seq, found.row_id) == (
        "consent",
        last,
        ledgers.id_at(CONSENT_LEDGER, last),
    )


def _anchor(ledgers: Ledgers) -> None:
    with ledgers.store.write() as session:
        heads = {str(one.id): [one.head_seq, one.head_hash.hex()] for one in _chains(session)}
        audit_trail.record(
            session,
            now=NOW,
            operator=OPERATOR,
            action="run.finished",
            details={ANCHORS: heads},
        )


def _chains(session: Session) -> Sequence[Chain]:
    return session.scalars(select(Chain)).all()


def cut_off(ledgers: Ledgers, ledger: Ledger, last: int) -> None:
    """Remove the last row and move the head back, so that the chain holds in itself."""
    with ledgers.store.read() as session:
        before = session.scalars(
            select(ledger.rows.row_hash).where(ledger.rows.seq == last - 1)
        ).one()
    head = update(Chain).where(Chain.ledger == ledger.name)
    ledgers.tamper(
        delete(ledger.payloads),
        delete(table(ledger)).where(at(ledger, last)),
        head.values(head_seq=last - 1, head_hash=before),
    )


def test_swapped_payloads_are_found(ledgers: Ledgers) -> None:
    payloads = CONSENT_LEDGER.payloads
    one, other = (ledgers.id_at(CONSENT_LEDGER, seq) for seq in (MIDDLE, MIDDLE + 1))
    ledgers.tamper(
        update(payloads).where(payloads.event_id == one).values(event_id=-1),
        update(payloads).where(payloads.event_id == other).values(event_id=one),
        update(payloads).where(payloads.event_id == -1).values(event_id=other),
    )
    assert ledgers.only_break().seq == MIDDLE


def test_a_row_forged_onto_another_ledgers_chain_is_found(ledgers: Ledgers) -> None:
    """Walking the consent chains alone would never pass it."""
    whole = table(CONSENT_LEDGER)
    with ledgers.store.read() as session:
        row = dict(session.execute(select(whole).where(at(CONSENT_LEDGER, 1))).mappings().one())
        audit_chain = session.scalars(select(Chain.id).where(Chain.ledger == "audit")).one()
    ledgers.tamper(insert(whole).values({**row, "id": 999, "chain_id": audit_chain, "seq": 999}))
    found = ledgers.only_break()
    assert (found.ledger, found.row_id) == ("consent", 999)
    assert found.problem == "its chain belongs to another ledger"


def test_the_first_of_several_breaks_is_named(ledgers: Ledgers) -> None:
    ledgers.tamper(
        *[
            update(table(CONSENT_LEDGER)).where(at(CONSENT_LEDGER, seq)).values(operator="other")
            for seq in (5, 3, 4)
        ]
    )
    assert ledgers.only_break().seq == 3
