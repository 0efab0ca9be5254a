"""The database itself refuses to change or remove history, at every revision of the schema."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import psycopg
import pytest
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import Engine, Table, UniqueConstraint, inspect, make_url, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from sender.store.addresses import Address
from sender.store.append_only import APPEND_ONLY, CHAINED, NEVER_DELETED
from sender.store.campaigns import Campaign
from sender.store.chain import CONSENT_LEDGER, LEDGERS
from sender.store.chain_check import verify
from sender.store.engine import Store, open_store
from sender.store.migrate import alembic_config, downgrade, upgrade
from sender.store.portable import insert_missing, upsert
from sender.store.tables import metadata
from tests.support.every_table import fill
from tests.support.factory import NOW, add_account, add_controller

GUARDED = APPEND_ONLY + NEVER_DELETED
Rows = list[tuple[object, ...]]
Write = Callable[[str], object]
"""Runs one statement in its own transaction and commits it."""


def keys_of(table: Table) -> Iterator[tuple[str, ...]]:
    """Yield the columns of the primary key and of every unique constraint."""
    yield tuple(column.name for column in table.primary_key.columns)
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield tuple(column.name for column in constraint.columns)
    for index in table.indexes:
        if index.unique:
            yield tuple(column.name for column in index.columns)


def changing_writes(table: str) -> list[str]:
    """Return updates of each column and deletions, in the words that both databases know."""
    columns = [column.name for column in metadata.tables[table].columns]
    return [
        *[f'UPDATE {table} SET "{column}" = "{column}"' for column in columns],
        *removing_writes(table),
    ]


def removing_writes(table: str) -> list[str]:
    first = next(iter(metadata.tables[table].primary_key.columns)).name
    return [f"DELETE FROM {table}", f"DELETE FROM {table} WHERE {first} > 0"]


def replacing_writes(table: str, keys: Sequence[tuple[str, ...]]) -> list[str]:
    """Return SQLite's ways of putting a row in the place of another, by each of its keys."""
    whole = metadata.tables[table]
    writes = [
        f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
        f"REPLACE INTO {table} SELECT * FROM {table} LIMIT 1",
    ]
    for key in keys:
        kept = _copy_with_only(whole, key, keys)
        writes.append(f"INSERT OR REPLACE INTO {table} {kept}")
    if "id" not in whole.columns:
        names = _names(whole)
        moved = ", ".join(_changed(whole, name) for name in names)
        into = f"{table} (rowid, {', '.join(_quoted(names))})"
        writes.append(f"INSERT OR REPLACE INTO {into} SELECT rowid, {moved} FROM {table}")
    return writes


def _copy_with_only(table: Table, key: tuple[str, ...], keys: Sequence[tuple[str, ...]]) -> str:
    """Copy rows so that they collide in this key and in no other."""
    unique = {name for other in keys for name in other} - set(key)
    values = [(_changed(table, name) if name in unique else f'"{name}"') for name in _names(table)]
    return f"({', '.join(_quoted(_names(table)))}) SELECT {', '.join(values)} FROM {table}"


def _changed(table: Table, name: str) -> str:
    if name == "id":
        return "NULL"
    is_number = "INT" in str(table.columns[name].type).upper()
    return f'"{name}" + 1000' if is_number else f"\"{name}\" || 'x'"


def _names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def _quoted(names: Sequence[str]) -> list[str]:
    return [f'"{name}"' for name in names]


def assert_refused(engine: Engine, write: Write, tables: Sequence[str], statement: str) -> None:
    """Hold that the statement raises and that no row of these tables changed."""
    before = {table: rows_of(engine, table) for table in tables}
    assert all(before.values()), "a guard is only proved on rows"
    refusals = (sqlite3.IntegrityError, psycopg.errors.RestrictViolation)
    with pytest.raises(refusals, match="refused: its history stays"):
        write(statement)
    assert {table: rows_of(engine, table) for table in tables} == before


def rows_of(engine: Engine, table: str) -> Rows:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT * FROM {table}")
        return sorted((tuple(row) for row in rows), key=repr)


