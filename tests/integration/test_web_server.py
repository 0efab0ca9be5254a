"""The server: what fails is told again, every answer is guarded, nothing personal is logged."""

import json
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import requests
from fastapi import APIRouter, FastAPI, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from sender.context import set_up_database
from sender.errors import SettingsError
from sender.inbound.retention import erase_all_expired
from sender.logs import JsonLines, configure_logging
from sender.settings import Settings
from sender.store.alert_book import raise_alert
from sender.store.engine import Store, open_store
from sender.web.app import assemble, create_app
from sender.web.headers import SECURITY_HEADERS
from sender.web.limits import Limits
from sender.web.metrics import REQUESTS
from sender.web.patience import bound_waiting
from sender.web.server import Bind, configuration
from tests.fakes.certificates import CERTIFICATE, KEY
from tests.support.command_line import sit_down
from tests.support.factory import NOW, add_notification
from tests.support.web_context import SteppedClock, web_context, web_settings
from tests.support.web_process import web_environment, web_process
from tests.support.web_server import serve

SECRET = "ann.archer@example.org"
IMPATIENT = replace(
    Limits(),
    lock_time=timedelta(milliseconds=50),
    statement_time=timedelta(milliseconds=100),
    connect_time=timedelta(seconds=1),
)


def sample_routes(store: Store) -> APIRouter:
    router = APIRouter()

    @router.get("/u/{token}")
    async def show(token: str) -> Response:
        return Response(token, headers={"Content-Security-Policy": "default-src 'self'"})

    @router.post("/u/{token}")
    async def fail(token: str) -> Response:
        raise ValueError(f"{SECRET} {token}")

    @router.post("/write")
    async def write() -> Response:
        await run_in_threadpool(write_something, store)
        return Response("written")

    @router.get("/number/{number}")
    async def number(number: int) -> Response:
        return Response(str(number))

    return router


def write_something(store: Store) -> None:
    with store.write() as session:
        raise_alert(session, "test.alert", "the same", now=NOW)


def sample_app(store: Store, limits: Limits | None = None) -> FastAPI:
    return assemble(web_context(store), [sample_routes(store)], limits or Limits())


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    with closing(open_store(sqlite_url)) as store:
        yield store


@pytest.fixture
def sample(sqlite_store: Store) -> Iterator[str]:
    with serve(sample_app(sqlite_store)) as url:
        yield url


