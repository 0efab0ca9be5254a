"""The few statements that SQLAlchemy does not write alike for SQLite and PostgreSQL."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Insert, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from sender.store.base import Base
from sender.store.bulk import MANY, Rows, insert_arrays, insert_many, run_many

T = TypeVar("T")

CHUNK = 5_000
"""Rows a statement: far under SQLite's and PostgreSQL's limits on bound parameters."""


def insert_for(session: Session, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """Return the dialect's INSERT, which knows ON CONFLICT."""
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(table_of(table))
    return postgresql.insert(table_of(table))


def table_of(model: type[Base]) -> Table:
    """Return a model's table: statements on it skip the ORM's work on every row."""
    table = model.__table__
    assert isinstance(table, Table)
    return table


def insert_rows(
    session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Insert rows under new ids in the column `id`, and return these, rising, in order.

    The ids are drawn first. Read back with RETURNING in the order of the rows, SQLite would have to
    insert one by one.
    """
    if not rows:
        return []
    table = table_of(model)
    ids = new_ids(session, model, len(rows))
    numbered = [{**row, "id": row_id} for row, row_id in zip(rows, ids, strict=True)]
    insert_many(session, table, numbered)
    return ids


def new_ids(session: Session, model: type[Base], number: int) -> list[int]:
    """Return so many ids for new rows, rising; the rows must be inserted in this transaction."""
    table = table_of(model)
    if session.get_bind().dialect.name == "sqlite":  # where the transaction is the only writer
        highest = session.scalar(select(func.max(table.c.id))) or 0
        return list(range(highest + 1, highest + 1 + number))
    sequence = func.pg_get_serial_sequence(table.name, "id")
    drawn = select(func.nextval(sequence)).select_from(func.generate_series(1, number))
    return sorted(session.scalars(drawn))


def insert_missing(session: Session, table: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows whose key is not there yet."""
    if not rows:
        return
    statement = insert_for(session, table).on_conflict_do_nothing()
    _run(session, statement, table_of(table), rows, "ON CONFLICT DO NOTHING")


def upsert(
    session: Session, table: type[Base], rows: Sequence[dict[str, Any]], key: Sequence[str]
) -> None:
    """Insert the rows, or overwrite every other column of those whose key is there."""
    if not rows:
        return
    statement = insert_for(session, table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in key}
    overwriting = statement.on_conflict_do_update(index_elements=key, set_=changed)
    settings = ", ".join(f"{name} = excluded.{name}" for name in changed)
    conflict = f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {settings}"
    _run(session, overwriting, table_of(table), rows, conflict)


def _run(session: Session, statement: Insert, table: Table, rows: Rows, conflict: str) -> None:
    """Run an INSERT for all rows; `conflict` says the same as the statement does, in SQL."""
    if len(rows) < MANY:
        session.execute(statement, rows)
    elif session.get_bind().dialect.name == "sqlite":
        run_many(session, statement, table, rows)
    else:
        insert_arrays(session, table, rows, conflict)


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Yield lists of at most `size` items."""
    chunk: list[T] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
