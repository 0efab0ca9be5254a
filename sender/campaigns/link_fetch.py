"""Ask a web server whether a link leads anywhere, without reading the page.

The name is resolved once, and the connection goes to an address that was looked at: a name that
answers with a private address the second time (DNS rebinding) cannot turn the check on machines
inside the network.
"""

import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Address, IPv6Address, ip_address
from threading import Timer
from time import monotonic
from typing import Final
from urllib.parse import SplitResult, quote, urljoin, urlsplit

MAX_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TOO_MANY_REQUESTS: Final = 429
_FAILED: Final = 400
_PORTS: Final = {"http": 80, "https": 443}
_HEADERS: Final = {"User-Agent": "consent-sender link check", "Accept": "*/*"}
_URL_SIGNS: Final = "%/:=&?~+!$,;'@()*[]"

Resolve = Callable[[str, int], Sequence[str]]
"""From host and port to IP addresses; raises OSError for an unknown host."""


class LinkTroubleError(Exception):
    """A link leads nowhere.

    Attributes:
        problem: why, as the end of a sentence that begins with the link.
        remedy: what to do about it; may be empty.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


def resolve_host(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host, best first, as the operating system knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class Fetcher:
    """How links are fetched.

    Attributes:
        timeout: for one link with all its redirects.
        allow_private: also connect to private, loopback and link-local addresses.
        resolve: asks the domain name system.
        tls: how certificates are verified.
    """

    timeout: timedelta
    allow_private: bool = False
    resolve: Resolve = resolve_host
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    def fetch(self, url: str, refuse: Callable[[str], None]) -> None:
        """Follow a link to its end.

        Args:
            url: begins with http:// or https://.
            refuse: raises LinkTroubleError for an address that a redirect must not lead to.

        Raises:
            LinkTroubleError: an unknown host, a failed connection, a bad certificate, a time-out,
                a refusing answer, or too many redirects.
        """
        deadline = monotonic() + self.timeout.total_seconds()
        for _ in range(MAX_REDIRECTS + 1):
            target = self._step(url, deadline)
            if target is None:
                return
            url = _joined(url, target)
            refuse(url)
        raise LinkTroubleError(f"redirects more than {MAX_REDIRECTS} times.")

    def _step(self, url: str, deadline: float) -> str | None:
        """Return where a redirect leads; None at the end of the way."""
        status, location = self._request("HEAD", url, deadline)
        if status >= _FAILED and status != _TOO_MANY_REQUESTS:
            status, location = self._request("GET", url, deadline)  # some servers know no HEAD
        if status >= _FAILED:
            raise LinkTroubleError(f"answers {status}.", "Mend the link or the page.")
        return location if status in _REDIRECTS else None

    def _request(self, method: str, url: str, deadline: float) -> tuple[int, str | None]:
        parts = urlsplit(url)
        connection = self._connection(parts, deadline)
        path = quote(parts.path or "/", safe=_URL_SIGNS)
        query = f"?{quote(parts.query, safe=_URL_SIGNS)}" if parts.query else ""
        trouble: Exception = TimeoutError()
        with closing(connection):
            try:
                connection.request(method, path + query, headers=_HEADERS)
                with connection.getresponse() as response:
                    if not connection.was_cut:  # half a head passes for a whole one
                        return response.status, response.headers.get("Location")
            except (OSError, HTTPException, UnicodeError) as error:
                trouble = TimeoutError() if connection.was_cut else error
        raise _trouble(trouble) from None

    def _connection(self, parts: SplitResult, deadline: float) -> "_Connection":
        try:
            host = (parts.hostname or "").encode("idna").decode()
            port = parts.port or _PORTS[parts.scheme]
            addresses = self.resolve(host, port)
        except (OSError, ValueError):  # UnicodeError, a host that no name can have, is a ValueError
            raise LinkTroubleError(
                "names a host that does not exist.", "Check the spelling of the address."
            ) from None
        if not self.allow_private and not all(map(_is_public, addresses)):
            raise LinkTroubleError("leads into a private network, where recipients cannot go.")
        tls = self.tls if parts.scheme == "https" else None
        return _Connection(host, port, addresses, deadline, tls)


class _Connection(HTTPConnection):
    """A connection to addresses that were looked at, cut off at the deadline whatever happens."""

    def __init__(
        self,
        host: str,
        port: int,
        addresses: Sequence[str],
        deadline: float,
        tls: ssl.SSLContext | None,
    ) -> None:
        super().__init__(host, port)
        self.default_port = _PORTS["https" if tls else "http"]
        self._addresses = addresses
        self._deadline = deadline
        self._tls = tls
        self._cut: Timer | None = None
        self._handle: socket.socket | None = None
        self.was_cut = False

    def connect(self) -> None:
        """Connect to the first address that answers."""
        plain = self._first_that_answers()
        self.sock = plain
        # A time-out on the socket begins again with each byte; this one does not.
        self._handle = plain.dup()
        self._cut = Timer(self._seconds_left(), self._shut, [self._handle])
        self._cut.daemon = True
        self._cut.start()
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)

    def close(self) -> None:
        """Close, and call off the cut."""
        if self._cut is not None:
            self._cut.cancel()
        if self._handle is not None:
            self._handle.close()
        super().close()

    def _first_that_answers(self) -> socket.socket:
        trouble: OSError = ConnectionRefusedError()
        for address in self._addresses:
            try:
                return socket.create_connection((address, self.port), self._seconds_left())
            except OSError as error:
                trouble = error
        raise trouble

    def _shut(self, handle: socket.socket) -> None:
        self.was_cut = True
        with suppress(OSError):  # closed in the meantime
            handle.shutdown(socket.SHUT_RDWR)

    def _seconds_left(self) -> float:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _joined(url: str, target: str) -> str:
    try:
        joined = urljoin(url, target)
        leads_on = urlsplit(joined).scheme in _PORTS
    except ValueError:
        leads_on = False
    if not leads_on:
        raise LinkTroubleError("redirects to what is no address of the web.")
    return joined


def _is_public(address: str) -> bool:
    ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    return ip.is_global and not ip.is_multicast


def _trouble(error: Exception) -> LinkTroubleError:
    if isinstance(error, TimeoutError):
        return LinkTroubleError("does not answer in time.")
    if isinstance(error, ssl.SSLCertVerificationError):
        return LinkTroubleError(f"has no valid certificate: {error.verify_message}.")
    if isinstance(error, ssl.SSLError):
        return LinkTroubleError("does not speak https properly.")
    if isinstance(error, ConnectionRefusedError):
        return LinkTroubleError("refuses connections.")
    return LinkTroubleError("breaks the connection off.")
