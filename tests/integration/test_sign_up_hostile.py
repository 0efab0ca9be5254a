"""What nobody fills in by mistake: forms that are made to fill a mailbox, or to make us fail."""

from typing import Any

import pytest
import requests

from sender.signup.confirmation import KIND
from sender.store.address_locks import lock_addresses
from sender.store.deliveries import Reply
from tests.support.factory import address_id_of
from tests.support.sign_up_hall import ANN, FORM, MAYORS, NEWS, TEXTS, Hall
from tests.support.waiting import Rival

only_sqlite = pytest.mark.parametrize("dialect", ["sqlite"])
JSON = {"controller": "riverside", "form": "web", "notice": 2, "agree": [NEWS], "email": ANN}
NO_TEXT = "\ud800"
"""Half of a pair of UTF-16, as JSON can tell it and no database can hold it."""


@pytest.mark.parametrize(
    "path",
    [
        "/s/%00/web",
        "/s/riverside/web%00",
        "/s/%ff/web",
        "/s/riverside/%ed%a0%80",
        "/api/sign-up/riverside%00/web",
        "/api/sign-up/riverside/%00",
        "/c/%00",
        "/c/" + "%00" * 40,
        "/c/" + "%C5%BF" * 40,
    ],
)
def test_a_path_that_no_database_takes_leads_nowhere(hall: Hall, path: str) -> None:
    assert hall.get(path).status in {400, 404}
    assert hall.post(path, {"act": "confirm"}).status in {400, 404, 405}


@pytest.mark.parametrize(
    "changed",
    [
        {"controller": "riverside\0"},
        {"form": "\0"},
        {"controller": NO_TEXT},
        {"agree": [f"{NEWS}\0"]},
        {"agree": [NO_TEXT]},
        {"email": f"{ANN}{NO_TEXT}"},
        {"email": f"{ANN}\r\nBcc: other@example.org"},
        {"agree": [TEXTS], "email": "", "mobile": "07700900789;ext=9"},
        {"agree": [TEXTS], "email": "", "mobile": "+44 870 123 4567"},
    ],
)
def test_json_that_no_database_takes_is_refused_and_nothing_kept(
    hall: Hall, changed: dict[str, Any]
) -> None:
    answer = requests.post(f"{hall.url}/api/sign-up", json={**JSON, **changed}, timeout=30)
    assert answer.status_code in {400, 404, 422}
    assert hall.sign_ups() == []


class TestOneMailbox:
    """A mailbox is asked once in thirty days, however its address is spelt."""

    def test_it_is_asked_once_whatever_follows_a_plus_sign(self, hall: Hall) -> None:
        for path, address in (
            (FORM, "ann+1@example.org"),
            (FORM, "ann+2@example.org"),
            (FORM, "ann@example.org"),
            (MAYORS, "ann+3@example.org"),
        ):
            assert hall.submit(path, email=address).status == 200
        assert hall.keep().sent == 1
        assert hall.kinds() == ["requested"]
        assert [row.address for row in hall.sign_ups()] == ["ann+1@example.org", None, None, None]
        hall.wait(days=30, seconds=1)
        hall.submit(email="ann+2@example.org")
        assert hall.keep().sent == 1

    @only_sqlite
    def test_no_spelling_is_asked_after_one_said_not_me(self, hall: Hall) -> None:
        hall.press(hall.asked(email="ann+1@gmail.com"), "not-me")
        for address in ("an.n+2@gmail.com", "ann@googlemail.com", "a.nn@gmail.com"):
            hall.submit(email=address)
        assert hall.keep().sent == 0

    @pytest.mark.parametrize("dialect", ["postgresql"])
    def test_it_is_asked_once_by_two_that_send_at_once(self, hall: Hall) -> None:
        hall.submit(email="ann+2@example.org")
        with hall.store.write() as session:
            mailbox_id = address_id_of(session, "ann@example.org")
        rival = Rival(hall.store, hall.keep)
        with hall.store.write() as session:
            lock_addresses(session, [mailbox_id])
            session.add(
                Reply(
                    controller_id=hall.mayor.id,
                    address_id=mailbox_id,
                    kind=KIND,
                    sent_at=hall.clock.now(),
                )
            )
            rival.start()
        rival.finish()
        assert hall.sent() == []

    @only_sqlite
    def test_dots_are_letters_elsewhere(self, hall: Hall) -> None:
        for address in ("a.nn@example.org", "ann@example.org"):
            hall.submit(email=address)
        assert hall.keep().sent == 2

    @only_sqlite
    def test_the_consent_is_that_of_the_spelling_that_was_entered(self, hall: Hall) -> None:
        hall.confirmed(email="ann+1@example.org")
        assert hall.decision("ann+1@example.org").allowed
        assert not hall.decision("ann@example.org").allowed