@pytest.fixture
def filled(store: Store) -> Store:
    with store.write() as session:
        fill(session)
    return store


@pytest.fixture(params=["ON", "OFF"])
def write_sqlite(request: pytest.FixtureRequest, filled: Store) -> Iterator[Write]:
    """Statements from a connection of somebody else's, with and without recursive triggers."""
    path = make_url(str(filled.engine.url)).database or ""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA recursive_triggers={request.param}")
        yield connection.execute


@pytest.fixture
def write_postgresql(filled: Store) -> Iterator[Write]:
    url = filled.engine.url.set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        yield lambda statement: connection.execute(sql.SQL(statement))


@pytest.mark.parametrize("dialect", ["sqlite"])
class TestSqlite:
    @pytest.mark.parametrize("table", APPEND_ONLY)
    def test_history_is_neither_changed_nor_removed_nor_replaced(
        self, filled: Store, write_sqlite: Write, table: str
    ) -> None:
        keys = list(keys_of(metadata.tables[table]))
        or_replace = [one.replace("UPDATE", "UPDATE OR REPLACE") for one in changing_writes(table)]
        for statement in (*changing_writes(table), *or_replace, *replacing_writes(table, keys)):
            assert_refused(filled.engine, write_sqlite, [table], statement)

    @pytest.mark.parametrize("table", NEVER_DELETED)
    def test_ledger_rows_are_never_removed(
        self, filled: Store, write_sqlite: Write, table: str
    ) -> None:
        primary = [next(iter(keys_of(metadata.tables[table])))]
        for statement in (*removing_writes(table), *replacing_writes(table, primary)):
            assert_refused(filled.engine, write_sqlite, [table], statement)

    @pytest.mark.parametrize("table", NEVER_DELETED)
    def test_our_own_connections_replace_no_ledger_row_by_any_key(
        self, filled: Store, table: str
    ) -> None:
        keys = list(keys_of(metadata.tables[table]))
        before = rows_of(filled.engine, table)
        for statement in replacing_writes(table, keys):
            with pytest.raises(IntegrityError), filled.engine.begin() as connection:
                connection.exec_driver_sql(statement)
        assert rows_of(filled.engine, table) == before


@pytest.mark.parametrize("dialect", ["postgresql"])
class TestPostgresql:
    @pytest.mark.parametrize("table", APPEND_ONLY)
    def test_history_is_neither_changed_nor_removed_nor_truncated(
        self, filled: Store, write_postgresql: Write, table: str
    ) -> None:
        for statement in changing_writes(table):
            assert_refused(filled.engine, write_postgresql, [table], statement)
        for key in keys_of(metadata.tables[table]):
            columns = ", ".join(_quoted(key))
            statement = (
                f"INSERT INTO {table} SELECT * FROM {table} "
                f'ON CONFLICT ({columns}) DO UPDATE SET "{key[0]}" = excluded."{key[0]}"'
            )
            assert_refused(filled.engine, write_postgresql, [table], statement)

    @pytest.mark.parametrize("table", NEVER_DELETED)
    def test_ledger_rows_are_never_removed(
        self, filled: Store, write_postgresql: Write, table: str
    ) -> None:
        for statement in removing_writes(table):
            assert_refused(filled.engine, write_postgresql, [table], statement)

    @pytest.mark.parametrize("table", GUARDED)
    def test_nothing_is_truncated_whatever_refers_to_it(
        self, filled: Store, write_postgresql: Write, table: str
    ) -> None:
        everything = ", ".join(metadata.tables)
        for statement in (f"TRUNCATE {table} CASCADE", f"TRUNCATE {everything}"):
            assert_refused(filled.engine, write_postgresql, GUARDED, statement)

    def test_a_foreign_key_carries_no_deletion(
        self, filled: Store, write_postgresql: Write
    ) -> None:
        """Truncating an unguarded table reaches the guarded ones that refer to it."""
        assert_refused(filled.engine, write_postgresql, GUARDED, "TRUNCATE contact CASCADE")


