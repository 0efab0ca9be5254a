"""What a dead webhook missed is found, once, and it is said that it was missed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select

from sender.campaigns.accounts import account_settings
from sender.context import Context
from sender.errors import NotFoundError, RefusedError
from sender.inbound.receive import receive
from sender.inbound.reconcile import FIRST_TIME, MISSED_OPT_OUTS, OVERLAP, Reconciled, reconcile
from sender.inbound.replies import take_reply
from sender.providers.events import Notification, ProviderEvent
from sender.providers.twilio.events import persons_reply, status_notification
from sender.store.contacts import ContactPoint
from sender.store.controllers import ProviderAccount
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.inbound import Alert, InboundNotification, Reconciliation
from sender.store.suppressions import Block
from sender.vocabulary import (
    Arrival,
    BlockCause,
    Channel,
    DeliveryState,
    EventKind,
    ProviderName,
)
from tests.fakes.loop import unused_port
from tests.fakes.ses import SesFake, Suppressed
from tests.fakes.twilio import TwilioFake
from tests.support.factory import (
    HASHER,
    NOW,
    Organisation,
    add_account,
    add_campaign,
    add_contact,
    add_delivery,
    add_identity,
    add_point,
    add_run,
    address_id_of,
    establish,
)
from tests.support.web_context import SteppedClock, web_context

PERSON, OTHER_PERSON = "+447700900456", "+447700900457"
NUMBER, SHARED = "+447700900123", "+447700900124"
ANN = "ann@example.net"
AN_HOUR_AGO = NOW - timedelta(hours=1)
OPT_OUT, OBJECTION, BOUNCE = BlockCause.OPT_OUT, BlockCause.OBJECTION, BlockCause.BOUNCE
KEEP_FOR = timedelta(days=30)

_numbers = count(1)


@dataclass
class World:
    """An association and a charity that share a Twilio and an SES account."""

    context: Context
    party: Organisation
    charity: Organisation
    twilio: TwilioFake
    ses: SesFake
    accounts: dict[str, int]

    def ask(self, **how: Any) -> dict[str, Reconciled]:
        found = reconcile(self.context, lambda row: account_settings(row, self.context), **how)
        return {one.account: one for one in found}

    def blocks(self, address: str = PERSON) -> set[tuple[int, str, BlockCause]]:
        channel = Channel.EMAIL if "@" in address else Channel.SMS
        with self.context.store.write() as session:
            address_id = address_id_of(session, address, channel)
            rows = session.scalars(select(Block).where(Block.address_id == address_id))
            return {(row.controller_id, row.channel, row.cause) for row in rows}

    def send(
        self, *, state: DeliveryState = DeliveryState.UNKNOWN, to: str = PERSON, **columns: Any
    ) -> Delivery:
        """Add a text message of the association's."""
        with self.context.store.write() as session:
            version = add_campaign(session, self.party.controller, f"c{next(_numbers)}")[1]
            run = add_run(session, self.party, version, channel=Channel.SMS)
            known = select(ContactPoint).where(ContactPoint.address == to)
            point = session.scalar(known) or add_point(
                session, add_contact(session, self.party.controller), to, channel=Channel.SMS
            )
            values = {"dispatched_at": AN_HOUR_AGO, **columns}
            return add_delivery(session, run, point, state=state, **values)

    def outcome(self, status: str = "delivered", **fields: Any) -> dict[str, Any]:
        """Let Twilio's record hold a message that we asked it to send."""
        usual = {"direction": "outbound-api", "from_": NUMBER, "to": PERSON, "at": AN_HOUR_AGO}
        return self.twilio.note(status=status, **{**usual, **fields})

    def delivery(self, row: Delivery) -> Delivery:
        with self.context.store.read() as session:
            return session.get_one(Delivery, row.id)

    def rows(self, model: Any) -> list[Any]:
        with self.context.store.read() as session:
            return list(session.scalars(select(model).order_by(model.id)))


