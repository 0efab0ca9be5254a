"""The network's edge of the SES webhook: one GET, verified, short, small, followed nowhere."""

import http.client
import ssl
from collections.abc import Callable
from functools import cache
from time import monotonic
from typing import Final
from urllib.error import URLError
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    UnknownHandler,
)

import certifi

from sender.errors import ProviderError

Fetch = Callable[[str], bytes]
"""GETs a URL that was checked before, and returns the body; raises UnreachableError."""

MAX_BYTES: Final = 65_536
"""Of an answer; a chain of certificates has some 6,000."""

SILENCE_SECONDS: Final = 5.0
"""Between two signs of life."""

WHOLE_SECONDS: Final = 10.0
"""For all of an answer's body. SNS itself waits 15 seconds for ours."""

_CHUNK_BYTES: Final = 8_192


class UnreachableError(ProviderError):
    """Nothing usable came back; the provider is answered 5xx, so that it tries again."""


def fetch(url: str) -> bytes:
    """GET a URL over verified TLS (or plain http, where the caller checks what comes).

    Redirects are not followed: their answer is refused like any other but 200. The environment's
    proxies are used, as the rest of the SES code does.

    Args:
        url: http or https; the caller has checked its host.

    Raises:
        UnreachableError: no answer in time, an untrusted certificate, another status than 200, or
            more than 64 KB.
    """
    try:
        with _opener().open(url, timeout=SILENCE_SECONDS) as response:
            body = _read(response)
    except (OSError, URLError, http.client.HTTPException, ValueError) as error:
        raise _unreachable(type(error).__name__) from None
    return body


def _read(response: http.client.HTTPResponse) -> bytes:
    if response.length is None and not response.chunked:
        raise _unreachable("the answer does not say where it ends")
    deadline = monotonic() + WHOLE_SECONDS
    body = b""
    while chunk := response.read1(_CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_BYTES:
            raise _unreachable("the answer is too long")
        if monotonic() > deadline:
            raise _unreachable("the answer is too slow")
    if response.length:
        raise _unreachable("the answer ends too soon")
    return body


@cache
def _opener() -> OpenerDirector:
    """Without a handler for redirects, files and ftp."""
    opener = OpenerDirector()
    tls = ssl.create_default_context(cafile=certifi.where())
    for handler in (
        ProxyHandler(),
        HTTPHandler(),
        HTTPSHandler(context=tls),
        HTTPDefaultErrorHandler(),
        HTTPErrorProcessor(),
        UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _unreachable(why: str) -> UnreachableError:
    return UnreachableError(
        f"Amazon SNS cannot be reached to verify or confirm what it says ({why}).",
        remedy="Let this machine reach sns.<region>.amazonaws.com and crt.*.amazontrust.com.",
    )
