"""The forecast and the list of what expires are the policy, asked at another time."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.expiring import expiring
from sender.consent.forecast import forecast, month_ends, remaining
from sender.consent.freshness import months_before
from sender.consent.live import live_consents, over_by
from sender.consent.person import load_person
from sender.consent.policy import Scope, decide
from sender.errors import NotFoundError
from sender.store.contacts import ContactPoint
from sender.store.engine import Store
from sender.vocabulary import BlockCause, Channel
from tests.support.factory import (
    NOW,
    Organisation,
    add_closure,
    add_contact,
    add_freeze,
    add_freshness,
    add_point,
    add_purpose,
    block,
    establish,
    record_consent,
)
from tests.support.histories import (
    ON_EVERY_LIMIT,
    PEOPLE,
    PLAIN_QUESTION,
    QUESTIONS,
    WITH_EVERY_BLOCK,
    WITH_EVERY_WORD,
    Question,
    Somebody,
    scopes_of,
    settle,
    world_in,
)

TICK = timedelta(microseconds=1)
LATER = [
    NOW + TICK,
    NOW + timedelta(days=100),
    *[NOW + timedelta(days=30 * months) for months in (4, 8, 12, 20, 25)],
]


def _by_policy(session: Session, scope: Scope) -> set[int]:
    """Return the contact points that the pure policy allows at the scope's moment."""
    points = session.execute(
        select(ContactPoint.id, ContactPoint.address_id).where(
            ContactPoint.controller_id == scope.controller_id,
            ContactPoint.channel == scope.channel,
        )
    )
    allowed = set()
    for point_id, address_id in points:
        person = load_person(
            session,
            address_id=address_id,
            controller_id=scope.controller_id,
            channel=scope.channel,
            purpose_id=scope.purpose_id,
        )
        if decide(person, scope).allowed:
            allowed.add(point_id)
    return allowed


def _agree(session: Session, scope: Scope, moments: Sequence[datetime]) -> None:
    allowed = _by_policy(session, scope)
    later = [_by_policy(session, replace(scope, at=at)) for at in moments]
    live = live_consents(scope)
    assert set(session.scalars(select(live.c.point_id))) == allowed
    assert remaining(session, scope, moments) == [len(one) for one in (allowed, *later)]
    for at, still in zip(moments, later, strict=True):
        over = select(live.c.point_id).where(over_by(live, replace(scope, at=at)))
        assert set(session.scalars(over)) == allowed - still


@settings(max_examples=15)
@given(question=QUESTIONS, people=st.lists(PEOPLE, min_size=8, max_size=16))
def test_the_forecast_is_the_policy_evaluated_at_each_later_time(
    store: Store, question: Question, people: list[Somebody]
) -> None:
    with world_in(store) as (session, world):
        settle(session, world, question, people)
        _agree(session, scopes_of(world, question)[0], LATER)


@pytest.mark.parametrize("people", [ON_EVERY_LIMIT, WITH_EVERY_BLOCK, WITH_EVERY_WORD])
def test_it_is_so_on_every_limit_block_and_word(store: Store, people: list[Somebody]) -> None:
    with world_in(store) as (session, world):
        settle(session, world, PLAIN_QUESTION, people)
        _agree(session, scopes_of(world, PLAIN_QUESTION)[0], LATER)


def _somebody(
    session: Session,
    body: Organisation,
    agreed: datetime,
    *,
    ends_at: datetime | None = None,
    channel: Channel = Channel.EMAIL,
    objected: bool = False,
) -> int:
    contact = add_contact(session, body.controller, objected_at=NOW if objected else None)
    point = add_point(session, contact, channel=channel)
    record_consent(session, body, point.address_id, occurred_at=agreed, ends_at=ends_at)
    return point.address_id


def _numbers(session: Session, months: int = 24, **asked: object) -> list[tuple[int, ...]]:
    found = forecast(session, "riverside", now=NOW, months=months, **asked)  # type: ignore[arg-type]  # one of purpose and channel
    return [(one.now, *(month.contactable for month in one.months)) for one in found]