@pytest.fixture
def world(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name, value in {
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "tokenEXAMPLE",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrEXAMPLE",
        "AWS_REGION": "eu-west-2",
    }.items():
        monkeypatch.setenv(name, value)
    with TwilioFake() as twilio, SesFake() as ses, store.write() as session:
        accounts = {
            Channel.SMS: _account(session, "texting", ProviderName.TWILIO, twilio.url),
            Channel.EMAIL: _account(session, "mailing", ProviderName.SES, ses.url),
        }
        party, charity = establish(session, "party"), establish(session, "charity")
        for body in (party, charity):
            for channel, identity in body.identities.items():
                identity.provider_account_id = accounts[channel]
        charity.identities[Channel.SMS].address = SHARED
        session.flush()
        session.commit()
        ids = {"texting": accounts[Channel.SMS], "mailing": accounts[Channel.EMAIL]}
        yield World(web_context(store), party, charity, twilio, ses, ids)


def _account(session: Any, name: str, provider: ProviderName, url: str) -> int:
    return add_account(session, name, provider=provider, options={"endpoint_url": url}).id


def clock(world: World) -> SteppedClock:
    assert isinstance(world.context.clock, SteppedClock)
    return world.context.clock


def told_by_webhook(world: World, told: Notification) -> None:
    with world.context.store.write() as session:
        receive(
            session,
            HASHER,
            told,
            account_id=None,
            arrived_by=Arrival.WEBHOOK,
            now=NOW,
            keep_for=KEEP_FOR,
        )


# ---- what people wrote


def test_a_stop_that_no_webhook_brought_is_found_and_told(world: World) -> None:
    world.twilio.note(body="STOP", to=NUMBER, from_=PERSON, at=AN_HOUR_AGO)
    world.twilio.note(body="See you there", to=NUMBER, from_=OTHER_PERSON, at=AN_HOUR_AGO)
    found = world.ask()["texting"]
    assert (found.looked_at, found.problems) == (2, [])
    assert found.missed == found.new == {"reply:stop": 1, "reply:other": 1}
    assert found.opt_outs == 1
    assert world.blocks() == {(world.party.id, "sms", OPT_OUT)}
    [alert] = world.rows(Alert)
    assert (alert.kind, alert.subject) == (MISSED_OPT_OUTS, "texting")
    assert {one.arrived_by for one in world.rows(InboundNotification)} == {Arrival.RECONCILE}


def test_to_ask_again_changes_nothing(world: World) -> None:
    world.twilio.note(body="STOP", to=NUMBER, from_=PERSON, at=AN_HOUR_AGO)
    world.ask()
    again = world.ask()["texting"]
    assert (again.new, again.missed, again.opt_outs) == ({}, {}, 0)
    assert len(world.rows(InboundNotification)) == 1
    assert world.rows(Alert)[0].times == 1


def test_what_a_webhook_brought_was_not_missed(world: World) -> None:
    text = world.twilio.note(body="STOP", to=NUMBER, from_=PERSON, at=AN_HOUR_AGO)
    row = world.send(state=DeliveryState.ACCEPTED, provider_message_id="SM7")
    world.outcome(sid="SM7")
    form = {"MessageSid": text["sid"], "From": PERSON, "To": NUMBER, "Body": "STOP"}
    with world.context.store.write() as session:
        take_reply(session, world.context, persons_reply(form), NOW)
    status = {"MessageSid": "SM7", "MessageStatus": "delivered", "To": PERSON}
    told_by_webhook(world, status_notification(status, {"delivery": str(row.id)}, None))
    found = world.ask()["texting"]
    assert (found.looked_at, found.new) == (2, {})
    assert world.rows(Alert) == []


def test_what_may_still_be_on_its_way_is_taken_in_and_blames_no_webhook(world: World) -> None:
    world.twilio.note(body="STOP", to=NUMBER, from_=PERSON, at=NOW - timedelta(minutes=1))
    found = world.ask()["texting"]
    assert (found.new, found.missed, found.opt_outs) == ({"reply:stop": 1}, {}, 0)
    assert world.blocks() == {(world.party.id, "sms", OPT_OUT)}
    assert world.rows(Alert) == []


def test_a_stop_to_a_number_that_nobody_has_is_one_to_all_who_use_the_account(
    world: World,
) -> None:
    world.twilio.note(body="STOP", to="+447700900999", from_=PERSON, at=AN_HOUR_AGO)
    world.ask()
    both = {world.party.id, world.charity.id}
    assert {one for one, _, _ in world.blocks()} == both


# ---- what became of messages


def test_an_unknown_delivery_is_settled_by_the_providers_record(world: World) -> None:
    row = world.send()
    world.outcome("delivered", sid="SM9", at=AN_HOUR_AGO + timedelta(seconds=5))
    found = world.ask()["texting"]
    after = world.delivery(row)
    assert (after.state, after.provider_message_id) == (DeliveryState.DELIVERED, "SM9")
    assert found.missed == {"delivered": 1}
    assert world.ask()["texting"].new == {}


@pytest.mark.parametrize(
    "columns",
    [
        {"dispatched_at": AN_HOUR_AGO + timedelta(hours=1)},
        {"dispatched_at": AN_HOUR_AGO - timedelta(days=2)},
        {"provider_message_id": "SM1"},
        {"state": DeliveryState.SKIPPED},
        {"to": OTHER_PERSON},
    ],
)
def test_an_outcome_that_may_be_anothers_settles_nothing(
    world: World, columns: dict[str, Any]
) -> None:
    row = world.send(**columns)
    world.outcome(sid="SM9")
    world.ask()
    assert world.delivery(row).state is row.state


def test_an_outcome_from_another_sender_settles_nothing(world: World) -> None:
    row = world.send()
    world.outcome(from_=SHARED)
    world.ask()
    assert world.delivery(row).state is DeliveryState.UNKNOWN


def test_of_two_that_could_be_meant_none_is_settled(world: World) -> None:
    rows = [world.send(), world.send()]
    world.outcome()
    world.ask()
    assert {world.delivery(one).state for one in rows} == {DeliveryState.UNKNOWN}


def test_one_record_settles_one_delivery(world: World) -> None:
    known = world.send(state=DeliveryState.ACCEPTED, provider_message_id="SM1")
    unknown = world.send()
    world.outcome("undelivered", sid="SM1", error_code=30003)
    world.ask()
    assert world.delivery(known).state is DeliveryState.FAILED
    assert world.delivery(unknown).state is DeliveryState.UNKNOWN


def test_a_refusal_for_an_opt_out_at_the_provider_stops_the_number(world: World) -> None:
    world.send(state=DeliveryState.ACCEPTED, provider_message_id="SM1")
    world.outcome("failed", sid="SM1", error_code=21610)
    found = world.ask()["texting"]
    assert world.blocks() == {(world.party.id, "sms", OPT_OUT)}
    assert found.opt_outs == 1


def test_messages_that_others_send_through_the_account_are_not_kept(world: World) -> None:
    world.outcome(sid="SM1", to=OTHER_PERSON)
    found = world.ask()["texting"]
    assert (found.looked_at, found.new) == (1, {})
    assert world.rows(InboundNotification) == []


# ---- the suppression list of SES


def test_the_accounts_list_stops_an_address_at_all_who_send_through_it(world: World) -> None:
    world.ses.suppressed += [
        Suppressed(ANN, "COMPLAINT", AN_HOUR_AGO),
        Suppressed("bob@example.net", "BOUNCE", AN_HOUR_AGO),
    ]
    found = world.ask()["mailing"]
    assert found.missed == {"complained": 1, "bounced": 1}
    assert found.opt_outs == 1
    both = {world.party.id, world.charity.id}
    assert world.blocks(ANN) == {(one, "*", OBJECTION) for one in both}
    assert world.blocks("bob@example.net") == {(one, "email", BOUNCE) for one in both}
    assert world.ask()["mailing"].new == {}


def test_an_address_that_its_webhook_stopped_was_not_missed(world: World) -> None:
    event = ProviderEvent(
        kind=EventKind.COMPLAINED,
        raw_type="Complaint",
        occurred_at=AN_HOUR_AGO,
        channel=Channel.EMAIL,
        address=ANN,
        block=BlockCause.COMPLAINT,
        sender="news@party.example.org",
    )
    told_by_webhook(world, Notification(ProviderName.SES, "sns-1", "Complaint", (event,), {}))
    world.ses.suppressed.append(Suppressed(ANN, "COMPLAINT", AN_HOUR_AGO))
    found = world.ask()["mailing"]
    assert (found.looked_at, found.new, found.opt_outs) == (1, {}, 0)
    assert world.rows(Alert) == []


# ---- the asking itself


def asked_from(world: World) -> datetime:
    query = parse_qs(urlsplit(world.ses.requests[-1].path).query)
    return datetime.fromisoformat(query["StartDate"][0])


def test_each_question_begins_a_day_before_the_last_complete_answer(world: World) -> None:
    world.ask()
    assert asked_from(world) == NOW - FIRST_TIME
    clock(world).wall = NOW + timedelta(days=3)
    world.ask()
    assert asked_from(world) == NOW - OVERLAP
    world.ask(since=NOW - timedelta(days=10))
    assert asked_from(world) == NOW - timedelta(days=10)
    rows = world.rows(Reconciliation)
    assert [row.finished_at is not None for row in rows] == [True] * 6


def test_an_account_that_fails_stops_no_other_and_is_asked_from_there_again(
    world: World,
) -> None:
    with world.context.store.write() as session:
        broken = _account(
            session, "broken", ProviderName.TWILIO, f"http://127.0.0.1:{unused_port()}"
        )
        add_identity(
            session,
            world.party.controller,
            Channel.SMS,
            account=session.get_one(ProviderAccount, broken),
            name="old",
            retired_at=NOW,
        )
    world.twilio.note(body="STOP", to=NUMBER, from_=PERSON, at=AN_HOUR_AGO)
    found = world.ask()
    assert found["broken"].problems
    assert all("cannot be reached" in one for one in found["broken"].problems)
    assert found["texting"].opt_outs == 1
    unfinished = [row.account_id for row in world.rows(Reconciliation) if row.finished_at is None]
    assert unfinished == [broken]
    clock(world).wall = NOW + timedelta(days=3)
    again = world.ask()
    assert again["broken"].since == NOW + timedelta(days=3) - FIRST_TIME
    assert again["texting"].since == NOW - OVERLAP


def test_what_is_found_before_a_failure_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.ses.suppressed += [Suppressed(ANN, "COMPLAINT", AN_HOUR_AGO)]
    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    found = world.ask()
    assert "TWILIO_AUTH_TOKEN" in found["texting"].problems[0]
    assert {cause for _, _, cause in world.blocks(ANN)} == {OBJECTION}


def test_one_account_is_asked_by_its_name(world: World) -> None:
    assert set(world.ask(account="mailing")) == {"mailing"}
    assert world.twilio.requests == []
    with pytest.raises(NotFoundError):
        world.ask(account="nobody")
    with world.context.store.write() as session:
        add_account(session, "mta", provider=ProviderName.SMTP)
    with pytest.raises(RefusedError, match="sender inbound mailbox"):
        world.ask(account="mta")


def test_an_account_that_nobody_sends_through_is_not_asked(world: World) -> None:
    with world.context.store.write() as session:
        _account(session, "spare", ProviderName.TWILIO, "http://127.0.0.1:1")
    assert set(world.ask()) == {"mailing", "texting"}
