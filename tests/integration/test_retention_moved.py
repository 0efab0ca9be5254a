"""The evidence of a yes that followed a changed address stays as long as what rests on it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from sender.consent.freshness import months_before
from sender.context import Context
from sender.evidence.retention import erase_expired
from sender.store.consents import ConsentEvent, ConsentPayload
from sender.store.contacts import ContactPoint
from sender.store.deliveries import Delivery, DeliveryReliance
from sender.store.engine import Store
from sender.store.keys import register_key
from sender.subjects.move import NewAddress, tell_of_move
from sender.subjects.move_confirm import GivenBack, confirm_move
from sender.vocabulary import Channel, DeliveryState
from tests.support.factory import (
    HASHER,
    NOW,
    Organisation,
    add_campaign,
    add_contact,
    add_delivery,
    add_point,
    add_run,
    establish,
    record_consent,
)
from tests.support.one_person import HandClock, codes_in, context_of

LIMIT = months_before(NOW, 72)
LONG_AGO = LIMIT - timedelta(days=400)
MOMENT = timedelta(microseconds=1)
FIRST, SECOND, THIRD = "ann@example.org", "ann@example.com", "ann@example.net"


@pytest.fixture
def context(store: Store, tmp_path: Path) -> Context:
    with store.write() as session:
        register_key(session, HASHER, LONG_AGO)
    return context_of(store, tmp_path, HandClock(LONG_AGO + timedelta(days=1)))


def agreed(context: Context) -> Organisation:
    with context.store.write() as session:
        body = establish(session)
        point = add_point(session, add_contact(session, body.controller), FIRST)
        record_consent(
            session,
            body,
            point.address_id,
            occurred_at=LONG_AGO,
            now=LONG_AGO,
            evidence={"seen": "form"},
        )
    return body


def move(context: Context, old: str, new: str) -> None:
    tell_of_move(context, NewAddress("riverside", Channel.EMAIL, old, new))
    [code] = codes_in(context, new)
    confirm_move(context, GivenBack("riverside", Channel.EMAIL, new, code, "phone"))


def yeses(context: Context) -> Sequence[int]:
    with context.store.read() as session:
        return session.scalars(select(ConsentEvent.id).order_by(ConsentEvent.id)).all()


def write_to(context: Context, body: Organisation, new: str, at: datetime) -> Delivery:
    """Send a message that relied on the last yes."""
    with context.store.write() as session:
        point = session.scalars(select(ContactPoint).where(ContactPoint.address == new)).one()
        run = add_run(session, body, add_campaign(session, body.controller, f"c{at:%f}")[1])
        return add_delivery(
            session,
            run,
            point,
            state=DeliveryState.ACCEPTED,
            consent_event_id=yeses(context)[-1],
            dispatched_at=at,
        )


def kept(context: Context) -> list[int]:
    clock = context.clock
    assert isinstance(clock, HandClock)
    clock.current = NOW
    erase_expired(context)
    with context.store.read() as session:
        return sorted(session.scalars(select(ConsentPayload.event_id)))


def test_what_a_message_to_the_new_address_rests_on_stays(context: Context) -> None:
    body = agreed(context)
    move(context, FIRST, SECOND)
    write_to(context, body, SECOND, LIMIT + MOMENT)
    assert kept(context) == list(yeses(context))


def test_it_goes_when_the_message_is_out_of_time(context: Context) -> None:
    body = agreed(context)
    move(context, FIRST, SECOND)
    write_to(context, body, SECOND, LIMIT)
    assert kept(context) == []


def test_it_stays_over_several_changes(context: Context) -> None:
    body = agreed(context)
    move(context, FIRST, SECOND)
    move(context, SECOND, THIRD)
    write_to(context, body, THIRD, LIMIT + MOMENT)
    assert len(yeses(context)) == 3
    assert kept(context) == list(yeses(context))


def test_it_stays_where_another_body_relied_on_it_jointly(context: Context) -> None:
    body = agreed(context)
    move(context, FIRST, SECOND)
    delivery = write_to(context, body, SECOND, LIMIT)
    with context.store.write() as session:
        reliance = DeliveryReliance(
            delivery_id=delivery.id,
            controller_id=body.id,
            dispatched_at=LIMIT + MOMENT,
            consent_event_id=yeses(context)[-1],
        )
        session.add(reliance)
    assert kept(context) == list(yeses(context))
