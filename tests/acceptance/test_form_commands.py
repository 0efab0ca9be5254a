"""`sender form`: a file opens a form, says what it offers, and closes it."""

import re

import pytest

from sender.clock import SystemClock
from sender.signup.entries import Entry
from sender.signup.open_form import read_open_form
from sender.signup.requests import take
from sender.store.engine import open_store
from sender.store.keys import AddressHasher
from sender.vocabulary import Channel
from tests.support.command_line import NOTICE_FILE, Desk
from tests.support.factory import HASH_KEY
from tests.support.tracked import ROOT

FORM_FILE = """\
controller = "riverside"
slug = "web"
notice = "sign-up-form"
site = "https://riverside.example.org/join"
origins = ["https://riverside.example.org"]
"""


@pytest.fixture
def desk(desk: Desk) -> Desk:
    desk.write("form.toml", FORM_FILE)
    return desk


def add(desk: Desk, text: str = FORM_FILE) -> str:
    desk.write("form.toml", text)
    return desk.done("form", "add", desk.folder / "form.toml").out


def test_a_file_opens_a_form_once(desk: Desk) -> None:
    assert "Form web@1 recorded." in add(desk)
    assert "Unchanged: web@1" in add(desk)
    [form] = desk.read("form", "list", "-c", "riverside")["forms"]
    assert form["form"] == "web@1"
    assert form["path"] == "/s/riverside/web"
    assert form["boxes"] == ["email:campaign-news", "sms:campaign-news"]


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_the_file_in_the_docs_is_one(desk: Desk) -> None:
    page = (ROOT / "docs/sign-up.md").read_text("utf-8")
    [file] = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert "Form web@1 recorded." in add(desk, file)


def test_a_file_closes_it(desk: Desk) -> None:
    add(desk)
    assert "Form web@2 recorded." in add(desk, FORM_FILE + "open = false\n")
    assert "closed" in desk.done("form", "list", "-c", "riverside").out
    answer = desk.sender("form", "snippet", "web", "-c", "riverside")
    assert answer.code == 1
    assert "takes no sign-ups now" in answer.err


def test_whoever_closes_it_is_told_how_many_are_not_asked_any_more(
    desk: Desk, database_url: str
) -> None:
    add(desk)
    store = open_store(database_url)
    with store.write() as session:
        offered = read_open_form(session, "riverside", "web", SystemClock().now())
        assert offered is not None
        box = offered.of(Channel.EMAIL)
        entries = [Entry(Channel.EMAIL, f"person{number}@example.org", box) for number in range(3)]
        take(session, AddressHasher(HASH_KEY), offered, entries, SystemClock().now())
    store.close()
    desk.write("form.toml", FORM_FILE + "open = false\n")
    out = desk.done("form", "add", "form.toml").out
    assert "It is closed: 3 confirmations that waited will not go out." in out
    desk.write("form.toml", FORM_FILE)
    assert desk.read("form", "add", "form.toml")["not_sent"] == 0


def test_the_snippet_is_the_form_with_the_wording_of_today(desk: Desk) -> None:
    add(desk)
    html = desk.done("form", "snippet", "web", "-c", "riverside").out
    assert 'action="https://out.example.org/s/riverside/web"' in html
    assert "Yes, Riverside Association may send me campaign news" in html
    assert 'name="notice" value="1"' in html
    assert "<script" not in html
    assert html.count('type="checkbox"') == 2
    changed = NOTICE_FILE.replace("campaign news", "news of campaigns")
    desk.write("notice.toml", changed)
    desk.done("notice", "add", desk.folder / "notice.toml")
    assert (
        'name="notice" value="2"' in desk.read("form", "snippet", "web", "-c", "riverside")["html"]
    )


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ('notice = "sign-up-form"', 'notice = "nothing"|has no notice nothing'),
        ('controller = "riverside"', 'controller = "nobody"|There is no controller nobody'),
        ("example.org/join", "example.org|"),
        (
            '"https://riverside.example.org"]',
            '"https://riverside.example.org/join"]|is not a web origin',
        ),
        ('origins = ["https', 'origins = ["http|is not a web origin'),
        ('"https://riverside.example.org"]', '"*"]|is not a web origin'),
        ('slug = "web"', 'slug = "web"\nopened = true|is not a key of this table'),
        ('slug = "web"', 'slug = "web"\nmost_a_day = 0|must be at least 1'),
    ],
)
def test_a_mistake_is_told_with_its_line(desk: Desk, wrong: str, said: str) -> None:
    right, _, problem = said.partition("|")
    desk.write("form.toml", FORM_FILE.replace(wrong, right))
    answer = desk.sender("form", "add", desk.folder / "form.toml")
    if not problem:
        assert answer.code == 0
        return
    assert answer.code == 1
    assert problem in answer.err
    assert "form.toml:" in answer.err


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_form_that_is_not_there_is_named_with_its_neighbour(desk: Desk) -> None:
    add(desk)
    answer = desk.sender("form", "snippet", "wep", "-c", "riverside")
    assert answer.code == 1
    assert "Did you mean web?" in answer.err
