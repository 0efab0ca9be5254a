"""Bring a database to this version of the schema, or back."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from sender.resources import resource_folder
from sender.store.engine import Store, open_store
from sender.store.queue_schema import install_queue, remove_queue
from sender.store.schema import current_revision

_ADVISORY_LOCK = 7_364_201
"""Any fixed number: two upgrades of one PostgreSQL database wait for each other."""

_FIRST_WITH_QUEUE = "0003"
"""The revision from which on PostgreSQL has the job queue's tables."""


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
        if store.dialect == "postgresql":
            _bring_queue(connection)


def _bring_queue(connection: Connection) -> None:
    if (current_revision(connection) or "") >= _FIRST_WITH_QUEUE:
        install_queue(connection)
    else:
        remove_queue(connection)
