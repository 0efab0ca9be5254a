"""Post alerts to a webhook, signed, within a fixed time.

A receiver checks `Sender-Signature: t=<unix seconds>,v1=<hex>`: HMAC-SHA-256 under the shared
secret over the seconds, a full stop and the body as it came. It refuses what is minutes old.
"""

import hashlib
import hmac
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Timer
from typing import Final
from urllib.parse import SplitResult, urlsplit

from sender.errors import SenderError

SIGNATURE: Final = "Sender-Signature"


class NotToldError(SenderError):
    """One way to the operators did not take an alert; it is tried again."""


def post(url: str, secret: str | None, body: bytes, at: datetime, timeout: timedelta) -> None:
    """Post a JSON document; redirects are not followed.

    Args:
        url: https, or http on this machine; it is never said, because it may hold a secret.
        secret: signs the body; None for no signature.
        body: the document.
        at: now, for the signature.
        timeout: for all of it.

    Raises:
        NotToldError: it could not be reached in time, or answered anything but 2xx.
    """
    headers = {"Content-Type": "application/json", "User-Agent": "consent-sender alerts"}
    if secret:
        headers[SIGNATURE] = sign(secret, body, at)
    status = _status(urlsplit(url), body, headers, timeout.total_seconds())
    if status // 100 != 2:  # noqa: PLR2004  # the class of success
        raise NotToldError(f"The webhook answered {status}.", remedy="Check its address.")


def sign(secret: str, body: bytes, at: datetime) -> str:
    """Return the value of the signature's header."""
    seconds = int(at.timestamp())
    signed = f"{seconds}.".encode() + body
    return f"t={seconds},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def _status(parts: SplitResult, body: bytes, headers: dict[str, str], seconds: float) -> int:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with closing(_connection(parts, seconds)) as connection:
            connection.connect()
            with _cut_after(connection.sock, seconds):
                connection.request("POST", path, body, headers)
                return connection.getresponse().status
    except (OSError, HTTPException, UnicodeError, ValueError) as error:
        raise NotToldError(
            f"The webhook could not be reached ({type(error).__name__}).",
            remedy="Check SENDER_ALERT_WEBHOOK_URL and the network.",
        ) from None


def _connection(parts: SplitResult, seconds: float) -> HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "https":
        tls = ssl.create_default_context()
        return HTTPSConnection(host, parts.port, timeout=seconds, context=tls)
    return HTTPConnection(host, parts.port, timeout=seconds)


@contextmanager
def _cut_after(connected: socket.socket, seconds: float) -> Iterator[None]:
    """Cut a connection off in time: a time-out on the socket begins again with each byte."""
    handle = socket.socket(fileno=os.dup(connected.fileno()))
    cut = Timer(seconds, _shut, [handle])
    cut.daemon = True
    cut.start()
    try:
        yield
    finally:
        cut.cancel()
        handle.close()


def _shut(handle: socket.socket) -> None:
    with suppress(OSError):  # closed in the meantime
        handle.shutdown(socket.SHUT_RDWR)
