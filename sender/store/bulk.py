"""The fastest way in for many rows: COPY or arrays on PostgreSQL, the driver alone on SQLite.

SQLAlchemy looks at every value of every row anew. Here each column's type is asked once, and the
rows go to the driver as they then are.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import JSON, Column, Dialect, Insert, Table, insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler

from sender.store.driver_errors import without_values

MANY: Final = 100
"""Rows; below, making a statement of one's own costs more than it saves."""

Rows = Sequence[Mapping[str, Any]]
"""All with the same columns."""


def insert_many(session: Session, table: Table, rows: Rows) -> None:
    """Insert rows, with the columns that the first one has."""
    if len(rows) < MANY:
        if rows:
            session.execute(insert(table), rows)
        return
    session.flush()
    names = tuple(rows[0])
    values = zip(*_columns(session, table, names, rows), strict=True)
    if session.get_bind().dialect.name == "sqlite":
        run_many(session, insert(table), table, rows)
    else:
        _copy(session, table, names, values)


def run_many(session: Session, statement: Insert, table: Table, rows: Rows) -> None:
    """Run an INSERT of SQLite for each row, past SQLAlchemy's work on every value."""
    session.flush()
    connection = session.connection()
    names = tuple(rows[0])
    compiled = statement.compile(dialect=connection.dialect, column_keys=list(names))
    assert isinstance(compiled, SQLCompiler)
    order = tuple(compiled.positiontup or ())
    values = zip(*_columns(session, table, order, rows), strict=True)
    connection.exec_driver_sql(str(compiled), list(values))


def insert_arrays(session: Session, table: Table, rows: Rows, conflict: str) -> None:
    """Insert rows on PostgreSQL in one statement that says what happens to those that are there.

    Args:
        session: a writing session.
        table: where.
        rows: what.
        conflict: the statement's ON CONFLICT clause.
    """
    session.flush()
    names = tuple(rows[0])
    columns = _columns(session, table, names, rows)
    statement = text(_array_statement(table, names, session.get_bind().dialect, conflict))
    session.execute(statement, dict(zip(names, map(list, columns), strict=True)))


@lru_cache(maxsize=100)
def _array_statement(table: Table, names: tuple[str, ...], dialect: Dialect, conflict: str) -> str:
    quoted = dialect.identifier_preparer.quote
    given = ", ".join(f"CAST(:{name} AS {_type(table.c[name], dialect)}[])" for name in names)
    into = ", ".join(quoted(name) for name in names)
    rows = f"SELECT * FROM unnest({given})"  # noqa: S608  # names and types of our own tables
    return f"INSERT INTO {quoted(table.name)} ({into}) {rows} {conflict}"


def _type(column: Column[Any], dialect: Dialect) -> str:
    return column.type.compile(dialect)


def _columns(
    session: Session, table: Table, names: Iterable[str], rows: Rows
) -> list[Iterable[Any]]:
    """Return the values of each column as the driver takes them."""
    dialect = session.get_bind().dialect
    return [_as_bound(table.c[name], dialect, [row[name] for row in rows]) for name in names]


def _as_bound(column: Column[Any], dialect: Dialect, values: list[Any]) -> Iterable[Any]:
    process = _processor(column, dialect)
    if process is None:
        return values
    if isinstance(column.type, JSON):
        return map(process, values)
    bound = {value: process(value) for value in set(values)}  # most times and words come again
    return [bound[value] for value in values]


@lru_cache(maxsize=1_000)
def _processor(column: Column[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    found: Callable[[Any], Any] | None = column.type.dialect_impl(dialect).bind_processor(dialect)
    return found


def _copy(
    session: Session, table: Table, names: Sequence[str], rows: Iterable[tuple[Any, ...]]
) -> None:
    driver = session.connection().connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), columns)
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        without_values(error)
        told = DBAPIError.instance("COPY", None, error, psycopg.Error, hide_parameters=True)
        raise told from None
