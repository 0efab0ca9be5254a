"""The link of a confirmation: what its press gives, what it lifts, and how to say no by it."""

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.closing import close_purpose
from sender.consent.objection import Objection, record_objection
from sender.store.consents import ConsentPayload, ConsentState, Notice
from sender.store.contact_changes import ContactMerge
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import SenderIdentity
from sender.store.inbound import Alert
from sender.store.sign_ups import SignUp
from sender.suppression.links import token_keys
from sender.vocabulary import BlockCause, Channel, ConsentKind, Reason
from tests.support.factory import (
    NOW,
    add_contact,
    add_freeze,
    add_point,
    record_consent,
)
from tests.support.sign_up_hall import (
    ANN,
    FORM,
    MAYORS,
    MONEY,
    NEWS,
    NUMBER,
    TEXTS,
    Hall,
    known,
    set_open,
    stop,
)

only_sqlite = pytest.mark.parametrize("dialect", ["sqlite"])


class TestThePress:
    """Consent begins with the press, and with nothing before it."""

    def test_what_is_not_confirmed_is_requested_and_no_consent(self, hall: Hall) -> None:
        link = hall.asked(email=ANN, agree=[NEWS, MONEY])
        assert hall.kinds() == ["requested", "requested"]
        assert hall.decision().refusal is Reason.INVALID_ADDRESS
        known(hall, agreed=False)
        assert hall.decision().refusal is Reason.ONLY_REQUESTED
        assert hall.post(link, {"act": "anything"}).status == 200
        assert hall.post(link, {"List-Unsubscribe": "One-Click"}).status == 200
        assert hall.decision().refusal is Reason.ONLY_REQUESTED

    def test_the_press_gives_consent_for_what_was_ticked_and_nothing_else(self, hall: Hall) -> None:
        page = hall.confirmed(email=ANN, agree=[NEWS])
        assert page.title == "Thank you. Emails from Riverside Association may come now"
        assert hall.kinds() == ["requested", "given"]
        assert hall.decision().allowed
        assert hall.decision(purpose=hall.money).refusal is Reason.WRONG_PURPOSE
        assert hall.decision(body=hall.mayor).refusal is not None
        [point] = hall.all(select(ContactPoint))
        assert (point.address, point.controller_id) == (ANN, hall.riverside.id)
        [row] = hall.sign_ups()
        assert row.address is None

    def test_each_step_leaves_its_evidence(self, hall: Hall) -> None:
        link = hall.asked(email=ANN, agree=[NEWS])
        hall.wait(hours=3)
        hall.press(link, "confirm")
        requested, given = hall.events()
        [notice] = [
            row
            for row in hall.all(select(Notice))
            if row.version == 2 and row.controller_id == hall.riverside.id
        ]
        assert (requested.method, given.method) == ("sign-up-form", "double-opt-in")
        assert (requested.notice_id, given.notice_id) == (notice.id, notice.id)
        assert given.occurred_at - requested.occurred_at == timedelta(hours=3)
        first, second = (
            row.payload
            for row in hall.all(select(ConsentPayload).order_by(ConsentPayload.event_id))
        )
        assert first["wording_sha256"] == sha256(notice.wording.encode()).hexdigest()
        assert (first["notice"], first["form"], first["boxes"]) == (
            "sign-up-form@2",
            "web@1",
            [NEWS],
        )
        assert second["requested_event"] == requested.id
        assert second["requested_at"] == requested.occurred_at.isoformat()
        assert second["confirmed_at"] == given.occurred_at.isoformat()
        assert "127.0.0.1" not in str([first, second])

    def test_pressed_twice_it_is_recorded_once(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        for _ in range(2):
            assert hall.post(link, {"act": "confirm"}).title.startswith("Thank you")
        assert hall.kinds() == ["requested", "given"]

    def test_a_known_person_stays_one_contact_and_renews_the_consent(self, hall: Hall) -> None:
        known(hall)
        hall.confirmed(email=ANN)
        assert len(hall.all(select(Contact))) == 1
        [state] = hall.all(select(ConsentState))
        assert state.last_affirmative_at == NOW

    def test_a_contact_known_by_a_hash_alone_has_the_address_in_plain_again(
        self, hall: Hall
    ) -> None:
        with hall.store.write() as session:
            contact = add_contact(session, hall.riverside.controller)
            add_point(session, contact, ANN, erased=True)
        hall.confirmed(email=ANN)
        [point] = hall.all(select(ContactPoint))
        assert (point.contact_id, point.address) == (contact.id, ANN)
        assert hall.decision().allowed

    def test_both_addresses_of_one_form_become_one_person_once_both_are_confirmed(
        self, hall: Hall
    ) -> None:
        assert hall.submit(email=ANN, mobile=NUMBER, agree=[NEWS, TEXTS]).status == 200
        assert hall.keep().sent == 2
        for place in (0, 1):
            hall.press(hall.link(place), "confirm")
        points = hall.all(select(ContactPoint))
        assert {point.address for point in points} == {ANN, NUMBER}
        assert len({point.contact_id for point in points}) == 1
        assert hall.decision(NUMBER, channel=Channel.SMS).allowed

    def test_so_they_do_where_one_was_known_and_the_other_was_confirmed_first(
        self, hall: Hall
    ) -> None:
        email_id = known(hall, agreed=False)
        hall.submit(email=ANN, mobile=NUMBER, agree=[NEWS, TEXTS])
        hall.keep()
        for place in (1, 0):
            hall.press(hall.link(place), "confirm")
        assert len({point.contact_id for point in hall.all(select(ContactPoint))}) == 1
        [merge] = hall.all(select(ContactMerge))
        assert hall.decision(NUMBER, channel=Channel.SMS).allowed
        with hall.store.write() as session:
            now = hall.clock.now()
            objection = Objection(hall.riverside.id, email_id, now, "letter", "olive")
            record_objection(session, objection, now)
        assert hall.decision(NUMBER, channel=Channel.SMS).refusal is Reason.OBJECTED
        assert merge.operator == "sender"

    @only_sqlite
    def test_so_they_do_where_one_was_erased_before(self, hall: Hall) -> None:
        with hall.store.write() as session:
            contact = add_contact(session, hall.riverside.controller, erased_at=NOW)
            add_point(session, contact, ANN, erased=True)
        hall.submit(email=ANN, mobile=NUMBER, agree=[NEWS, TEXTS])
        hall.keep()
        for place in (1, 0):
            hall.press(hall.link(place), "confirm")
        [fresh] = {point.contact_id for point in hall.all(select(ContactPoint))}
        assert fresh != contact.id

    @only_sqlite
    def test_a_contact_of_whom_more_is_known_stays_one(self, hall: Hall) -> None:
        known(hall, agreed=False)
        with hall.store.write() as session:
            father = add_contact(session, hall.riverside.controller, first_name="Bob")
            add_point(session, father, NUMBER, channel=Channel.SMS)
        hall.submit(email=ANN, mobile=NUMBER, agree=[NEWS, TEXTS])
        hall.keep()
        for place in (1, 0):
            hall.press(hall.link(place), "confirm")
        assert len({point.contact_id for point in hall.all(select(ContactPoint))}) == 2

    @only_sqlite
    def test_an_address_that_was_not_confirmed_joins_nobody(self, hall: Hall) -> None:
        hall.submit(email=ANN, mobile=NUMBER, agree=[NEWS, TEXTS])
        hall.keep()
        known(hall, agreed=False)
        hall.press(hall.link(1), "confirm")
        assert len({point.contact_id for point in hall.all(select(ContactPoint))}) == 2

    @only_sqlite
    def test_an_erased_contact_is_not_brought_back(self, hall: Hall) -> None:
        with hall.store.write() as session:
            contact = add_contact(session, hall.riverside.controller, erased_at=NOW)
            add_point(session, contact, ANN, erased=True)
        hall.confirmed(email=ANN)
        erased, fresh = hall.all(select(Contact).order_by(Contact.id))
        assert erased.erased_at == NOW
        [point] = hall.all(select(ContactPoint))
        assert (point.contact_id, point.address) == (fresh.id, ANN)


class TestTheirOwnUnsubscribe:
    """A new act of the person lifts what the person set, and no more than was ticked."""

    def test_it_is_lifted_by_the_press_from_the_address_and_not_before(self, hall: Hall) -> None:
        known(hall)
        stop(hall, channel="email")
        hall.wait(seconds=1)
        link = hall.asked(email=ANN)
        assert hall.decision().refusal is Reason.SUPPRESSED
        hall.press(link, "confirm")
        assert hall.decision().allowed

    def test_what_was_not_ticked_stays_stopped(self, hall: Hall) -> None:
        address_id = known(hall)
        with hall.store.write() as session:
            record_consent(session, hall.riverside, address_id, purpose=hall.money)
        stop(hall, channel="email")
        hall.wait(seconds=1)
        hall.confirmed(email=ANN, agree=[NEWS])
        assert hall.decision().allowed
        assert hall.decision(purpose=hall.money).refusal is Reason.SUPPRESSED

    @only_sqlite
    def test_the_block_of_another_purpose_stands(self, hall: Hall) -> None:
        known(hall)
        stop(hall, purpose=hall.money)
        hall.wait(seconds=1)
        hall.confirmed(email=ANN, agree=[NEWS])
        assert hall.decision(purpose=hall.money).refusal is Reason.SUPPRESSED
        assert hall.decision().allowed

    def test_a_no_after_the_request_makes_the_link_worthless(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        hall.wait(seconds=1)
        stop(hall)
        page = hall.get(link)
        assert (page.status, "confirm" in page.acts) == (410, False)
        assert hall.post(link, {"act": "confirm"}).status == 410
        assert hall.kinds() == ["requested"]

    @pytest.mark.parametrize("seconds", [0, 1])
    def test_so_does_a_withdrawal(self, hall: Hall, seconds: int) -> None:
        link = hall.asked(email=ANN)
        hall.wait(seconds=seconds)
        now = hall.clock.now()
        with hall.store.write() as session:
            record_consent(
                session,
                hall.riverside,
                hall.address_id(),
                kind=ConsentKind.WITHDRAWN,
                occurred_at=now,
                now=now,
            )
        assert hall.post(link, {"act": "confirm"}).status == 410

    @only_sqlite
    def test_a_link_that_was_used_says_so_until_somebody_says_no(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        hall.press(link, "confirm")
        hall.wait(seconds=1)
        stop(hall)
        assert hall.get(link).status == 410
        assert hall.post(link, {"act": "confirm"}).status == 410
        assert not hall.decision().allowed


class TestAClosedForm:
    """Whoever closes a form has a reason: nothing is asked and nothing agreed to by it."""

    def test_what_waited_does_not_go_out(self, hall: Hall) -> None:
        hall.submit(email=ANN)
        set_open(hall, is_open=False, version=2)
        assert hall.keep().sent == 0
        [row] = hall.sign_ups()
        assert (row.address, row.due_at, row.reply_id) == (None, None, None)
        assert (hall.kinds(), hall.replies()) == ([], [])
        set_open(hall, is_open=True, version=3)
        assert hall.keep().sent == 0, "it was given up"
        assert hall.asked(email=ANN), "which counts as no message"

    def test_a_link_agrees_to_nothing_and_says_why(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        set_open(hall, is_open=False, version=2)
        before = hall.rows()
        for page in (hall.get(link), hall.post(link, {"act": "confirm"})):
            assert (page.status, page.acts) == (410, {"not-me"})
            assert page.title == "This form was closed"
            assert "Nothing was changed" in page.text
        assert hall.rows() == before
        assert hall.kinds() == ["requested"]

    @only_sqlite
    def test_that_was_not_me_works_as_ever(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        set_open(hall, is_open=False, version=2)
        assert hall.press(link, "not-me").title.startswith("Stopped")
        assert (0, "*", 0, BlockCause.OBJECTION) in hall.blocks()

    @only_sqlite
    def test_opened_again_the_link_works_within_its_days(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        set_open(hall, is_open=False, version=2)
        hall.wait(days=2)
        set_open(hall, is_open=True, version=3)
        assert hall.press(link, "confirm").title.startswith("Thank you")
        assert hall.decision().allowed

    @only_sqlite
    def test_who_confirmed_before_stays_signed_up(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        hall.press(link, "confirm")
        set_open(hall, is_open=False, version=2)
        assert hall.get(link).title.startswith("Thank you")
        assert hall.decision().allowed

    @only_sqlite
    def test_a_link_that_is_too_old_says_so_first(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        hall.wait(days=8)
        set_open(hall, is_open=False, version=2)
        assert hall.get(link).title == "This link no longer works"


def end_a_purpose(session: Session, _hall: Hall) -> None:
    close_purpose(session, "riverside", "fundraising", at=NOW, reason="over", operator="x", now=NOW)


def leave_the_channel(session: Session, hall: Hall) -> None:
    """Of the two channels; by e-mail everything can still be ticked."""
    identity = session.get_one(SenderIdentity, hall.riverside.identities[Channel.SMS].id)
    identity.retired_at = NOW


def freeze(session: Session, hall: Hall) -> None:
    add_freeze(session, hall.riverside.controller, NOW)


class TestWhatIsOffered:
    """A press agrees to what was ticked as a whole, and only while it could be ticked."""

    @only_sqlite
    @pytest.mark.parametrize("end", [end_a_purpose, leave_the_channel, freeze])
    def test_what_ended_after_the_request_is_not_agreed_to(
        self, hall: Hall, end: Callable[[Session, Hall], None]
    ) -> None:
        link = hall.asked(mobile=NUMBER, agree=[TEXTS, "sms:fundraising"])
        assert "confirm" in hall.get(link).acts
        with hall.store.write() as session:
            end(session, hall)
        before = hall.rows()
        for page in (hall.get(link), hall.post(link, {"act": "confirm"})):
            assert (page.status, page.acts) == (410, {"not-me"})
        assert hall.rows() == before
        assert hall.kinds() == ["requested", "requested"]


class TestNotMe:
    """One press stops everything, however old the link is."""

    def test_it_blocks_the_address_at_every_controller(self, hall: Hall) -> None:
        with hall.store.write() as session:
            contact = add_contact(session, hall.mayor.controller)
            record_consent(session, hall.mayor, add_point(session, contact, ANN).address_id)
        assert hall.decision(body=hall.mayor).allowed
        page = hall.press(hall.asked(email=ANN), "not-me")
        assert page.title == "Stopped: nothing more goes to this address"
        assert (0, "*", 0, BlockCause.OBJECTION) in hall.blocks()
        assert hall.decision(body=hall.mayor).refusal is Reason.OBJECTED
        assert hall.decision().refusal is not None
        [row] = hall.sign_ups()
        assert row.address is None
        for path in (FORM, MAYORS):
            hall.wait(days=40)
            assert hall.submit(path, email=ANN).status == 200
            assert hall.keep().sent == 0

    def test_the_person_is_taken_to_object_wherever_they_are_known(self, hall: Hall) -> None:
        with hall.store.write() as session:
            contact = add_contact(session, hall.mayor.controller)
            add_point(session, contact, ANN)
            add_point(session, contact, NUMBER, channel=Channel.SMS)
        hall.press(hall.asked(email=ANN), "not-me")
        [contact] = hall.all(select(Contact))
        assert contact.objected_at == NOW
        assert (hall.mayor.id, "*", 0, BlockCause.OBJECTION) in hall.blocks(NUMBER, Channel.SMS)

    def test_an_old_link_still_stops(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        hall.wait(days=300)
        hall.keep()
        page = hall.get(link)
        assert (page.status, page.acts) == (410, {"not-me"})
        assert hall.press(link, "not-me").title.startswith("Stopped")
        assert (0, "*", 0, BlockCause.OBJECTION) in hall.blocks()

    @only_sqlite
    def test_a_link_that_was_confirmed_still_stops(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        hall.press(link, "confirm")
        assert hall.post(link, {"act": "not-me"}).title.startswith("Stopped")
        assert not hall.decision().allowed
        assert hall.post(link, {"act": "confirm"}).title.startswith("Stopped")
        assert not hall.decision().allowed

    def test_pressed_twice_it_is_recorded_once(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        hall.press(link, "not-me")
        before = hall.rows()
        assert hall.post(link, {"act": "not-me"}).title.startswith("Stopped")
        assert hall.rows() == before


class TestLinks:
    """A token is for one link of one route."""

    @only_sqlite
    def test_a_token_of_one_route_is_worth_nothing_on_another(self, hall: Hall) -> None:
        token = hall.asked(email=ANN).rpartition("/")[2]
        opt_out = token_keys(hall.context.settings).make(1, None)
        for path in (f"/u/{token}", f"/k/{token}", f"/c/{opt_out}", f"/c/{opt_out}{opt_out[:18]}"):
            assert hall.get(path).status == 404
            assert hall.post(path, {"act": "confirm"}).status == 404
        assert hall.kinds() == ["requested"]

    @only_sqlite
    def test_a_changed_letter_is_no_link(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        other = "a" if link[-1] != "a" else "b"
        assert hall.get(link[:-1] + other).status == 404

    @only_sqlite
    def test_litter_and_capitals_do_no_harm(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        path, _, token = link.rpartition("/")
        for written in (f"{path}/{token}>", f"{path}/{token}.", f"{path}/{token.upper()}"):
            assert hall.get(written).title == "Do you want emails from Riverside Association?"

    def test_after_a_restored_backup_a_link_speaks_for_nobody_else(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        with hall.store.write() as session:
            for row in session.scalars(select(SignUp)):
                row.salt = bytes(4)
        assert hall.get(link).status == 503
        assert hall.post(link, {"act": "confirm"}).status == 503
        [alert] = hall.all(select(Alert))
        assert (alert.kind, alert.subject) == ("sign_up.row_missing", "sign-up 1")
        assert hall.kinds() == ["requested"]


class TestHowLong:
    """Nothing that was not confirmed outlives seven days."""

    def test_what_nobody_confirmed_is_gone_after_seven_days(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        stop(hall, BlockCause.OBJECTION, controller=hall.mayor.controller)
        hall.submit(email="second@example.org", agree=[MONEY])
        hall.wait(days=6, hours=23)
        assert hall.keep().erased == 0
        assert hall.get(link).status == 200
        hall.wait(hours=1)
        assert hall.keep().erased == 2
        [row] = hall.sign_ups()
        assert (row.address, row.due_at) == (None, None)
        assert hall.get(link).status == 410
        assert hall.post(link, {"act": "confirm"}).status == 410
        assert hall.decision().refusal is Reason.INVALID_ADDRESS
        assert hall.keep().erased == 0

    @only_sqlite
    def test_a_link_that_is_too_old_is_over_before_the_address_is_gone(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        hall.wait(days=7)
        assert "confirm" in hall.get(link).acts
        hall.wait(seconds=1)
        assert hall.get(link).status == 410
        assert hall.post(link, {"act": "confirm"}).status == 410
        assert hall.kinds() == ["requested"]

    @only_sqlite
    def test_one_address_of_two_may_go_before_the_other(self, hall: Hall) -> None:
        stop(hall, BlockCause.OBJECTION)
        hall.wait(seconds=1)
        hall.submit(email=ANN, mobile=NUMBER, agree=[NEWS, TEXTS])
        assert hall.keep().sent == 1
        hall.wait(days=7)
        assert hall.keep().erased == 2
        [row] = hall.sign_ups()
        assert (row.channel, row.beside_id) == (Channel.SMS, None)
