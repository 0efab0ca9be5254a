"""Bring a database to this version of the schema, or say that it is not there."""

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from sender.errors import DatabaseError
from sender.resources import resource_folder
from sender.store.engine import Store, open_store

_ADVISORY_LOCK = 7_364_201
"""Any fixed number: two upgrades of one PostgreSQL database wait for each other."""


def alembic_config() -> Config:
    """Return Alembic's configuration for this installation, in a clone or in a wheel."""
    config = Config()
    config.set_main_option("script_location", str(resource_folder("migrations")))
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate the database at `url` up to `revision`; all of it or nothing."""
    store = open_store(url)
    try:
        _run(store, "upgrade", revision)
    finally:
        store.close()


def downgrade(url: str, revision: str) -> None:
    """Migrate the database at `url` down to `revision`; data of dropped tables is gone."""
    store = open_store(url)
    try:
        _run(store, "downgrade", revision)
    finally:
        store.close()


def _run(store: Store, direction: str, revision: str) -> None:
    config = alembic_config()
    with store.engine.begin() as connection:
        if store.dialect == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
        config.attributes["connection"] = connection
        getattr(command, direction)(config, revision)


def current_revision(connection: Connection) -> str | None:
    """Return the revision that this database is at; None when it was never migrated."""
    return MigrationContext.configure(connection).get_current_revision()


def require_current(store: Store) -> None:
    """Refuse to work on a database of another schema version.

    Raises:
        DatabaseError: it was never migrated, or is older or newer than this program.
    """
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    with store.engine.connect() as connection:
        found = current_revision(connection)
    if found == head:
        return
    if found is None:
        raise DatabaseError("The database has not been set up.", remedy="Run: sender db upgrade")
    raise DatabaseError(
        f"The database is at schema {found}; this program needs {head}.",
        remedy="Run: sender db upgrade (or use the program version that made it).",
    )
