"""The way back: asked for on the page, confirmed from the address itself, and only that far."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from sender.inbound.opt_out_tickets import TicketUse, make_ticket
from sender.store.consents import ConsentEvent, ConsentState
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import ProviderAccount, SenderIdentity
from sender.store.deliveries import Reply
from sender.store.engine import Store
from sender.store.inbound import Alert
from sender.suppression.links import token_keys
from sender.vocabulary import BlockCause, Channel, ConsentKind, ProviderName
from tests.support.factory import (
    add_account,
    add_contact,
    add_identity,
    add_notice,
    add_point,
    block,
    establish,
    record_consent,
)
from tests.support.opt_out_door import EMAIL, ONE_CLICK, Door, open_door, sources

STOPPED = {(BlockCause.OPT_OUT, "email", False)}
OBJECTED = {(BlockCause.OBJECTION, "*", False)}


@pytest.fixture
def door(store: Store, tmp_path: Path) -> Iterator[Door]:
    with open_door(store, tmp_path) as opened:
        yield opened


only_sqlite = pytest.mark.parametrize("dialect", ["sqlite"])


def ask(door: Door) -> str:
    """Ask on the page of a stopped link, and return the path in the mail that came."""
    door.press(door.get(door.link), "return")
    return door.confirmation()


def state(door: Door, address_id: int = 0) -> ConsentState:
    key = (door.organisation.id, door.organisation.purpose.id, address_id or door.email.address_id)
    with door.store.read() as session:
        return session.get_one(ConsentState, key)


def test_confirmed_from_the_address_it_lifts_what_was_stopped(door: Door) -> None:
    door.post(door.link, ONE_CLICK)
    path = ask(door)
    assert door.blocks() == STOPPED
    page = door.get(path)
    assert page.title == "Do you want emails from Riverside Association again?"
    assert door.blocks() == STOPPED
    back = door.post(path)
    assert (back.status, back.title) == (200, "Emails from Riverside Association may come again")
    assert door.blocks() == set()
    assert sources(door.events()) == [("set", "one-click"), ("release", "return-confirmed")]
    assert all(event.by_person for event in door.events())
    assert state(door).status is ConsentKind.GIVEN


def test_confirmed_twice_is_confirmed_once(door: Door) -> None:
    door.press(door.get(door.link), "everything")
    path = ask(door)
    door.post(path)
    before = door.rows()
    assert door.post(path).status == 200
    assert door.rows() == before


@only_sqlite
def test_the_mail_goes_to_the_address_and_is_no_marketing(door: Door) -> None:
    door.stop()
    page = door.press(door.get(door.link), "return")
    assert page.title == "Look at your email"
    [mail] = door.mails()
    assert "Riverside Association, 1 High Street" in mail
    assert "https://out.example.org" + door.confirmation() in mail
    assert "The link works for 7 days." in mail
    [path] = door.context.settings.outbox.rglob("-*.eml")
    assert f"To: {EMAIL}" in path.read_text()
    with door.store.read() as session:
        [reply] = session.scalars(select(Reply))
    assert (reply.kind, reply.address_id) == ("return-confirmation", door.email.address_id)


@only_sqlite
def test_one_mail_a_day_and_three_a_month_and_the_page_says_the_same(door: Door) -> None:
    door.stop()
    page = door.get(door.link)
    said, sent = set(), []
    for day in range(5):
        for _ in range(2):
            said.add(door.press(page, "return").text)
        sent.append(len(door.mails()))
        door.clock.current += timedelta(days=1, hours=day)
    assert sent == [1, 2, 3, 3, 3]
    assert len(said) == 1
    door.clock.current += timedelta(days=30)
    door.press(page, "return")
    assert len(door.mails()) == 4


@only_sqlite
def test_where_nothing_is_stopped_no_mail_goes_out(door: Door) -> None:
    door.post(door.link, {"act": "return"})
    assert door.mails() == []


@only_sqlite
@pytest.mark.parametrize("cause", [BlockCause.BOUNCE, BlockCause.INVALID])
def test_to_an_address_that_does_not_work_no_mail_goes_out(door: Door, cause: BlockCause) -> None:
    door.stop()
    with door.store.write() as session:
        block(session, door.email.address_id, cause=cause, controller=door.organisation.controller)
    assert door.press(door.get(door.link), "return").title == "Look at your email"
    assert door.mails() == []


@only_sqlite
def test_a_provider_that_fails_raises_an_alert_and_the_page_says_the_same(door: Door) -> None:
    door.stop()
    with door.store.write() as session:
        account = add_account(session, "nowhere", provider=ProviderName.SES)
        session.execute(update(SenderIdentity).values(provider_account_id=account.id))
    assert door.press(door.get(door.link), "return").title == "Look at your email"
    with door.store.read() as session:
        [alert] = session.scalars(select(Alert))
    assert (alert.kind, alert.subject) == ("return_mail.not_sent", "riverside")
    assert EMAIL not in str(alert.details)


@only_sqlite
def test_a_retired_identity_writes_no_more_its_successor_does(door: Door) -> None:
    door.stop()
    with door.store.write() as session:
        session.execute(update(SenderIdentity).values(retired_at=door.clock.now()))
        controller = door.organisation.controller
        add_identity(session, controller, Channel.EMAIL, address="new@example.org", name="new")
    ask(door)
    [path] = door.context.settings.outbox.rglob("-*.eml")
    assert "new@example.org" in path.read_text()
    with door.store.read() as session:
        assert session.scalars(select(ProviderAccount)).first()


class TestTickets:
    def test_a_newer_opt_out_makes_it_worthless(self, door: Door) -> None:
        door.stop()
        path = ask(door)
        with door.store.write() as session:
            block(
                session,
                door.email.address_id,
                controller=door.organisation.controller,
                channel="email",
                now=door.clock.now(),
            )
        for page in (door.get(path), door.post(path)):
            assert (page.status, page.title) == (410, "This link no longer works")
        assert door.blocks() == STOPPED

    def test_so_does_an_objection_by_another_address_of_the_person(self, door: Door) -> None:
        door.stop()
        path = ask(door)
        door.press(door.get(door.sms.link), "everything")
        assert door.post(path).status == 410
        assert door.blocks() == STOPPED | OBJECTED

    @only_sqlite
    def test_it_lasts_a_week(self, door: Door) -> None:
        door.stop()
        path = ask(door)
        door.clock.current += timedelta(days=7)
        assert door.get(path).status == 410
        assert door.post(path).status == 410
        assert door.blocks() == STOPPED

    @only_sqlite
    def test_it_is_for_its_own_message_and_use(self, door: Door) -> None:
        undo = door.stop().form("undo")["ticket"]
        with door.store.write() as session:
            other = door.send(session)
        door.post(other.link, ONE_CLICK)
        ticket = ask(door).rpartition("/")[2]
        for path in (f"{other.link}/return/{ticket}", f"{door.link}/return/{undo}"):
            assert door.post(path).status == 410
        door.post(door.link, {"act": "undo", "ticket": ticket})
        assert door.blocks() == STOPPED
        assert door.blocks(other.address_id) == STOPPED

    @only_sqlite
    def test_damaged_it_opens_nothing(self, door: Door) -> None:
        door.stop()
        path = ask(door)
        for damaged in (path[:-1], path + "A", path[:-3] + "AAA", path[:-1] + "%C3%A9"):
            assert door.post(damaged).status == 410
        assert door.blocks() == STOPPED


class TestAfterAnObjection:
    def test_all_that_the_objection_covered_is_lifted(self, door: Door) -> None:
        door.press(door.get(door.link), "everything")
        door.post(ask(door))
        assert door.blocks() == set()
        assert door.blocks(door.sms.address_id) == set()
        with door.store.read() as session:
            assert [row.objected_at for row in session.scalars(select(Contact))] == [None]

    def test_the_consent_is_renewed_by_the_wording_on_the_page(self, door: Door) -> None:
        door.press(door.get(door.link), "everything")
        path = ask(door)
        assert "Yes, riverside may write to me." in door.get(path).text
        assert state(door).status is ConsentKind.OBJECTED
        door.post(path)
        assert state(door).status is ConsentKind.RECONFIRMED
        with door.store.read() as session:
            event = session.get_one(ConsentEvent, state(door).event_id)
        assert event.notice_id == door.organisation.notice.id
        assert event.method == "return-page"
        assert state(door, door.sms.address_id).status is ConsentKind.OBJECTED

    def test_wording_that_is_shown_no_more_renews_nothing(self, door: Door) -> None:
        with door.store.write() as session:
            ended = add_notice(
                session,
                door.organisation.controller,
                version=2,
                shown_until=door.clock.now() - timedelta(days=1),
            )
            record_consent(
                session,
                door.organisation,
                door.email.address_id,
                notice=ended,
                occurred_at=door.clock.now() - timedelta(days=10),
            )
        door.press(door.get(door.link), "everything")
        path = ask(door)
        page = door.get(path)
        assert "will still not write to you before you agree anew" in page.text
        assert "Yes, riverside may write to me." not in page.text
        back = door.post(path)
        assert "will not write to you before you agree anew" in back.text
        assert door.blocks() == set()
        assert state(door).status is ConsentKind.OBJECTED

    def test_an_objection_made_apart_stays_and_so_does_this_one(self, door: Door) -> None:
        """The number belonged to another contact when its holder objected."""
        with door.store.write() as session:
            other = add_contact(session, door.organisation.controller)
            point = add_point(session, other)
            block(
                session,
                point.address_id,
                cause=BlockCause.OBJECTION,
                controller=door.organisation.controller,
                now=door.clock.now(),
            )
            known = session.scalars(
                select(ContactPoint).where(ContactPoint.address_id == door.email.address_id)
            ).one()
            point.contact_id = known.contact_id
        with door.store.write() as session:
            session.execute(
                update(Contact).where(Contact.id == known.contact_id).values(objected_at=None)
            )
            block(
                session,
                door.email.address_id,
                cause=BlockCause.OBJECTION,
                controller=door.organisation.controller,
                occurred_at=door.clock.now(),
                now=door.clock.now(),
            )
        assert door.post(ask(door)).status == 410
        assert door.blocks() == OBJECTED
        assert door.blocks(point.address_id) == OBJECTED


class TestWhatStays:
    @pytest.mark.parametrize("cause", [BlockCause.BOUNCE, BlockCause.INVALID, BlockCause.HOLD])
    def test_what_no_person_set(self, door: Door, cause: BlockCause) -> None:
        door.stop()
        path = ask(door)
        controller = door.organisation.controller
        with door.store.write() as session:
            block(session, door.email.address_id, cause=cause, controller=controller)
        assert door.post(path).status == 200
        assert door.blocks() == {(cause, "*", False)}

    def test_a_complaint_with_all_beside_it(self, door: Door) -> None:
        with door.store.write() as session:
            block(
                session,
                door.email.address_id,
                cause=BlockCause.COMPLAINT,
                controller=door.organisation.controller,
            )
        door.post(door.link, ONE_CLICK)
        page = door.get(door.link)
        assert "return" not in page.acts
        assert "Write to office@riverside.example.org." in page.text
        door.post(door.link, {"act": "return"})
        assert door.mails() == []

    def test_what_holds_for_every_controller(self, door: Door) -> None:
        with door.store.write() as session:
            block(session, door.email.address_id)
        assert "return" not in door.get(door.link).acts

    @pytest.mark.parametrize("cause", [BlockCause.COMPLAINT, BlockCause.OBJECTION])
    def test_not_even_a_ticket_lifts_these(self, door: Door, cause: BlockCause) -> None:
        everywhere = cause is BlockCause.OBJECTION
        controller = None if everywhere else door.organisation.controller
        with door.store.write() as session:
            block(session, door.email.address_id, cause=cause, controller=controller)
        ticket = make_ticket(
            token_keys(door.context.settings),
            TicketUse.RETURN,
            door.email.delivery_id,
            door.organisation.id,
            door.clock.now(),
        )
        assert door.post(f"{door.link}/return/{ticket}").status == 410
        assert len(door.events()) == 1

    def test_another_controllers_and_another_purposes_no(self, door: Door) -> None:
        door.stop()
        path = ask(door)
        with door.store.write() as session:
            other = establish(session, "hillside")
            block(session, door.email.address_id, controller=other.controller)
            fundraising = establish(session, "unused", purpose="fundraising").purpose
            fundraising.controller_id = door.organisation.id
            block(
                session,
                door.email.address_id,
                controller=door.organisation.controller,
                channel="email",
                purpose=fundraising,
                now=door.clock.now() - timedelta(hours=1),
            )
        assert door.post(path).status == 200
        assert door.blocks() == {(BlockCause.OPT_OUT, "email", True)}


class TestWithoutAMail:
    def test_a_text_message_is_answered_with_start(self, door: Door) -> None:
        door.post(door.sms.link, ONE_CLICK)
        page = door.get(door.sms.link)
        assert "text START to the same number" in page.text
        assert "return" not in page.acts
        door.post(door.sms.link, {"act": "return"})
        assert door.mails() == []

    @only_sqlite
    def test_a_sender_that_is_a_name_takes_no_start(self, door: Door) -> None:
        with door.store.write() as session:
            session.execute(
                update(SenderIdentity)
                .where(SenderIdentity.channel == Channel.SMS)
                .values(address="Riverside")
            )
        door.post(door.sms.link, ONE_CLICK)
        assert "Write to office@riverside.example.org." in door.get(door.sms.link).text

    @only_sqlite
    def test_an_erased_address_can_only_write(self, door: Door) -> None:
        door.stop()
        with door.store.write() as session:
            session.execute(update(ContactPoint).values(address=None))
        assert "Write to office@riverside.example.org." in door.get(door.link).text
        door.post(door.link, {"act": "return"})
        assert door.mails() == []
