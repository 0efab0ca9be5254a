"""A party and a charity whose texts go through Twilio, and their webhooks over real HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import func, select

from sender.store.addresses import Address
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.inbound import InboundEvent, InboundNotification
from sender.store.suppressions import Block, SuppressionEvent
from sender.vocabulary import BlockCause, Channel, DeliveryState, ProviderName, SuppressionAct
from sender.web import twilio
from sender.web.app import assemble
from sender.web.limits import Limits
from tests.fakes.twilio_webhooks import TwilioWebhooks
from tests.support.factory import (
    Organisation,
    add_account,
    add_campaign,
    add_contact,
    add_controller,
    add_controller_version,
    add_delivery,
    add_identity,
    add_notice,
    add_point,
    add_purpose,
    add_run,
)
from tests.support.web_context import PUBLIC_URL, SteppedClock, web_context
from tests.support.web_server import serve

ACCOUNT, OTHER = "AC" + "0" * 32, "AC" + "1" * 32
PERSON, NUMBER, OTHER_NUMBER = "+447700900456", "+447700900123", "+447700900124"
NEW, OLD, OTHERS = "new-token-EXAMPLE", "old-token-EXAMPLE", "others-EXAMPLE"
ENVIRON = {
    "PARTY_SID": ACCOUNT,
    "PARTY_NEW": NEW,
    "PARTY_OLD": OLD,
    "CHARITY_SID": OTHER,
    "CHARITY_TOKEN": OTHERS,
}
PARTY = {
    "key_variable": "PARTY_SID",
    "webhook_secret_variables": ["PARTY_NEW", "PARTY_OLD"],
}
CHARITY = {"key_variable": "CHARITY_SID", "secret_variable": "CHARITY_TOKEN"}


class World:
    """A party and a charity, each with a Twilio account and a number, and their webhooks."""

    def __init__(self, store: Store, url: str, clock: SteppedClock) -> None:
        self.store = store
        self.clock = clock
        self.twilio = TwilioWebhooks(url, PUBLIC_URL, NEW, ACCOUNT)
        self.of_charity = TwilioWebhooks(url, PUBLIC_URL, OTHERS, OTHER)
        with store.write() as session:
            accounts = [
                add_account(session, name, provider=ProviderName.TWILIO, options=options)
                for name, options in (("party-texts", PARTY), ("charity-texts", CHARITY))
            ]
            self.account_ids = [account.id for account in accounts]
            self.party, self.charity = (
                _establish(session, slug, account, number)
                for slug, account, number in zip(
                    ("party", "charity"), accounts, (NUMBER, OTHER_NUMBER), strict=True
                )
            )

    def all(self, query: Any) -> list[Any]:
        with self.store.read() as session:
            return list(session.scalars(query))

    def notifications(self) -> list[InboundNotification]:
        return self.all(select(InboundNotification).order_by(InboundNotification.id))

    def blocks(self) -> set[tuple[int, str, BlockCause]]:
        return {(one.controller_id, one.channel, one.cause) for one in self.all(select(Block))}

    def sets(self) -> int:
        events = self.all(select(SuppressionEvent))
        return sum(one.act is SuppressionAct.SET for one in events)

    def stopped(self, *bodies: Organisation) -> set[tuple[int, str, BlockCause]]:
        return {(body.id, "sms", BlockCause.OPT_OUT) for body in bodies}

    def delivery(self, state: DeliveryState = DeliveryState.ACCEPTED, **columns: Any) -> Delivery:
        with self.store.write() as session:
            _, version = add_campaign(session, self.party.controller)
            run = add_run(session, self.party, version, channel=Channel.SMS)
            contact = add_contact(session, self.party.controller)
            point = add_point(session, contact, PERSON, channel=Channel.SMS)
            return add_delivery(session, run, point, state=state, **columns)

    def now_of(self, delivery: Delivery) -> Delivery:
        with self.store.read() as session:
            return session.get_one(Delivery, delivery.id)

    def untouched(self) -> bool:
        counted = (Address, InboundNotification, InboundEvent, Block, SuppressionEvent)
        return not sum(self.all(select(func.count()).select_from(one))[0] for one in counted)


def _establish(session: Any, slug: str, account: Any, number: str) -> Organisation:
    controller = add_controller(session, slug)
    identity = add_identity(session, controller, Channel.SMS, account=account, address=number)
    return Organisation(
        controller=controller,
        version=add_controller_version(session, controller, name=f"{slug.title()} & <Sons>"),
        purpose=add_purpose(session, controller, "campaign-news"),
        notice=add_notice(session, controller),
        identities={Channel.SMS: identity},
    )


@contextmanager
def twilio_world(store: Store) -> Iterator[World]:
    """Serve the webhooks; the accounts' secrets have to stand in the environment."""
    context = web_context(store)
    assert isinstance(context.clock, SteppedClock)
    with serve(assemble(context, [twilio.routes(context)], Limits())) as url:
        yield World(store, url, context.clock)


def counted(metric: Any, **labels: str) -> float:
    """What a counter stands at."""
    return float(metric.labels(**labels)._value.get())
