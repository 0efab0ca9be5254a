"""The boto3 client: on the send path no retries, time-outs set, every request gated."""

import logging
import socket
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import botocore
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.config import Config
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

import sender
from sender.errors import ProviderError
from sender.providers.account import AccountSettings, Credentials
from sender.providers.gate import GatedConnection

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client
    from urllib3 import PoolManager

logging.getLogger("botocore").setLevel(logging.INFO)
# At DEBUG botocore logs whole requests, with addresses and message bodies.


_USER_AGENT = f"sender/{sender.__version__} Botocore/{botocore.__version__}"
"""Given, because botocore otherwise puts its own together twice for each request."""


class _Connection(GatedConnection, AWSHTTPConnection):  # type: ignore[misc]  # as botocore mixes its own
    pass


class _SecureConnection(GatedConnection, AWSHTTPSConnection):  # type: ignore[misc]  # as botocore mixes its own
    pass


class _Pool(AWSHTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(AWSHTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class GatedSession(URLLib3Session):
    """botocore's HTTP session over gated connections."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        self._manager: PoolManager
        self._manager.pool_classes_by_scheme = self._pool_classes_by_scheme


@cache
def _boto3() -> boto3.Session:
    """One session for the process: it reads the service's description once (0.1 seconds)."""
    return boto3.Session()


def _region(settings: AccountSettings, environ: Mapping[str, str]) -> str:
    region = settings.region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise ProviderError(
            f"Provider account {settings.name} (ses) names no region.",
            remedy="Set the account's region, or AWS_REGION.",
        )
    return region


def open_client(
    settings: AccountSettings,
    credentials: Credentials,
    environ: Mapping[str, str],
    timeout: timedelta,
    *,
    attempts: int = 1,
) -> "tuple[SESV2Client, GatedSession]":
    """Make a client and the session that it sends through.

    `before-send` is botocore's documented hook for answering a request in another way; here the
    other way is botocore's own HTTP session with gated connections. Retries would send a message
    up to three times, also after a read time-out.

    Args:
        settings: the account.
        credentials: its key and secret.
        environ: where region and certificate authority stand, if not in the settings.
        timeout: of one request.
        attempts: of one request, >= 1; more than one only for what reads.

    Raises:
        ProviderError: no region is named.
    """
    client = _boto3().client(
        "sesv2",
        aws_access_key_id=credentials.key,
        aws_secret_access_key=credentials.secret,
        aws_session_token=credentials.token,
        region_name=_region(settings, environ),
        endpoint_url=settings.endpoint_url,
        config=Config(
            retries={"total_max_attempts": attempts},
            # It looks at types, which ours are; the limits it leaves out are checked in request.py.
            parameter_validation=False,
            user_agent=_USER_AGENT,
        ),
    )
    session = GatedSession(
        timeout=(timeout.total_seconds(), timeout.total_seconds()),
        max_pool_connections=settings.concurrency,
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        proxies=get_environ_proxies(client.meta.endpoint_url),
        verify=environ.get("AWS_CA_BUNDLE") or True,
    )
    client.meta.events.register(
        "before-send.sesv2",
        _through(session),  # type: ignore[arg-type]  # its answer counts, which the stub denies
    )
    return client, session


def _through(session: GatedSession) -> Callable[..., object]:
    def send(request: Any, **_: object) -> object:
        return session.send(request)

    return send
