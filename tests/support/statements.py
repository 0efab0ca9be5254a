"""Lets the many engines of a test process share what SQLAlchemy compiled, as one program's would.

A program has one engine, which compiles each statement once. Each test opens engines of its own,
and compiling anew was a third of what the tests cost.
"""

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.util import LRUCache

STATEMENTS = 10_000
"""More than the tests have."""


def share_compiled_statements() -> None:
    """Give all engines of this process one cache; one dialect is as good as another like it."""
    compiled: LRUCache[Any, Any] = LRUCache(STATEMENTS)
    Engine._compiled_cache = property(  # type: ignore[assignment]
        lambda _engine: compiled, lambda _engine, _its_own: None
    )
    for dialect in (SQLiteDialect_pysqlite, PGDialect_psycopg):
        dialect.__eq__ = _is_like  # type: ignore[method-assign,assignment]
        dialect.__hash__ = _hash_of  # type: ignore[method-assign,assignment]


def _kind(dialect: Dialect) -> tuple[object, ...]:
    """Return what SQL and values depend on; it stands once the dialect has met its server."""
    version = getattr(dialect, "server_version_info", None)
    return type(dialect), version


def _is_like(dialect: Dialect, other: object) -> bool:
    return isinstance(other, Dialect) and _kind(dialect) == _kind(other)


def _hash_of(dialect: Dialect) -> int:
    return hash(_kind(dialect))
