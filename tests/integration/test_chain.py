"""The hash chains tell of every change, removal and swap; and what they can't tell is known."""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, create_engine, delete, func, insert, select, text, update
from sqlalchemy.sql.base import Executable

from sender.store import audit_trail
from sender.store.append_only import APPEND_ONLY, NEVER_DELETED, unguard
from sender.store.audit import AuditEvent, Chain
from sender.store.chain import (
    AUDIT_LEDGER,
    CONSENT_LEDGER,
    LEDGERS,
    SUPPRESSION_LEDGER,
    Break,
    Ledger,
    NewRow,
    append,
    verify,
)
from sender.store.engine import Store
from sender.store.portable import table_of
from tests.support.factory import (
    NOW,
    OPERATOR,
    Organisation,
    add_batch,
    address_id_of,
    block,
    establish,
    record_consent,
)

ROWS = 6
MIDDLE = 4
BY_NAME = {ledger.name: ledger for ledger in LEDGERS}


@dataclass(frozen=True)
class Ledgers:
    """A database with rows in every ledger, in the hands of its administrator."""

    store: Store
    body: Organisation

    def tamper(self, *statements: Executable) -> None:
        """Run the statements past triggers and foreign keys."""
        engine = create_engine(self.store.engine.url)
        with engine.begin() as connection:
            if self.store.dialect == "postgresql":
                connection.execute(text("SET LOCAL session_replication_role = replica"))
            else:
                for drop in unguard("sqlite", APPEND_ONLY + NEVER_DELETED):
                    connection.execute(text(drop))
            for statement in statements:
                connection.execute(statement)
        engine.dispose()

    def breaks(self) -> list[Break]:
        with self.store.read() as session:
            return [found for ledger in LEDGERS for found in verify(session, ledger)]

    def only_break(self) -> Break:
        (found,) = self.breaks()
        return found

    def id_at(self, ledger: Ledger, seq: int) -> int:
        with self.store.read() as session:
            return session.scalars(select(ledger.rows.id).where(ledger.rows.seq == seq)).one()

    def last(self, ledger: Ledger) -> int:
        with self.store.read() as session:
            return session.scalars(select(func.max(ledger.rows.seq))).one()


@pytest.fixture
def ledgers(store: Store) -> Ledgers:
    with store.write() as session:
        body = establish(session)
        batch = add_batch(session, body.controller)
        for number in range(ROWS):
            address_id = address_id_of(session)
            record_consent(
                session, body, address_id, evidence={"ip": number}, batch=batch, ends_at=NOW
            )
            block(session, address_id, controller=body.controller, purpose=body.purpose)
            audit_trail.record(
                session,
                now=NOW,
                operator=OPERATOR,
                action="test.act",
                controller_id=body.id,
                details={"number": number},
                personal={"name": "Ann"},
            )
    return Ledgers(store, body)


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
        """Nothing inside the database can: only a copy of the heads kept elsewhere."""
        ledger, last = BY_NAME[name], ledgers.last(BY_NAME[name])
        with ledgers.store.read() as session:
            before = session.scalars(
                select(ledger.rows.row_hash).where(ledger.rows.seq == last - 1)
            ).one()
        ledgers.tamper(
            delete(table(ledger)).where(at(ledger, last)),
            update(Chain).where(Chain.ledger == name).values(head_seq=last - 1, head_hash=before),
        )
        assert ledgers.breaks() == []


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


def test_openings_are_in_the_audit_trail(ledgers: Ledgers) -> None:
    with ledgers.store.read() as session:
        chains = {(row.ledger, row.id) for row in session.scalars(select(Chain))}
        opened = select(AuditEvent.details).where(AuditEvent.action == "chain.open")
        told = {(one["ledger"], one["chain"]) for one in session.scalars(opened)}
    assert told == chains
    assert {name for name, _ in chains} == set(BY_NAME)


def test_one_writer_after_another_shares_a_chain(ledgers: Ledgers) -> None:
    for _ in range(3):
        with ledgers.store.write() as session:
            record_consent(session, ledgers.body, address_id_of(session))
    with ledgers.store.read() as session:
        assert session.scalar(select(func.count()).select_from(Chain)) == len(LEDGERS)
    assert ledgers.breaks() == []


