"""Whether a database has every guard that its schema came with: keys, indexes, triggers.

The revision number says which migrations ran, and nothing of what was dropped afterwards, by hand
or by a tool that copied the tables alone. Asked by `sender doctor`; it takes Alembic, and a second.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import (
    Column,
    Connection,
    ForeignKeyConstraint,
    Index,
    Table,
    UniqueConstraint,
    text,
)

from sender.store.append_only import APPEND_ONLY, NEVER_DELETED, guard
from sender.store.tables import metadata

_QUEUE: Final = "procrastinate_"
_KINDS: Final[Mapping[type, str]] = {
    ForeignKeyConstraint: "foreign key",
    Index: "index",
    UniqueConstraint: "unique key",
}
_TRIGGER: Final = re.compile(r"CREATE TRIGGER (\w+)")
_ACTIVE: Final = {
    "sqlite": text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"),
    "postgresql": text(
        """
        SELECT tgname AS name, pg_get_triggerdef(t.oid) AS sql
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')
        AND c.relnamespace = current_schema()::regnamespace AND prosrc LIKE '%RAISE EXCEPTION%'
        """
    ),
}
"""The triggers that fire, with their text. PostgreSQL can switch one off, or empty its function."""


def missing_parts(connection: Connection) -> list[str]:
    """Return what this database lacks of its schema or has otherwise, as `foreign key x of y`.

    What it has beyond that, such as an index of your own, is no fault.
    """
    return [*_missing_in_tables(connection), *_missing_guards(connection)]


def _missing_in_tables(connection: Connection) -> Iterator[str]:
    opts = {"compare_type": True, "include_object": _is_ours}
    context = MigrationContext.configure(connection, opts=opts)
    for difference in compare_metadata(context, metadata):
        # Changes of one column come as a list of their own.
        for what, *parts in difference if isinstance(difference, list) else [difference]:
            if not what.startswith("remove_"):
                yield _named(what, parts)


def _is_ours(_item: object, name: str | None, kind: str, *_: object) -> bool:
    return not (kind == "table" and (name or "").startswith(_QUEUE))


def _named(what: str, parts: list[Any]) -> str:
    match parts:
        case [Table() as table, *_]:
            return f"table {table.name}"
        case [(ForeignKeyConstraint() | Index() | UniqueConstraint()) as part, *_]:
            table = "" if part.table is None else f" of {part.table.name}"
            return f"{_KINDS[type(part)]} {part.name}{table}"
        case [_, str(table), Column() as column]:
            return f"column {table}.{column.name}"
        case [_, str(table), str(column), *_]:
            return f"{what.removeprefix('modify_')} of {table}.{column}"
    return what


def _missing_guards(connection: Connection) -> Iterator[str]:
    dialect = connection.dialect.name
    active = {row.name: row.sql for row in connection.execute(_ACTIVE[dialect])}
    for statement in guard(dialect, append_only=APPEND_ONLY, never_deleted=NEVER_DELETED):
        found = _TRIGGER.match(statement)
        if found is not None and not _is_as_made(dialect, statement, active.get(found[1])):
            yield f"trigger {found[1]}"


def _is_as_made(dialect: str, statement: str, found: str | None) -> bool:
    """Whether a trigger is there, word for word where the database keeps the words."""
    return found is not None and (dialect == "postgresql" or found == statement)
