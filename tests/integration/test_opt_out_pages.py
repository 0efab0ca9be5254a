"""The opt-out pages over real HTTP: what a press stops, who may undo it, and that GET does not."""

import re
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from sender.store.campaigns import Run
from sender.store.consents import ConsentState
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import Controller, ControllerVersion
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.inbound import Alert, ObjectionPassOn
from sender.store.suppressions import Block
from sender.suppression.links import NOBODY, token_keys
from sender.vocabulary import BlockCause, Channel, ConsentKind
from sender.web import opt_out_view
from sender.web.metrics import OPT_OUTS
from tests.support.factory import Organisation, add_body, add_point, block, establish
from tests.support.opt_out_door import EMAIL, ONE_CLICK, Door, introduce, open_door, sources

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
    from sender.store.engine import open_store  # noqa: PLC0415 - beside its one use

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
    with ThreadPoolExecutor(8) as people:
        pages = list(people.map(lambda _: door.post(door.link, ONE_CLICK), range(40)))
    assert {page.status for page in pages} == {200}
    assert len(door.events()) == 1


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


def relatives(door: Door) -> list[Organisation]:
    with door.store.write() as session:
        return [
            introduce(session, establish(session, slug), name=name)
            for slug, name in (("national", "The National Party"), ("mayor", "Sam for Mayor"))
        ]


def answers(door: Door) -> list[tuple[str, bool]]:
    with door.store.read() as session:
        query = (
            select(Controller.slug, ObjectionPassOn.passed_on)
            .join(Controller, Controller.id == ObjectionPassOn.to_controller_id)
            .order_by(ObjectionPassOn.id)
        )
        return [(slug, yes) for slug, yes in session.execute(query)]


def blocked_at(door: Door, body: Organisation) -> set[tuple[int, str]]:
    query = select(Block.address_id, Block.cause).where(Block.controller_id == body.id)
    with door.store.read() as session:
        return {(address_id, cause.name) for address_id, cause in session.execute(query)}


class TestPassingOn:
    @pytest.fixture
    def door(self, store: Store, tmp_path: Path) -> Iterator[Door]:
        related = {"relatives": ["national", "mayor", "unheard-of"]}
        with open_door(store, tmp_path, **related) as opened:
            yield opened

    def test_each_separate_body_is_asked_about_with_an_empty_box(self, door: Door) -> None:
        relatives(door)
        assert "pass-on" not in door.get(door.link).acts
        assert "pass-on" not in door.stop().acts
        page = door.press(door.get(door.link), "everything")
        assert re.findall(r'name="to" value="(\w+)"', page.html) == ["mayor", "national"]
        assert "checked" not in page.html
        assert "The National Party" in page.text

    def test_the_answer_is_kept_and_a_yes_is_an_objection_there(self, door: Door) -> None:
        national, mayor = relatives(door)
        page = door.press(door.get(door.link), "everything")
        told = door.press(page, "pass-on", to=["national", "riverside", "nobody-known"])
        assert "We told them to stop as well: The National Party." in told.text
        assert "pass-on" not in told.acts
        assert sorted(answers(door)) == [("mayor", False), ("national", True)]
        assert blocked_at(door, mayor) == set()
        both = {door.email.address_id, door.sms.address_id}
        assert blocked_at(door, national) == {(one, "OBJECTION") for one in both}
        of_national = [one for one in door.events() if one.controller_id == national.id]
        assert {(one.source, one.delivery_id) for one in of_national} == {
            ("passed-on:riverside", None)
        }

    def test_told_twice_is_told_once(self, door: Door) -> None:
        relatives(door)
        page = door.press(door.get(door.link), "everything")
        door.press(page, "pass-on", to="national")
        before = door.rows()
        again = door.press(page, "pass-on", to="national")
        assert again.title == "Passed on"
        assert door.rows() == before

    def test_a_no_is_kept_and_may_become_a_yes(self, door: Door) -> None:
        national, _ = relatives(door)
        page = door.press(door.get(door.link), "everything")
        assert door.press(page, "pass-on", to="national", nobody="1").title == "Not passed on"
        assert sorted(answers(door)) == [("mayor", False), ("national", False)]
        assert blocked_at(door, national) == set()
        later = door.get(door.link)
        door.press(later, "pass-on", to="national")
        assert max(answers(door)) == ("national", True)
        assert blocked_at(door, national)

    def test_without_an_objection_nothing_is_passed_on(self, door: Door) -> None:
        national, _ = relatives(door)
        door.post(door.link, {"act": "pass-on", "to": "national"})
        assert answers(door) == []
        assert blocked_at(door, national) == set()

    def test_bodies_that_the_message_spoke_for_are_asked_about_too(self, door: Door) -> None:
        with door.store.write() as session:
            candidate = establish(session, "candidate")
            run_id = session.get_one(Delivery, door.email.delivery_id).run_id
            add_body(session, session.get_one(Run, run_id), candidate)
        page = door.press(door.get(door.link), "everything")
        assert re.findall(r'name="to" value="(\w+)"', page.html) == ["candidate"]


