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


QUEUE_PREFIX = "procrastinate_"
"""Of the job queue's own tables, which bring their own migrations."""


def is_ours(item: Any, name: str | None, kind: str, *_: Any) -> bool:
    """Leave the job queue's tables out of the comparison with our models."""
    del item
    return not (kind == "table" and (name or "").startswith(QUEUE_PREFIX))


def migrate_on(connection: Connection) -> None:
    """Run the asked-for migrations on `connection`, whose transaction belongs to the caller."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        include_object=is_ours,
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
