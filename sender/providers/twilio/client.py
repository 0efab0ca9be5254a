"""The Twilio client on the send path: no retries, time-outs set, every request gated."""

import logging
from datetime import timedelta
from typing import Any

from requests import Session
from requests.adapters import HTTPAdapter
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from sender.providers.account import AccountSettings, Credentials
from sender.providers.gate import GatedConnection

_silence = logging.getLogger("sender.providers.twilio.sdk")
_silence.disabled = True
# The SDK logs the address of each request, which holds the account, and its response.


class _Connection(GatedConnection, HTTPConnection):
    pass


class _SecureConnection(GatedConnection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _GatedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


def open_client(
    settings: AccountSettings, credentials: Credentials, timeout: timedelta
) -> tuple[Client, TwilioHttpClient]:
    """Make a client and the HTTP client that it sends through."""
    http = TwilioHttpClient(timeout=timeout.total_seconds(), logger=_silence)
    adapter = _GatedAdapter(pool_maxsize=settings.concurrency, max_retries=0)
    http.session.mount("https://", adapter)
    http.session.mount("http://", adapter)
    client = Client(
        username=credentials.key,
        password=credentials.secret,
        account_sid=settings.options.get("account_sid") or credentials.key,
        region=settings.region,
        http_client=http,
        environment={"": ""},  # anything but empty: an empty one makes the SDK read os.environ
    )
    if settings.endpoint_url:
        client.api.base_url = settings.endpoint_url
    _read_environment(http.session, client.get_hostname(client.api.base_url))
    return client, http


def _read_environment(session: Session, url: str) -> None:
    """Read proxies and certificate authority now, as `requests` otherwise does for each request.

    https://requests.readthedocs.io/en/latest/user/advanced/#proxies
    """
    found = session.merge_environment_settings(url, {}, stream=None, verify=None, cert=None)
    session.proxies = dict(found["proxies"])
    session.verify = found["verify"]
    session.trust_env = False
