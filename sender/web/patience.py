"""How long the web side waits for the database: less than providers wait for us."""

from sqlite3 import Connection as SQLiteConnection
from typing import Any

from psycopg import Connection as PostgresConnection
from sqlalchemy import event

from sender.store.engine import Store
from sender.web.limits import Limits


def bound_waiting(store: Store, limits: Limits) -> None:
    """Let connections of `store` fail within `limits` instead of waiting as commands do.

    A command may wait 30 seconds for another writer; a provider gives up after 15, and should hear
    503 before that. A database that is gone or hangs must not hold every thread.
    """
    if store.dialect == "sqlite":
        _bound_sqlite(store, limits)
    else:
        _bound_postgresql(store, limits)
    store.engine.dispose()  # connections from before


def _bound_sqlite(store: Store, limits: Limits) -> None:
    milliseconds = int(limits.lock_time.total_seconds() * 1000)

    def on_connect(connection: SQLiteConnection, _record: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout={milliseconds}")

    event.listen(store.engine, "connect", on_connect)


def _bound_postgresql(store: Store, limits: Limits) -> None:
    def before_connect(_dialect: Any, _record: Any, _arguments: Any, options: Any) -> None:
        options["connect_timeout"] = max(1, int(limits.connect_time.total_seconds()))
        milliseconds = int(limits.statement_time.total_seconds() * 1000)
        options["tcp_user_timeout"] = milliseconds  # of unanswered bytes, where the system has it

    def on_connect(connection: PostgresConnection[Any], _record: Any) -> None:
        lock, statement = limits.lock_time, limits.statement_time
        for name, time in (("lock_timeout", lock), ("statement_timeout", statement)):
            connection.execute(
                "SELECT set_config(%s, %s, false)", (name, f"{int(time.total_seconds() * 1000)}ms")
            )
        connection.commit()

    event.listen(store.engine, "do_connect", before_connect)
    event.listen(store.engine, "connect", on_connect)
