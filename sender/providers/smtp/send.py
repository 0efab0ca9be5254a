"""Hand e-mail to a mail server, one message after the other on kept connections."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from email.errors import MessageError

from sender.clock import Clock
from sender.errors import ProviderError
from sender.providers.account import AccountSettings, read_credentials
from sender.providers.base import (
    Accepted,
    BatchResult,
    Capacity,
    Directive,
    Outgoing,
    Rejected,
    Result,
)
from sender.providers.outcome import NOT_STARTED
from sender.providers.smtp.connection import Connection, ReplyError, Security, Server
from sender.providers.smtp.outcomes import Stage
from sender.providers.smtp.verp import LONGEST_BASE, Sent, verp_address
from sender.rendering.message import RenderedEmail
from sender.rendering.mime import to_wire
from sender.suppression.tokens import TokenKeys
from sender.vocabulary import Channel, ProviderName

KEY_VARIABLE = "SMTP_USER"
SECRET_VARIABLE = "SMTP_PASSWORD"  # noqa: S105  # a variable's name
KEYS_VARIABLE = "SENDER_TOKEN_KEYS"

CAUTIOUS_RATE = 10.0
"""Messages per second where the account names no rate; mail servers tell none."""

BATCH_LIMIT = 10
"""Messages one after the other: about a second's work at 100 ms each."""

_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}
"""RFC 6409, RFC 8314, RFC 5321."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class SmtpProvider:
    """One account at one mail server."""

    name = ProviderName.SMTP
    channels = frozenset({Channel.EMAIL})
    batch_limit = BATCH_LIMIT
    messages_per_call = 1

    def __init__(
        self,
        settings: AccountSettings,
        environ: Mapping[str, str],
        clock: Clock,
        timeout: timedelta,
    ) -> None:
        """Open the account; no connection is made yet.

        Raises:
            ProviderError: an option is missing or malformed, or a credential's environment
                variable is not set.
            SettingsError: the option verp is on and the keys that sign are malformed.
        """
        self._settings = settings
        self._clock = clock
        self._server = _read_server(settings, environ, timeout)
        self._envelope_sender = settings.options.get("envelope_sender")
        self._verp_keys = _read_verp_keys(settings, environ)
        self._pool = _Pool(self._server, settings.concurrency)
        self.concurrency = settings.concurrency

    def capacity(self) -> Capacity:
        """Connect, and log in where the account does.

        Raises:
            ProviderError: the server is not reached, not trusted, or does not let us in.
        """
        try:
            with self._pool.lease() as lease:
                lease.connection()
        except ReplyError as error:
            raise ProviderError(
                f"Provider account {self._settings.name}: mail server {self._server.host}:"
                f"{self._server.port}: {error.outcome.detail} ({error.code})",
                remedy=error.outcome.remedy,
            ) from None
        return Capacity(
            rate_per_second=self._settings.rate_per_second or CAUTIOUS_RATE,
            remaining_today=self._settings.daily_quota,
            sandbox=False,
            sending_enabled=True,
            detail=f"SMTP by {self._server.host}:{self._server.port}, {self._server.security}",
        )

    def send(self, batch: Sequence[Outgoing], start_before: float) -> BatchResult:
        """Send one message after the other; a directive ends the batch."""
        results: list[Result] = []
        directive: Directive | None = None
        calls = 0
        with self._pool.lease() as lease:
            for outgoing in batch:
                if directive is not None:
                    break
                result, directive = self._send_one(lease, outgoing, start_before)
                results.append(result)
                calls += result != NOT_STARTED
        unstarted = [NOT_STARTED] * (len(batch) - len(results))
        return BatchResult(results=(*results, *unstarted), directive=directive, calls=calls)

    def close(self) -> None:
        """Take leave of the server."""
        self._pool.close()

    def _send_one(
        self, lease: "_Lease", outgoing: Outgoing, start_before: float
    ) -> tuple[Result, Directive | None]:
        email = outgoing.message
        if not isinstance(email, RenderedEmail):
            return Rejected(code="not-an-email", detail="SMTP carries e-mail only."), None
        message_id = _message_id(outgoing, email)
        try:
            content = self._content(email, message_id)
        except (ValueError, MessageError) as error:
            return Rejected(code=type(error).__name__, detail="No mail can be made of it."), None
        try:
            begun = self._deliver(lease, outgoing, email, content, start_before)
        except ReplyError as error:
            return error.outcome.result(error.code), error.outcome.directive(error.code)
        return (Accepted(message_id) if begun else NOT_STARTED), None

    def _content(self, email: RenderedEmail, message_id: str) -> bytes:
        if not (email.to_address.isascii() and email.from_address.isascii()):
            raise ValueError
        return to_wire(email, message_id=message_id, date=self._clock.now())

    def _deliver(
        self,
        lease: "_Lease",
        outgoing: Outgoing,
        email: RenderedEmail,
        content: bytes,
        start_before: float,
    ) -> bool:
        """Hand the message over; say whether that was begun in time.

        A kept connection that the server has closed meanwhile is noticed at the first command,
        when nothing of the message was handed over: then, once, a new one is opened.
        """
        sender = self._sender(outgoing, email)
        while self._clock.monotonic() < start_before:
            was_kept = lease.holds_one
            connection = lease.connection()
            if self._clock.monotonic() >= start_before:
                break
            try:
                connection.deliver(sender, email.to_address, content)
            except ReplyError as error:
                lease.spoilt = not error.usable
                if was_kept and error.stage is Stage.SENDER and not error.usable:
                    continue
                raise
            return True
        return False

    def _sender(self, outgoing: Outgoing, email: RenderedEmail) -> str:
        """Return the envelope's sender, to which bounces go."""
        base = self._envelope_sender or email.from_address
        if self._verp_keys is None or outgoing.delivery_id <= 0:  # replies have no delivery
            return base
        return verp_address(base, Sent(outgoing.delivery_id, outgoing.run_id), self._verp_keys)


