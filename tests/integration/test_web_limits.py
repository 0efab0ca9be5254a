"""What is too large, too slow or too much is refused, over raw sockets, and told apart."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from itertools import pairwise

import pytest
import requests
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from hypothesis import given
from hypothesis import strategies as st

from sender.errors import SettingsError
from sender.store.engine import Store, open_store
from sender.suppression.links import token_keys
from sender.web import health, pages
from sender.web.app import assemble
from sender.web.limits import Limits
from sender.web.metrics import REFUSED, UNDER_WAY
from sender.web.strikes import Strikes, client_address, struck, trusted_networks
from tests.support.web_context import SteppedClock, web_context
from tests.support.web_server import serve

SOON = timedelta(milliseconds=50)
USUAL = Limits()
END = b"\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked" + END


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    store = open_store(sqlite_url)
    yield store
    store.close()


class Gate:
    """Holds a request until the test opens it."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop

    async def wait(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.entered.set()
        await self.opened.wait()

    def open(self) -> None:
        self.loop.call_soon_threadsafe(self.opened.set)


def sample_routes(gate: Gate) -> APIRouter:
    router = APIRouter()

    @router.post("/webhooks/sample")
    @router.post("/u/{token}")
    async def take(request: Request) -> Response:
        body = await request.body()
        return Response(f"{len(body)} {struck(request)}")

    @router.get("/u/{token}")
    async def show(token: str) -> Response:
        return Response("page", HTTPStatus.OK if token == "good" else HTTPStatus.NOT_FOUND)

    @router.get("/large")
    async def large() -> Response:
        return Response(b"x" * 50_000_000)

    @router.post("/gate")
    async def wait() -> Response:
        await gate.wait()
        return Response("through")

    @router.post("/headers")
    async def headers(request: Request) -> Response:
        await request.body()
        return Response(" ".join(request.headers))

    @router.get("/where")
    async def where(request: Request) -> Response:
        address = await run_in_threadpool(lambda: request.url.path)
        return Response(address)

    return router


def sample_app(store: Store, limits: Limits, gate: Gate | None = None, **settings: str) -> FastAPI:
    context = web_context(store, **settings)
    return assemble(context, [health.routes(context), sample_routes(gate or Gate())], limits)


@pytest.fixture
def app(sqlite_store: Store) -> FastAPI:
    return sample_app(sqlite_store, USUAL)


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        yield connection


def everything(connection: socket.socket) -> bytes:
    """All that the server says until it closes."""
    heard = b""
    try:
        while piece := connection.recv(65536):
            heard += piece
    except ConnectionResetError:
        pass
    return heard


def send_until_cut_off(connection: socket.socket, piece: bytes) -> None:
    with suppress(ConnectionError):
        while True:
            connection.sendall(piece)


def ask_where(connection: socket.socket) -> None:
    """Ask, and read the whole answer; the connection stays open."""
    connection.sendall(b"GET /where HTTP/1.1\r\nHost: a\r\n\r\n")
    heard = b""
    while not heard.endswith(b"\r\n\r\n/where"):
        heard += connection.recv(65536)
    assert heard.startswith(b"HTTP/1.1 200")


def refused(why: str) -> float:
    return float(REFUSED.labels(route="none", why=why)._value.get())


# ---------------------------------------------------------------------------------------- size


@pytest.mark.parametrize(
    ("path", "most"),
    [("/u/x", USUAL.page_body_bytes), ("/webhooks/sample", USUAL.webhook_body_bytes)],
)
def test_a_body_may_be_as_large_as_its_limit_and_no_larger(
    app: FastAPI, path: str, most: int
) -> None:
    with serve(app) as url:
        assert requests.post(url + path, b"x" * most, timeout=30).text == f"{most} False"
        with connected(url) as connection:
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {most + 1}\r\n\r\n"
            connection.sendall(head.encode())
            answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer


def test_a_body_without_a_declared_length_is_refused_once_it_is_too_large(app: FastAPI) -> None:
    head = b"POST /u/x HTTP/1.1\r\nHost: a\r\n" + CHUNKED
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    with serve(app) as url, connected(url) as connection:
        connection.sendall(head + chunk * 16)  # exactly the limit; the end is still to come
        connection.sendall(b"1\r\ny\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 413")


def test_a_head_that_does_not_end_is_refused(app: FastAPI) -> None:
    before = refused("head-too-large")
    with serve(app) as url, connected(url) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX-Endless: " + b"x" * USUAL.head_bytes)
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 431")
    assert refused("head-too-large") == before + 1


def test_a_head_that_is_whole_and_too_large_is_refused(app: FastAPI) -> None:
    with serve(app) as url, connected(url) as connection:
        long = b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * USUAL.head_bytes
        connection.sendall(long + END)
        assert everything(connection).startswith(b"HTTP/1.1 431")


def test_trailers_without_end_are_cut_off(app: FastAPI) -> None:
    limits, before = replace(USUAL, request_bytes=100_000), refused("request-too-large")
    trailer = b"X-Trailer: " + b"x" * 1000 + b"\r\n"
    with serve(app, limits=limits) as url, connected(url) as connection:
        connection.sendall(b"POST /u/x HTTP/1.1\r\nHost: a\r\n" + CHUNKED + b"0\r\n")
        send_until_cut_off(connection, trailer)
    assert refused("request-too-large") == before + 1


def test_a_trailer_is_no_header(app: FastAPI) -> None:
    with serve(app) as url, connected(url) as connection:
        connection.sendall(
            b"POST /headers HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-One: 1\r\n"
            + CHUNKED
            + b"0\r\nX-Two: 2\r\n\r\n"
        )
        answer = everything(connection)
    assert b"x-one" in answer
    assert b"x-two" not in answer


def test_a_body_does_not_count_as_the_next_head(app: FastAPI) -> None:
    size = 2 * USUAL.head_bytes
    post = f"POST /u/x HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n"
    with serve(app) as url, connected(url) as connection:
        connection.sendall(f"{post}Expect: 100-continue\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(b"x" * size + b"GET /where HTTP/1.1\r\n")
        heard = b""
        while not heard.endswith(b" False"):
            piece = connection.recv(65536)
            assert piece
            heard += piece
        connection.sendall(b"Host: a\r\nConnection: close\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 200")


def test_many_small_requests_on_one_connection_are_not_one_large_head(app: FastAPI) -> None:
    count = 2 * USUAL.head_bytes // 40
    last = b"GET /where HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    ones = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * count
    with serve(app) as url, connected(url) as connection:
        connection.sendall(ones + last)
        assert everything(connection).count(b"HTTP/1.1 ") == count + 1


def test_what_is_not_http_is_refused_with_our_headers(app: FastAPI) -> None:
    with serve(app) as url, connected(url) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"X-Content-Type-Options: nosniff" in answer


# ---------------------------------------------------------------------------------------- time


def test_a_connection_that_says_nothing_is_closed(app: FastAPI) -> None:
    with serve(app, limits=replace(USUAL, head_time=SOON)) as url, connected(url) as connection:
        assert everything(connection) == b""


def test_a_head_that_comes_in_drops_is_closed(app: FastAPI) -> None:
    endless = replace(USUAL, head_bytes=2**40, request_bytes=2**40)
    limits = replace(endless, head_time=SOON, keep_alive_time=timedelta(hours=1))
    before = refused("head-too-slow")
    with serve(app, limits=limits) as url, connected(url) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX-Drops: ")
        send_until_cut_off(connection, b"x")
    assert refused("head-too-slow") == before + 1


def test_drops_after_a_first_request_do_not_hold_the_connection(app: FastAPI) -> None:
    limits = replace(USUAL, head_time=SOON, keep_alive_time=timedelta(hours=1))
    with serve(app, limits=limits) as url, connected(url) as connection:
        connection.sendall(b"GET /where HTTP/1.1\r\nHost: a\r\n\r\nG")
        assert everything(connection).startswith(b"HTTP/1.1 200")


def test_a_body_that_comes_too_slowly_is_answered_408_and_closed(sqlite_store: Store) -> None:
    app = sample_app(sqlite_store, replace(USUAL, body_time=SOON))
    with serve(app) as url, connected(url) as connection:
        connection.sendall(b"POST /u/x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nslow")
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in answer


def test_a_client_that_does_not_read_its_answer_is_cut_off(app: FastAPI) -> None:
    before = refused("exchange-too-slow")
    limits = replace(USUAL, exchange_time=SOON)
    with serve(app, limits=limits) as url, connected(url) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        while refused("exchange-too-slow") == before:
            pass
        assert len(everything(connection)) < 50_000_000


def test_an_idle_connection_is_closed_after_the_keep_alive_time(app: FastAPI) -> None:
    limits = replace(USUAL, keep_alive_time=SOON)
    with serve(app, limits=limits) as url, connected(url) as connection:
        connection.sendall(b"GET /where HTTP/1.1\r\nHost: a\r\n\r\n")
        assert everything(connection).endswith(b"/where")


def test_a_request_that_is_queued_behind_another_is_timed_too(sqlite_store: Store) -> None:
    gate = Gate()
    app = sample_app(sqlite_store, USUAL, gate)
    post = b"POST /gate HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    with serve(app, limits=replace(USUAL, exchange_time=SOON)) as url:
        with connected(url) as connection:
            connection.sendall(b"GET /where HTTP/1.1\r\nHost: a\r\n\r\n" + post)
            heard = everything(connection)
        gate.open()
    assert heard.count(b"HTTP/1.1 200") == 1


# ---------------------------------------------------------------------------------------- number


def test_one_connection_too_many_is_closed_at_once(app: FastAPI) -> None:
    limits = replace(USUAL, connections=1)
    with serve(app, limits=limits) as url, connected(url) as first:
        ask_where(first)
        with connected(url) as second:
            assert everything(second) == b""
        ask_where(first)


def test_more_work_than_can_be_done_is_answered_503_for_another_try(sqlite_store: Store) -> None:
    gate = Gate()
    app = sample_app(sqlite_store, replace(USUAL, requests_under_way=1), gate)
    with serve(app) as url, connected(url) as first:
        first.sendall(
            b"POST /gate HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        while UNDER_WAY._value.get() < 1:
            pass
        second = requests.post(f"{url}/u/x", timeout=30)
        gate.open()
        assert everything(first).startswith(b"HTTP/1.1 200")
        assert requests.post(f"{url}/u/x", timeout=30).status_code == 200
    assert second.status_code == 503
    assert second.headers["Retry-After"] == "30"


def test_work_that_takes_longer_than_a_provider_waits_is_answered_503(sqlite_store: Store) -> None:
    gate = Gate()
    app = sample_app(sqlite_store, replace(USUAL, answer_time=SOON), gate)
    with serve(app) as url:
        answer = requests.post(f"{url}/gate", timeout=30)
        still_working = UNDER_WAY._value.get()
        gate.open()
        while UNDER_WAY._value.get():
            pass
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert still_working == 1


# ---------------------------------------------------------------------------------------- rate


def looks(url: str, path: str, count: int, **headers: str) -> list[int]:
    return [requests.get(url + path, headers=headers, timeout=30).status_code for _ in range(count)]


def test_looks_are_limited_and_posts_never(sqlite_store: Store) -> None:
    app = sample_app(sqlite_store, replace(USUAL, looks_per_minute=2))
    with serve(app) as url:
        assert looks(url, "/u/good", 6) == [200, 200, 200, 200, 429, 429]
        assert requests.get(f"{url}/u/good", timeout=30).headers["Retry-After"]
        posts = [requests.post(f"{url}/u/good", timeout=30).status_code for _ in range(50)]
    assert set(posts) == {200}


def test_broken_tokens_use_up_looks_sooner_and_mark_the_client(sqlite_store: Store) -> None:
    app = sample_app(sqlite_store, replace(USUAL, refusals_per_minute=1))
    with serve(app) as url:
        assert looks(url, "/u/broken", 3) == [404, 404, 429]
        assert looks(url, "/u/good", 1) == [429]
        assert requests.post(f"{url}/u/good", b"x", timeout=30).text == "1 True"


def test_too_many_broken_tokens_are_refused_without_a_look_at_the_database(
    sqlite_store: Store,
) -> None:
    context = web_context(sqlite_store)
    good = token_keys(context.settings).make(1, None)
    limits = replace(USUAL, refusals_per_minute=1)
    with serve(assemble(context, [pages.routes(context)], limits)) as url:
        for path in ("/u/broken", "/u/broken/return/x"):
            posts = [requests.post(url + path, timeout=30).status_code for _ in range(3)]
            assert posts[-1] == 429
        # Of a message that is gone: never refused for who asks, but answered for another try.
        for token in (good, good + ".", good + "/"):
            assert requests.post(f"{url}/u/{token}", timeout=30).status_code == 503


def test_each_client_behind_our_proxy_has_limits_of_its_own(sqlite_store: Store) -> None:
    app = sample_app(sqlite_store, replace(USUAL, refusals_per_minute=1))
    with serve(app) as url:
        first = {"X-Forwarded-For": "203.0.113.7, 198.51.100.1"}
        assert looks(url, "/u/broken", 3, **first) == [404, 404, 429]
        forged = {"X-Forwarded-For": "192.0.2.9, 198.51.100.1"}
        assert looks(url, "/u/good", 1, **forged) == [429]
        assert looks(url, "/u/good", 1, **{"X-Forwarded-For": "198.51.100.2"}) == [200]


def test_whoever_is_no_proxy_of_ours_cannot_choose_an_address(sqlite_store: Store) -> None:
    limits = replace(USUAL, refusals_per_minute=1)
    app = sample_app(sqlite_store, limits, trusted_proxies="10.0.0.0/8")
    with serve(app) as url:
        statuses = [
            looks(url, "/u/broken", 1, **{"X-Forwarded-For": f"198.51.100.{number}"})[0]
            for number in range(3)
        ]
    assert statuses == [404, 404, 429]


def test_health_is_always_answered(sqlite_store: Store) -> None:
    app = sample_app(sqlite_store, replace(USUAL, looks_per_minute=1))
    with serve(app) as url:
        assert set(looks(url, "/healthz", 9)) == {200}


def test_what_leaks_out_of_the_bucket_may_come_again() -> None:
    clock = SteppedClock()
    strikes = Strikes(clock, per_minute=2, clients=10)
    for _ in range(4):
        assert not strikes.too_many("a")
        strikes.strike("a")
    assert strikes.too_many("a")
    clock.seconds = 29.9
    assert strikes.too_many("a")
    clock.seconds = 30
    assert not strikes.too_many("a")


def test_only_so_many_clients_are_remembered_the_latest() -> None:
    strikes = Strikes(SteppedClock(), per_minute=1, clients=2)
    for client in ("a", "a", "b", "b", "a", "c"):
        strikes.strike(client)
    assert [strikes.too_many(client) for client in "abc"] == [True, False, False]
    assert len(strikes._levels) == 2


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from("abc")), max_size=60))
def test_no_client_does_more_than_the_limits_allow(steps: list[tuple[float, str]]) -> None:
    clock = SteppedClock()
    strikes = Strikes(clock, per_minute=6, clients=5)
    allowed: dict[str, list[float]] = {"a": [], "b": [], "c": []}
    for wait, client in steps:
        clock.seconds += wait
        if not strikes.too_many(client):
            strikes.strike(client)
            allowed[client].append(clock.seconds)
    for times in allowed.values():
        for first, last in pairwise(range(0, len(times), 13)):
            assert times[last] - times[first] > 0


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("198.51.100.1", "", "198.51.100.1/32"),
        ("127.0.0.1", "", "127.0.0.1/32"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1/32"),
        ("127.0.0.1", "192.0.2.1, 198.51.100.1", "198.51.100.1/32"),
        ("127.0.0.1", "198.51.100.1, 10.1.2.3", "198.51.100.1/32"),
        ("198.51.100.1", "192.0.2.1", "198.51.100.1/32"),
        ("::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1/32"),
        ("127.0.0.1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("127.0.0.1", "nonsense", "unknown"),
        ("127.0.0.1", ", ,", "127.0.0.1/32"),
        ("", "192.0.2.1", "unknown"),
    ],
)
def test_the_client_is_the_rightmost_that_is_no_proxy_of_ours(
    peer: str, forwarded: str, expected: str
) -> None:
    assert client_address(peer, forwarded, trusted_networks("127.0.0.1, 10.0.0.0/8")) == expected


@given(st.text(), st.text())
def test_no_header_breaks_the_look_for_the_client(peer: str, forwarded: str) -> None:
    assert client_address(peer, forwarded, trusted_networks("127.0.0.1"))


def test_a_malformed_setting_of_proxies_is_refused() -> None:
    with pytest.raises(SettingsError, match="SENDER_TRUSTED_PROXIES"):
        trusted_networks("127.0.0.1,proxy.example.org")


def test_limits_hold_over_tls_too(app: FastAPI) -> None:
    limits = replace(USUAL, head_time=timedelta(milliseconds=500))
    before = refused("head-too-slow")
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with serve(app, limits=limits, encrypted=True) as url:
        host, port = url.removeprefix("https://").split(":")
        with (
            socket.create_connection((host, int(port)), timeout=30) as plain,
            trusting.wrap_socket(plain) as connection,
        ):
            ask_where(connection)
            connection.sendall(b"GET")
            with suppress(OSError):  # TLS calls a connection that is cut off an error
                while connection.recv(65536):
                    pass
    assert refused("head-too-slow") == before + 1
