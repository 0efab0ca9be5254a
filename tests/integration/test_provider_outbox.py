import html
from collections.abc import Callable
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from lxml.html import HtmlElement, document_fromstring

from sender.errors import ProviderError
from sender.providers.account import AccountSettings
from sender.providers.base import Accepted, Deferred, DirectiveAction, NotStarted, Rejected
from sender.providers.outbox import files
from sender.providers.outbox.pages import ROWS_PER_PAGE
from sender.providers.outbox.send import OutboxProvider
from sender.providers.registry import open_provider
from sender.vocabulary import ProviderName
from tests.fakes.outgoing import NEVER, ManualClock, email, sms
from tests.support.provider_results import kinds

Open = Callable[..., OutboxProvider]


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


@pytest.fixture
def open_outbox(outbox: Path) -> Open:
    def open_it(clock: ManualClock | None = None) -> OutboxProvider:
        settings = AccountSettings("demo", ProviderName.OUTBOX, options={"folder": str(outbox)})
        provider = open_provider(settings, {}, clock or ManualClock(), timedelta(seconds=1))
        assert isinstance(provider, OutboxProvider)
        return provider

    return open_it


def page(path: Path) -> HtmlElement:
    return document_fromstring(path.read_text(encoding="utf-8"))


def test_messages_and_pages_can_be_looked_at(outbox: Path, open_outbox: Open) -> None:
    provider = open_outbox()
    outcome = provider.send([email(1, subject="Café <b>"), sms(2)], NEVER)
    provider.close()

    assert kinds(outcome.results) == [Accepted, Accepted]
    source = message_from_bytes((outbox / "run-7/1.eml").read_bytes(), policy=default)
    assert source["Subject"] == "Café <b>"
    assert source["List-Unsubscribe"] == "<https://out.party.example/u/1>"
    assert (outbox / "run-7/1.html").read_text(encoding="utf-8") == "<p>Hello</p>"
    assert "polls close" in (outbox / "run-7/2.txt").read_text(encoding="utf-8")
    overview, run = page(outbox / "index.html"), page(outbox / "run-7/index.html")
    assert "1 email, 1 sms" in overview.text_content()
    assert overview.xpath("//li//a/@href") == ["run-7/index.html"]
    assert run.xpath("//li//a/@href") == ["1.html", "1.eml", "2.txt"]
    for link in run.xpath("//a/@href"):
        assert (outbox / "run-7" / str(link)).resolve().exists()
    assert "person1@voters.example" in run.text_content()
    assert "Café <b>" in run.text_content()


