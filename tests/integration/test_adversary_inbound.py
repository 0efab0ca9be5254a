"""What somebody who wants to break the promises about what comes back would try."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from sender.clock import SystemClock
from sender.inbound.receive import receive
from sender.providers.events import Notification, ProviderEvent
from sender.store.engine import Store
from sender.store.journal import Journal, Owner
from sender.vocabulary import Arrival, BlockCause, Channel, EventKind, ProviderName
from tests.support.factory import HASHER
from tests.support.reply_desk import NUMBER_OF_A, PERSON, ReplyDesk, open_desk

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
