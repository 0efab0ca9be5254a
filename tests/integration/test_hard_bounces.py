"""A bounce for good is told from one that may pass, also when it comes before our own record."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from sender.inbound.outcomes import apply_stragglers, apply_waiting
from sender.inbound.receive import receive
from sender.providers.events import Notification, ProviderEvent
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.vocabulary import (
    Arrival,
    BlockCause,
    Channel,
    DeliveryState,
    EventKind,
    ProviderName,
)
from tests.support.factory import (
    HASHER,
    NOW,
    add_campaign,
    add_contact,
    add_delivery,
    add_point,
    add_run,
    establish,
)

HARD = [BlockCause.BOUNCE, BlockCause.INVALID]
KINDS = [(cause, False) for cause in HARD] + [(None, True), (None, False)]


def delivered(session: Session) -> Delivery:
    party = establish(session)
    _, version = add_campaign(session, party.controller)
    point = add_point(session, add_contact(session, party.controller), "ann@example.com")
    return add_delivery(
        session, add_run(session, party, version), point, state=DeliveryState.DISPATCHING
    )


def bounce(
    session: Session, *, delivery_id: int | None, block: BlockCause | None, transient: bool
) -> None:
    event = ProviderEvent(
        kind=EventKind.BOUNCED,
        raw_type="Bounce",
        occurred_at=NOW,
        channel=Channel.EMAIL,
        address="ann@example.com",
        delivery_id=delivery_id,
        provider_message_id="message-1",
        block=block,
        transient=transient,
    )
    receive(
        session,
        HASHER,
        Notification(ProviderName.SES, "told-1", "Bounce", (event,), {}),
        account_id=None,
        arrived_by=Arrival.WEBHOOK,
        now=NOW,
        keep_for=timedelta(days=1),
    )


@pytest.mark.parametrize(("block", "transient"), KINDS)
def test_only_a_bounce_for_good_counts_as_one(
    store: Store, block: BlockCause | None, *, transient: bool
) -> None:
    with store.write() as session:
        row = delivered(session)
        bounce(session, delivery_id=row.id, block=block, transient=transient)
        assert row.bounced_at == NOW
        assert row.hard_bounced_at == (NOW if block in HARD else None)


@pytest.mark.parametrize("by_record", [True, False])
@pytest.mark.parametrize(("block", "transient"), KINDS)
def test_it_is_known_when_the_record_comes_later(
    store: Store, block: BlockCause | None, *, transient: bool, by_record: bool
) -> None:
    with store.write() as session:
        row = delivered(session)
        bounce(session, delivery_id=None, block=block, transient=transient)
        assert row.bounced_at is None
        row.provider_message_id = "message-1"
        session.flush()
        if by_record:
            apply_waiting(session, {"message-1": row.id}, NOW)
        else:
            apply_stragglers(session, NOW)
        session.refresh(row)
        assert row.bounced_at == NOW
        assert row.hard_bounced_at == (NOW if block in HARD else None)


def test_a_complaint_or_an_opt_out_is_no_bounce(store: Store) -> None:
    with store.write() as session:
        row = delivered(session)
        event = ProviderEvent(
            EventKind.COMPLAINED, "Complaint", NOW, Channel.EMAIL, delivery_id=row.id,
            block=BlockCause.COMPLAINT,
        )  # fmt: skip
        receive(
            session, HASHER, Notification(ProviderName.SES, "told-2", "x", (event,), {}),
            account_id=None, arrived_by=Arrival.WEBHOOK, now=NOW, keep_for=timedelta(days=1),
        )  # fmt: skip
        assert (row.complained_at, row.hard_bounced_at) == (NOW, None)
