"""Let one process at a time do a piece of work that is longer than a transaction may be.

It spares work and keeps two from getting into each other's way; nothing may rely on it. Whatever
must happen once is decided in a transaction.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from threading import Event, Thread

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from sender.store.engine import Store

_SIGN_OF_LIFE_SECONDS = 15
"""Far within the minute after which PostgreSQL ends a transaction that lies idle (`engine`)."""


@contextmanager
def exclusively(store: Store, name: str) -> Iterator[bool]:
    """Yield whether this is the only one that does the work now; another one is not waited for.

    Whoever dies lets go at once. Whoever is frozen (SIGSTOP) on PostgreSQL does so after a minute,
    when the server ends its transaction; on SQLite when it is ended, or goes on.

    Args:
        store: the database that everybody works on.
        name: of the work; small letters, digits and hyphens.
    """
    path = store.engine.url.database
    if store.dialect == "postgresql":
        with _advisory_lock(store, name) as mine:
            yield mine
    elif path:
        with _file_lock(f"{path}-{re.sub(r'[^a-z0-9-]', '-', name)}.lock") as mine:
            yield mine
    else:
        yield True


@contextmanager
def _advisory_lock(store: Store, name: str) -> Iterator[bool]:
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    connection = store.engine.connect()
    try:
        mine = bool(connection.scalar(select(func.pg_try_advisory_xact_lock(key))))
        with _kept(connection) if mine else nullcontext():
            yield mine
    finally:
        _let_go(connection)


@contextmanager
def _kept(connection: Connection) -> Iterator[None]:
    done = Event()
    keeper = Thread(target=_keep, args=(connection, done), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()


def _keep(connection: Connection, done: Event) -> None:
    """Show that this process lives; a frozen one does not."""
    with suppress(SQLAlchemyError):  # a lock that is gone with its connection is another's
        while not done.wait(_SIGN_OF_LIFE_SECONDS):
            connection.execute(text("SELECT 1"))


def _let_go(connection: Connection) -> None:
    """End the transaction; one that was cut is over already, and the work is done all the same."""
    try:
        connection.rollback()
    except SQLAlchemyError:
        connection.invalidate()
    connection.close()


@contextmanager
def _file_lock(path: str) -> Iterator[bool]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)
