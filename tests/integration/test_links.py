"""Links are followed over real connections to local servers."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Barrier, BrokenBarrierError, Event, Lock, Thread

import pytest

from sender.campaigns import link_fetch
from sender.campaigns.link_fetch import Fetcher, resolve_host
from sender.campaigns.links import Link, LinkProblem, check_links, is_placeholder
from tests.fakes.certificates import CERTIFICATE, server_context

LONG_ENOUGH = timedelta(seconds=20)


class Site(ThreadingHTTPServer):
    """Answers `/404` with 404, `/hop/2` with a redirect to `/hop/1`, and so on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str, str]] = []
        self.lock = Lock()
        self.together: Barrier | None = None
        self.release = Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def methods(self, path: str) -> list[str]:
        return [method for method, seen, _ in self.seen if seen == path]


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base
        pass

    def do_HEAD(self) -> None:
        site, path = self.server, self.path
        with site.lock:
            site.seen.append((self.command, path, self.headers["Host"]))
        if site.together is not None:
            site.together.wait()
        if path == "/silent":
            site.release.wait()
        elif path == "/nonsense":
            self.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        elif path != "/hang-up":
            self._answer(path)

    do_GET = do_HEAD  # noqa: N815 - as the base calls it

    def _answer(self, path: str) -> None:
        word, _, rest = path.strip("/").partition("/")
        if word == "hop":
            self._send(302, "/ok" if rest == "0" else f"/hop/{int(rest) - 1}")
        elif word == "to":
            self._send(301, rest)
        elif word == "get-only":
            self._send(int(rest) if self.command == "HEAD" else 200)
        else:
            self._send(int(word) if word.isdigit() else 200)

    def _send(self, status: int, location: str | None = None) -> None:
        self.send_response(status)
        if location is not None:
            self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def _serving(site: Site) -> Iterator[Site]:
    thread = Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        site.release.set()
        site.shutdown()
        thread.join()
        site.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    with _serving(Site()) as running:
        yield running


def _fetcher(timeout: timedelta = LONG_ENOUGH) -> Fetcher:
    return Fetcher(timeout, allow_private=True)


def _problems(*urls: str, fetcher: Fetcher | None = None) -> list[str]:
    found = check_links(urls, fetcher=fetcher or _fetcher())
    return [problem.problem for problem in found]


@pytest.mark.parametrize("path", ["/ok", "/", "", "/ok?a=b&c=%20d#there", "/é", "/204", "/hop/4"])
def test_links_that_lead_somewhere(site: Site, path: str) -> None:
    assert _problems(site.url(path)) == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 429, 500, 503])
def test_refusing_answers(site: Site, status: int) -> None:
    assert _problems(site.url(f"/{status}")) == [f"answers {status}."]


@pytest.mark.parametrize("status", [403, 404, 405, 501])
def test_a_server_that_knows_no_head_is_asked_with_get(site: Site, status: int) -> None:
    path = f"/get-only/{status}"
    assert _problems(site.url(path)) == []
    assert site.methods(path) == ["HEAD", "GET"]


def test_a_server_that_is_asked_too_often_is_not_asked_again(site: Site) -> None:
    _problems(site.url("/429"))
    assert site.methods("/429") == ["HEAD"]


def test_five_redirects_are_followed_and_no_more(site: Site) -> None:
    assert _problems(site.url("/hop/5")) == ["redirects more than 5 times."]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("https://www.example.com/", "is a placeholder"),
        ("javascript:alert(1)", "no address of the web"),
        ("file:///etc/passwd", "no address of the web"),
        ("mailto:press@party.org.uk", "no address of the web"),
        ("http://user:pw@127.0.0.1/", "holds a login"),
        ("http://[bad/", "no address of the web"),
        ("http://a:99999/", "is not a URL"),
        ("/404", "answers 404"),
    ],
)
def test_what_a_redirect_leads_to_is_checked_as_well(site: Site, target: str, words: str) -> None:
    (problem,) = _problems(site.url(f"/to/{target}"))
    assert words in problem


def test_a_silent_server_is_given_up(site: Site) -> None:
    fetcher = _fetcher(timedelta(seconds=0.2))
    assert _problems(site.url("/silent"), fetcher=fetcher) == ["does not answer in time."]


def test_a_server_that_never_ends_its_answer_is_given_up() -> None:
    with _raw_server(_drip) as port:
        fetcher = _fetcher(timedelta(seconds=0.3))
        url = f"http://127.0.0.1:{port}/"
        assert _problems(url, fetcher=fetcher) == ["does not answer in time."]


