"""Back a database up while it is in use, and put the backup back in its place."""

import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from sender.clock import SystemClock
from sender.store.engine import Store
from sender.store.journal import Journal, Owner
from tests.support.factory import HASHER

OWNER = Owner(HASHER, "cd" * 16)


def journal_at(path: Path, owner: Owner = OWNER) -> Journal:
    """Return a journal at this path."""
    return Journal(path, owner, SystemClock())


@dataclass(frozen=True, slots=True)
class SqliteBackup:
    """A copy of a file, made with SQLite's own online backup."""

    path: Path
    copy: Path

    def take(self) -> None:
        source, target = sqlite3.connect(self.path), sqlite3.connect(self.copy)
        try:
            source.backup(target)
        finally:
            source.close()
            target.close()

    def restore(self) -> None:
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(self.copy, self.path)

    def drop(self) -> None:
        self.copy.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class PostgresBackup:
    """A copy of a database on the same server."""

    server: str
    name: str
    copy: str

    def take(self) -> None:
        self._copy(self.name, self.copy)

    def restore(self) -> None:
        self._copy(self.copy, self.name)

    def drop(self) -> None:
        self._run(self._drop(self.copy))

    def _copy(self, source: str, target: str) -> None:
        alone = sql.SQL(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}"
        ).format(sql.Literal(source))
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(target), sql.Identifier(source)
        )
        self._run(self._drop(target), alone, create)

    def _drop(self, name: str) -> sql.Composed:
        return sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))

    def _run(self, *statements: sql.Composed) -> None:
        with psycopg.connect(self.server, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


@dataclass(frozen=True, slots=True)
class Backup:
    """The last backup of a store's database."""

    store: Store
    kind: SqliteBackup | PostgresBackup

    def take(self) -> None:
        """Copy the database as it is."""
        self.store.engine.dispose()
        self.kind.take()

    def restore(self) -> None:
        """Put the copy in the database's place."""
        self.store.engine.dispose()
        self.kind.restore()


@contextmanager
def backup_of(store: Store) -> Iterator[Backup]:
    """Take a backup of the store's database, and drop it at the end."""
    url = store.engine.url
    mark = uuid.uuid4().hex[:10]
    kind: SqliteBackup | PostgresBackup
    if store.dialect == "sqlite":
        path = Path(url.database or "")
        kind = SqliteBackup(path, path.with_name(f"{path.name}.{mark}"))
    else:
        server = make_url(url).set(drivername="postgresql", database="postgres")
        name = url.database or ""
        kind = PostgresBackup(server.render_as_string(hide_password=False), name, f"{name}_{mark}")
    backup = Backup(store, kind)
    backup.take()
    try:
        yield backup
    finally:
        store.engine.dispose()
        kind.drop()
