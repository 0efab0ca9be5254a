"""Connections: SQLite as it must be set up for several writers, PostgreSQL through psycopg 3."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from sqlite3 import Connection as SQLiteConnection
from sqlite3 import OperationalError as SQLiteError
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session

from sender.clock import SystemClock
from sender.errors import DatabaseError
from sender.store.driver_errors import without_values
from sender.store.journal import JournalError
from sender.store.journal_entries import notebook, noted_lines
from sender.store.journal_marks import introduce

if TYPE_CHECKING:
    from sender.store.journal import Journal

BUSY_TIMEOUT = timedelta(seconds=30)
"""How long a SQLite writer waits for another; far longer than our longest write lock."""

_POSTGRESQL_OPTIONS = (
    "-c timezone=UTC -c synchronous_commit=on -c jit=off "
    "-c idle_in_transaction_session_timeout=60000"
)
"""Commits reach the disk; compiling a statement would take ten times what it saves; a process that
is frozen inside a transaction gives its locks up after a minute (milliseconds)."""

_MOST_CONNECTIONS = 45
"""Beyond the five that are kept: a worker's slots have three batches under way each."""

_WAL_ATTEMPTS = 100

_LOG_TIMEOUT = timedelta(seconds=2)
_MILLISECOND = timedelta(milliseconds=1)

_READ_ONLY = "sender_read_only"


class Store:
    """One database. `read` and `write` open sessions that are committed or rolled back whole.

    Attributes:
        engine: the connections.
        journal: where each no and each batch is also written; None for nowhere.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.journal: Journal | None = None
        self._introduced: str | None = None
        self._reader = engine.execution_options(**_reading(engine.dialect.name))

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session that may write; commits at the end, rolls back on an exception.

        On SQLite the write lock is taken at once (`BEGIN IMMEDIATE`): a transaction that reads and
        then writes can neither lose an update nor fail half-way for another writer.

        What belongs into the journal is there when this returns. It is written after the commit, so
        that whatever the journal holds is in the database, unless that was set back.

        Raises:
            JournalError: committed, but not surely in the journal: it must not be acknowledged.
        """
        if self.journal is None:
            with Session(self.engine, expire_on_commit=False) as session, session.begin():
                yield session
            return
        with Session(self.engine, expire_on_commit=False, info=notebook()) as session:
            with session.begin():
                yield session
                lines = noted_lines(session)
            if lines:
                self._introduce(self.journal.append(lines), self.journal.clock.now())

    def _introduce(self, journal: str, now: datetime) -> None:
        """Let the database know the journal's name, once a process, before it is relied on."""
        if journal == self._introduced:
            return
        try:
            with Session(self.engine) as session, session.begin():
                introduce(session, journal, now)
        except DBAPIError as error:  # after a commit: nobody may take it for rolled back
            raise JournalError(
                f"The database could not be told of its journal: {type(error).__name__}.",
                remedy="Nothing is acknowledged until it can be. Look whether the database is up.",
            ) from error
        self._introduced = journal

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session that only reads one consistent picture, without a lock."""
        with Session(self._reader, expire_on_commit=False) as session, session.begin():
            yield session

    def empty_log(self) -> None:
        """Let SQLite's write-ahead log be emptied, which holds pages as they were before.

        Best effort: a reader that looks at an earlier state is waited for briefly. PostgreSQL's own
        log is the server's.
        """
        if self.dialect != "sqlite":
            return
        connection = self.engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout={_LOG_TIMEOUT // _MILLISECOND}")
            try:
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:  # the connection goes back to the pool, and its next writer waits as others do
                cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT // _MILLISECOND}")
        finally:
            connection.close()

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def _reading(dialect: str) -> dict[str, Any]:
    if dialect == "sqlite":
        return {_READ_ONLY: True}
    # PostgreSQL's default shows each statement the commits made since the one before.
    return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def open_store(url: str) -> Store:
    """Open the database at `url` without looking at what is in it.

    Raises:
        DatabaseError: the URL cannot be meant.
    """
    return Store(create_engine_for(_normalised(url)))


def create_engine_for(url: URL) -> Engine:
    """Return an engine with this project's connection settings for the dialect of `url`.

    Its exceptions name no parameters, which are people's addresses and names.
    """
    if url.get_backend_name() == "postgresql":
        options = {"options": _POSTGRESQL_OPTIONS}
        engine = create_engine(
            url,
            pool_pre_ping=True,
            max_overflow=_MOST_CONNECTIONS,
            hide_parameters=True,
            connect_args=options,
        )
        event.listen(engine, "handle_error", _say_without_values)
        return engine
    waiting = {"timeout": BUSY_TIMEOUT.total_seconds()}
    engine = create_engine(url, hide_parameters=True, connect_args=waiting)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _say_without_values(context: ExceptionContext) -> None:
    error, wrapped = context.original_exception, context.sqlalchemy_exception
    said = without_values(error) if isinstance(error, psycopg.Error) else None
    if said is not None and wrapped is not None:
        wrapped.args = (f"({type(error).__name__}) {said}",)


def _normalised(url: str) -> URL:
    remedy = (
        "Set SENDER_DATABASE_URL to sqlite:///path/to/file.sqlite3 or postgresql://user@host/name."
    )
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseError("SENDER_DATABASE_URL is not a database URL.", remedy=remedy) from None
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise DatabaseError(f"{parsed.drivername} databases are not supported.", remedy=remedy)
    return parsed


def _prepare_sqlite(connection: SQLiteConnection, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN would come too late
    _switch_to_wal(connection)
    for pragma in (
        "synchronous=FULL",  # a power cut must not undo a mark, or an opt-out that was acknowledged
        "foreign_keys=ON",
        "secure_delete=ON",  # what is erased is written over; not every build does so by itself
        "recursive_triggers=ON",
        "temp_store=FILE",  # in memory, to count a run of a million takes 70 MiB
        "cache_size=-8192",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _switch_to_wal(connection: SQLiteConnection) -> None:
    """Turn the write-ahead log on; two that first open a new file at once get in each other's way.

    That one statement does not wait for the other's lock as all others do, so it is tried again.
    """
    for _ in range(_WAL_ATTEMPTS):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except SQLiteError:
            SystemClock().sleep(0.1)
        else:
            return
    connection.execute("PRAGMA journal_mode=WAL")


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
