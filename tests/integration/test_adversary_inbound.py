"""What somebody who wants to break the promises about what comes back would try."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from sender.clock import SystemClock
from sender.inbound.receive import receive
from sender.providers.events import Notification, ProviderEvent
from sender.store.controllers import ProviderAccount
from sender.store.engine import Store
from sender.store.journal import Journal, Owner
from sender.vocabulary import Arrival, BlockCause, Channel, EventKind, ProviderName
from tests.support.factory import HASHER, add_account, add_identity
from tests.support.reply_desk import (
    NUMBER_OF_A,
    NUMBER_OF_B,
    PERSON,
    SHARED,
    ReplyDesk,
    open_desk,
)

SMS = Channel.SMS


@pytest.fixture
def desk(store: Store) -> ReplyDesk:
    return open_desk(store)


def journaled(path: Path) -> list[str]:
    """Return the acts that stand in a journal."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    return [line.get("act", line["is"]) for line in lines]


def keep_journal(store: Store, path: Path) -> Path:
    store.journal = Journal(path, Owner("key", "database"), SystemClock())
    return path


def refused_as_opted_out(name: str) -> Notification:
    event = ProviderEvent(
        kind=EventKind.FAILED,
        raw_type="undelivered",
        occurred_at=None,
        channel=SMS,
        address=PERSON,
        code="21610",
        block=BlockCause.OPT_OUT,
        sender=NUMBER_OF_A,
    )
    return Notification(ProviderName.TWILIO, name, "undelivered", (event,), {})


def test_an_event_that_is_told_again_is_journaled_again(desk: ReplyDesk, tmp_path: Path) -> None:
    """The process died between its commit and its line; the repeat is what is acknowledged."""
    told = refused_as_opted_out("SM1:undelivered:21610")

    def tell() -> bool:
        with desk.store.write() as session:
            return receive(
                session,
                HASHER,
                told,
                account_id=desk.account_id,
                arrived_by=Arrival.WEBHOOK,
                now=desk.now,
                keep_for=timedelta(days=30),
            ).again

    assert not tell()
    path = keep_journal(desk.store, tmp_path / "opt-outs.journal")
    assert tell()
    assert journaled(path) == ["set"]


class TestAnotherAccount:
    """Whoever has the secret of one Twilio account can sign any number as recipient."""

    @pytest.mark.parametrize("known", ["known", ""])
    def test_starts_nobody_elses_people(self, desk: ReplyDesk, known: str) -> None:
        other = other_account(desk)
        desk.text("STOP")
        taken = desk.text("START", account_ids=(other,) if known else ())
        assert taken.answer is None
        assert desk.blocks() == desk.opted_out(desk.a)

    def test_starts_its_own_at_a_number_that_several_use(self, desk: ReplyDesk) -> None:
        other = other_account(desk)
        with desk.store.write() as session:
            add_identity(
                session, desk.b.controller, SMS,
                account=session.get_one(ProviderAccount, other), address=NUMBER_OF_B, name="new",
            )  # fmt: skip
        desk.text("STOP", SHARED)
        desk.text("START", SHARED, account_ids=(other,))
        assert desk.blocks() == desk.opted_out(desk.a)

    def test_may_stop_them(self, desk: ReplyDesk) -> None:
        desk.text("STOP", account_ids=(other_account(desk),))
        assert desk.blocks() == desk.opted_out(desk.a)


def other_account(desk: ReplyDesk) -> int:
    with desk.store.write() as session:
        return add_account(session, "others-texting", provider=ProviderName.TWILIO).id
