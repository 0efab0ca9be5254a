"""The opt-out pages over real HTTP: what a press stops, who may undo it, and that GET does not."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import delete, select, update

from sender.store.consents import ConsentState
from sender.store.contacts import Contact, ContactPoint
from sender.store.deliveries import Delivery
from sender.store.engine import Store, open_store
from sender.store.journal import Journal, Owner
from sender.store.suppressions import Block
from sender.vocabulary import BlockCause, Channel, ConsentKind
from sender.web import opt_out_view
from sender.web.metrics import OPT_OUTS
from tests.support.factory import HASHER, add_point, block
from tests.support.opt_out_door import EMAIL, ONE_CLICK, Door, open_door, sources

STOPPED = {(BlockCause.OPT_OUT, "email", False)}
NARROWED = {(BlockCause.OPT_OUT, "email", True)}
OBJECTED = {(BlockCause.OBJECTION, "*", False)}
BOUNDARY = "----=_Part_8058"
MULTIPART = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\n'
    f"One-Click\r\n--{BOUNDARY}--\r\n"
)


@pytest.fixture
def door(store: Store, tmp_path: Path) -> Iterator[Door]:
    with open_door(store, tmp_path) as opened:
        yield opened


@pytest.fixture
def lite(sqlite_url: str, tmp_path: Path) -> Iterator[Door]:
    """The same on SQLite alone, where the database is not the matter."""
    store = open_store(sqlite_url)
    with open_door(store, tmp_path) as opened:
        yield opened
    store.close()


def delivery(door: Door) -> Delivery:
    with door.store.read() as session:
        return session.get_one(Delivery, door.email.delivery_id)


@dataclass(frozen=True)
class Program:
    """How a mail program posts."""

    body: str
    content_type: str = "application/x-www-form-urlencoded"
    agent: str = "test"


PROGRAMS = {
    "gmail": Program("List-Unsubscribe=One-Click", agent="Google-Unsubscribe"),
    "yahoo": Program(MULTIPART, f'multipart/form-data; boundary="{BOUNDARY}"', "YahooMailProxy"),
    "apple": Program("List-Unsubscribe=One-Click", agent="Mail/3774.600.62 CFNetwork/1568"),
    "with charset": Program(
        "List-Unsubscribe=One-Click", "application/x-www-form-urlencoded; charset=UTF-8"
    ),
    "nothing": Program("", ""),
    "no type": Program("List-Unsubscribe=One-Click", ""),
    "no boundary": Program("List-Unsubscribe=One-Click", "multipart/form-data"),
    "json": Program('{"List-Unsubscribe": "One-Click"}', "application/json"),
    "nonsense": Program("act=dance&%ff%00=%", "application/x-www-form-urlencoded; charset=x"),
    "both": Program("List-Unsubscribe=One-Click&act=undo&ticket=x"),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_mail_programs_press_stops_the_channel_whatever_it_holds(
    lite: Door, program: Program
) -> None:
    headers = {"Content-Type": program.content_type, "User-Agent": program.agent}
    answer = requests.post(
        lite.url + lite.link, program.body, headers=headers, timeout=30, allow_redirects=False
    )
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert lite.blocks() == STOPPED
    assert sources(lite.events()) == [("set", "one-click")]
    assert delivery(lite).opted_out_at is not None


def test_a_thousand_presses_are_one_opt_out(lite: Door) -> None:
    before = OPT_OUTS.labels(way="one-click")._value.get()
    with requests.Session() as gmail:
        for _ in range(1_000):
            assert gmail.post(lite.url + lite.link, ONE_CLICK, timeout=30).status_code == 200
    assert lite.blocks() == STOPPED
    assert len(lite.events()) == 1
    assert OPT_OUTS.labels(way="one-click")._value.get() == before + 1


def test_presses_at_the_same_time_are_one_opt_out(door: Door) -> None:
    page = door.get(door.link)
    for _ in range(2):  # the second time the delivery is marked already
        with ThreadPoolExecutor(8) as people:
            pages = list(people.map(lambda _: door.press(page, "stop"), range(24)))
        assert {one.status for one in pages} == {200}
        door.press(pages[0], "undo")
    assert [act for act, _ in sources(door.events())] == ["set", "release"] * 2


def test_a_press_is_on_record_as_the_persons_own_act(door: Door) -> None:
    door.stop()
    [event] = door.events()
    assert (event.by_person, event.delivery_id) == (True, door.email.delivery_id)
    assert (event.source, event.cause) == ("page", BlockCause.OPT_OUT)
    first = delivery(door).opted_out_at
    assert first == event.occurred_at
    door.post(door.link, ONE_CLICK)
    assert delivery(door).opted_out_at == first


def test_it_stops_this_channel_of_this_controller_alone(door: Door) -> None:
    door.post(door.link, ONE_CLICK)
    assert door.blocks(door.sms.address_id) == set()
    door.post(door.sms.link, ONE_CLICK)
    assert door.blocks(door.sms.address_id) == {(BlockCause.OPT_OUT, "sms", False)}


class TestLooking:
    def test_neither_get_nor_head_changes_a_row(self, door: Door) -> None:
        stopped = door.stop()
        door.press(stopped, "everything")
        door.press(door.get(door.link), "return")
        paths = [door.link, door.sms.link, door.confirmation(), door.link + "/return/x", "/u/x"]
        before = door.rows()
        for path in paths:
            for method in ("GET", "HEAD"):
                answer = requests.request(method, door.url + path, timeout=30)
                assert answer.status_code in {200, 404, 410}
                assert bool(answer.content) == (method == "GET")
        assert door.rows() == before
        assert door.blocks() == STOPPED | OBJECTED

    def test_it_says_whose_message_it_was_and_masks_the_address(self, lite: Door) -> None:
        page = lite.get(lite.link)
        assert page.title == "Stop emails from Riverside Association?"
        assert "a•••@e•••.org" in page.text
        assert EMAIL not in page.html
        assert page.acts == {"stop", "purpose", "everything"}
        assert "Stop only “Campaign news”" in page.text
        text = lite.get(lite.sms.link)
        assert text.title == "Stop text messages from Riverside Association?"
        assert "•••89" in text.text

    def test_an_erased_address_is_just_yours(self, lite: Door) -> None:
        with lite.store.write() as session:
            session.execute(update(ContactPoint).values(address=None))
        assert "your address" in lite.get(lite.link).text

    def test_the_token_can_leak_by_nothing(self, lite: Door) -> None:
        page = lite.get(lite.link)
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store"
        assert "noindex" in page.headers["X-Robots-Tag"]
        assert "set-cookie" not in page.headers
        links = re.findall(r'<a href="https?:[^>]*>', page.html)
        assert len(links) == 2
        assert all('rel="noreferrer"' in link for link in links)
        assert not re.search(r"<(script|img|link|iframe)\b|\bsrc=|url\(|@import", page.html)

    def test_the_policy_allows_this_style_sheet_and_nothing_else(self, lite: Door) -> None:
        page = lite.get(lite.link)
        style = re.search(r"<style>(.*?)</style>", page.html, re.DOTALL)
        assert style
        digest = b64encode(sha256(style[1].encode()).digest()).decode()
        assert page.headers["Content-Security-Policy"] == (
            f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
            "frame-ancestors 'none'; base-uri 'none'"
        )
        assert "--brand: #7a1f5c" in style[1]

    def test_a_name_is_text_and_never_markup(self, store: Store, tmp_path: Path) -> None:
        with open_door(store, tmp_path, name="<b>Bold & Co</b>") as door:
            assert "&lt;b&gt;Bold &amp; Co&lt;/b&gt;" in door.get(door.link).html
            assert "<b>" not in door.stop().html


class TestUndo:
    def test_the_browser_that_pressed_can_undo_it(self, door: Door) -> None:
        stopped = door.stop()
        assert 'role="status"' in stopped.html
        assert stopped.title == "Stopped: no more emails"
        undone = door.press(stopped, "undo")
        assert undone.title == "Undone: emails from Riverside Association may come again"
        assert door.blocks() == set()
        assert sources(door.events()) == [("set", "page"), ("release", "page-undo")]

    def test_a_second_press_of_the_same_page_still_offers_it(self, door: Door) -> None:
        page = door.get(door.link)
        door.press(page, "stop")
        again = door.press(page, "stop")
        assert len(door.events()) == 1
        door.press(again, "undo")
        assert door.blocks() == set()

    def test_undone_twice_is_undone(self, lite: Door) -> None:
        stopped = lite.stop()
        lite.press(stopped, "undo")
        assert lite.press(stopped, "undo").title.startswith("Undone")
        assert len(lite.events()) == 2

    def test_what_is_stopped_again_afterwards_stays_stopped(self, lite: Door) -> None:
        stopped = lite.stop()
        lite.press(stopped, "undo")
        lite.stop()
        assert lite.press(stopped, "undo").title == "This can no longer be undone here"
        assert lite.blocks() == STOPPED

    def test_it_lasts_an_hour(self, lite: Door) -> None:
        page = lite.get(lite.link)
        stopped = lite.press(page, "stop")
        lite.clock.current += timedelta(hours=1)
        assert lite.press(stopped, "undo").title == "This can no longer be undone here"
        assert lite.blocks() == STOPPED
        assert "undo" not in lite.press(page, "stop").acts  # nor does a second press renew it

    def test_another_reader_of_the_message_cannot(self, lite: Door) -> None:
        stopped = lite.stop()
        forwarded = lite.get(lite.link)
        assert forwarded.title == stopped.title
        assert forwarded.acts == {"everything", "return"}
        pressed = lite.post(lite.link, {"act": "stop", "visit": "x" * 16})
        assert "undo" not in pressed.acts
        lite.post(lite.link, {"act": "undo", "ticket": ""})
        lite.post(lite.link, {"act": "undo", "ticket": "A" * 43})
        assert lite.blocks() == STOPPED

    @pytest.mark.parametrize(
        "fields", [ONE_CLICK, {}, {"act": "stop"}, {"act": "stop", "visit": ""}]
    )
    def test_a_press_of_no_page_offers_none(self, lite: Door, fields: dict[str, str]) -> None:
        for _ in range(2):  # nor to whoever posts the same again
            assert "undo" not in lite.post(lite.link, fields).acts

    def test_nobody_undoes_what_somebody_else_pressed_since(self, door: Door) -> None:
        """A friend presses the button, the reader her mail program's: her no must stand."""
        friend = door.stop()
        door.post(door.link, ONE_CLICK)
        assert door.press(friend, "undo").title == "This can no longer be undone here"
        again = door.post(door.link, {"act": "stop", "visit": "x" * 16})
        assert "undo" not in again.acts
        assert door.blocks() == STOPPED

    def test_what_stood_before_the_press_stays(self, door: Door) -> None:
        with door.store.write() as session:
            block(
                session,
                door.email.address_id,
                controller=door.organisation.controller,
                channel="email",
            )
        pressed = door.post(door.link, {"act": "stop", "visit": "x" * 16})
        assert "undo" not in pressed.acts
        assert len(door.events()) == 2
        assert door.blocks() == STOPPED

    def test_a_ticket_is_for_its_own_message(self, lite: Door) -> None:
        with lite.store.write() as session:
            other = lite.send(session)
        stopped = lite.stop()
        lite.post(other.link, ONE_CLICK)
        lite.press(stopped, "undo", path=other.link)
        assert lite.blocks(other.address_id) == STOPPED
        assert lite.blocks() == STOPPED


