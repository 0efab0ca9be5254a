"""Databases for tests, made quickly: copies of one migrated template, dropped after each test."""

import shutil
import sqlite3
import uuid
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import make_url

FIRST_WITH_STRATEGY = 150_000


def migrate(url: str) -> None:
    """Bring the database at `url` to the newest revision, as `sender db upgrade` does."""
    from sender.store.migrate import upgrade  # noqa: PLC0415 - unit tests need no store

    upgrade(url)


class PostgresDatabases:
    """Databases on one server, named so that several sessions can share it."""

    def __init__(self, server_url: str) -> None:
        self._server_url = make_url(server_url)
        conninfo = self._server_url.set(drivername="postgresql")
        self._connection = psycopg.connect(
            conninfo.render_as_string(hide_password=False), autocommit=True
        )
        self._prefix = f"sender_test_{uuid.uuid4().hex[:10]}"
        self._count = 0
        self._template: str | None = None

    def create_empty(self) -> str:
        """Create a database without tables and return its SQLAlchemy URL."""
        return self._create(None)

    def create_migrated(self) -> str:
        """Create a database with all tables, as a copy, and return its SQLAlchemy URL."""
        if self._template is None:
            self._template = self._make_template()
        return self._create(self._template)

    def drop(self, url: str) -> None:
        """Drop the database at `url`, cutting off whoever is still connected."""
        self._drop(make_url(url).database or "")

    def close(self) -> None:
        """Drop the migrated template, if there is one, and leave the server."""
        if self._template is not None:
            self._drop(self._template)
        self._connection.close()

    def _make_template(self) -> str:
        url = self._create(None)
        migrate(url)
        name = make_url(url).database or ""
        # CREATE DATABASE fails while anybody is connected to its template.
        self._connection.execute(
            sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(sql.Identifier(name))
        )
        self._connection.execute(
            sql.SQL(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}"
            ).format(sql.Literal(name))
        )
        return name

    def _create(self, template: str | None) -> str:
        self._count += 1
        name = f"{self._prefix}_{self._count}"
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template or "template0")
        )
        # Copying files takes less than half the time of the default, which came with version 15.
        if self._connection.info.server_version >= FIRST_WITH_STRATEGY:
            command += sql.SQL(" STRATEGY file_copy")
        self._connection.execute(command)
        return self._server_url.set(database=name).render_as_string(hide_password=False)

    def _drop(self, name: str) -> None:
        self._connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


class SqliteDatabases:
    """Database files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template: Path | None = None

    def create_empty(self) -> str:
        """Return the SQLAlchemy URL of a file that does not exist yet."""
        return f"sqlite:///{self._new_path()}"

    def create_migrated(self) -> str:
        """Create a file with all tables, as a copy, and return its SQLAlchemy URL."""
        if self._template is None:
            self._template = self._make_template()
        path = self._new_path()
        shutil.copyfile(self._template, path)
        return f"sqlite:///{path}"

    def drop(self, url: str) -> None:
        """Remove the file at `url` and its write-ahead log."""
        path = Path(make_url(url).database or "")
        for suffix in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    def _make_template(self) -> Path:
        path = self._new_path()
        migrate(f"sqlite:///{path}")
        _fold_write_ahead_log(path)
        return path

    def _new_path(self) -> Path:
        return self._folder / f"{uuid.uuid4().hex}.sqlite3"


def _fold_write_ahead_log(path: Path) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
