"""People who each had one message, and what they and the providers then post about it."""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import text, update
from sqlalchemy.orm import Session

from benchmarks.crowd import fill
from sender.clock import Clock
from sender.contacts.addresses import ensure_address_ids
from sender.store.base import Base
from sender.store.campaigns import Run
from sender.store.contacts import Contact, ContactPoint
from sender.store.deliveries import Delivery
from sender.store.engine import Store, open_store
from sender.store.keys import register_key
from sender.store.migrate import upgrade
from sender.store.portable import insert_rows
from sender.store.suppressions import SuppressionEvent
from sender.suppression.tokens import TokenKeys
from sender.vocabulary import Channel, ContactSource, DeliveryState, ProviderName
from tests.fakes.sns import TOPIC, SnsFake
from tests.fakes.twilio_webhooks import STATUS, sign
from tests.support.factory import (
    HASHER,
    Organisation,
    add_account,
    add_campaign,
    add_identity,
    add_run,
    establish,
)
from tests.support.opt_outs import (
    FORM,
    NUMBER,
    ONE_CLICK,
    PUBLIC_URL,
    TOKEN_KEYS,
    TWILIO_ACCOUNT,
    TWILIO_TOKEN,
    OptOut,
    text_message,
)

EVENTS = Path(__file__).parents[1] / "tests" / "unit" / "data" / "ses"
JSON_OF_SNS = {"Content-Type": "text/plain; charset=UTF-8"}
KEYS = TokenKeys.parse(TOKEN_KEYS)
AGO = timedelta(hours=1)
FILLED: tuple[type[Base], ...] = (Contact, ContactPoint, SuppressionEvent)


@dataclass(frozen=True)
class Message:
    """A message that somebody got."""

    delivery_id: int
    run_id: int
    address_id: int
    address: str
    message_id: str
    link_salt: bytes | None


@dataclass(frozen=True)
class Kind:
    """One sort of request: what it is called, the channel of its messages, how one is made."""

    name: str
    channel: Channel
    make: Callable[[Message, SnsFake], OptOut]


def open_filled(url: str, clock: Clock, people: int) -> tuple[Store, int]:
    """Migrate and fill an empty database; return it open, and the id of a run in `planning`."""
    upgrade(url)
    store = open_store(url)
    with store.write() as session:
        register_key(session, HASHER, clock.now())
    run_id = fill(store, clock, people)
    with store.write() as session:
        session.execute(update(Run).values(link_salt=secrets.token_bytes(16)))
        if store.dialect == "postgresql":
            _count_on(session)
    return store, run_id


def _count_on(session: Session) -> None:
    """Let PostgreSQL number new rows after those that brought their own numbers."""
    for table in ("address", *(one.__tablename__ for one in FILLED)):
        session.execute(
            text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")
        )


def one_click(message: Message, _sns: SnsFake) -> OptOut:
    return _click("one-click", message, ONE_CLICK)


def _button(message: Message, _sns: SnsFake) -> OptOut:
    body = f"act=stop&visit={secrets.token_urlsafe(12)}".encode()
    return _click("page", message, body)


def _click(way: str, message: Message, body: bytes) -> OptOut:
    path = f"/u/{KEYS.make(message.delivery_id, message.link_salt)}"
    return OptOut(way, message.address_id, path, body, {"Content-Type": FORM})


def _stop(message: Message, _sns: SnsFake) -> OptOut:
    made = text_message(message.address, NUMBER, "STOP", f"SM{message.delivery_id + 2**64:032x}")
    return replace(made, address_id=message.address_id)


def _status(message: Message, _sns: SnsFake) -> OptOut:
    fields = {
        "SmsSid": message.message_id, "SmsStatus": "delivered", "MessageStatus": "delivered",
        "To": message.address, "MessageSid": message.message_id, "AccountSid": TWILIO_ACCOUNT,
        "From": NUMBER, "ApiVersion": "2010-04-01",
    }  # fmt: skip
    path = f"{STATUS}?delivery={message.delivery_id}&run={message.run_id}"
    signature = sign(PUBLIC_URL + path, list(fields.items()), TWILIO_TOKEN)
    headers = {"Content-Type": FORM, "X-Twilio-Signature": signature}
    return OptOut("status", message.address_id, path, urlencode(fields).encode(), headers)