class TestNarrower:
    def test_as_first_choice_only_the_purpose_is_stopped(self, door: Door) -> None:
        narrowed = door.press(door.get(door.link), "purpose")
        assert narrowed.title == "“Campaign news” is stopped"
        assert door.blocks() == NARROWED
        assert narrowed.acts == {"undo", "stop", "everything"}
        door.press(narrowed, "undo")
        assert door.blocks() == set()

    def test_after_a_stop_it_takes_its_place(self, door: Door) -> None:
        narrowed = door.press(door.stop(), "purpose")
        assert door.blocks() == NARROWED
        assert narrowed.title == "“Campaign news” is stopped"
        door.press(narrowed, "undo")
        assert door.blocks() == set()

    def test_without_the_ticket_the_stop_stays(self, lite: Door) -> None:
        lite.stop()
        page = lite.post(lite.link, {"act": "purpose", "visit": "x" * 16})
        assert lite.blocks() == STOPPED | NARROWED
        assert page.title == "Stopped: no more emails"

    def test_it_is_no_way_round_a_newer_stop(self, lite: Door) -> None:
        stopped = lite.stop()
        lite.post(lite.link, ONE_CLICK)
        lite.press(stopped, "purpose")
        assert lite.blocks() == STOPPED | NARROWED

    def test_pressed_twice_it_is_narrowed_once(self, lite: Door) -> None:
        stopped = lite.stop()
        lite.press(stopped, "purpose")
        assert "undo" in lite.press(stopped, "purpose").acts
        assert lite.blocks() == NARROWED
        assert len(lite.events()) == 3

    def test_its_own_ticket_narrows_nothing_away(self, lite: Door) -> None:
        narrowed = lite.press(lite.get(lite.link), "purpose")
        fields = {**narrowed.form("undo"), "act": "purpose"}
        lite.post(lite.link, fields)
        assert lite.blocks() == NARROWED

    def test_another_purpose_goes_on(self, lite: Door) -> None:
        lite.press(lite.get(lite.link), "purpose")
        with lite.store.read() as session:
            [row] = session.scalars(select(Block))
        assert row.purpose_id == lite.organisation.purpose.id


