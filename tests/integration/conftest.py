"""Fixtures of the tests that work on databases."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sender.delivery import dispatch
from sender.store.engine import Store, open_store
from tests.fakes.ses import SesFake
from tests.fakes.twilio import TwilioFake

if TYPE_CHECKING:
    from tests.support.sign_up_hall import Hall


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A fresh, migrated database, on each dialect in turn."""
    opened = open_store(database_url)
    yield opened
    opened.close()


@pytest.fixture
def hall(store: Store, tmp_path: Path) -> Iterator["Hall"]:
    """Two bodies with public forms, on each dialect in turn."""
    from tests.support.sign_up_hall import open_hall  # noqa: PLC0415  # brings the web rooms

    with open_hall(store, tmp_path) as opened:
        yield opened


@pytest.fixture
def ses() -> Iterator[SesFake]:
    """Amazon SES at the other end, quick enough for any test."""
    with SesFake() as running:
        running.account.rate = 5_000.0
        yield running


@pytest.fixture
def twilio() -> Iterator[TwilioFake]:
    """Twilio at the other end."""
    with TwilioFake() as running:
        yield running


@pytest.fixture(autouse=True)
def one_call_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a last look be for one provider call, so that tests can step in between calls.

    `Office.one_call_at_a_time` goes further; what it sets is put back here.
    """
    monkeypatch.setattr(dispatch, "MOST_AT_ONCE", 50)
    monkeypatch.setattr(dispatch, "UNDER_WAY", dispatch.UNDER_WAY)