@pytest.mark.parametrize("path", ["/hang-up", "/nonsense"])
def test_connections_that_break(site: Site, path: str) -> None:
    assert _problems(site.url(path)) == ["breaks the connection off."]


def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert _problems(f"http://127.0.0.1:{port}/") == ["refuses connections."]


def _unknown(host: str, port: int) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, f"{host}:{port} is unknown")


@pytest.mark.parametrize("host", ["no-such-host.org.uk", "a" * 64 + ".org", "a..b"])
def test_unknown_hosts(host: str) -> None:
    fetcher = Fetcher(LONG_ENOUGH, resolve=_unknown)
    assert _problems(f"http://{host}/", fetcher=fetcher) == ["names a host that does not exist."]


def test_the_connection_goes_to_the_address_that_was_looked_at(site: Site) -> None:
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    fetcher = Fetcher(LONG_ENOUGH, allow_private=True, resolve=resolve)
    assert _problems(site.url("/ok", "bücher.org.uk"), fetcher=fetcher) == []
    assert asked == [("xn--bcher-kva.org.uk", site.port)]
    assert site.seen[0][2] == f"xn--bcher-kva.org.uk:{site.port}"


def test_the_next_address_is_tried_where_one_refuses(site: Site) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", site.port))  # not listening: connections are refused
        fetcher = Fetcher(LONG_ENOUGH, allow_private=True, resolve=lambda *_: ["::1", "127.0.0.1"])
        assert _problems(site.url("/ok", "two.org.uk"), fetcher=fetcher) == []


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "224.0.0.1"),
        *("::1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "2002:7f00:1::", "100.64.0.1"),
    ],
)
def test_private_networks_are_not_looked_into(site: Site, address: str) -> None:
    fetcher = Fetcher(LONG_ENOUGH, resolve=lambda *_: ["93.184.215.14", address])
    (problem,) = _problems(site.url("/ok", "inside.org.uk"), fetcher=fetcher)
    assert "private network" in problem
    assert site.seen == []


def test_a_redirect_into_a_private_network_is_not_followed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_fetch, "_is_public", lambda address: address == "127.0.0.1")
    addresses = {"outside.org.uk": ["127.0.0.1"], "inside.org.uk": ["127.0.0.2"]}
    fetcher = Fetcher(LONG_ENOUGH, resolve=lambda host, _: addresses[host])
    inside = site.url("/ok", "inside.org.uk")
    (problem,) = _problems(site.url(f"/to/{inside}", "outside.org.uk"), fetcher=fetcher)
    assert "private network" in problem
    assert site.methods("/ok") == []


def test_the_operating_system_knows_its_own_host() -> None:
    assert "127.0.0.1" in resolve_host("localhost", 80)


def test_a_trusted_certificate(secure_site: Site) -> None:
    trusting = ssl.create_default_context(cafile=str(CERTIFICATE))
    fetcher = Fetcher(LONG_ENOUGH, allow_private=True, tls=trusting)
    assert _problems(f"https://127.0.0.1:{secure_site.port}/ok", fetcher=fetcher) == []


def test_an_untrusted_certificate(secure_site: Site) -> None:
    (problem,) = _problems(f"https://127.0.0.1:{secure_site.port}/ok")
    assert "has no valid certificate" in problem


def test_a_certificate_for_another_host(secure_site: Site) -> None:
    trusting = ssl.create_default_context(cafile=str(CERTIFICATE))
    fetcher = Fetcher(
        LONG_ENOUGH, allow_private=True, tls=trusting, resolve=lambda *_: ["127.0.0.1"]
    )
    (problem,) = _problems(f"https://other.org.uk:{secure_site.port}/ok", fetcher=fetcher)
    assert "has no valid certificate" in problem


def test_a_plain_server_behind_https(site: Site) -> None:
    assert _problems(f"https://127.0.0.1:{site.port}/") == ["does not speak https properly."]


@pytest.fixture
def secure_site() -> Iterator[Site]:
    site = Site()
    # The handshake is left to the handler's thread, so that a failed one does not end the server.
    site.socket = server_context().wrap_socket(
        site.socket, server_side=True, do_handshake_on_connect=False
    )
    with _serving(site) as running:
        yield running