def test_a_rolled_back_savepoint_takes_its_chain_along(store: Store) -> None:
    with store.write() as session:
        body = establish(session)
        address_id = address_id_of(session)
        for _ in range(2):
            savepoint = session.begin_nested()
            record_consent(session, body, address_id, evidence={"ip": "192.0.2.1"})
            savepoint.rollback()
            record_consent(session, body, address_id)
    assert Ledgers(store, body).breaks() == []
    assert Ledgers(store, body).last(CONSENT_LEDGER) == 2


def test_a_time_of_another_zone_is_the_same_time(ledgers: Ledgers) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    with ledgers.store.write() as session:
        record_consent(session, ledgers.body, address_id_of(session), occurred_at=elsewhere)
    assert ledgers.breaks() == []


DOCUMENTS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=5,
    ),
    max_size=4,
)


@settings(max_examples=20)
@given(details=DOCUMENTS, personal=st.none() | DOCUMENTS)
def test_whatever_is_written_verifies(
    store: Store, details: dict[str, Any], personal: dict[str, Any] | None
) -> None:
    with store.write() as session:
        audit_trail.record(
            session, now=NOW, operator="é\u202e", action="x", details=details, personal=personal
        )
    with store.read() as session:
        assert list(verify(session, AUDIT_LEDGER)) == []


def test_nothing_appended_opens_nothing(store: Store) -> None:
    with store.write() as session:
        assert append(session, SUPPRESSION_LEDGER, [], NOW) == []
        assert session.scalar(select(func.count()).select_from(Chain)) == 0


@pytest.mark.parametrize("dialect", ["postgresql"])
class TestWritersAtOnce:
    """Only PostgreSQL has several; they take a chain each and never wait for one."""

    def test_each_takes_a_chain_of_its_own(self, ledgers: Ledgers) -> None:
        store, body = ledgers.store, ledgers.body
        with store.write() as one:
            record_consent(one, body, address_id_of(one))
            with store.write() as other:
                record_consent(other, body, address_id_of(other))
        with store.write() as third:
            record_consent(third, body, address_id_of(third))
        with store.read() as session:
            per_chain = dict(
                session.execute(
                    select(Chain.id, Chain.head_seq).where(Chain.ledger == "consent")
                ).all()
            )
        assert sorted(per_chain.values()) == [1, ROWS + 2]
        assert ledgers.breaks() == []

    def test_many_at_once_leave_whole_chains(self, ledgers: Ledgers) -> None:
        store, body = ledgers.store, ledgers.body
        together = threading.Barrier(4)

        def work() -> None:
            together.wait(timeout=30)
            for _ in range(10):
                with store.write() as session:
                    record_consent(session, body, address_id_of(session), evidence={"a": 1})

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert ledgers.breaks() == []
        with store.read() as session:
            count = session.scalar(select(func.count()).select_from(CONSENT_LEDGER.rows))
            chains = session.scalar(
                select(func.count()).select_from(Chain).where(Chain.ledger == "consent")
            )
        assert count == ROWS + 40
        assert 1 <= (chains or 0) <= 4

    def test_a_chain_is_taken_as_its_last_holder_left_it(self, ledgers: Ledgers) -> None:
        """Even by a session that had looked at it before."""
        store, body = ledgers.store, ledgers.body
        with store.write() as session:
            session.scalars(select(Chain)).all()
            with store.write() as faster:
                record_consent(faster, body, address_id_of(faster))
            record_consent(session, body, address_id_of(session))
        assert ledgers.breaks() == []

    def test_verifying_sees_one_picture_while_others_write(self, ledgers: Ledgers) -> None:
        store, body = ledgers.store, ledgers.body
        with store.read() as reader:
            chains = reader.scalars(select(Chain)).all()
            with store.write() as session:
                record_consent(session, body, address_id_of(session))
            assert chains
            assert list(verify(reader, CONSENT_LEDGER)) == []

    def test_a_reader_writes_nothing(self, ledgers: Ledgers) -> None:
        with ledgers.store.read() as session, pytest.raises(Exception, match="read-only"):
            append(session, AUDIT_LEDGER, [NewRow({"action": "x"})], NOW)
