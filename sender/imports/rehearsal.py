"""Where an import writes: the database for real, or for a dry run something that is thrown away.

A dry run takes the very same steps, so that its numbers are those of the import.
"""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import cast

from sqlalchemy.orm import Session

from sender.store.engine import Store, open_store

Transactions = Callable[[], AbstractContextManager[Session]]
"""Opens one transaction after another."""


@contextmanager
def transactions(store: Store, *, dry_run: bool) -> Iterator[Transactions]:
    """Yield what opens the transactions of one import.

    On SQLite, which has one writer, a dry run works on a copy of the file, so that opt-outs need
    not wait for it. On PostgreSQL it is one transaction that is rolled back: only opt-outs of
    people whom the file is about wait until it ends.
    """
    if not dry_run:
        yield store.write
    elif store.dialect == "sqlite":
        with _copy(store) as copy:
            yield copy.write
    else:
        with Session(store.engine, expire_on_commit=False) as session:
            yield lambda: nullcontext(session)
            session.rollback()


@contextmanager
def _copy(store: Store) -> Iterator[Store]:
    with tempfile.TemporaryDirectory(prefix="sender-") as folder:  # readable by its owner only
        path = Path(folder) / "dry-run.sqlite3"
        _back_up(store, path)
        copy = open_store(f"sqlite:///{path}")
        try:
            yield copy
        finally:
            copy.close()


def _back_up(store: Store, path: Path) -> None:
    """Copy one consistent picture of the database; writers do not wait (sqlite.org/backup.html)."""
    target = sqlite3.connect(path)
    try:
        with store.engine.connect() as connection:
            connection.rollback()
            source = connection.connection.driver_connection
            cast("sqlite3.Connection", source).backup(target)
    finally:
        target.close()