def test_people_fall_out_as_their_yes_grows_stale_or_ends(store: Store) -> None:
    with store.write() as session:
        body = establish(session)
        _somebody(session, body, months_before(NOW, 24) + timedelta(days=1))
        _somebody(session, body, NOW, ends_at=datetime(2026, 6, 30, 23, tzinfo=UTC))
        _somebody(session, body, NOW)
        _somebody(session, body, NOW, objected=True)
        opted_out = _somebody(session, body, NOW)
        block(session, opted_out, cause=BlockCause.OPT_OUT)
        _somebody(session, body, months_before(NOW, 25))
        email, sms = _numbers(session)
    assert email == (3, 2, *[1] * 23), "30 June ends at 23:00Z, as the summer's clock has it"
    assert sum(sms) == 0


def test_each_channel_and_purpose_goes_by_its_own_policy(store: Store) -> None:
    with store.write() as session:
        body = establish(session)
        second = add_purpose(session, body.controller, "fundraising")
        add_freshness(session, body.controller, warn_months=1, hold_months=2, channel=Channel.SMS)
        _somebody(session, body, NOW, channel=Channel.SMS)
        address_id = _somebody(session, body, NOW)
        record_consent(session, body, address_id, purpose=second, occurred_at=NOW)
        found = forecast(session, "riverside", now=NOW, months=3)
        assert {
            (one.purpose, one.channel): (one.now, *(month.lost for month in one.months))
            for one in found
        } == {
            ("campaign-news", Channel.EMAIL): (1, 0, 0, 0),
            ("campaign-news", Channel.SMS): (1, 0, 0, 1),
            ("fundraising", Channel.EMAIL): (1, 0, 0, 0),
            ("fundraising", Channel.SMS): (0, 0, 0, 0),
        }
        assert len(_numbers(session, purpose="fundraising")) == 2
        assert len(_numbers(session, channel=Channel.SMS)) == 2
        with pytest.raises(NotFoundError):
            _numbers(session, purpose="fund-raising")


def test_a_frozen_controller_reaches_nobody_who_agreed_before(store: Store) -> None:
    with store.write() as session:
        body = establish(session)
        _somebody(session, body, NOW - timedelta(days=10))
        add_freeze(session, body.controller, NOW - timedelta(days=5))
        assert sum(map(sum, _numbers(session))) == 0
        assert expiring(session, "riverside", now=NOW, within=timedelta(days=3650)) == []


def test_a_purpose_that_closes_reaches_nobody_from_then_on(store: Store) -> None:
    with store.write() as session:
        body = establish(session)
        _somebody(session, body, NOW)
        add_closure(session, body.purpose, closes_at=NOW + timedelta(days=40))
        email, _ = _numbers(session, months=3)
        [found] = expiring(session, "riverside", now=NOW, within=timedelta(days=60))
    assert email == (1, 1, 0, 0)
    assert (found.until, found.because) == (NOW + timedelta(days=40), "ended")


def test_a_month_ends_where_the_controller_is() -> None:
    ends = month_ends(datetime(2026, 12, 31, 23, 30, tzinfo=UTC), ZoneInfo("Europe/London"), 2)
    assert [(month, f"{at:%Y-%m-%d %H:%M}") for month, at in ends] == [
        ("2026-12", "2027-01-01 00:00"),
        ("2027-01", "2027-02-01 00:00"),
    ]
    [(month, at)] = month_ends(
        datetime(2026, 5, 31, 23, 30, tzinfo=UTC), ZoneInfo("Europe/London"), 1
    )
    assert (month, f"{at:%Y-%m-%d %H:%M}") == ("2026-06", "2026-06-30 23:00")


def test_what_expires_is_listed_with_its_first_moment_of_being_too_late(store: Store) -> None:
    with store.write() as session:
        body = establish(session)
        _somebody(session, body, months_before(NOW, 24) + timedelta(days=10))
        _somebody(session, body, NOW, ends_at=NOW + timedelta(days=5))
        _somebody(session, body, months_before(NOW, 24) + timedelta(days=90))
        _somebody(session, body, months_before(NOW, 24))
        blocked = _somebody(session, body, months_before(NOW, 24) + timedelta(days=10))
        block(session, blocked, controller=body.controller)
        found = expiring(session, "riverside", now=NOW, within=timedelta(days=60))
        elsewhere = _somebody(session, body, NOW, ends_at=NOW + timedelta(days=6))
        block(session, elsewhere, channel=Channel.SMS.value)
        again = expiring(session, "riverside", now=NOW, within=timedelta(days=60))
    assert [(one.until - NOW, one.because) for one in found] == [
        (timedelta(days=5), "ended"),
        (timedelta(days=10), "stale"),
    ]
    assert len(again) == 3, "a block of another channel hides nobody"
