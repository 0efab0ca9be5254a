"""Links that lead nowhere still show a way out, and never stop somebody else."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from sender.store.controllers import Controller, ControllerVersion
from sender.store.engine import Store, open_store
from sender.store.inbound import Alert
from sender.suppression.links import NOBODY, token_keys
from tests.support.factory import establish
from tests.support.opt_out_door import ONE_CLICK, Door, open_door


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


def test_one_controllers_address_and_number_are_given(lite: Door) -> None:
    for method in ("get", "post"):
        page = getattr(lite, method)("/u/broken")
        assert page.status == 404
        assert page.title == "This link is incomplete"
        for way in ("1 High Street", "office@riverside.example.org", "+44 1632 960123"):
            assert way in page.text
    assert lite.events() == []


def test_of_many_the_first_twenty_are_named(lite: Door) -> None:
    with lite.store.write() as session:
        for number in range(25):
            establish(session, f"body{number:02}")
    page = lite.get("/u/broken")
    assert page.html.count("<strong>") == 20
    assert "office@body00.example.org" in page.text


def test_who_does_not_send_is_not_named(lite: Door) -> None:
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


def test_no_token_is_an_error_of_ours(lite: Door) -> None:
    @settings(max_examples=60)
    @given(
        st.text(max_size=40).filter(lambda text: text.strip(".")),
        st.sampled_from(["GET", "POST", "HEAD"]),
    )
    def answers_404(token: str, method: str) -> None:
        path = quote(token, safe="")
        answer = requests.request(method, f"{lite.url}/u/{path}", timeout=30, allow_redirects=False)
        assert answer.status_code == 404
        assert method == "HEAD" or "office@riverside.example.org" in answer.text

    answers_404()
    assert lite.events() == []


@pytest.mark.parametrize("litter", [">", ".", ")", "/", "%20", "%E2%80%8B", "%0A"])
def test_litter_at_the_end_of_a_link_keeps_nobody_in(lite: Door, litter: str) -> None:
    assert lite.get(lite.link + litter).title == "Stop emails from Riverside Association?"
    assert lite.post(lite.link + litter, ONE_CLICK).status == 200
    assert [event.source for event in lite.events()] == ["one-click"]


def test_a_damaged_way_back_stops_nobody(lite: Door) -> None:
    assert lite.post(lite.link + "/return/a/b").status == 404
    assert lite.events() == []


def test_a_changed_letter_is_somebody_elses_token(lite: Door) -> None:
    for place in range(3, 25):
        letter = "A" if lite.link[place] != "A" else "B"
        changed = lite.link[:place] + letter + lite.link[place + 1 :]
        assert lite.post(changed, ONE_CLICK).status in {404, 503}
    assert lite.events() == []


def test_our_link_without_its_row_is_to_be_tried_again(door: Door) -> None:
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


def test_our_link_for_another_row_of_its_number_stops_nobody(door: Door) -> None:
    """After a restored backup the number may have come again, for another person."""
    token = token_keys(door.context.settings).make(door.email.delivery_id, b"another run's...")
    assert door.post(f"/u/{token}", ONE_CLICK).status == 503
    assert door.blocks() == set()


def test_the_link_of_a_preview_says_so_and_stops_nobody(lite: Door) -> None:
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