def test_nobody_is_asked_about_where_there_is_no_relative(lite: Door) -> None:
    relatives(lite)
    assert "pass-on" not in lite.press(lite.get(lite.link), "everything").acts


class TestLinksThatLeadNowhere:
    def test_one_controllers_address_and_number_are_given(self, lite: Door) -> None:
        for method in ("get", "post"):
            page = getattr(lite, method)("/u/broken")
            assert page.status == 404
            assert page.title == "This link is incomplete"
            for way in ("1 High Street", "office@riverside.example.org", "+44 1632 960123"):
                assert way in page.text
        assert lite.events() == []

    def test_of_many_the_first_twenty_are_named(self, lite: Door) -> None:
        with lite.store.write() as session:
            for number in range(25):
                establish(session, f"body{number:02}")
        page = lite.get("/u/broken")
        assert page.html.count("<strong>") == 20
        assert "office@body00.example.org" in page.text

    def test_who_does_not_send_is_not_named(self, lite: Door) -> None:
        with lite.store.write() as session:
            row = Controller(slug="quiet", created_at=lite.clock.now())
            session.add(row)
            session.flush()
            columns = {
                key: value
                for key, value in vars(lite.organisation.version).items()
                if key in ControllerVersion.__table__.columns and key != "id"
            }
            quiet = {**columns, "controller_id": row.id, "name": "Quiet Association"}
            session.execute(insert(ControllerVersion).values(**quiet))
        assert "Quiet" not in lite.get("/u/broken").text

    def test_no_token_is_an_error_of_ours(self, lite: Door) -> None:
        @settings(max_examples=60)
        @given(st.text(max_size=40), st.sampled_from(["GET", "POST", "HEAD"]))
        def answers_404(token: str, method: str) -> None:
            path = quote(token, safe="") or "x"
            answer = requests.request(
                method, f"{lite.url}/u/{path}", timeout=30, allow_redirects=False
            )
            assert answer.status_code == 404

        answers_404()
        assert lite.events() == []

    def test_a_changed_letter_is_somebody_elses_token(self, lite: Door) -> None:
        for place in range(3, 25):
            letter = "A" if lite.link[place] != "A" else "B"
            changed = lite.link[:place] + letter + lite.link[place + 1 :]
            assert lite.post(changed, ONE_CLICK).status in {404, 503}
        assert lite.events() == []

    def test_our_link_without_its_row_is_to_be_tried_again(self, door: Door) -> None:
        token = token_keys(door.context.settings).make(4_000_000, bytes(16))
        for method in ("get", "post"):
            page = getattr(door, method)(f"/u/{token}")
            assert page.status == 503
            assert int(page.headers["Retry-After"]) > 0
            assert "office@riverside.example.org" in page.text
        with door.store.read() as session:
            [alert] = session.scalars(select(Alert))
        assert (alert.kind, alert.subject) == ("opt_out.row_missing", "delivery 4000000")
        assert alert.times == 2

    def test_our_link_for_another_row_of_its_number_stops_nobody(self, door: Door) -> None:
        """After a restored backup the number may have come again, for another person."""
        token = token_keys(door.context.settings).make(door.email.delivery_id, b"another run's...")
        assert door.post(f"/u/{token}", ONE_CLICK).status == 503
        assert door.blocks() == set()

    def test_the_link_of_a_preview_says_so_and_stops_nobody(self, lite: Door) -> None:
        token = token_keys(lite.context.settings).make(NOBODY, None)
        for page in (
            lite.get(f"/u/{token}"),
            lite.post(f"/u/{token}", ONE_CLICK),
            lite.post(f"/u/{token}", {"act": "return"}),
            lite.get(f"/u/{token}/return/x"),
            lite.post(f"/u/{token}/return/x"),
        ):
            assert (page.status, page.title) == (200, "This is the link of a preview")
        assert lite.events() == []


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
