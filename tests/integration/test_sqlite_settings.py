"""SQLite is set up for several writers: none is lost, readers don't wait."""

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, make_url, select, text, update
from sqlalchemy.exc import IntegrityError

from sender.errors import DatabaseError
from sender.store.campaigns import RateLimit
from sender.store.contacts import ContactPoint
from sender.store.controllers import Controller
from sender.store.engine import BUSY_TIMEOUT, Store, _prepare_sqlite, open_store
from tests.support.factory import NOW, add_contact, establish

WRITES = 40

# What every writer does: read, then write what it read and one more.
COUNT_UP = """
import sys
from sqlalchemy import update
from sender.store.campaigns import RateLimit
from sender.store.engine import open_store

store = open_store(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with store.write() as session:
        count = session.get(RateLimit, "count").arrival_at_seconds
        session.execute(update(RateLimit).values(arrival_at_seconds=count + 1))
store.close()
"""


@pytest.fixture
def dialect() -> str:
    return "sqlite"


@pytest.fixture
def counting(store: Store) -> Store:
    with store.write() as session:
        session.add(RateLimit(name="count", arrival_at_seconds=0))
    return store


def counted(store: Store) -> float:
    with store.read() as session:
        return session.scalars(select(RateLimit.arrival_at_seconds)).one()


def count_up(store: Store) -> None:
    for _ in range(WRITES):
        with store.write() as session:
            count = session.scalars(select(RateLimit.arrival_at_seconds)).one()
            session.execute(update(RateLimit).values(arrival_at_seconds=count + 1))


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("foreign_keys", 1),
        ("recursive_triggers", 1),
        ("busy_timeout", BUSY_TIMEOUT.total_seconds() * 1000),
        ("synchronous", 2),
    ],
)
def test_every_connection_is_set_up(store: Store, pragma: str, value: object) -> None:
    with store.read() as reading, store.write() as writing:
        for session in (reading, writing):
            assert session.scalar(text(f"PRAGMA {pragma}")) == value


def test_a_log_that_could_not_be_emptied_leaves_the_next_writer_its_patience(store: Store) -> None:
    def allow(action: int, name: str | None, *_: object) -> int:
        is_checkpoint = (action, name) == (sqlite3.SQLITE_PRAGMA, "wal_checkpoint")
        return sqlite3.SQLITE_DENY if is_checkpoint else sqlite3.SQLITE_OK

    with closing(store.engine.raw_connection()) as connection:
        sqlite: Any = connection.driver_connection
        sqlite.set_authorizer(allow)
    with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
        store.empty_log()
    with store.read() as session:
        waits = session.scalar(text("PRAGMA busy_timeout"))
    assert waits == BUSY_TIMEOUT.total_seconds() * 1000


def test_threads_lose_nothing(counting: Store) -> None:
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(count_up, counting) for _ in range(3)]:
            done.result()
    assert counted(counting) == 3 * WRITES


def test_processes_lose_nothing(counting: Store) -> None:
    url = counting.engine.url.render_as_string()
    command_line = [sys.executable, "-c", COUNT_UP, url, str(WRITES)]
    processes = [subprocess.Popen(command_line) for _ in range(2)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert counted(counting) == 2 * WRITES


def test_a_writer_has_the_lock_before_it_reads(counting: Store) -> None:
    """Two that read first and write later can't both have read the old value."""
    path = make_url(str(counting.engine.url)).database or ""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as another:
        with counting.write() as session:
            session.scalars(select(RateLimit)).all()
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                another.execute("BEGIN IMMEDIATE")
        another.execute("BEGIN IMMEDIATE")
        another.execute("ROLLBACK")


def test_a_reader_neither_waits_nor_is_waited_for(counting: Store) -> None:
    with counting.write() as session:
        session.execute(update(RateLimit).values(arrival_at_seconds=7))
        assert counted(counting) == 0
    with counting.read() as reader:
        before = reader.scalars(select(RateLimit.arrival_at_seconds)).one()
        with counting.write() as session:
            session.execute(update(RateLimit).values(arrival_at_seconds=8))
        assert reader.scalars(select(RateLimit.arrival_at_seconds)).one() == before == 7
    assert counted(counting) == 8


def test_a_waiting_writer_gets_its_turn(counting: Store) -> None:
    waiting = threading.Thread(target=count_up, args=[counting])
    with counting.write() as session:
        session.execute(update(RateLimit).values(arrival_at_seconds=100))
        waiting.start()
    waiting.join(timeout=60)
    assert counted(counting) == 100 + WRITES


def test_foreign_keys_hold(store: Store) -> None:
    with store.write() as session:
        contact = add_contact(session, establish(session).controller)
    with pytest.raises(IntegrityError, match="FOREIGN KEY"), store.write() as session:
        session.add(
            ContactPoint(
                controller_id=contact.controller_id,
                contact_id=contact.id,
                channel="email",
                address_id=404,
                created_at=NOW,
            )
        )


def test_an_exception_takes_everything_back(store: Store) -> None:
    def fail_half_way() -> None:
        with store.write() as session:
            establish(session)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail_half_way()
    with store.read() as session:
        assert session.scalars(select(Controller)).all() == []


def test_the_file_is_where_the_url_says(store: Store) -> None:
    engine: Engine = store.engine
    assert Path(make_url(str(engine.url)).database or "").is_file()


@pytest.mark.parametrize(
    "url", ["mysql://somebody:hush@host/name", "sqlite", "postgresql+asyncpg://host/name"]
)
def test_other_databases_are_refused_without_their_passwords(url: str) -> None:
    with pytest.raises(DatabaseError) as refused:
        open_store(url)
    assert "hush" not in str(refused.value)
    assert "SENDER_DATABASE_URL" in refused.value.remedy


def test_a_plain_postgresql_url_means_psycopg() -> None:
    store = open_store("postgresql://somebody@127.0.0.1/name")
    assert store.engine.url.drivername == "postgresql+psycopg"


class Contended(sqlite3.Connection):
    """A connection whose switch to the write-ahead log meets another's, as on a file just made."""

    refusals = 2

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if "journal_mode" in sql and self.refusals:
            self.refusals -= 1
            raise sqlite3.OperationalError("database is locked")
        return super().execute(sql, *values)


def test_the_switch_to_the_log_is_tried_again(tmp_path: Path) -> None:
    """SQLite does not wait in this one place, whatever the busy timeout."""
    with closing(sqlite3.connect(tmp_path / "new.sqlite3", factory=Contended)) as connection:
        _prepare_sqlite(connection, None)
        assert connection.refusals == 0
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
