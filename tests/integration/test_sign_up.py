"""Sign-up and its confirmation: two acts of the person, and not a word more than is needed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.closing import close_purpose
from sender.store.contacts import Contact
from sender.vocabulary import BlockCause, Channel
from sender.web import sign_up_limits
from tests.support.factory import (
    NOW,
    add_form,
    add_freeze,
    add_notice,
    address_id_of,
    block,
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
    stop,
)

only_sqlite = pytest.mark.parametrize("dialect", ["sqlite"])


def end_purposes(session: Session, _hall: Hall) -> None:
    for one in ("campaign-news", "fundraising"):
        close_purpose(session, "riverside", one, at=NOW, reason="over", operator="x", now=NOW)


def later_notice(**columns: Any) -> Callable[[Session, Hall], object]:
    return lambda session, hall: add_notice(
        session, hall.riverside.controller, version=3, **columns
    )


CLOSINGS: dict[str, Callable[[Session, Hall], object]] = {
    "closed": lambda session, hall: add_form(
        session, hall.riverside.controller, version=2, is_open=False
    ),
    "frozen": lambda session, hall: add_freeze(session, hall.riverside.controller, NOW),
    "no longer shown": later_notice(shown_until=NOW),
    "names another": later_notice(controllers=["mayor"]),
    "purposes over": end_purposes,
}


class TestTheForm:
    """What it shows, and when it is there."""

    def test_it_shows_the_wording_and_an_empty_box_for_each_channel_and_purpose(
        self, hall: Hall
    ) -> None:
        page = hall.get()
        assert page.status == 200
        assert hall.riverside.notice.wording in page.text
        assert page.html.count('type="checkbox"') == 4
        assert "checked" not in page.html
        for value in (NEWS, MONEY, TEXTS, "sms:fundraising"):
            assert f'value="{value}"' in page.html
        assert "https://riverside.example.org/privacy" in page.html

    def test_looking_changes_no_row(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        before = hall.rows()
        for path in (FORM, link, link + ">."):
            assert hall.get(path).status == 200
        assert hall.rows() == before

    @only_sqlite
    def test_it_is_passed_on_with_the_regulators_warning_and_takes_no_friends_address(
        self, hall: Hall
    ) -> None:
        page = hall.get()
        assert "reasonably certain" in page.text
        assert 'href="https://riverside.example.org/join"' in page.html
        assert page.html.count("<input") == 4 + 2 + 1

    @pytest.mark.parametrize("close", CLOSINGS.values(), ids=CLOSINGS)
    @only_sqlite
    def test_it_is_not_there_where_nothing_could_be_agreed_to(
        self, hall: Hall, close: Callable[..., object]
    ) -> None:
        with hall.store.write() as session:
            close(session, hall)
        assert hall.get().status == 404
        before = hall.rows()
        assert hall.submit(email=ANN, notice=3).status == 404
        assert hall.rows() == before

    @only_sqlite
    @pytest.mark.parametrize("path", ["/s/riverside/paper", "/s/nobody/web"])
    def test_a_notice_is_no_form_by_itself(self, hall: Hall, path: str) -> None:
        assert hall.get(path).status == 404
        assert hall.get(path.replace("paper", "sign-up-form")).status == 404

    @only_sqlite
    def test_another_wording_has_to_be_read_first(self, hall: Hall) -> None:
        page = hall.submit(email=ANN, notice=1)
        assert (page.status, page.title) == (409, "The wording has changed")
        assert f'value="{ANN}"' in page.html
        assert "checked" not in page.html
        assert hall.sign_ups() == []
        assert hall.submit(email=ANN, notice="x" * 99).status == 409


@only_sqlite
class TestWhatIsRefused:
    """All by what was typed, never by who it is."""

    @pytest.mark.parametrize(
        ("form", "said"),
        [
            ({"agree": []}, "Tick what you want"),
            ({"agree": [NEWS]}, "Give the address that it should go to"),
            ({"email": ANN, "agree": []}, "Tick what you want there"),
            ({"email": ANN, "agree": [TEXTS]}, "Give the address that it should go to"),
            ({"email": "ann at example.org"}, "This is no email address"),
            ({"email": "x" * 400 + "@example.org"}, "This is no email address"),
            ({"mobile": "hello", "agree": [TEXTS]}, "This is no telephone number"),
            ({"mobile": "020 7946 0018", "agree": [TEXTS]}, "cannot take text messages"),
            ({"mobile": "0800 1111", "agree": [TEXTS]}, "cannot take text messages"),
            ({"mobile": "07012 345678", "agree": [TEXTS]}, "cannot take text messages"),
            (
                {"mobile": "+33 6 12 34 56 78", "agree": [TEXTS]},
                "Only numbers of the United Kingdom",
            ),
            ({"email": ANN, "agree": ["email:nothing-of-ours"]}, "Tick what you want there"),
        ],
    )
    def test_what_cannot_be_meant_is_said_and_nothing_is_kept(
        self, hall: Hall, form: dict[str, Any], said: str
    ) -> None:
        before = hall.rows()
        page = hall.submit(**form)
        assert (page.status, page.title) == (422, "Something is missing or not right")
        assert said in page.text
        assert hall.rows() == before

    def test_what_was_typed_comes_back_as_text(self, hall: Hall) -> None:
        page = hall.submit(email='"><script>alert(1)</script>')
        assert "<script>" not in page.html

    def test_a_body_that_is_no_form_is_not_one(self, hall: Hall) -> None:
        assert (
            hall.post(FORM, '{"email": "x"}', headers={"Content-Type": "application/json"}).status
            == 409
        )
        many = {f"field{number}": "x" for number in range(200)}
        assert hall.post(FORM, many).status == 409


class TestTheSameAnswer:
    """Nobody learns from a form who is known, or who said no."""

    def test_every_address_gets_the_same_answer_after_the_same_work(self, hall: Hall) -> None:
        with hall.store.write() as session:
            for address, cause in (
                ("opted@example.org", BlockCause.OPT_OUT),
                ("objected@example.org", BlockCause.OBJECTION),
                ("bounced@example.org", BlockCause.BOUNCE),
            ):
                block(
                    session,
                    address_id_of(session, address),
                    cause=cause,
                    controller=hall.riverside.controller,
                )
            block(session, address_id_of(session, "nowhere@example.org"))
        known(hall, "member@example.org")
        hall.wait(seconds=1)
        answers, rows = set(), []
        people = ("new", "member", "opted", "objected", "bounced", "nowhere", "member")
        for name in people:
            before = hall.rows()
            page = hall.submit(email=f"{name}@example.org")
            answers.add((page.status, page.html))
            after = hall.rows()
            rows.append({one for one in after if after[one] != before[one]} - {"address"})
        [(status, html)] = answers
        assert status == 200
        assert "Now confirm it" in html
        assert rows == [{"sign_up"}] * len(people)
        assert hall.keep().sent == 3

    @only_sqlite
    def test_it_names_no_address(self, hall: Hall) -> None:
        assert ANN not in hall.submit(email=ANN).html


class TestTheConfirmation:
    """One neutral message, to whom it may go."""

    def test_it_says_where_it_came_from_and_asks_for_nothing(self, hall: Hall) -> None:
        hall.asked(email=ANN, agree=[NEWS, MONEY])
        [text] = hall.sent()
        for told in (
            "https://riverside.example.org/join",
            "7 May 2026 at 10:00",
            "Riverside Association",
            "That was not me",
            "1 High Street",
        ):
            assert told in text
        for marketing in ("Campaign news", "Fundraising", hall.riverside.notice.wording):
            assert marketing not in text
        assert [row.kind for row in hall.replies()] == ["sign-up-confirmation"]

    @only_sqlite
    def test_a_text_message_has_its_link_too(self, hall: Hall) -> None:
        hall.confirmed(mobile="07700 900789", agree=[TEXTS])
        [text] = hall.sent()
        assert text.startswith("Riverside Association:")
        assert "riverside.example.org" in text
        assert hall.decision(NUMBER, channel=Channel.SMS).allowed

    def test_one_within_thirty_days_over_all_controllers(self, hall: Hall) -> None:
        hall.asked(email=ANN)
        assert hall.submit(MAYORS, email=ANN).status == 200
        assert hall.submit(email=ANN.upper()).status == 200
        assert hall.keep().sent == 0
        hall.wait(days=29, hours=23)
        assert hall.submit(email=ANN).status == 200
        assert hall.keep().sent == 0
        hall.wait(hours=2)
        assert hall.submit(MAYORS, email=ANN).status == 200
        assert hall.keep().sent == 1
        assert len(hall.sent()) == 2

    @pytest.mark.parametrize(
        ("cause", "scope"),
        [
            (BlockCause.OBJECTION, {}),
            (BlockCause.COMPLAINT, {}),
            (BlockCause.BOUNCE, {}),
            (BlockCause.INVALID, {}),
            (BlockCause.HOLD, {}),
            (BlockCause.OPT_OUT, {"controller": None}),
        ],
    )
    def test_nobody_is_asked_who_is_blocked(
        self, hall: Hall, cause: BlockCause, scope: dict[str, Any]
    ) -> None:
        stop(hall, cause, **scope)
        hall.wait(seconds=1)
        assert hall.submit(email=ANN).status == 200
        assert hall.keep().sent == 0
        assert hall.events() == []
        [row] = hall.sign_ups()
        assert (row.address, row.due_at, row.reply_id) == (None, None, None)

    @only_sqlite
    def test_nobody_is_asked_whose_contact_objected(self, hall: Hall) -> None:
        known(hall)
        with hall.store.write() as session:
            session.scalars(select(Contact)).one().objected_at = NOW
        hall.submit(email=ANN)
        assert hall.keep().sent == 0

    @pytest.mark.parametrize("seconds", [0, 1])
    def test_a_no_that_comes_before_it_is_sent_keeps_it_back(
        self, hall: Hall, seconds: int
    ) -> None:
        hall.submit(email=ANN)
        hall.wait(seconds=seconds)
        stop(hall)
        assert hall.keep().sent == 0

    @only_sqlite
    def test_it_is_sent_within_a_day_or_not_at_all(self, hall: Hall) -> None:
        hall.submit(email=ANN)
        hall.wait(days=1, seconds=1)
        assert hall.keep().sent == 0
        assert hall.events() == []

    @only_sqlite
    def test_a_form_that_closed_its_purpose_meanwhile_asks_nobody(self, hall: Hall) -> None:
        hall.submit(email=ANN)
        with hall.store.write() as session:
            close_purpose(
                session, "riverside", "campaign-news", at=NOW, reason="over", operator="x", now=NOW
            )
        assert hall.keep().sent == 0


@only_sqlite
class TestCaps:
    """So much a day, and no more."""

    def test_a_forms_controller_has_so_many_a_day(self, hall: Hall) -> None:
        with hall.store.write() as session:
            add_form(session, hall.riverside.controller, version=2, most_a_day=2)
        for name in ("a", "b"):
            assert hall.submit(email=f"{name}@example.org").status == 200
        page = hall.submit(email="c@example.org")
        assert (page.status, page.title) == (429, "No more sign-ups today")
        assert hall.submit(MAYORS, email="c@example.org").status == 200
        hall.wait(days=1)
        assert hall.submit(email="c@example.org").status == 200

    def test_the_installation_has_so_many_a_day(
        self, hall: Hall, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sender.signup.requests.MOST_A_DAY_IN_ALL", 1)
        assert hall.submit(MAYORS, email="a@example.org").status == 200
        assert hall.submit(email="b@example.org").status == 429

    def test_a_client_has_so_many_a_day(self, hall: Hall) -> None:
        for number in range(sign_up_limits.MOST_A_DAY):
            assert hall.submit(email=f"p{number}@example.org").status == 200
        assert hall.submit(email="one.more@example.org").status == 429
        assert hall.submit(email="no address").status == 422
        hall.clock.seconds += timedelta(days=1).total_seconds()
        assert hall.submit(email="one.more@example.org").status == 200
