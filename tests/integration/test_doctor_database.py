"""`sender doctor` names what a database lacks of its schema, whoever took it away."""

from collections.abc import Sequence

import pytest
from sqlalchemy import text

from sender.campaigns.doctor_database import examine_database
from sender.campaigns.findings import Finding, Health
from sender.store.engine import Store
from tests.support.factory import add_batch, add_controller, add_foreign_hash

KEY = "fk_block_address_id_address"
UNIQUE = "uq_contact_point_controller_id_address_id"


def change(store: Store, *statements: str) -> None:
    with store.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def without(table: str, constraint: str) -> Sequence[str]:
    """Return what takes a constraint out of a SQLite table, whose text is its definition."""
    stripped = f"""
        substr(sql, 1, instr(sql, 'CONSTRAINT {constraint} ') - 1)
        || 'CHECK (1), '
        || substr(sql, instr(sql, 'CONSTRAINT {constraint} ')
            + instr(substr(sql, instr(sql, 'CONSTRAINT {constraint} ')), char(10)))
    """
    return (
        "PRAGMA writable_schema=ON",
        f"UPDATE sqlite_master SET sql = {stripped} WHERE name = '{table}'",
        "PRAGMA writable_schema=RESET",
    )


def schema_of(store: Store) -> Finding:
    [found] = [one for one in examine_database(store) if one.what == "schema"]
    return found


def assert_named(store: Store, part: str) -> None:
    found = schema_of(store)
    assert found.health is Health.BROKEN
    assert found.detail == f"Missing, or not as sender db upgrade makes it: {part}."
    assert "sender db check" in found.remedy


def test_a_database_as_it_was_made_is_well(store: Store) -> None:
    assert [one.health for one in examine_database(store)] == [Health.WELL]


def test_an_index_or_table_of_ones_own_is_no_fault(store: Store) -> None:
    change(store, "CREATE INDEX ours ON contact (postcode)", "CREATE TABLE ours2 (id INTEGER)")
    assert schema_of(store).health is Health.WELL


def test_a_missing_index_is_named(store: Store) -> None:
    change(store, "DROP INDEX ix_contact_point_address_id")
    assert_named(store, "index ix_contact_point_address_id of contact_point")


def test_a_missing_guard_is_named(store: Store) -> None:
    on = "" if store.dialect == "sqlite" else " ON consent_event"
    change(store, f"DROP TRIGGER consent_event_no_update{on}")
    assert_named(store, "trigger consent_event_no_update")


def test_a_missing_table_and_column_are_named(store: Store) -> None:
    change(store, "DROP TABLE alert_telling", "ALTER TABLE journal_mark DROP COLUMN checked_at")
    detail = schema_of(store).detail
    assert "table alert_telling" in detail
    assert "column journal_mark.checked_at" in detail


@pytest.mark.parametrize("dialect", ["sqlite"])
class TestSqlite:
    def test_a_missing_foreign_key_is_named(self, store: Store) -> None:
        change(store, *without("block", KEY))
        assert_named(store, f"foreign key {KEY} of block")

    def test_a_guard_that_does_nothing_is_named(self, store: Store) -> None:
        change(
            store,
            "DROP TRIGGER consent_event_no_delete",
            "CREATE TRIGGER consent_event_no_delete BEFORE DELETE ON consent_event "
            "BEGIN SELECT 1; END",
        )
        assert_named(store, "trigger consent_event_no_delete")


@pytest.mark.parametrize("dialect", ["postgresql"])
class TestPostgresql:
    def test_a_missing_foreign_key_is_named(self, store: Store) -> None:
        change(store, f"ALTER TABLE block DROP CONSTRAINT {KEY}")
        assert_named(store, f"foreign key {KEY} of block")

    def test_a_missing_unique_key_is_named(self, store: Store) -> None:
        change(store, f"ALTER TABLE contact_point DROP CONSTRAINT {UNIQUE}")
        assert_named(store, f"unique key {UNIQUE} of contact_point")

    def test_a_guard_that_was_switched_off_is_named(self, store: Store) -> None:
        change(store, "ALTER TABLE address DISABLE TRIGGER address_no_truncate")
        assert_named(store, "trigger address_no_truncate")

    def test_guards_whose_function_does_nothing_are_all_named(self, store: Store) -> None:
        change(
            store,
            "CREATE OR REPLACE FUNCTION sender_refuse_change() RETURNS trigger "
            "LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
        )
        found = schema_of(store)
        assert found.health is Health.BROKEN
        assert "more" in found.detail


def test_a_list_of_hashes_that_did_not_end_is_told_until_it_does(store: Store) -> None:
    with store.write() as session:
        batch = add_batch(session, add_controller(session, "riverside"))
        add_foreign_hash(session, batch)
        ended, batch.finished_at = batch.finished_at, None
    [_, found] = examine_database(store)
    assert (found.what, found.health) == ("list of hashes", Health.ATTENTION)
    assert f"Import {batch.id} at riverside" in found.detail
    with store.write() as session:
        session.merge(batch).finished_at = ended
    assert [one.health for one in examine_database(store)] == [Health.WELL]
