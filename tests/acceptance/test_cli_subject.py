"""`sender subject` and `sender purpose`, as an operator types them."""

import json
import stat
from pathlib import Path

import pytest

from sender.controllers.lookup import find_controller
from sender.store.engine import open_store
from sender.vocabulary import Channel
from tests.support.command_line import Desk, sit_down
from tests.support.factory import add_contact, add_point

AGAIN = """\
external_ref,first_name,last_name,email,mobile
9,Ann,Okafor,ann@example.org,+447911123456
"""


@pytest.fixture
def desk(
    sqlite_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    desk = sit_down(tmp_path, sqlite_url, capsys, monkeypatch)
    desk.set_up()
    add_people(sqlite_url)
    return desk


def add_people(url: str) -> None:
    store = open_store(url)
    with store.write() as session:
        controller = find_controller(session, "riverside")
        ann = add_contact(session, controller, first_name="Ann", last_name="Okafor")
        add_point(session, ann, "ann@example.org")
        add_point(session, ann, "+447911123456", channel=Channel.SMS)
        ben = add_contact(session, controller, first_name="Ben", last_name="Murray")
        add_point(session, ben, "ben@example.org")
    store.close()


def test_a_person_sees_everything_on_a_page_and_as_a_document(desk: Desk) -> None:
    answer = desk.read("subject", "export", "ann@example.org", "-c", "riverside", "--to", "a.html")
    assert answer["controllers"][0]["controller"] == "riverside"
    page = desk.folder / "a.html"
    assert "Okafor" in page.read_text(encoding="utf-8")
    assert "+447911123456" in page.read_text(encoding="utf-8")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    desk.done("subject", "export", "+447911123456", "--all-controllers", "--to", "a.json")
    document = json.loads((desk.folder / "a.json").read_text(encoding="utf-8"))
    assert "Okafor" in json.dumps(document)
    assert "Murray" not in json.dumps(document)


def test_a_file_is_never_written_over(desk: Desk) -> None:
    desk.write("a.html", "mine")
    answer = desk.sender(
        "subject", "export", "ann@example.org", "-c", "riverside", "--to", "a.html"
    )
    assert answer.code == 2
    assert (desk.folder / "a.html").read_text(encoding="utf-8") == "mine"


def test_whom_it_concerns_must_be_said(desk: Desk) -> None:
    assert desk.sender("subject", "export", "ann@example.org").code == 2
    both = ("-c", "riverside", "--all-controllers")
    assert desk.sender("subject", "erase", "ann@example.org", *both, "--yes").code == 2


def test_an_erased_person_is_not_brought_back_by_an_import(desk: Desk) -> None:
    done = desk.read("subject", "erase", "ann@example.org", "-c", "riverside", "--yes")
    assert done["erased"][0]["contacts"] == 1
    assert desk.read("contacts", "find", "Okafor", "-c", "riverside") == {"contacts": []}
    desk.sender("contacts", "import", desk.write("again.csv", AGAIN), "-c", "riverside")
    assert desk.read("contacts", "find", "Okafor", "-c", "riverside") == {"contacts": []}
    check = desk.read("suppress", "check", "ann@example.org", "-c", "riverside")
    assert check["blocked"]
    assert desk.read("suppress", "check", "+447911123456", "-c", "riverside")["blocked"]
    assert not desk.read("suppress", "check", "ben@example.org", "-c", "riverside")["blocked"]
    desk.done("db", "check")


def test_nothing_is_erased_without_a_yes(desk: Desk) -> None:
    answer = desk.sender("subject", "erase", "ann@example.org", "-c", "riverside")
    assert answer.code == 2
    assert desk.read("contacts", "find", "Okafor", "-c", "riverside")["contacts"]


def test_a_closed_purpose_stays_closed(desk: Desk) -> None:
    close = ("purpose", "close", "campaign-news", "-c", "riverside", "--yes")
    later = desk.read(*close, "--reason", "Decided", "--on", "2099-01-01")
    assert later["closes_at"].startswith("2099-01-01")
    sooner = desk.read(*close, "--reason", "Decided sooner")
    assert sooner["closes_at"] < later["closes_at"]
    (listed,) = desk.read("purpose", "list", "-c", "riverside")["purposes"]
    assert listed["closes_at"] == sooner["closes_at"]
    refused = desk.sender(*close, "--reason", "Again", "--on", "2099-06-01")
    assert (refused.code, "cannot be reopened" in refused.err) == (1, True)
    assert desk.sender(*close, "--reason", " ").code == 1


def test_a_letter_is_written_down_and_answered(desk: Desk) -> None:
    opened = ("request", "open", "complaint", "-c", "riverside", "--received-on", "2026-01-05")
    request = desk.read(*opened, "--address", "ann@example.org", "--words", "Stop it")["request"]
    number = str(request["id"])
    assert (request["who"], request["deadline"]) == ("Ann Okafor", "2026-02-03")
    assert desk.sender("request", "close", number, "--outcome", "done", "--answer", "x").code == 1
    desk.done("request", "acknowledge", number, "--on", "2026-01-06")
    assert desk.read("request", "list")["requests"][0]["deadline"] == "2026-02-05"
    desk.done("request", "close", number, "--outcome", "done", "--answer", "Explained by phone")
    assert desk.read("request", "list", "-c", "riverside") == {"requests": []}
    assert desk.read("request", "list", "--all")["requests"][0]["outcome"] == "done"


def test_an_objection_at_the_desk_needs_no_second_command(desk: Desk) -> None:
    opened = ("request", "open", "objection", "-c", "riverside", "--received-on", "2026-01-05")
    desk.done(*opened, "--address", "ann@example.org")
    assert desk.read("suppress", "check", "+447911123456", "-c", "riverside")["blocked"]
    assert desk.sender(*opened, "--requester", "Somebody").code == 1
    assert desk.sender(*opened[:-1], "soon", "--address", "ann@example.org").code == 2