class TestEverything:
    def test_it_is_an_objection_on_every_address(self, door: Door) -> None:
        page = door.press(door.get(door.link), "everything")
        assert page.title == "Stopped: nothing more from Riverside Association"
        assert door.blocks() == OBJECTED
        assert door.blocks(door.sms.address_id) == OBJECTED
        with door.store.read() as session:
            assert all(row.objected_at for row in session.scalars(select(Contact)))
            states = session.scalars(select(ConsentState)).all()
            assert {state.status for state in states} == {ConsentKind.OBJECTED}
        assert {event.source for event in door.events()} == {"page"}

    def test_repeats_write_nothing_unless_an_address_is_new(self, door: Door) -> None:
        page = door.get(door.link)
        door.press(page, "everything")
        before = door.rows()
        door.press(page, "everything")
        assert door.rows() == before
        with door.store.write() as session:
            contact = session.scalars(select(Contact)).first()
            assert contact
            point = add_point(session, contact)
        door.press(page, "everything")
        assert door.blocks(point.address_id) == OBJECTED

    def test_an_undo_is_no_way_back_from_it(self, lite: Door) -> None:
        stopped = lite.stop()
        objected = lite.press(stopped, "everything")
        assert objected.acts == {"return"}
        assert lite.press(stopped, "undo").title.startswith("Undone, but")
        assert lite.blocks() == OBJECTED


