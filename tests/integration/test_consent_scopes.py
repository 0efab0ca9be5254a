"""What the database says of a controller reaches the policy."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from sender.consent.person import load_person
from sender.consent.policy import decide
from sender.consent.scopes import load_scope
from sender.store.engine import Store
from sender.vocabulary import (
    Channel,
    Reason,
)
from tests.support.factory import (
    NOW,
    Organisation,
    add_controller,
    add_freeze,
    add_freshness,
    add_identity,
    add_notice,
    add_purpose,
    address_id_of,
    establish,
    record_consent,
)

TICK = timedelta(microseconds=1)
FREEZE = NOW - timedelta(days=100)


def ask(session: Session, body: Organisation, address_id: int) -> Reason | None:
    """Return why this body may not write to the address by e-mail."""
    asked: dict[str, Any] = {
        "controller_id": body.id,
        "channel": Channel.EMAIL,
        "purpose_id": body.purpose.id,
    }
    person = load_person(session, address_id=address_id, has_address=True, **asked)
    return decide(person, load_scope(session, at=NOW, **asked)).refusal


def test_a_controller_without_identity_on_the_channel_may_not_write(store: Store) -> None:
    with store.write() as session:
        controller = add_controller(session, "riverside")
        purpose = add_purpose(session, controller, "campaign-news")
        add_identity(session, controller, Channel.SMS)
        add_identity(session, controller, Channel.EMAIL, retired_at=NOW)

        def has_identity(channel: Channel, *, instigates: bool = True) -> bool:
            return load_scope(
                session,
                controller_id=controller.id,
                channel=channel,
                purpose_id=purpose.id,
                at=NOW,
                instigates=instigates,
            ).has_sender_identity

        assert has_identity(Channel.SMS)
        assert not has_identity(Channel.EMAIL)
        assert has_identity(Channel.EMAIL, instigates=False)


def test_the_latest_freeze_counts_and_only_its_own_controllers(store: Store) -> None:
    with store.write() as session:
        frozen, free = establish(session, "frozen"), establish(session, "free")
        add_freeze(session, frozen.controller, FREEZE)
        add_freeze(session, frozen.controller, FREEZE - timedelta(days=1))
        address_id = address_id_of(session)
        for body in (frozen, free):
            record_consent(session, body, address_id, occurred_at=FREEZE)
        assert ask(session, frozen, address_id) is Reason.CONTROLLER_FROZEN
        assert ask(session, free, address_id) is None
        newer = add_notice(session, frozen.controller, version=2, shown_from=FREEZE + TICK)
        record_consent(session, frozen, address_id, occurred_at=FREEZE + TICK, notice=newer)
        assert ask(session, frozen, address_id) is None


@pytest.mark.parametrize(
    ("rows", "hold_months"),
    [
        ([], 24),
        ([(None, None, 12)], 12),
        ([(None, None, 12), (None, None, 13)], 13),
        ([(Channel.EMAIL, None, 6), (None, None, 12)], 6),
        ([(Channel.SMS, None, 6), (None, None, 12)], 12),
        ([(None, True, 5), (Channel.EMAIL, None, 6)], 5),
        ([(Channel.EMAIL, True, 4), (None, True, 5)], 4),
        ([(None, False, 5)], 24),
    ],
)
def test_the_most_specific_freshness_rules(
    store: Store,
    rows: list[tuple[Channel | None, bool | None, int]],
    hold_months: int,
) -> None:
    """In `rows` a purpose is None (all), True (the one asked about) or False (another)."""
    with store.write() as session:
        body = establish(session)
        purposes = {True: body.purpose, False: add_purpose(session, body.controller, "else")}
        for channel, purpose, months in rows:
            add_freshness(
                session,
                body.controller,
                warn_months=1,
                hold_months=months,
                channel=channel,
                purpose=None if purpose is None else purposes[purpose],
            )
        scope = load_scope(
            session,
            controller_id=body.id,
            channel=Channel.EMAIL,
            purpose_id=body.purpose.id,
            at=NOW,
        )
        assert scope.freshness.hold_months == hold_months


def test_another_controllers_freshness_does_not_count(store: Store) -> None:
    with store.write() as session:
        strict, body = establish(session, "strict"), establish(session, "lenient")
        add_freshness(session, strict.controller, warn_months=1, hold_months=1)
        address_id = address_id_of(session)
        for one in (strict, body):
            record_consent(session, one, address_id, occurred_at=NOW - timedelta(days=60))
        assert ask(session, strict, address_id) is Reason.STALE
        assert ask(session, body, address_id) is None