def test_each_link_is_fetched_once_and_blamed_everywhere(site: Site) -> None:
    bad, good = site.url("/404"), site.url("/ok")
    links: list[Link | str] = [
        Link(bad, "spring.html:3"),
        good,
        Link(bad, "spring.html:9"),
        Link("", "a.html:1"),
    ]
    found = check_links(links, fetcher=_fetcher())
    assert [problem.link for problem in found] == [links[0], links[2], links[3]]
    assert str(found[0]).startswith(f"spring.html:3: {bad} answers 404.")
    assert site.methods("/404") == ["HEAD", "GET"]
    assert site.methods("/ok") == ["HEAD"]


def test_links_are_fetched_together_but_not_all_at_once(site: Site) -> None:
    site.together = Barrier(3, timeout=20)
    urls = [site.url(f"/ok/{number}") for number in range(6)]
    assert check_links(urls, fetcher=_fetcher(), concurrency=3) == []
    site.together = Barrier(4, timeout=0.3)
    with suppress(BrokenBarrierError):
        assert len(check_links(urls[:4], fetcher=_fetcher(), concurrency=3)) > 0


UNFINISHED = [
    *("", "#", "http://", "https://", "https:", "TODO", "https://TODO", "https://party.uk/TBC"),
    *("https://example.com", "http://www.example.org/x", "https://EXAMPLE.net.", "//example.com"),
    *("https://shop.test/", "https://a.invalid", "http://localhost:8000", "https://x.localhost"),
    *("mailto:you@example.com", "mailto:a@party.uk,b@example.org", "https://my.example/x"),
]
UNFOLLOWABLE = {
    "/about": "is relative",
    "about.html": "is relative",
    "www.party.org.uk": "is relative",
    "//party.org.uk/": "is relative",
    "javascript:alert(1)": "begins with javascript:",
    "data:text/html,x": "begins with data:",
    "ftp://party.org.uk": "begins with ftp:",
    "https://party.org.uk/a b": "holds a space",
    "https://user:secret@party.org.uk/": "holds a login",
    "https://[::1/": "is not a URL",
    "https://party.org.uk:99999/": "is not a URL",
    "https:///path": "names no host",
    "mailto:": "names no address",
    "mailto:press": "names no address",
}
LEFT_ALONE = [
    *("mailto:press@party.org.uk", "mailto:press@party.org.uk?subject=Hi", "tel:+442079460000"),
    *("sms:+447700900000", "#top"),
]


def _nowhere(host: str, port: int) -> list[str]:
    raise AssertionError(f"{host}:{port} was looked up")


NO_NETWORK = Fetcher(LONG_ENOUGH, resolve=_nowhere)


@pytest.mark.parametrize("url", UNFINISHED)
def test_placeholders_are_refused_or_left_alone_but_never_fetched(url: str) -> None:
    assert is_placeholder(url)
    assert _problems(url, fetcher=NO_NETWORK) == ["is a placeholder."]
    assert check_links([url], allow_placeholders=True, fetcher=NO_NETWORK) == []


@pytest.mark.parametrize("allow_placeholders", [True, False])
@pytest.mark.parametrize("url", UNFOLLOWABLE)
def test_what_nobody_can_follow_is_refused(url: str, *, allow_placeholders: bool) -> None:
    (problem,) = check_links([url], allow_placeholders=allow_placeholders, fetcher=NO_NETWORK)
    assert isinstance(problem, LinkProblem)
    assert UNFOLLOWABLE[url] in problem.problem


@pytest.mark.parametrize("url", LEFT_ALONE)
def test_what_is_not_on_the_web_is_left_alone(url: str) -> None:
    assert _problems(url, fetcher=NO_NETWORK) == []


@pytest.mark.parametrize(
    "url",
    ["https://party.org.uk/to-do", "https://example.com.party.uk", "https://contest.uk/latest"],
)
def test_real_addresses_are_no_placeholders(url: str) -> None:
    assert not is_placeholder(url)


def _drip(connection: socket.socket, stop: Event) -> None:
    with suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: ")
        while not stop.wait(0.02):
            connection.sendall(b"a")


@contextmanager
def _raw_server(serve: Callable[[socket.socket, Event], None]) -> Iterator[int]:
    stop = Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=_accept_one, args=(server, serve, stop))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def _accept_one(
    server: socket.socket, serve: Callable[[socket.socket, Event], None], stop: Event
) -> None:
    connection, _ = server.accept()
    with connection:
        serve(connection, stop)
