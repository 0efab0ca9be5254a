"""Status callbacks that come in by Twilio's webhook, signed, over real HTTP."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.inbound import InboundEvent
from sender.vocabulary import BlockCause, DeliveryState, EventKind
from sender.web.metrics import OPT_OUTS
from tests.support.factory import NOW
from tests.support.twilio_world import ENVIRON, PERSON, World, counted, twilio_world


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWILIO_AUTH_TOKEN", raising=False)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def world(store: Store) -> Iterator[World]:
    with twilio_world(store) as opened:
        yield opened


def query_of(delivery: Delivery) -> str:
    return f"delivery={delivery.id}&run={delivery.run_id}"


def test_a_status_reaches_its_delivery(world: World) -> None:
    delivery = world.delivery(provider_message_id="SM1")

    answer = world.twilio.status("SM1", "delivered", query=query_of(delivery))

    assert answer.status_code == 204
    assert answer.content == b""
    assert world.now_of(delivery).state is DeliveryState.DELIVERED
    assert world.now_of(delivery).delivered_at == NOW


def test_statuses_only_lead_one_way_and_count_once(world: World) -> None:
    delivery = world.delivery()
    for status in ("delivered", "sent", "queued", "delivered", "delivered"):
        told = world.twilio.status("SM1", status, query=query_of(delivery))
        assert told.status_code == 204

    assert world.now_of(delivery).state is DeliveryState.DELIVERED
    assert [one.name for one in world.notifications()] == [
        "SM1:delivered",
        "SM1:sent",
        "SM1:queued",
    ]


def test_a_second_try_with_the_same_token_is_the_same_notification(world: World) -> None:
    headers = {"I-Twilio-Idempotency-Token": "5d3c7f0e"}
    for _ in range(2):
        world.twilio.status("SM1", "failed", code="30003", headers=headers)

    (kept,) = world.notifications()
    assert kept.payload is not None
    assert kept.payload["I-Twilio-Idempotency-Token"] == "5d3c7f0e"
    assert PERSON not in str(kept.payload)
    assert len(world.all(select(InboundEvent))) == 1


@pytest.mark.parametrize("state", [DeliveryState.DISPATCHING, DeliveryState.UNKNOWN])
def test_a_status_before_our_own_record_counts(world: World, state: DeliveryState) -> None:
    delivery = world.delivery(state)
    world.twilio.status("SM1", "sent", query=query_of(delivery))

    found = world.now_of(delivery)
    assert (found.state, found.provider_message_id) == (DeliveryState.ACCEPTED, "SM1")


def test_a_status_of_a_message_that_is_not_known_is_kept(world: World) -> None:
    assert world.twilio.status("SM7", "delivered").status_code == 204
    (event,) = world.all(select(InboundEvent))
    assert (event.kind, event.provider_message_id) == (EventKind.DELIVERED, "SM7")
    assert event.applied_at is None


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("21610", BlockCause.OPT_OUT),
        ("30005", BlockCause.INVALID),
        ("30006", BlockCause.INVALID),
        ("21614", BlockCause.INVALID),
    ],
)
def test_opted_out_and_invalid_numbers_are_blocked(
    world: World, code: str, cause: BlockCause
) -> None:
    delivery = world.delivery()
    world.twilio.status("SM1", "undelivered", code=code, query=query_of(delivery))

    assert world.blocks() == {(world.party.id, "sms", cause)}
    found = world.now_of(delivery)
    assert (found.state, found.provider_code) == (DeliveryState.FAILED, code)
    assert (found.opted_out_at is not None) == (cause is BlockCause.OPT_OUT)


def test_an_opt_out_at_twilio_needs_no_delivery(world: World) -> None:
    before = counted(OPT_OUTS, way="provider")
    world.twilio.status("SM1", "failed", code="21610", query="delivery=999&run=1")
    assert world.blocks() == world.stopped(world.party)
    assert counted(OPT_OUTS, way="provider") == before + 1


def test_three_unreachable_times_in_a_row_stop_messages(world: World) -> None:
    for number in range(3):
        assert world.blocks() == set()
        world.twilio.status(f"SM{number}", "undelivered", code="30003")
    assert world.blocks() == {(world.party.id, "sms", BlockCause.BOUNCE)}


def test_a_status_of_a_reply_is_nobodys_delivery(world: World) -> None:
    delivery = world.delivery()
    world.twilio.status("SM1", "failed", query=f"delivery=-{delivery.id}&run=0")
    assert world.now_of(delivery).state is DeliveryState.ACCEPTED


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_what_is_not_known_is_kept_and_no_error(world: World) -> None:
    assert world.twilio.status("SM1", "partially_delivered").status_code == 204
    assert world.notifications()[0].raw_type == "partially_delivered"
