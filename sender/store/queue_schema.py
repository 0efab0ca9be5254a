"""The job queue's own tables: Procrastinate's, installed and upgraded beside ours.

Its migrations come with the library, not with our history, so which of them a database has is kept
beside them: as the comment of their main table, which goes wherever that table goes.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from sender.errors import DatabaseError

_PREFIX: Final = "procrastinate_"
_JOBS: Final = "procrastinate_jobs"
_LABEL: Final = "Procrastinate schema "

_COMMENT = text(f"SELECT obj_description(to_regclass('{_JOBS}'), 'pg_class')")
_THERE = text(f"SELECT to_regclass('{_JOBS}') IS NOT NULL")
_DROPS = text(
    """
    SELECT 'DROP TABLE IF EXISTS ' || c.oid::regclass || ' CASCADE'
    FROM pg_class c WHERE c.relkind = 'r'
    AND c.relnamespace = current_schema()::regnamespace AND starts_with(c.relname, :prefix)
    UNION ALL
    SELECT 'DROP FUNCTION IF EXISTS ' || p.oid::regprocedure || ' CASCADE'
    FROM pg_proc p
    WHERE p.pronamespace = current_schema()::regnamespace AND starts_with(p.proname, :prefix)
    UNION ALL
    SELECT 'DROP TYPE IF EXISTS ' || t.oid::regtype || ' CASCADE'
    FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE (t.typtype = 'e' OR t.typtype = 'c' AND c.relkind = 'c')
    AND t.typnamespace = current_schema()::regnamespace AND starts_with(t.typname, :prefix)
    """
)


@cache
def newest_queue_schema() -> str:
    """Return the name of the newest migration of the installed library."""
    return _migrations()[-1].stem


def queue_schema(connection: Connection) -> str | None:
    """Return the newest migration that this PostgreSQL database has; None without any.

    Raises:
        DatabaseError: somebody else installed these tables.
    """
    if not connection.scalar(_THERE):
        return None
    comment = connection.scalar(_COMMENT) or ""
    if not comment.startswith(_LABEL):
        raise DatabaseError(
            "The database has a Procrastinate job queue that this program did not install.",
            remedy="Give the sender a database, or a schema on its search_path, of its own.",
        )
    return str(comment.removeprefix(_LABEL))


def install_queue(connection: Connection) -> None:
    """Bring the queue's tables to the installed library's version, in the caller's transaction.

    A newer library may follow an older one; the jobs that are queued stay.

    Raises:
        DatabaseError: somebody else installed these tables, or a newer library did.
    """
    found, newest = queue_schema(connection), newest_queue_schema()
    if found == newest:
        return
    if found is None:
        _execute(connection, (_folder() / "schema.sql").read_text("utf-8"))
    elif found > newest:
        raise _other_version(found)
    else:
        for path in (path for path in _migrations() if path.stem > found):
            _execute(connection, path.read_text("utf-8"))
    _execute(connection, f"COMMENT ON TABLE {_JOBS} IS '{_LABEL}{newest}'")


def remove_queue(connection: Connection) -> None:
    """Drop the queue's tables, and the jobs in them; they hold nothing that the ledger does not."""
    if queue_schema(connection) is None:
        return
    for statement in connection.scalars(_DROPS, {"prefix": _PREFIX}).all():
        _execute(connection, statement)


def require_queue(connection: Connection) -> None:
    """Refuse to work beside the queue's tables of another version of the library.

    Raises:
        DatabaseError: they are missing, older or newer, or somebody else's.
    """
    found = queue_schema(connection)
    if found != newest_queue_schema():
        raise _other_version(found)


def _other_version(found: str | None) -> DatabaseError:
    return DatabaseError(
        f"The database's job queue is at {found or 'nothing'}; the installed Procrastinate needs "
        f"{newest_queue_schema()}.",
        remedy="Run: sender db upgrade (or use the program version that made it).",
    )


def _execute(connection: Connection, script: str) -> None:
    """Run statements as they are: through SQLAlchemy each `%` in them would be a parameter."""
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute(script)


@cache
def _folder() -> Path:
    """Return the library's SQL, without importing the library: every command asks for this."""
    spec = find_spec("procrastinate")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "sql"


def _migrations() -> list[Path]:
    return sorted((_folder() / "migrations").glob("*.sql"))