def _delivered(message: Message, sns: SnsFake) -> OptOut:
    return _event("event-delivery.json", message, sns)


def _complaint(message: Message, sns: SnsFake) -> OptOut:
    return _event("event-complaint-abuse.json", message, sns)


def _event(file: str, message: Message, sns: SnsFake) -> OptOut:
    """Return one of SES's own examples, about this message."""
    event: dict[str, Any] = json.loads(
        (EVENTS / file).read_text().replace("recipient@example.com", message.address)
    )
    event["mail"]["messageId"] = message.message_id
    event["mail"]["tags"] |= {
        "delivery-id": [str(message.delivery_id)], "run-id": [str(message.run_id)],
    }  # fmt: skip
    return OptOut("ses", message.address_id, "/webhooks/ses", sns.event(event), JSON_OF_SNS)


KINDS = (
    Kind("one-click", Channel.EMAIL, one_click),
    Kind("page button", Channel.EMAIL, _button),
    Kind("Twilio STOP", Channel.SMS, _stop),
    Kind("Twilio status", Channel.SMS, _status),
    Kind("SES delivery", Channel.EMAIL, _delivered),
    Kind("SES complaint", Channel.EMAIL, _complaint),
)


def add_requests(store: Store, clock: Clock, sns: SnsFake, each: int) -> dict[str, list[OptOut]]:
    """Add people and their messages; return so many requests of each kind, by its name."""
    with store.write() as session:
        organisation = _establish(session)
        return {
            kind.name: [
                kind.make(message, sns)
                for message in _add_messages(session, clock, organisation, kind, each)
            ]
            for kind in KINDS
        }


def _establish(session: Session) -> Organisation:
    organisation = establish(session, "riverside")
    texts = add_account(
        session, "texts", provider=ProviderName.TWILIO,
        options={"options": {"account_sid": TWILIO_ACCOUNT}},
    )  # fmt: skip
    mails = add_account(
        session, "mails", provider=ProviderName.SES, options={"topic_arns": [TOPIC]}
    )
    for channel, account, address in (
        (Channel.SMS, texts, NUMBER),
        (Channel.EMAIL, mails, "news@example.com"),
    ):
        add_identity(
            session, organisation.controller, channel,
            account=account, address=address, name="true",
        )  # fmt: skip
    return organisation


def _add_messages(
    session: Session, clock: Clock, organisation: Organisation, kind: Kind, number: int
) -> list[Message]:
    now, channel = clock.now(), kind.channel
    _, version = add_campaign(session, organisation.controller, kind.name.replace(" ", "-"))
    run = add_run(
        session, organisation, version, channel=channel, link_salt=secrets.token_bytes(16)
    )
    addresses = _addresses(kind, number)
    ids = ensure_address_ids(session, HASHER, channel, addresses)
    own = {"controller_id": organisation.id, "created_at": now}
    person = {"attributes": {}, "source": ContactSource.DIRECT, "updated_at": now}
    contacts = insert_rows(session, Contact, [own | person for _ in addresses])
    place = own | {"channel": channel}
    points = insert_rows(
        session,
        ContactPoint,
        [
            place | {"contact_id": contact, "address_id": ids[one], "address": one}
            for contact, one in zip(contacts, addresses, strict=True)
        ],
    )
    names = [secrets.token_hex(16) for _ in addresses]
    deliveries = insert_rows(
        session,
        Delivery,
        [
            {
                "run_id": run.id, "address_id": ids[one], "contact_point_id": point,
                "state": DeliveryState.ACCEPTED, "dispatched_at": now - AGO,
                "accepted_at": now - AGO, "provider_message_id": name,
            }
            for one, point, name in zip(addresses, points, names, strict=True)
        ],
    )  # fmt: skip
    return [
        Message(row, run.id, ids[one], one, name, run.link_salt)
        for row, one, name in zip(deliveries, addresses, names, strict=True)
    ]


def _addresses(kind: Kind, number: int) -> Sequence[str]:
    place = KINDS.index(kind)
    if kind.channel is Channel.SMS:
        return [f"+4477{place}{one:07d}" for one in range(number)]
    return [f"reader{place}-{one}@example.org" for one in range(number)]
