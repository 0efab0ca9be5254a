from collections.abc import Iterator

import pytest

from sender.providers.ses import fetch as module
from sender.providers.ses.fetch import MAX_BYTES, UnreachableError, fetch
from tests.fakes.certificates import server_context
from tests.fakes.http import Answer, Fault, HttpFake, Request
from tests.fakes.loop import unused_port


class Page(HttpFake):
    body = b"page"

    def respond(self, request: Request) -> Answer:
        del request
        return Answer(200, self.body)


@pytest.fixture
def page() -> Iterator[Page]:
    with Page() as running:
        yield running


def test_a_page_is_fetched(page: Page) -> None:
    assert fetch(f"{page.url}/r2m01.cer") == b"page"
    assert [(one.method, one.path) for one in page.requests] == [("GET", "/r2m01.cer")]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(page: Page, status: int) -> None:
    page.script.append(Answer(status, b"", {"Location": f"{page.url}/elsewhere"}))

    with pytest.raises(UnreachableError):
        fetch(page.url)
    assert len(page.requests) == 1


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_another_status_is_no_page(page: Page, status: int) -> None:
    page.script.append(Answer.html(status))

    with pytest.raises(UnreachableError):
        fetch(page.url)


def test_a_page_may_be_just_so_long(page: Page) -> None:
    page.body = b"x" * MAX_BYTES
    assert fetch(page.url) == page.body

    page.body += b"x"
    with pytest.raises(UnreachableError, match="too long"):
        fetch(page.url)


@pytest.mark.parametrize("length", [0, 4, 100])
@pytest.mark.parametrize("fault", [Fault.RESET, Fault.HANG_UP, Fault.TRUNCATED])
def test_a_broken_answer_is_none(page: Page, fault: Fault, length: int) -> None:
    page.body = b"x" * length
    page.script.append(fault)

    with pytest.raises(UnreachableError):
        fetch(page.url)


def test_silence_ends(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.05)
    page.script.append(Fault.SILENCE)

    with pytest.raises(UnreachableError, match="TimeoutError"):
        fetch(page.url)


def test_a_trickle_ends(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WHOLE_SECONDS", -1.0)

    with pytest.raises(UnreachableError, match="too slow"):
        fetch(page.url)


def test_a_server_without_a_trusted_certificate_is_not_believed() -> None:
    with Page(tls=server_context()) as page, pytest.raises(UnreachableError, match="Error"):
        fetch(page.url)


def test_nobody_there_is_told() -> None:
    with pytest.raises(UnreachableError, match="Let this machine reach"):
        fetch(f"http://127.0.0.1:{unused_port()}/")


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x", "x", ""])
def test_nothing_but_the_web_is_fetched(url: str) -> None:
    with pytest.raises(UnreachableError):
        fetch(url)