def test_values_cannot_write_the_page(outbox: Path, open_outbox: Open) -> None:
    hostile = "<script>alert(1)</script>\"'&"
    provider = open_outbox()
    provider.send([sms(1, body=hostile), email(2, subject=hostile, from_name=hostile)], NEVER)
    provider.close()

    text = (outbox / "run-7/index.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert text.count(html.escape(hostile)) == 3


def test_writing_twice_leaves_one_message(outbox: Path, open_outbox: Open) -> None:
    for subject in ("First", "Second"):
        provider = open_outbox()
        provider.send([email(1, subject=subject)], NEVER)
        provider.close()

    assert len(list((outbox / "run-7").glob("*.eml"))) == 1
    run = page(outbox / "run-7/index.html")
    assert len(run.xpath("//li")) == 1
    assert "Second" in run.text_content()


def test_a_second_session_adds_to_the_first(outbox: Path, open_outbox: Open) -> None:
    for number in (1, 2):
        provider = open_outbox()
        provider.send([email(number)], NEVER)
        provider.close()

    assert len(page(outbox / "run-7/index.html").xpath("//li")) == 2


def test_a_crash_is_survived(outbox: Path, open_outbox: Open) -> None:
    crashed = open_outbox()
    crashed.send([email(1)], NEVER)
    manifest = outbox / "run-7/manifest.jsonl"
    manifest.write_text(manifest.read_text() + '{"delivery_id": 2, "chan')
    (outbox / "run-7/.3.eml.part").write_text("half a mess")

    provider = open_outbox()
    provider.send([email(4)], NEVER)
    provider.close()

    run = page(outbox / "run-7/index.html")
    assert run.xpath("//li//a/@href") == ["1.html", "1.eml", "4.html", "4.eml"]


def test_what_was_announced_but_not_written_is_not_listed(outbox: Path, open_outbox: Open) -> None:
    provider = open_outbox()
    outcome = provider.send([email(1, subject="a\nb"), email(2)], NEVER)
    provider.close()

    assert kinds(outcome.results) == [Rejected, Accepted]
    assert len(page(outbox / "run-7/index.html").xpath("//li")) == 1


def test_long_runs_have_pages(outbox: Path, open_outbox: Open) -> None:
    provider = open_outbox()
    provider.send([sms(number) for number in range(1, 2 * ROWS_PER_PAGE + 2)], NEVER)
    provider.close()

    names = sorted(path.name for path in (outbox / "run-7").glob("*.html"))
    assert names == ["index.html", "page-2.html", "page-3.html"]
    last = page(outbox / "run-7/page-3.html")
    assert len(last.xpath("//li")) == 1
    assert last.xpath("//nav[1]/a/@href") == ["index.html", "page-2.html"]


def test_each_message_looks_at_start_before(outbox: Path, open_outbox: Open) -> None:
    class Ticking(ManualClock):
        def monotonic(self) -> float:
            self.sleep(0.4)
            return super().monotonic()

    clock = Ticking()
    outcome = open_outbox(clock).send([sms(n) for n in range(5)], clock.seconds + 1.0)

    assert kinds(outcome.results) == [Accepted] * 2 + [NotStarted] * 3
    assert outcome.calls == 2
    assert sorted(path.name for path in (outbox / "run-7").glob("*.txt")) == ["0.txt", "1.txt"]


def test_a_full_disk_stops_the_run(open_outbox: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def fill_up(path: Path, content: bytes) -> None:
        if len(written) == 1:
            raise OSError(28, "No space left on device")
        written.append(path)

    provider = open_outbox()
    monkeypatch.setattr("sender.providers.outbox.send.write", fill_up)
    outcome = provider.send([sms(1), sms(2), sms(3)], NEVER)

    assert kinds(outcome.results) == [Accepted, Deferred, NotStarted]
    assert outcome.directive is not None
    assert outcome.directive.action is DirectiveAction.STOP


def test_a_folder_that_cannot_be_made_is_an_error(outbox: Path, open_outbox: Open) -> None:
    outbox.write_text("a file stands here")
    provider = open_outbox()

    with pytest.raises(ProviderError, match="cannot be written"):
        provider.capacity()
    outcome = provider.send([sms(1), sms(2)], NEVER)
    assert kinds(outcome.results) == [Deferred, NotStarted]


def test_a_missing_folder_option_is_named() -> None:
    settings = AccountSettings("demo", ProviderName.OUTBOX)
    with pytest.raises(ProviderError, match="folder"):
        open_provider(settings, {}, ManualClock(), timedelta(seconds=1))


def test_only_the_owner_may_look(outbox: Path, open_outbox: Open) -> None:
    open_outbox().send([email(1)], NEVER)

    assert outbox.stat().st_mode & 0o777 == 0o700
    assert (outbox / "run-7/1.eml").stat().st_mode & 0o777 == 0o600
    assert (outbox / "run-7" / files.MANIFEST).stat().st_mode & 0o777 == 0o600


def test_an_empty_outbox_has_a_page(outbox: Path, open_outbox: Open) -> None:
    capacity = open_outbox().capacity()

    assert "Nothing yet" in (outbox / "index.html").read_text(encoding="utf-8")
    assert capacity.sending_enabled
    assert capacity.remaining_today is None