def test_a_test_messages_link_works_as_any(lite: Door) -> None:
    with lite.store.write() as session:
        message = lite.send(session, is_test=True)
    lite.post(message.link, ONE_CLICK)
    assert lite.blocks(message.address_id) == STOPPED


def test_an_opt_out_does_not_hang_on_its_page(lite: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("a template is gone")

    monkeypatch.setattr(opt_out_view, "render", fail)
    assert lite.post(lite.link, ONE_CLICK).status == 500
    assert lite.blocks() == STOPPED


@pytest.mark.parametrize("act", ["stop", "purpose", "everything"])
def test_what_the_journal_missed_it_hears_when_it_is_pressed_again(
    lite: Door, tmp_path: Path, act: str
) -> None:
    owner = Owner(HASHER, "database")
    page = lite.get(lite.link)
    lite.store.journal = Journal(tmp_path / "no folder" / "journal", owner, lite.clock)
    assert lite.press(page, act).status == 500
    lite.store.journal = Journal(tmp_path / "journal", owner, lite.clock)
    assert lite.press(page, act).status == 200
    lines = (tmp_path / "journal").read_text(encoding="utf-8").splitlines()[1:]
    assert {json.loads(line)["id"] for line in lines} == {event.id for event in lite.events()}


def test_it_needs_neither_contact_nor_consent(door: Door) -> None:
    with door.store.write() as session:
        session.execute(update(Delivery).values(contact_point_id=None))
        session.execute(delete(ContactPoint))
        session.execute(delete(ConsentState))
    assert door.post(door.link, ONE_CLICK).status == 200
    assert door.blocks() == STOPPED
    assert door.press(door.get(door.link), "everything").status == 200
    assert door.blocks() == STOPPED | OBJECTED
    assert Channel.EMAIL.value in {row[1] for row in door.blocks()}