class _Lease:
    """One place among the connections that the account may have, with or without one in it."""

    def __init__(self, server: Server, kept: Connection | None) -> None:
        self.spoilt = False
        self._server = server
        self._kept = kept

    @property
    def holds_one(self) -> bool:
        """Whether `connection` will return a kept connection, which may have been closed."""
        return self._kept is not None and not self.spoilt

    def connection(self) -> Connection:
        """Return the kept connection, or a new one; see `Connection` for what it raises."""
        if self._kept is None or self.spoilt:
            self._kept = None
            self._kept = Connection(self._server)
            self.spoilt = False
        return self._kept

    def give_back(self) -> Connection | None:
        """Return the connection if it can be kept."""
        return None if self.spoilt else self._kept


class _Pool:
    """Connections that are kept between batches, at most `size` at once."""

    def __init__(self, server: Server, size: int) -> None:
        self._server = server
        self._places = threading.BoundedSemaphore(size)
        self._idle: list[Connection] = []
        self._lock = threading.Lock()

    @contextmanager
    def lease(self) -> Iterator[_Lease]:
        with self._places:
            with self._lock:
                kept = self._idle.pop() if self._idle else None
            lease = _Lease(self._server, kept)
            try:
                yield lease
            finally:
                connection = lease.give_back()
                if connection is not None:
                    with self._lock:
                        self._idle.append(connection)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def _message_id(outgoing: Outgoing, email: RenderedEmail) -> str:
    """Carries the delivery and the run, so that bounces can be matched without our record."""
    domain = email.from_address.rpartition("@")[2]
    return f"{outgoing.delivery_id}.{outgoing.run_id}@{domain}"


def _read_verp_keys(settings: AccountSettings, environ: Mapping[str, str]) -> TokenKeys | None:
    if not settings.yes_or_no("verp", default=False):
        return None
    local = settings.option("envelope_sender").rpartition("@")[0]
    if not 0 < len(local) <= LONGEST_BASE:
        raise ProviderError(
            f"Provider account {settings.name}: with verp, envelope_sender needs a local part of 1 "
            f"to {LONGEST_BASE} characters.",
            remedy="Choose a short mailbox of its own, e.g. bounces@example.org.",
        )
    if not environ.get(KEYS_VARIABLE):
        raise ProviderError(
            f"Provider account {settings.name}: verp needs {KEYS_VARIABLE}, which is not set."
        )
    return TokenKeys.parse(environ[KEYS_VARIABLE])


def _read_server(
    settings: AccountSettings, environ: Mapping[str, str], timeout: timedelta
) -> Server:
    host = settings.option("host")
    security = _read_security(settings)
    logs_in = settings.yes_or_no("login", default=settings.key_variable is not None)
    if logs_in and security is Security.NONE and host not in _LOOPBACK:
        raise ProviderError(
            f"Provider account {settings.name}: a password may not go to {host} in the clear.",
            remedy="Set the option security to starttls or tls.",
        )
    return Server(
        host=host,
        port=_read_port(settings, security),
        security=security,
        timeout=timeout,
        credentials=read_credentials(
            settings, environ, key_variable=KEY_VARIABLE, secret_variable=SECRET_VARIABLE
        )
        if logs_in
        else None,
        ca_file=settings.options.get("ca_file"),
        helo_name=settings.options.get("helo_name"),
    )


def _read_security(settings: AccountSettings) -> Security:
    value = settings.options.get("security", Security.STARTTLS)
    try:
        return Security(value)
    except ValueError:
        raise ProviderError(
            f"Provider account {settings.name}: the option security is none of "
            f"{', '.join(Security)}."
        ) from None


def _read_port(settings: AccountSettings, security: Security) -> int:
    value = settings.options.get("port", str(_PORTS[security]))
    if not (value.isascii() and value.isdigit() and 0 < int(value) < 1 << 16):
        raise ProviderError(
            f"Provider account {settings.name}: the option port is no number from 1 to 65535."
        )
    return int(value)