def test_every_guarded_table_has_rows_to_prove_it_on(filled: Store) -> None:
    assert all(rows_of(filled.engine, table) for table in GUARDED)


def test_the_lists_name_tables_and_overlap_nowhere() -> None:
    assert not set(APPEND_ONLY) & set(NEVER_DELETED)
    assert set(GUARDED) <= set(metadata.tables)
    assert {ledger.rows.__tablename__ for ledger in LEDGERS} == set(CHAINED) <= set(APPEND_ONLY)


def test_refused_writes_leave_the_chains_whole(filled: Store) -> None:
    for table in APPEND_ONLY:
        for statement in removing_writes(table):
            with pytest.raises(DBAPIError), filled.engine.begin() as connection:
                connection.exec_driver_sql(statement)
    with filled.read() as session:
        assert [found for ledger in LEDGERS for found in verify(session, ledger)] == []


class TestOrdinaryWrites:
    """What the ledgers need still works beside the guards."""

    def test_rows_that_stay_may_change(self, filled: Store) -> None:
        with filled.write() as session:
            session.execute(update(Campaign).values(name="renamed"))
            assert session.scalars(select(Campaign.name)).all() == ["renamed"]

    def test_a_missing_row_is_inserted_and_a_present_one_left_alone(self, filled: Store) -> None:
        with filled.write() as session:
            known = session.scalars(select(Address)).first()
            assert known is not None
            same = {"channel": known.channel, "key_hash": known.key_hash}
            new = {"channel": known.channel, "key_hash": bytes(32)}
            count = len(session.scalars(select(Address.id)).all())
            insert_missing(session, Address, [same, new])
            assert len(session.scalars(select(Address.id)).all()) == count + 1

    def test_a_row_that_stays_is_overwritten_by_its_unique_key(self, filled: Store) -> None:
        with filled.write() as session:
            before = session.scalars(select(Campaign)).one()
            row = {
                "controller_id": before.controller_id,
                "name": before.name,
                "created_at": NOW.replace(year=2027),
            }
            upsert(session, Campaign, [row], ["controller_id", "name"])
            session.expire_all()
            after = session.scalars(select(Campaign)).one()
            assert (after.id, after.created_at.year) == (before.id, 2027)

    def test_a_payload_may_be_erased(self, filled: Store) -> None:
        with filled.write() as session:
            payloads = CONSENT_LEDGER.payloads
            assert session.query(payloads).delete() == 2

    def test_history_may_be_added_to(self, filled: Store) -> None:
        with filled.write() as session:
            add_account(session, "another")
            add_controller(session, "another")


def guards_hold(url: str) -> bool:
    """Whether every guarded table that is there refuses a deletion of its rows."""
    store = open_store(url)
    try:
        there = set(inspect(store.engine).get_table_names()) & set(GUARDED)
        for table in there:
            with pytest.raises(DBAPIError, match="history stays"), store.engine.begin() as one:
                one.exec_driver_sql(f"DELETE FROM {table}")
        return bool(there)
    finally:
        store.close()


def test_no_step_of_the_migrations_leaves_history_unguarded(empty_database_url: str) -> None:
    """Up one by one, down one by one, and up again; with rows as soon as the tables are there."""
    revisions = _revisions()
    for revision in revisions:
        upgrade(empty_database_url, revision)
    _fill(empty_database_url)
    assert guards_hold(empty_database_url)
    for revision in reversed(revisions[:-1]):
        downgrade(empty_database_url, revision)
        assert guards_hold(empty_database_url)
    downgrade(empty_database_url, "base")
    assert not guards_hold(empty_database_url)
    upgrade(empty_database_url)
    _fill(empty_database_url)
    assert guards_hold(empty_database_url)


def _revisions() -> list[str]:
    scripts = ScriptDirectory.from_config(alembic_config())
    return [script.revision for script in reversed(list(scripts.walk_revisions()))]


def _fill(url: str) -> None:
    store = open_store(url)
    try:
        with store.write() as session:
            fill(session)
    finally:
        store.close()
