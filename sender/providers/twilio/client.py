"""The Twilio client on the send path: no retries, time-outs set, every request gated.

The SDK takes any HTTP client (https://www.twilio.com/docs/libraries/reference/twilio-python/, HTTP
client). Its own uses `requests`, which costs more than all the rest of a call; ours writes to the
same `urllib3` connections itself. `requests` only says which proxy and certificates to use.
"""

import base64
import logging
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode, urlsplit

from requests import Request, Session
from requests.adapters import HTTPAdapter
from twilio.http import HttpClient
from twilio.http.response import Response
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


_POOLS = {"http": _Pool, "https": _SecurePool}


class _GatedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class GatedHttpClient(HttpClient):  # type: ignore[misc]  # the SDK has no types
    """The SDK's requests over kept, gated connections. Safe to use from several threads.

    Proxies and certificate authority come from the environment, as `requests` reads them, once
    for each host: https://requests.readthedocs.io/en/latest/user/advanced/#proxies
    """

    def __init__(self, timeout: timedelta, most_connections: int) -> None:
        super().__init__(_silence, is_async=False, timeout=timeout.total_seconds())
        self._adapter = _GatedAdapter(pool_maxsize=most_connections)
        self._pool = lru_cache(maxsize=8)(self._open_pool)

    def request(  # noqa: PLR0917  # as the SDK calls it
        self,
        method: str,
        uri: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,  # noqa: FBT001, FBT002  # as the SDK calls it
    ) -> Response:
        """Make one request; redirects are answers like others.

        Raises:
            HTTPError: (urllib3) the connection or the answer broke.
            TooLateError: the request did not begin in time.
        """
        del allow_redirects
        address = f"{uri}?{urlencode(params, doseq=True)}" if params else uri
        parts = urlsplit(address)
        pool, by_full_address = self._pool(parts.scheme, parts.netloc)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        answer = pool.urlopen(
            method,
            address if by_full_address else path,
            body=urlencode(data, doseq=True) if data else None,
            headers={**(headers or {}), **(_basic(*auth) if auth else {})},
            retries=False,
            redirect=False,
            assert_same_host=False,  # of a proxy, the connection is to another
            timeout=timeout or self.timeout,
        )
        return Response(answer.status, answer.data.decode("utf-8", "replace"), answer.headers)

    def close(self) -> None:
        """Close the connections."""
        self._adapter.close()

    def _open_pool(self, scheme: str, host: str) -> tuple[Any, bool]:
        """Return the connections to a host, and whether its proxy wants to read full addresses."""
        request = Request("GET", f"{scheme}://{host}/").prepare()
        found = Session().merge_environment_settings(
            request.url, {}, stream=None, verify=None, cert=None
        )
        pool = self._adapter.get_connection_with_tls_context(
            request, found["verify"], proxies=found["proxies"]
        )
        by_full_address = self._adapter.request_url(request, found["proxies"]) == request.url
        return pool, by_full_address


@lru_cache(8)
def _basic(user: str, password: str) -> dict[str, str]:
    """Return the header of basic authentication (RFC 7617)."""
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
    return {"Authorization": f"Basic {encoded}"}


def open_client(
    settings: AccountSettings, credentials: Credentials, timeout: timedelta
) -> tuple[Client, GatedHttpClient]:
    """Make a client and the HTTP client that it sends through."""
    http = GatedHttpClient(timeout, settings.concurrency)
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
    return client, http
