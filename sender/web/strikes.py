"""Rate limits per client address, for what does no good: looks beyond need, broken tokens, forgery.

A POST is never refused for its address: Gmail posts one-clicks of thousands of people from a few
addresses, and an opt-out with a good token or a good signature always counts.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sender.clock import Clock
from sender.errors import SettingsError
from sender.web.answers import try_again
from sender.web.limits import Limits
from sender.web.logs import LOG
from sender.web.metrics import REFUSED
from sender.web.records import NO_ROUTE

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_STRUCK = "sender.struck"
_LOOKS = frozenset({"GET", "HEAD"})
_NO_GOOD: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
    }
)
_ALWAYS_SERVED = frozenset({"/healthz", "/readyz", "/metrics"})
_IPV6_SITE_BITS = 64
"""What one customer has for themselves at least (RFC 6177)."""


def struck(request: Request) -> bool:
    """Whether this client has lately sent so much of no good that a short answer will do."""
    return bool(request.scope.get(_STRUCK, False))


class Strikes:
    """A leaky bucket for each client, of bounded number.

    Args:
        clock: the time.
        per_minute: what leaks, > 0; twice as much fits.
        clients: how many are remembered; the longest unseen is forgotten first.
    """

    def __init__(self, clock: Clock, *, per_minute: int, clients: int) -> None:
        self._clock = clock
        self._leaks_per_second = per_minute / timedelta(minutes=1).total_seconds()
        self._fits = 2 * per_minute
        self._clients = clients
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def too_many(self, client: str) -> bool:
        """Whether one more would not fit."""
        return self._level(client) + 1 > self._fits

    def strike(self, client: str) -> None:
        """Count one."""
        self._levels[client] = (self._level(client) + 1, self._clock.monotonic())
        self._levels.move_to_end(client)
        if len(self._levels) > self._clients:
            self._levels.popitem(last=False)

    def _level(self, client: str) -> float:
        level, at = self._levels.get(client, (0.0, 0.0))
        return max(0.0, level - (self._clock.monotonic() - at) * self._leaks_per_second)


class RateLimits:
    """Refuses looks (429) of clients that look too often or are refused too often.

    Args:
        app: what serves the request.
        clock: the time.
        limits: how much is too much.
        proxies: whose X-Forwarded-For counts.
    """

    def __init__(
        self, app: ASGIApp, *, clock: Clock, limits: Limits, proxies: Sequence[Network]
    ) -> None:
        self.app = app
        self._proxies = proxies
        self._told_of_proxy = False
        self._looks = Strikes(clock, per_minute=limits.looks_per_minute, clients=limits.clients)
        self._refused = Strikes(
            clock, per_minute=limits.refusals_per_minute, clients=limits.clients
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in _ALWAYS_SERVED:
            await self.app(scope, receive, send)
            return
        client = self._client(scope)
        scope[_STRUCK] = self._refused.too_many(client)
        if scope["method"] in _LOOKS and (scope[_STRUCK] or self._looks.too_many(client)):
            REFUSED.labels(route=NO_ROUTE, why="too-many-requests").inc()
            await try_again(HTTPStatus.TOO_MANY_REQUESTS)(scope, receive, send)
            return
        if scope["method"] in _LOOKS:
            self._looks.strike(client)
        await self.app(scope, receive, self._watching(client, send))

    def _watching(self, client: str, send: Send) -> Send:
        async def watching(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in _NO_GOOD:
                self._refused.strike(client)
            await send(message)

        return watching

    def _client(self, scope: Scope) -> str:
        peer = scope["client"][0] if scope.get("client") else ""
        forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        if forwarded and not _is_among(peer, self._proxies) and not self._told_of_proxy:
            self._told_of_proxy = True
            LOG.warning("untrusted_proxy", remedy="Set SENDER_TRUSTED_PROXIES, if it is yours.")
        return client_address(peer, b",".join(forwarded).decode("latin-1"), self._proxies)


def trusted_networks(text: str) -> tuple[Network, ...]:
    """Read SENDER_TRUSTED_PROXIES: addresses and networks, comma-separated; empty for none.

    Raises:
        SettingsError: one is neither.
    """
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise SettingsError(
            "SENDER_TRUSTED_PROXIES holds what is neither an address nor a network.",
            remedy="Write addresses and networks, e.g. 127.0.0.1,10.0.0.0/8.",
        ) from None


def client_address(peer: str, forwarded_for: str, proxies: Sequence[Network]) -> str:
    """Return the address that rate limits count for: of IPv6 the site's /64.

    Args:
        peer: of the socket.
        forwarded_for: X-Forwarded-For. Each proxy adds on the right whom it saw, so from there
            the first that is not a proxy of ours; what stands left of it anybody may have written.
        proxies: ours.
    """
    chain = [*(part.strip() for part in forwarded_for.split(",") if part.strip()), peer]
    while len(chain) > 1 and _is_among(chain[-1], proxies):
        chain.pop()
    return _site(chain[-1])


def _is_among(address: str, networks: Sequence[Network]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _site(address: str) -> str:
    parsed = _parsed(address)
    if parsed is None:
        return "unknown"
    bits = _IPV6_SITE_BITS if parsed.version > 4 else parsed.max_prefixlen  # noqa: PLR2004  # IPv4
    return str(ipaddress.ip_network((parsed, bits), strict=False))
