"""Read from the organisation's own database, never write to it, one batch of rows at a time.

Every connection here can only read, whatever the query says: SQLite is opened with `mode=ro`
(sqlite.org/uri.html) and `query_only`; on PostgreSQL each transaction is read-only from its start
and cannot be made otherwise once the query ran (SET TRANSACTION, "Description"), and the query runs
as the body of a server-side cursor, which takes nothing that changes data.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from sender.errors import SenderError, SettingsError

_SPEAKS_OF_NAMES_ONLY = "42"
"""The class of SQLSTATEs (syntax error or access rule violation) whose text holds no data."""


class SourceError(SenderError):
    """The organisation's database cannot be read as the campaign asks."""


@dataclass(frozen=True, slots=True)
class SourceRows:
    """The columns that the query yields, and its rows in batches."""

    columns: tuple[str, ...]
    batches: Iterator[Sequence[Sequence[Any]]]


@contextmanager
def open_source(
    url: str, query_sql: str, *, query_name: str, batch_size: int
) -> Iterator[SourceRows]:
    """Run the query and yield its rows as they are asked for.

    Raises:
        SettingsError: the URL cannot be meant; it is never shown.
        SourceError: the database cannot be reached, or refused the query; names the query's file.
    """
    engine = _read_only_engine(url)
    try:
        with _told_without_data(query_name, "cannot be reached"):
            connection = engine.connect()
        with connection, closing(_run(connection, query_sql, query_name)) as result:
            if not result.returns_rows:
                raise SourceError(f"{query_name} yields no rows.", remedy="Write a SELECT.")
            yield SourceRows(tuple(result.keys()), _batches(result, query_name, batch_size))
    finally:
        engine.dispose()


def _run(connection: Connection, sql: str, query_name: str) -> CursorResult[Any]:
    # Without parameters, % and : in the query are what they are in SQL.
    options = {"stream_results": True, "no_parameters": True}
    with _told_without_data(query_name, "refused the query"):
        return connection.execution_options(**options).exec_driver_sql(
            sql.strip().removesuffix(";")
        )


def _batches(
    result: CursorResult[Any], query_name: str, batch_size: int
) -> Iterator[Sequence[Sequence[Any]]]:
    """Fetch batch by batch; what goes wrong while a batch is worked on is none of the source's."""
    while True:
        with _told_without_data(query_name, "broke off"):
            batch = result.fetchmany(batch_size)
        if not batch:
            return
        yield batch


@contextmanager
def _told_without_data(query_name: str, problem: str) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        remedy = "Try the query by hand in that database, and mend it or the URL."
        raise SourceError(
            f"{query_name}: the database {problem}{_reason(error)}.", remedy=remedy
        ) from None
    except SQLAlchemyError as error:  # e.g. a lost connection found out by the pool
        raise SourceError(
            f"{query_name}: the database {problem} ({type(error).__name__})."
        ) from None


def _reason(error: DBAPIError) -> str:
    """Return what may be told: names of tables and columns, but no values and no address."""
    original = error.orig
    if isinstance(original, sqlite3.OperationalError):
        return f": {original}"
    state: str | None = getattr(original, "sqlstate", None)
    if state is None:
        return f" ({type(original).__name__})"
    told = getattr(getattr(original, "diag", None), "message_primary", None)
    if told and state.startswith(_SPEAKS_OF_NAMES_ONLY):
        return f": {told}"
    return f" ({type(original).__name__}, SQLSTATE {state})"


def _read_only_engine(url: str) -> Engine:
    parsed = _parsed(url)
    if parsed.get_backend_name() == "postgresql":
        options = "-c default_transaction_read_only=on -c timezone=UTC"
        return create_engine(parsed, poolclass=NullPool, connect_args={"options": options})
    engine = create_engine(_sqlite_read_only(parsed), poolclass=NullPool)
    event.listen(engine, "connect", _refuse_writes)
    return engine


def _parsed(url: str) -> URL:
    remedy = "Give the URL as sqlite:///path/to/file or postgresql://user:password@host/name."
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError(
            "The URL of the audience's database cannot be read.", remedy=remedy
        ) from None
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise SettingsError(
            f"An audience cannot be read from {parsed.drivername} databases.", remedy=remedy
        )
    return parsed


def _sqlite_read_only(url: URL) -> URL:
    path = (url.database or "").removeprefix("file:")
    return url.set(database=f"file:{_escaped(path)}", query={"mode": "ro", "uri": "true"})


def _escaped(path: str) -> str:
    """Escape what has a meaning of its own in a file URI (sqlite.org/uri.html)."""
    for character in "%?#":
        path = path.replace(character, f"%{ord(character):02X}")
    return path


def _refuse_writes(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA query_only=ON")
