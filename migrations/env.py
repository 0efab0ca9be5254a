"""Alembic's way in. One history serves SQLite and PostgreSQL."""

import os
from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.types import TypeDecorator

from sender.store.base import Numbered, UtcDateTime, Word
from sender.store.engine import open_store
from sender.store.tables import metadata


def plain_type(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write our column types into revisions as what they are in the database."""
    if kind != "type" or not isinstance(item, TypeDecorator):
        return False
    if isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if isinstance(item, Numbered):
        return "sa.SmallInteger()"
    return "sa.String(length=32)" if isinstance(item, Word) else False


def migrate_on(connection: Connection) -> None:
    """Run the asked-for migrations on `connection`, whose transaction belongs to the caller."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        render_item=plain_type,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


def migrate_from_environment() -> None:
    """Serve the plain `alembic` command: the database is SENDER_DATABASE_URL."""
    store = open_store(os.environ.get("SENDER_DATABASE_URL", "sqlite:///sender.sqlite3"))
    try:
        with store.engine.begin() as connection:
            migrate_on(connection)
    finally:
        store.close()


given = context.config.attributes.get("connection")
if given is None:
    migrate_from_environment()
else:
    migrate_on(given)
