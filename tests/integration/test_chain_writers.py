"""Writers take a chain each, tell of its opening, and leave it whole."""

import threading
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from sender.store import audit_trail
from sender.store.audit import AuditEvent, Chain
from sender.store.chain import (
    AUDIT_LEDGER,
    CONSENT_LEDGER,
    LEDGERS,
    SUPPRESSION_LEDGER,
    NewRow,
    append,
)
from sender.store.chain_check import verify
from sender.store.engine import Store
from tests.support.factory import (
    NOW,
    address_id_of,
    establish,
    record_consent,
)
from tests.support.ledgers import BY_NAME, ROWS, Ledgers, filled_ledgers


@pytest.fixture
def ledgers(store: Store) -> Ledgers:
    return filled_ledgers(store)


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
                other.execute(text("SET LOCAL lock_timeout = '10s'"))  # else a wait has no end
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
            seen = session.scalars(select(Chain)).all()  # kept, and with them what was read
            with store.write() as faster:
                record_consent(faster, body, address_id_of(faster))
            record_consent(session, body, address_id_of(session))
            assert len(seen) == len(LEDGERS)
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
