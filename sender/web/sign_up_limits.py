"""How many sign-ups one client address may make in a day; kept in memory, never written down.

Each process counts for itself and forgets when it ends. The caps of a controller and of the whole
installation are counted in the database (`sender/signup/requests.py`).
"""

from collections import OrderedDict
from datetime import timedelta
from threading import Lock
from typing import Final

from fastapi import Request

from sender.clock import Clock
from sender.context import Context
from sender.web.strikes import client_address, trusted_networks

DAY: Final = timedelta(days=1)
MOST_A_DAY: Final = 20
"""Of one address: a family, an office or a stall behind one router may sign up together."""
CLIENTS: Final = 10_000


class DailyCount:
    """Counts what each client did within a day that begins with its first.

    Args:
        clock: the time.
        most: how much a day.
        clients: how many are remembered; the longest unseen is forgotten first.
    """

    def __init__(self, clock: Clock, *, most: int = MOST_A_DAY, clients: int = CLIENTS) -> None:
        self._clock = clock
        self._most = most
        self._clients = clients
        self._lock = Lock()
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, client: str) -> bool:
        """Count one more, unless that would be too many."""
        with self._lock:
            now = self._clock.monotonic()
            begun, number = self._seen.get(client, (now, 0))
            if now - begun >= DAY.total_seconds():
                begun, number = now, 0
            if number >= self._most:
                return False
            self._seen[client] = (begun, number + 1)
            self._seen.move_to_end(client)
            if len(self._seen) > self._clients:
                self._seen.popitem(last=False)
            return True


class Clients:
    """Tells by which client address a request counts, whatever proxy stands before us."""

    def __init__(self, context: Context) -> None:
        """Take the installation.

        Raises:
            SettingsError: SENDER_TRUSTED_PROXIES is malformed.
        """
        self._proxies = trusted_networks(context.settings.trusted_proxies)

    def of(self, request: Request) -> str:
        """Return the address that limits count for."""
        peer = request.client.host if request.client else ""
        forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
        return client_address(peer, forwarded, self._proxies)
