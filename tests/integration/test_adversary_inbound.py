"""What somebody who wants to break the promises about what comes back would try."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from sender.clock import SystemClock
from sender.inbound.inbox import InboxEntry, Wanted, list_messages
from sender.inbound.inbox_decisions import Decision, decide
from sender.inbound.receive import receive
from sender.providers.events import Notification, ProviderEvent
from sender.store.controllers import ProviderAccount
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.journal import Journal, Owner
from sender.store.suppressions import Block
from sender.vocabulary import (
    Arrival,
    BlockCause,
    Channel,
    DeliveryState,
    EventKind,
    ProviderName,
    ReplyMeaning,
)
from tests.support.factory import (
    HASHER,
    add_account,
    add_campaign,
    add_contact,
    add_delivery,
    add_identity,
    add_point,
    add_run,
)
from tests.support.reply_desk import (
    MINUTE,
    NUMBER_OF_A,
    NUMBER_OF_B,
    PERSON,
    SHARED,
    ReplyDesk,
    mailed,
    open_desk,
)

SMS = Channel.SMS
MAILBOX = "news@riverside.example.org"


@pytest.fixture
def desk(store: Store) -> ReplyDesk:
    return open_desk(store)


def journaled(path: Path) -> list[str]:
    """Return the acts that stand in a journal."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    return [line.get("act", line["is"]) for line in lines]


def keep_journal(store: Store, path: Path) -> Path:
    store.journal = Journal(path, Owner(HASHER, "database"), SystemClock())
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


class TestFromAnotherAddress:
    """Bo reads at one address what was sent to another of his, and answers from there."""

    @pytest.mark.parametrize("words", ["Please unsubscribe me", "not interested"])
    def test_where_the_message_went_waits_for_a_person(self, desk: ReplyDesk, words: str) -> None:
        sent_to = written_to(desk)
        desk.mail(words, MAILBOX, delivery_id=sent_to.id)
        assert held(desk, sent_to.address_id) == {(desk.a.id, "email", BlockCause.HOLD)}
        [message] = [one for one in desk.inbox() if one.address_id == sent_to.address_id]
        assert (message.meaning, message.body) == (ReplyMeaning.DOUBTFUL, words)
        entries = opened_inbox(desk)
        assert [one.rule for one in entries if one.id == message.id] == ["from-elsewhere"]

    def test_what_the_person_decides_holds_there(self, desk: ReplyDesk) -> None:
        sent_to = written_to(desk)
        desk.mail("Please unsubscribe me", MAILBOX, delivery_id=sent_to.id)
        ids = [one.id for one in opened_inbox(desk)]
        now = desk.now + MINUTE
        with desk.store.write() as session:
            decide(session, desk.a.id, ids, Decision.STOP, operator="olive", now=now)
        assert held(desk, sent_to.address_id) == desk.opted_out(desk.a, channel=Channel.EMAIL)

    @pytest.mark.parametrize("words", ["Thank you, see you there", "START"])
    def test_other_words_hold_nobody(self, desk: ReplyDesk, words: str) -> None:
        sent_to = written_to(desk)
        desk.mail(words, MAILBOX, delivery_id=sent_to.id)
        assert desk.blocks() == set()

    def test_a_repeat_is_journaled_with_all_it_caused(
        self, desk: ReplyDesk, tmp_path: Path
    ) -> None:
        reply = mailed("unsubscribe", MAILBOX, delivery_id=written_to(desk).id)
        desk.take(reply)
        path = keep_journal(desk.store, tmp_path / "opt-outs.journal")
        desk.take(reply)
        assert journaled(path) == ["set", "set"]


def written_to(desk: ReplyDesk) -> Delivery:
    with desk.store.write() as session:
        run = add_run(session, desk.a, add_campaign(session, desk.a.controller)[1])
        contact = add_contact(session, desk.a.controller)
        point = add_point(session, contact, "bo+news@example.net")
        return add_delivery(session, run, point, state=DeliveryState.ACCEPTED)


def held(desk: ReplyDesk, address_id: int) -> set[tuple[int, str, BlockCause]]:
    with desk.store.read() as session:
        rows = session.scalars(select(Block).where(Block.address_id == address_id)).all()
    return {(row.controller_id, row.channel, row.cause) for row in rows}


def opened_inbox(desk: ReplyDesk) -> list[InboxEntry]:
    with desk.store.read() as session:
        return list_messages(session, desk.a.id, Wanted())


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
