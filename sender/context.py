"""What every command and script works with: settings, database, key, clock, operator."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sender.clock import Clock, SystemClock
from sender.settings import Settings, load_settings
from sender.store.clock_check import require_agreeing_clock
from sender.store.engine import Store, open_store
from sender.store.journal import Journal, Owner
from sender.store.keys import AddressHasher, database_name, register_key, require_key
from sender.store.schema import require_current

JOURNAL_OFF = "off"


@dataclass(frozen=True, slots=True)
class Context:
    """An opened installation. Nothing works without a database that knows the key.

    Attributes:
        settings: from the environment.
        store: the database, at this program's schema.
        hasher: of addresses, under the key that the database knows.
        clock: the time.
        operator: who acts, for the audit trail.
        operator_id: who that is, proved by a token; None where it is a name and no more.
    """

    settings: Settings
    store: Store
    hasher: AddressHasher
    clock: Clock
    operator: str
    operator_id: int | None = None


@contextmanager
def open_context(settings: Settings | None = None, clock: Clock | None = None) -> Iterator[Context]:
    """Open the installation that the environment describes, and close it at the end.

    Raises:
        KeyRefusedError: the key is missing, short, or not this database's.
        DatabaseError: the database is not set up, of another version, or its clock is off.
        JournalError: the journal is another database's, or none.
    """
    settings = settings or load_settings()
    clock = clock or SystemClock()
    with open_for_rotation(settings, clock) as context:
        with context.store.read() as session:
            require_key(session, context.hasher)
            owner = Owner(context.hasher, database_name(session))
        context.store.journal = open_journal(settings, owner, clock)
        yield context


@contextmanager
def open_for_rotation(settings: Settings, clock: Clock) -> Iterator[Context]:
    """Open an installation whose database may not know the newest key yet, without its journal.

    For nothing but to rotate the key: under keys that it does not know, nobody is found.

    Raises:
        KeyRefusedError: a key is missing or short.
        DatabaseError: the database is not set up, of another version, or its clock is off.
    """
    hasher = AddressHasher(*settings.hash_keys)
    store = open_store(settings.database_url)
    try:
        require_current(store)
        require_agreeing_clock(store, clock.now())
        yield Context(settings, store, hasher, clock, settings.operator or _login_name())
    finally:
        store.close()


def open_journal(settings: Settings, owner: Owner, clock: Clock) -> Journal | None:
    """Return the journal that the settings name; None for `off`.

    Raises:
        JournalError: the file is another database's, or no journal.
    """
    if settings.journal == JOURNAL_OFF:
        return None
    journal = Journal(Path(settings.journal).absolute(), owner, clock)
    journal.header()
    return journal


def set_up_database(settings: Settings, clock: Clock) -> None:
    """Migrate the database and register the key, if it is the database's first.

    Raises:
        KeyRefusedError: the database was made with another key.
    """
    from sender.store.migrate import upgrade  # noqa: PLC0415  # Alembic takes its time

    hasher = AddressHasher(*settings.hash_keys)
    upgrade(settings.database_url)
    store = open_store(settings.database_url)
    try:
        with store.write() as session:
            register_key(session, hasher, clock.now())
    finally:
        store.close()


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
