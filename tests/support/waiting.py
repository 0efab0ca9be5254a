"""Tell when a PostgreSQL session waits for another's lock, without guessing how long that takes."""

import threading
from collections.abc import Callable

from sqlalchemy import text

from sender.store.engine import Store

_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


class Rival:
    """Work in a second session, begun while a first one is open.

    Args:
        work: what it does, in a session of its own.
    """

    def __init__(self, store: Store, work: Callable[[], object]) -> None:
        self.store = store
        self.error: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Begin, and return once it waits for a lock or is done without having waited."""
        self._thread.start()
        while self._thread.is_alive() and not self._waits():
            pass

    def finish(self) -> None:
        """Wait until it is done; raise what it raised."""
        self._thread.join(timeout=60)
        assert not self._thread.is_alive(), "still waits for a lock"
        if self.error is not None:
            raise self.error

    def _waits(self) -> bool:
        with self.store.engine.connect() as connection:
            return bool(connection.scalar(_WAITING))

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            self.error = error
