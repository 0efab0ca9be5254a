"""Whether a database is at the schema that this program needs.

Asked by every command, so without Alembic, which takes as long to import as most commands run.
"""

from typing import Final

from sqlalchemy import Connection, column, inspect, select, table

from sender.errors import DatabaseError
from sender.store.engine import Store
from sender.store.queue_schema import require_queue

NEWEST: Final = "0011"
"""The newest revision of `migrations/versions`; a test holds it to that."""

_VERSION = table("alembic_version", column("version_num"))


def current_revision(connection: Connection) -> str | None:
    """Return the revision that this database is at; None when it was never migrated."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    found: str | None = connection.scalar(select(_VERSION.c.version_num))
    return found


def require_current(store: Store) -> None:
    """Refuse to work on a database of another schema version.

    Raises:
        DatabaseError: it was never migrated, or it or its job queue is older or newer than this
            program.
    """
    with store.engine.connect() as connection:
        found = current_revision(connection)
        if found == NEWEST:
            if store.dialect == "postgresql":
                require_queue(connection)
            return
    if found is None:
        raise DatabaseError("The database has not been set up.", remedy="Run: sender db upgrade")
    raise DatabaseError(
        f"The database is at schema {found}; this program needs {NEWEST}.",
        remedy="Run: sender db upgrade (or use the program version that made it).",
    )