@contextmanager
def web_log() -> Iterator[StringIO]:
    """What the server would write on standard error."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root, own = logging.getLogger(), logging.getLogger("sender")
    level = own.level
    own.setLevel(logging.INFO)
    root.addHandler(handler)
    try:
        yield stream
    finally:
        root.removeHandler(handler)
        own.setLevel(level)


def wait_for_lines(stream: StringIO, count: int) -> list[dict[str, Any]]:
    """The line of a request is written after its answer."""
    while len(lines(stream)) < count:
        pass
    return lines(stream)


def lines(stream: StringIO) -> list[dict[str, Any]]:
    documents = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [line for line in documents if line["event"] not in {"retention", "listening"}]


# ---------------------------------------------------------------------------------- failures


def test_what_nobody_foresaw_is_answered_503_and_named_by_its_type_alone(sample: str) -> None:
    with web_log() as stream:
        answer = requests.post(f"{sample}/u/t0ken", timeout=30)
        failed, request = wait_for_lines(stream, 2)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "30"
    assert answer.text == "This did not work just now. Please try again in a minute.\n"
    assert (failed["event"], failed["error"], failed["route"]) == (
        "failed",
        "ValueError",
        "/u/{token}",
    )
    assert failed["request"] == request["request"] == answer.headers["X-Request-ID"]
    assert SECRET not in stream.getvalue()
    assert "t0ken" not in stream.getvalue()


def test_the_log_says_where_in_our_code_something_failed(sqlite_store: Store) -> None:
    context = web_context(sqlite_store)
    sqlite_store.close()
    with sqlite_store.engine.begin() as connection:
        connection.execute(text("ALTER TABLE inbox_message RENAME TO gone"))
    with web_log() as stream, serve(assemble(context, [], Limits())):
        pass
    [failed] = [line for line in lines(stream) if line["event"] == "retention_failed"]
    assert failed["error"] == "OperationalError"
    assert failed["at"].startswith("sender/inbound/retention.py:")


def test_a_write_that_waits_too_long_for_a_lock_is_answered_503(store: Store) -> None:
    bound_waiting(store, IMPATIENT)
    app = sample_app(store)
    with serve(app) as url:
        with store.write() as session:
            raise_alert(session, "test.alert", "the same", now=NOW)
            blocked = requests.post(f"{url}/write", timeout=30)
        assert (blocked.status_code, blocked.headers["Retry-After"]) == (503, "30")
        assert requests.post(f"{url}/write", timeout=30).text == "written"


def test_a_database_that_is_gone_is_answered_503(sqlite_store: Store) -> None:
    with closing(open_store("postgresql://nobody@127.0.0.1:1/none")) as gone:
        bound_waiting(gone, IMPATIENT)
        with serve(assemble(web_context(sqlite_store), [sample_routes(gone)], Limits())) as url:
            assert requests.post(f"{url}/write", timeout=30).status_code == 503


def test_a_full_disk_is_answered_503(sqlite_store: Store) -> None:
    app = sample_app(sqlite_store)
    with sqlite_store.write() as session:
        session.execute(text("CREATE TABLE ballast (bytes BLOB)"))
        pages = session.scalar(text("PRAGMA page_count"))

    @app.post("/fill")
    async def fill() -> Response:
        def work() -> None:
            with sqlite_store.write() as session:
                session.execute(text(f"PRAGMA max_page_count={pages}"))
                session.execute(text("INSERT INTO ballast VALUES (zeroblob(1000000))"))

        await run_in_threadpool(work)
        return Response("filled")

    with serve(app) as url:
        assert requests.post(f"{url}/fill", timeout=30).status_code == 503


def test_no_statement_holds_a_thread_for_ever(postgresql_url: str) -> None:
    with closing(open_store(postgresql_url)) as store:
        bound_waiting(store, IMPATIENT)
        with store.read() as session, pytest.raises(OperationalError, match="statement timeout"):
            session.execute(text("SELECT pg_sleep(60)"))


def test_waiting_is_bounded_on_connections_from_before_too(store: Store) -> None:
    write_something(store)
    bound_waiting(store, IMPATIENT)
    setting = "PRAGMA busy_timeout" if store.dialect == "sqlite" else "SHOW lock_timeout"
    with store.read() as session:
        assert session.scalar(text(setting)) in {50, "50ms"}


# ---------------------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/u/t0ken", 200),
        ("POST", "/u/t0ken", 503),
        ("GET", "/nothing-here", 404),
        ("PUT", "/u/t0ken", 405),
        ("OPTIONS", "/u/t0ken", 405),
        ("GET", "/number/x", 400),
        ("GET", "/docs", 404),
        ("GET", "/openapi.json", 404),
        ("GET", "/u/t0ken/", 404),
    ],
)
def test_every_answer_is_guarded(sample: str, method: str, path: str, status: int) -> None:
    answer = requests.request(
        method, sample + path, headers={"Host": "evil.example"}, timeout=30, allow_redirects=False
    )
    assert answer.status_code == status
    missing = {name for name in SECURITY_HEADERS if name not in answer.headers}
    assert not missing
    assert not {"Set-Cookie", "Server", "Location"} & set(answer.headers)
    assert "evil.example" not in str(answer.headers) + answer.text
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_page_keeps_the_policy_that_it_set(sample: str) -> None:
    answer = requests.get(f"{sample}/u/x", timeout=30)
    assert answer.headers["Content-Security-Policy"] == "default-src 'self'"


def test_a_malformed_parameter_is_not_repeated(sample: str) -> None:
    assert requests.get(f"{sample}/number/t0ken", timeout=30).text == "Bad Request.\n"


def test_an_upgrade_to_another_protocol_is_answered_as_if_it_were_none(sample: str) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    assert requests.get(f"{sample}/u/x", headers=upgrade, timeout=30).text == "x"


# ---------------------------------------------------------------------------------- log and counts


def test_a_request_is_one_line_by_its_pattern(sample: str) -> None:
    with web_log() as stream:
        requests.get(f"{sample}/u/t0ken?who={SECRET}", timeout=30)
        requests.get(f"{sample}/nothing/{SECRET}", timeout=30)
        shown, lost = wait_for_lines(stream, 2)
    assert shown == {
        "event": "request",
        "level": "info",
        "route": "/u/{token}",
        "method": "GET",
        "status": 200,
        "bytes_in": 0,
        "bytes_out": 5,
        "milliseconds": 0.0,
        "request": shown["request"],
        "timestamp": shown["timestamp"],
    }
    assert lost["route"] == "none"
    assert "t0ken" not in stream.getvalue()
    assert SECRET not in stream.getvalue()
    assert "127.0.0.1" not in stream.getvalue()


def test_requests_are_counted_by_their_pattern(sample: str) -> None:
    requests.get(f"{sample}/u/t0ken", timeout=30)
    requests.get(f"{sample}/{SECRET}", timeout=30)
    requests.get(f"{sample}/u/t0ken", timeout=30)  # those before are counted by now
    routes = {s.labels.get("route") for metric in REQUESTS.collect() for s in metric.samples}
    assert {"/u/{token}", "none"} <= routes
    assert not any("t0ken" in str(route) or "@" in str(route) for route in routes)


def test_of_other_programs_only_the_template_is_logged() -> None:
    error = (ValueError, ValueError(SECRET), None)
    template = "Odd request from %s\nand more"
    record = logging.LogRecord(
        "uvicorn.error", logging.WARNING, __file__, 1, template, (SECRET,), error
    )
    line = JsonLines().format(record)
    assert SECRET not in line
    document = json.loads(line)
    assert document.pop("timestamp")
    assert document == {
        "event": "Odd request from %s",
        "error": "ValueError",
        "level": "warning",
        "logger": "uvicorn.error",
    }


def test_all_of_a_process_logs_json_on_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, Any] = {}
    monkeypatch.setattr(logging, "basicConfig", kept.update)
    monkeypatch.setattr(logging.getLogger("sender"), "level", logging.WARNING)
    configure_logging()
    assert isinstance(kept["handlers"][0].formatter, JsonLines)
    assert (kept["level"], kept["force"]) == (logging.WARNING, True)
    assert logging.getLogger("sender").level == logging.INFO


# ---------------------------------------------------------------------------------- housekeeping


def test_what_is_past_its_time_is_erased_when_the_server_starts(store: Store) -> None:
    with store.write() as session:
        old = add_notification(session, payload={"old": 1}, received_at=NOW - timedelta(days=400))
        new = add_notification(session, payload={"new": 1})
    with serve(sample_app(store)) as url:
        while _payload(store, old.id) is not None:
            pass
        assert requests.get(f"{url}/u/x", timeout=30).status_code == 200
    assert _payload(store, new.id) is not None
    assert erase_all_expired(web_context(store)) == 0


def _payload(store: Store, number: int) -> object:
    with store.read() as session:
        query = text("SELECT payload FROM inbound_notification WHERE id = :number")
        return session.scalar(query, {"number": number})


# ---------------------------------------------------------------------------------- the process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_finishes_what_is_under_way_and_ends_well(
    sqlite_url: str, tmp_path: Path, number: int
) -> None:
    set_up_database(_settings(sqlite_url), SteppedClock())
    with web_process(web_environment(sqlite_url, tmp_path)) as web:
        host, port = web.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(
                b"POST /webhooks/twilio/status HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n"
                b"Expect: 100-continue\r\n\r\n"
            )
            assert connection.recv(100).startswith(b"HTTP/1.1 100")
            web.process.send_signal(number)
            while _accepts(host, int(port)):
                pass
            connection.sendall(b"From=x")
            answer = connection.recv(65536)
        assert web.process.wait(timeout=60) == 0
        web.wait_for("stopped")
    assert answer.startswith(b"HTTP/1.1 403")
    assert all(line.startswith("{") for line in web.said)


def _accepts(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=60):
            return True
    except ConnectionError:
        return False


def test_it_serves_https_and_metrics_of_its_own(sqlite_url: str, tmp_path: Path) -> None:
    set_up_database(_settings(sqlite_url), SteppedClock())
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    arguments = ["--tls-cert", str(CERTIFICATE), "--tls-key", str(KEY), "--metrics-port", str(free)]
    with web_process(web_environment(sqlite_url, tmp_path), *arguments) as web:
        url = web.url
        assert url.startswith("https://")
        client = requests.Session()
        client.verify, client.trust_env = str(CERTIFICATE), False
        assert client.get(f"{url}/healthz", timeout=60).text == "OK.\n"
        assert client.get(f"{url}/metrics", timeout=60).status_code == 404
        metrics = requests.get(f"http://127.0.0.1:{free}/metrics", timeout=60).text
        assert "sender_database_up 1.0" in metrics
        assert 'sender_web_request_seconds_count{method="GET",route="/healthz"' in metrics
        assert web.stop() == 0


def test_a_port_that_is_taken_is_said_in_one_line(sqlite_url: str, tmp_path: Path) -> None:
    set_up_database(_settings(sqlite_url), SteppedClock())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option in ("--port", "--metrics-port"):
            with web_process(web_environment(sqlite_url, tmp_path), option, str(port)) as web:
                assert web.process.wait(timeout=60) == 2
            assert f"Cannot listen on 127.0.0.1:{port}." in web.said[-1]
            assert "Traceback" not in "".join(web.said)


def _settings(url: str) -> Settings:
    return web_settings(database_url=url)


@pytest.mark.parametrize(
    ("variable", "value", "arguments", "code", "said"),
    [
        ("SENDER_PUBLIC_URL", "", [], 1, "SENDER_PUBLIC_URL is not set to an https address."),
        ("SENDER_PUBLIC_URL", "http://a.example", [], 1, "SENDER_PUBLIC_URL is not set to an http"),
        ("SENDER_TOKEN_KEYS", "short", [], 1, "SENDER_TOKEN_KEYS"),
        ("SENDER_TRUSTED_PROXIES", "proxy", [], 1, "SENDER_TRUSTED_PROXIES"),
        ("SENDER_HASH_KEY", "ef" * 32, [], 1, "SENDER_HASH_KEY is not the key"),
        ("SENDER_OPERATOR", "o", ["--tls-cert", "c.pem"], 2, "--tls-cert and --tls-key go"),
        ("SENDER_OPERATOR", "o", ["--port", "70000"], 2, "--port"),
    ],
)
def test_it_does_not_start_on_half_an_installation(  # noqa: PLR0917 - pytest passes them by name
    tmp_path: Path,
    sqlite_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    desk = sit_down(tmp_path, sqlite_url, capsys, monkeypatch)
    desk.done("db", "upgrade")
    monkeypatch.setenv(variable, value)
    answer = desk.sender("web", *arguments)
    assert answer.code == code
    assert said in answer.err
    assert answer.err.count("\n") == 1


def test_it_does_not_start_on_a_database_that_was_never_set_up(
    tmp_path: Path,
    empty_database_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = sit_down(tmp_path, empty_database_url, capsys, monkeypatch).sender("web")
    assert answer.code == 1
    assert answer.err == "The database has not been set up. Run: sender db upgrade\n"


def test_a_certificate_that_cannot_be_used_is_refused(tmp_path: Path, sqlite_store: Store) -> None:
    broken = tmp_path / "broken.pem"
    for certificate in (broken, CERTIFICATE):
        bind = Bind("127.0.0.1", 0, certificate, broken)
        with pytest.raises(SettingsError, match="TLS certificate"):
            configuration(sample_app(sqlite_store), bind, Limits())
        broken.write_text("no certificate")


def test_all_web_modules_are_served(sqlite_store: Store) -> None:
    paths = set(create_app(web_context(sqlite_store)).openapi()["paths"])
    assert {
        "/u/{token}",
        "/webhooks/ses",
        "/webhooks/twilio/messages",
        "/webhooks/twilio/status",
        "/healthz",
        "/readyz",
        "/metrics",
    } <= paths
