"""Refresh campaigns: who is asked to reconfirm, how often, and what a press on the page records."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from fastapi import FastAPI
from sqlalchemy import select

from sender.campaigns.check import check
from sender.campaigns.preview import preview
from sender.campaigns.refresh_confirm import CONFIRM_WITHIN, METHOD
from sender.consent.expiring import expiring
from sender.consent.freshness import months_before
from sender.consent.objection import Objection, record_objection
from sender.context import Context
from sender.delivery.frequency import Person
from sender.delivery.refresh_asks import asked_already
from sender.store.campaigns import Run
from sender.store.consents import ConsentEvent, ConsentState
from sender.store.contacts import ContactPoint
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.keys import register_key
from sender.suppression.links import confirm_url_of
from sender.vocabulary import Channel, ConsentKind, DeliveryState, Reason
from sender.web.confirm import routes
from tests.support.campaign_folder import Office, open_office, settings_for
from tests.support.factory import (
    HASHER,
    NOW,
    OPERATOR,
    Organisation,
    add_campaign,
    add_contact,
    add_delivery,
    add_freeze,
    add_freshness,
    add_notice,
    add_point,
    add_run,
    block,
    establish,
    record_consent,
)
from tests.support.opt_out_door import Page, TickingClock, add_message
from tests.support.waiting import Rival
from tests.support.web_server import serve

ASKS = '[audience]\nexpiring_within = "60d"\n'
LETTER = (
    '<p>Dear {{ recipient.first_name | default("friend") }}, shall we go on writing? '
    '<a href="{{ confirm_url }}">Yes, go on</a></p>\n'
)
TEXT = "{{ sender_name }}: shall we go on? {{ confirm_url }}\nReply STOP to opt out\n"
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
ON_POSTGRESQL = pytest.mark.parametrize("dialect", ["postgresql"])
DAY = timedelta(days=1)


class TestWhoIsAsked:
    """Only people whose consent counts, and soon no longer does."""

    @pytest.fixture
    def office(self, store: Store, tmp_path: Path) -> Iterator[Office]:
        clock = TickingClock()
        with open_office(store, tmp_path, clock=clock) as opened:
            opened.write("letter.html", LETTER)
            opened.write("text.txt", TEXT)
            yield opened

    def person(self, office: Office, agreed: datetime, **consent: Any) -> ContactPoint:
        channel = consent.pop("channel", Channel.EMAIL)
        with office.store.write() as session:
            contact = add_contact(session, office.organisation.controller)
            point = add_point(session, contact, channel=channel)
            record_consent(
                session, office.organisation, point.address_id, occurred_at=agreed, **consent
            )
        return point

    def soon(self, office: Office, **consent: Any) -> ContactPoint:
        return self.person(office, months_before(NOW, 24) + 30 * DAY, **consent)

    def written_to(self, office: Office) -> dict[str, str]:
        """Return the text of each message in the outbox, by its address."""
        found = {}
        for path in office.context.settings.outbox.rglob("*.eml"):
            mail = message_from_bytes(path.read_bytes(), policy=policy.default)
            part = mail.get_body(("plain",))
            assert part is not None
            found[mail["To"]] = part.get_content()
        return found

    def test_those_whose_consent_ends_soon_and_nobody_else(self, office: Office) -> None:
        ageing = self.soon(office)
        limited = self.person(office, NOW - DAY, ends_at=NOW + 20 * DAY)
        self.person(office, NOW - DAY)
        self.person(office, months_before(NOW, 24) - DAY)
        self.person(office, NOW - DAY, ends_at=NOW - timedelta(hours=1))
        opted_out, objected, withdrawn = (self.soon(office) for _ in range(3))
        with office.store.write() as session:
            block(session, opted_out.address_id, controller=office.organisation.controller)
            act = Objection(office.organisation.id, objected.address_id, NOW, "page", OPERATOR)
            record_objection(session, act, NOW)
            record_consent(
                session, office.organisation, withdrawn.address_id, kind=ConsentKind.WITHDRAWN
            )
        campaign = office.email(ASKS)
        report = check(office.context, campaign)
        assert (report.errors, report.recipients) == ((), 2)
        assert confirm_url_of("https://out.example.org/u/x") == "https://out.example.org/k/x"
        run_id, _ = office.launch(campaign)
        assert set(self.written_to(office)) == {ageing.address, limited.address}
        assert office.counts(run_id).by_reason == {Reason.SUPPRESSED: 1}
        for text in self.written_to(office).values():
            [token] = re.findall(r"https://out\.example\.org/k/(\w+)", text)
            assert f"https://out.example.org/u/{token}" in text

    def test_a_text_message_carries_the_link_too(self, office: Office) -> None:
        self.soon(office, channel=Channel.SMS)
        shown = preview(office.context, office.sms(ASKS, max_segments=4))
        assert "/k/" in shown.message.body  # type: ignore[union-attr]  # an SMS

    def test_a_second_run_asks_nobody_again_within_the_period(self, office: Office) -> None:
        point = self.soon(office)
        first, _ = office.launch(office.email(ASKS))
        again, _ = office.launch(office.email(ASKS, name="again"))
        assert office.counts(first).by_state == {DeliveryState.ACCEPTED: 1}
        assert office.counts(again).by_reason == {Reason.ALREADY_SENT: 1}
        clock = office.context.clock
        assert isinstance(clock, TickingClock)
        clock.current += 61 * DAY
        self.person(office, months_before(NOW, 24) + 90 * DAY)
        third, _ = office.launch(office.email(ASKS, name="third"))
        assert office.counts(third).by_state == {DeliveryState.ACCEPTED: 1}
        with office.store.read() as session:
            assert (
                point.address_id
                not in session.scalars(
                    select(Delivery.address_id).where(Delivery.run_id == third)
                ).all()
            ), "stale by then, and so in no audience of this kind"


@dataclass
class Asking:
    """A person who was asked by a message, and the page behind its link."""

    context: Context
    organisation: Organisation
    url: str
    link: str
    delivery_id: int
    address_id: int

    @property
    def store(self) -> Store:
        return self.context.store

    def get(self) -> Page:
        return _page(requests.get(self.url + self.link, timeout=30, allow_redirects=False))

    def post(self, fields: Any = None, **more: Any) -> Page:
        answer = requests.post(
            self.url + self.link, fields, timeout=30, allow_redirects=False, **more
        )
        return _page(answer)

    def press(self) -> Page:
        return self.post(dict(HIDDEN.findall(self.get().html)))

    def events(self) -> list[ConsentEvent]:
        query = select(ConsentEvent).where(ConsentEvent.kind == ConsentKind.RECONFIRMED)
        with self.store.read() as session:
            return list(session.scalars(query))


def _page(response: requests.Response) -> Page:
    return Page(response.status_code, response.headers, response.text)


@pytest.fixture
def asking(store: Store, tmp_path: Path) -> Iterator[Asking]:
    context = Context(settings_for(tmp_path), store, HASHER, TickingClock(), OPERATOR)
    with store.write() as session:
        register_key(session, HASHER, NOW)
        organisation = establish(session, "riverside")
        message = add_message(context, session, organisation, expiring_days=60)
        session.get_one(Delivery, message.delivery_id).dispatched_at = NOW - DAY
    app = FastAPI()
    app.include_router(routes(context))
    link = urlsplit(confirm_url_of(f"https://out.example.org{message.link}")).path
    with serve(app) as url:
        yield Asking(context, organisation, url, link, message.delivery_id, message.address_id)


class TestThePage:
    def test_looking_changes_nothing_and_a_press_records_the_wording_seen(
        self, asking: Asking
    ) -> None:
        page = asking.get()
        assert page.status == 200
        assert "Yes, riverside may write to me." in page.text
        assert asking.events() == []
        done = asking.press()
        assert (done.status, done.title) == (200, done.title)
        assert "Thank you" in done.title
        [event] = asking.events()
        assert (event.method, event.notice_id) == (METHOD, asking.organisation.notice.id)
        assert event.source.endswith(f"message {asking.delivery_id}")
        key = (asking.organisation.id, asking.organisation.purpose.id, asking.address_id)
        with asking.store.read() as session:
            state = session.get_one(ConsentState, key)
            assert (state.event_id, state.last_affirmative_at) == (event.id, event.occurred_at)
            assert event.occurred_at > NOW
            soon = timedelta(days=720)
            now = asking.context.clock.now()
            assert expiring(session, "riverside", now=now, within=soon) == []

    def test_pressed_twice_it_is_recorded_once(self, asking: Asking) -> None:
        fields = dict(HIDDEN.findall(asking.get().html))
        assert "Thank you" in asking.post(fields).title
        assert "Thank you" in asking.post(fields).title
        assert "Thank you" in asking.get().title
        assert len(asking.events()) == 1

    @pytest.mark.parametrize(
        ("fields", "headers"),
        [
            ({"List-Unsubscribe": "One-Click"}, {}),
            ({}, {}),
            ({"act": "confirm"}, {}),
            ({"act": "confirm", "notice": "9" * 30}, {}),
            ({"act": "confirm", "notice": ["1", "2"]}, {}),
            ({"notice": "1"}, {}),
            ("act=confirm&notice=1", {"Content-Type": "text/plain"}),
            ("&".join(["act=confirm"] * 50), {"Content-Type": "application/x-www-form-urlencoded"}),
        ],
    )
    def test_what_is_not_its_own_form_records_nothing(
        self, asking: Asking, fields: Any, headers: dict[str, str]
    ) -> None:
        assert asking.post(fields, headers=headers).status == 200
        assert asking.events() == []

    def test_a_wording_that_changed_meanwhile_is_shown_first(self, asking: Asking) -> None:
        fields = dict(HIDDEN.findall(asking.get().html))
        with asking.store.write() as session:
            add_notice(session, asking.organisation.controller, version=2)
        page = asking.post(fields)
        assert dict(HIDDEN.findall(page.html))["notice"] != fields["notice"]
        assert asking.events() == []

    def test_a_wording_that_is_shown_no_more_renews_nothing(self, asking: Asking) -> None:
        with asking.store.write() as session:
            add_notice(session, asking.organisation.controller, version=2, shown_until=NOW - DAY)
        assert asking.get().status == 410

    @pytest.mark.parametrize(
        "change",
        ["block", "objection", "freeze", "stale", "withdrawn", "old", "unsent", "ordinary", "test"],
    )
    def test_it_renews_only_a_consent_that_counts_for_a_message_that_asked(
        self, asking: Asking, change: str
    ) -> None:
        fields = dict(HIDDEN.findall(asking.get().html))
        body = asking.organisation
        with asking.store.write() as session:
            delivery = session.get_one(Delivery, asking.delivery_id)
            run = session.get_one(Run, delivery.run_id)
            if change == "block":
                block(session, asking.address_id, controller=body.controller)
            elif change == "objection":
                act = Objection(body.id, asking.address_id, NOW, "page", OPERATOR)
                record_objection(session, act, NOW)
            elif change == "freeze":
                add_freeze(session, body.controller, NOW)
            elif change == "stale":
                add_freshness(session, body.controller, warn_months=1, hold_months=1)
                clock = asking.context.clock
                assert isinstance(clock, TickingClock)
                clock.current += 10 * DAY
            elif change == "withdrawn":
                record_consent(
                    session, body, asking.address_id, kind=ConsentKind.WITHDRAWN, occurred_at=NOW
                )
            elif change == "old":
                delivery.dispatched_at = NOW - CONFIRM_WITHIN
            elif change == "unsent":
                delivery.dispatched_at = None
            elif change == "ordinary":
                run.expiring_days = None
            else:
                run.is_test = True
        assert asking.post(fields).status == 410
        assert asking.get().status == 410
        assert asking.events() == []

    def test_links_that_lead_nowhere_say_so(self, asking: Asking) -> None:
        asking.link = "/k/" + "x" * 22
        assert (asking.get().status, asking.post({}).status) == (404, 404)
        asking.link = "/k/short"
        assert asking.get().status == 404


class TestOnceAPeriod:
    """At most one message asks an address about a purpose within the longer of two periods."""

    def ask(self, store: Store, run_id: int, person: Person, at: datetime) -> set[int]:
        with store.write() as session:
            return asked_already(session, session.get_one(Run, run_id), [person], at)

    @pytest.fixture
    def two(self, store: Store) -> list[tuple[int, Person]]:
        """Two runs with a message each to one person: of 60 days and of 10."""
        with store.write() as session:
            body = establish(session)
            point = add_point(session, add_contact(session, body.controller))
            _, version = add_campaign(session, body.controller)
            found = []
            for days in (60, 10):
                run = add_run(session, body, version, expiring_days=days)
                delivery = add_delivery(session, run, point)
                found.append((run.id, Person(delivery.id, point.address_id, point.contact_id)))
        return found

    def test_the_longer_period_of_two_holds(
        self, store: Store, two: list[tuple[int, Person]]
    ) -> None:
        (long, first), (short, second) = two
        assert self.ask(store, long, first, NOW) == set()
        assert self.ask(store, long, first, NOW + DAY) == set(), "it came back unsent"
        assert self.ask(store, short, second, NOW + 11 * DAY) == {second.delivery_id}
        assert self.ask(store, short, second, NOW + 61 * DAY) == set()
        assert self.ask(store, long, first, NOW + 72 * DAY) == {first.delivery_id}
        assert self.ask(store, long, first, NOW + 121 * DAY) == set()

    def test_whoever_has_two_addresses_is_asked_at_one_of_them(self, store: Store) -> None:
        with store.write() as session:
            body = establish(session)
            contact = add_contact(session, body.controller)
            points = [add_point(session, contact) for _ in range(2)]
            _, version = add_campaign(session, body.controller)
            run, later = (add_run(session, body, version, expiring_days=60) for _ in range(2))
            one, other, again = (
                Person(add_delivery(session, of, point).id, point.address_id, contact.id)
                for of, point in ((run, points[0]), (run, points[1]), (later, points[1]))
            )
            assert asked_already(session, run, [other, one], NOW) == {other.delivery_id}
        assert self.ask(store, later.id, again, NOW + DAY) == {again.delivery_id}
        assert self.ask(store, later.id, again, NOW + 61 * DAY) == set()

    def test_ordinary_runs_and_tests_ask_nobody(
        self, store: Store, two: list[tuple[int, Person]]
    ) -> None:
        (long, first), (short, second) = two
        with store.write() as session:
            session.get_one(Run, long).expiring_days = None
            session.get_one(Run, short).is_test = True
        for run_id, person in ((long, first), (short, second)):
            for _ in range(2):
                assert self.ask(store, run_id, person, NOW) == set()

    @ON_POSTGRESQL
    def test_of_two_at_once_the_second_waits_and_finds_the_first(
        self, store: Store, two: list[tuple[int, Person]]
    ) -> None:
        (long, first), (short, second) = two
        refused: list[set[int]] = []
        rival = Rival(store, lambda: refused.append(self.ask(store, short, second, NOW)))
        with store.write() as session:
            assert asked_already(session, session.get_one(Run, long), [first], NOW) == set()
            rival.start()
        rival.finish()
        assert refused == [{second.delivery_id}]
