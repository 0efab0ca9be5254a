"""Killed between the request and its confirmation: at most one message, and none that is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from sqlalchemy import select

from sender.store.engine import Store, open_store
from sender.store.keys import register_key
from sender.store.sign_ups import SignUp
from tests.support.campaign_folder import environment
from tests.support.chaos_floor import wait_until
from tests.support.factory import HASHER, NOW, add_form, establish
from tests.support.nursery import Child, Nurse

QUICK = {"SENDER_JOURNAL": "off", "CHAOS_HASTE": "20"}
MOMENTS = {
    "while it is taken in": ("sender.web.sign_up_desk:take:1:after", {0}),
    "before it is claimed": ("sender.signup.confirmation:_prepare:1:before", {1}),
    "before the claim is committed": ("sender.signup.confirmation:_message:1:after", {1}),
    "before it is handed over": ("sender.signup.confirmation:hand_over:1:before", {0}),
    "when it was handed over": ("sender.signup.confirmation:hand_over:1:after", {1}),
    "when that was noted": ("sender.signup.confirmation:_note_sent:1:after", {1}),
}
"""The point of death, and how many messages there may be after another process took over."""


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = open_store(database_url)
    yield opened
    opened.close()


@pytest.mark.parametrize("moment", MOMENTS)
def test_at_most_one_message_and_none_forgotten(
    nurse: Nurse, store: Store, database_url: str, tmp_path: Path, moment: str
) -> None:
    armed, expected = MOMENTS[moment]
    with store.write() as session:
        register_key(session, HASHER, NOW)
        add_form(session, establish(session).controller)
    environ = environment(tmp_path, database_url) | QUICK
    doomed = nurse.start(["web", "--port", "0"], environ | {"CHAOS_KILL": armed}, tmp_path)
    if moment == "while it is taken in":
        with pytest.raises(requests.ConnectionError):  # and so nobody was told that it was
            sign_up(doomed, "ann@example.org")
    else:
        sign_up(doomed, "ann@example.org")
    assert doomed.wait() == -9
    heir = nurse.start(["web", "--port", "0"], environ, tmp_path)
    sign_up(heir, "bea@example.org")
    wait_until(lambda: not due(store) and sent_last(store))
    heir.kill()
    heir.wait()
    assert len(messages_to("ann@example.org", tmp_path)) in expected
    assert len(messages_to("bea@example.org", tmp_path)) == 1
    assert due(store) == []


def sign_up(server: Child, address: str) -> None:
    """Fill the form in, and be told that it was taken in."""
    url = f"http://127.0.0.1:{server.hear('listening')['port']}/s/riverside/web"
    fields = {"notice": 1, "email": address, "agree": "email:campaign-news"}
    assert requests.post(url, fields, timeout=30).status_code == 200


def messages_to(address: str, folder: Path) -> list[Path]:
    paths = (folder / "outbox").rglob("-*.eml")
    return [path for path in paths if f"To: {address}" in path.read_text("utf-8")]


def sent_last(store: Store) -> bool:
    """Whether the last sign-up's message is known to have been taken."""
    with store.read() as session:
        query = select(SignUp.sent_at).order_by(SignUp.id.desc()).limit(1)
        return session.scalar(query) is not None


def due(store: Store) -> list[int]:
    with store.read() as session:
        return list(session.scalars(select(SignUp.id).where(SignUp.due_at.is_not(None))))
