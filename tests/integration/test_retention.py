"""What is past its time goes, what a message relied on stays, and the chains verify as before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from sender.consent.freshness import months_before
from sender.context import Context
from sender.evidence import retention
from sender.evidence.retention import RuleCount, count_expired, erase_expired
from sender.settings import Settings
from sender.store import audit_trail
from sender.store.audit import AuditEvent, AuditPayload
from sender.store.base import Base
from sender.store.chain import LEDGERS
from sender.store.chain_check import verify
from sender.store.consents import ConsentEvent, ConsentPayload
from sender.store.contacts import Contact, ContactPoint
from sender.store.deliveries import Delivery, DeliveryReliance
from sender.store.engine import Store
from sender.store.inbound import InboundNotification, InboxMessage
from sender.store.suppressions import SuppressionPayload
from sender.vocabulary import Channel, DeliveryState, ReplyMeaning
from tests.support.factory import (
    HASHER,
    NOW,
    OPERATOR,
    Organisation,
    add_campaign,
    add_contact,
    add_delivery,
    add_freshness,
    add_notification,
    add_point,
    add_retention,
    add_run,
    address_id_of,
    block,
    establish,
    record_consent,
)

LIMIT = months_before(NOW, 72)
MOMENT = timedelta(microseconds=1)
LONG_AGO = LIMIT - timedelta(days=400)


@dataclass
class At:
    """A clock that stands still."""

    moment: datetime = NOW

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        del seconds


@pytest.fixture
def context(store: Store, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    return Context(Settings(), store, HASHER, At(), OPERATOR)


def _rows(counts: list[RuleCount]) -> dict[str, Mapping[str, int]]:
    return {one.name: one.rows for one in counts if one.rows}


def _both(context: Context) -> dict[str, Mapping[str, int]]:
    """Return what a dry run says, having held the real one and a second one against it."""
    said = _rows(count_expired(context))
    assert _rows(erase_expired(context)) == said
    assert _rows(count_expired(context)) == {}
    return said


def _held(session: Session, table: type[Base]) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def _sent(
    session: Session, body: Organisation, event_id: int | None, at: datetime, contact: Contact
) -> Delivery:
    point = session.scalars(
        select(ContactPoint).where(ContactPoint.contact_id == contact.id)
    ).first()
    assert point is not None
    version = add_campaign(session, body.controller, f"campaign-{at:%Y%m%d%H%M%S%f}")[1]
    return add_delivery(
        session,
        add_run(session, body, version),
        point,
        state=DeliveryState.ACCEPTED,
        consent_event_id=event_id,
        dispatched_at=at,
        values={},
    )


def _agreed(session: Session, body: Organisation, at: datetime) -> tuple[Contact, int]:
    contact = add_contact(session, body.controller)
    point = add_point(session, contact)
    event_id = record_consent(
        session, body, point.address_id, occurred_at=at, now=at, evidence={"seen": "form"}
    )
    return contact, event_id


def test_consent_evidence_stays_while_a_message_relied_on_it_within_the_limitation_period(
    context: Context,
) -> None:
    with context.store.write() as session:
        body, other = establish(session), establish(session, "candidate")
        cases = {}
        for name, at in {"before": LIMIT, "within": LIMIT + MOMENT, "never": None}.items():
            contact, cases[name] = _agreed(session, body, LONG_AGO)
            if at is not None:
                _sent(session, body, cases[name], at, contact).values = None
        contact, cases["jointly"] = _agreed(session, body, LONG_AGO)
        joint = _sent(session, other, None, LIMIT + MOMENT, contact)
        session.add(
            DeliveryReliance(
                delivery_id=joint.id,
                controller_id=body.id,
                dispatched_at=joint.dispatched_at,
                consent_event_id=cases["jointly"],
            )
        )
        joint.values = None
        cases["old"] = _agreed(session, body, LIMIT)[1]
        cases["young"] = _agreed(session, body, LIMIT + MOMENT)[1]
    assert _both(context) == {"consent": {"riverside": 3}}
    with context.store.read() as session:
        left = set(session.scalars(select(ConsentPayload.event_id)))
        assert left == {cases["within"], cases["jointly"], cases["young"]}
        assert _held(session, ConsentEvent) == len(cases)
        assert [fault for ledger in LEDGERS for fault in verify(session, ledger)] == []


def test_each_controller_keeps_as_long_as_its_own_file_says(context: Context) -> None:
    with context.store.write() as session:
        bodies = [establish(session, slug) for slug in ("riverside", "hilltop", "jones")]
        for body, years in zip(bodies, (None, 9, 2), strict=True):
            add_retention(session, body.controller, 30)
            add_retention(session, body.controller, years)
            for age in (3, 7, 10):
                _agreed(session, body, months_before(NOW, 12 * age))
                audit_trail.record(
                    session,
                    now=months_before(NOW, 12 * age),
                    operator=OPERATOR,
                    action="x.y",
                    controller_id=body.id,
                    personal={"who": "Ann"},
                )
        for age in (8, 10):
            audit_trail.record(
                session,
                now=months_before(NOW, 12 * age),
                operator=OPERATOR,
                action="x.y",
                personal={"who": "Ann"},
            )
    due = {"hilltop": 1, "jones": 3, "riverside": 2}
    assert _both(context) == {"consent": due, "audit": {"-": 1, **due}}


@pytest.mark.parametrize("longer", ["riverside", "hilltop"])
def test_what_another_controllers_message_relied_on_is_kept_for_the_longer_period(
    context: Context, longer: str
) -> None:
    limit = months_before(NOW, 120)
    with context.store.write() as session:
        body, other = establish(session), establish(session, "hilltop")
        keeper = {"riverside": body, "hilltop": other}[longer]
        add_retention(session, keeper.controller, 10)
        for at in (limit, limit + MOMENT):
            contact, event_id = _agreed(session, body, months_before(NOW, 130))
            joint = _sent(session, other, None, at, contact)
            joint.values = None
            session.add(
                DeliveryReliance(
                    delivery_id=joint.id,
                    controller_id=body.id,
                    dispatched_at=at,
                    consent_event_id=event_id,
                )
            )
    assert _both(context) == {"consent": {"riverside": 1}}


def test_details_of_a_block_everywhere_are_kept_for_the_longest_period(context: Context) -> None:
    with context.store.write() as session:
        for slug, years in (("riverside", None), ("hilltop", 10)):
            add_retention(session, establish(session, slug).controller, years)
        body = establish(session, "jones")
        for months in (119, 120):
            point = add_point(session, add_contact(session, body.controller))
            at = months_before(NOW, months)
            words = {"words": "no more"}
            block(session, point.address_id, occurred_at=at, personal=words, now=at)
    assert _both(context) == {"opt_outs": {"-": 1}}


def test_evidence_of_a_yes_that_may_still_be_relied_on_stays(context: Context) -> None:
    with context.store.write() as session:
        body = establish(session)
        add_freshness(session, body.controller, warn_months=60, hold_months=100)
        _agreed(session, body, LIMIT - timedelta(days=30))
    assert _both(context) == {}


def test_values_replies_and_events_go_in_their_time(context: Context) -> None:
    with context.store.write() as session:
        body = establish(session)
        contact, event_id = _agreed(session, body, NOW - timedelta(days=500))
        limit = NOW - timedelta(days=396)
        for at in (limit - MOMENT, limit - 2 * MOMENT, limit - 3 * MOMENT, limit, limit + MOMENT):
            _sent(session, body, event_id, at, contact)
        add_notification(session, payload={"told": 1}, erase_after=NOW)
        add_notification(session, payload={"told": 2}, erase_after=NOW + MOMENT)
    assert _both(context) == {"values": {"riverside": 4}, "notifications": {"-": 1}}
    with context.store.read() as session:
        kept = session.scalars(select(Delivery).where(Delivery.values.is_not(None))).all()
        assert [one.dispatched_at for one in kept] == [limit + MOMENT]
        told = session.scalars(select(InboundNotification.payload)).all()
        assert [one for one in told if one] == [{"told": 2}]


def test_the_words_of_a_reply_go_at_their_moment_unless_they_wait_to_be_read(
    context: Context,
) -> None:
    cases = ((NOW, ReplyMeaning.OTHER), (NOW + MOMENT, ReplyMeaning.OTHER),
             (NOW, ReplyMeaning.DOUBTFUL))  # fmt: skip
    with context.store.write() as session:
        body = establish(session)
        for erase_after, meaning in cases:
            told = add_notification(session)
            session.add(
                InboxMessage(
                    notification_id=told.id,
                    controller_id=body.id,
                    address_id=address_id_of(session),
                    channel=Channel.EMAIL,
                    received_at=NOW,
                    body="Who are you?",
                    meaning=meaning,
                    erase_after=erase_after,
                )
            )
    assert _both(context) == {"replies": {"riverside": 1}}
    with context.store.read() as session:
        bodies = session.scalars(select(InboxMessage.body).order_by(InboxMessage.id)).all()
    assert [body is None for body in bodies] == [True, False, False]


def test_details_of_opt_outs_and_of_the_audit_trail_outlive_no_limitation(
    context: Context,
) -> None:
    with context.store.write() as session:
        body = establish(session)
        people = [_agreed(session, body, NOW - timedelta(days=9)) for _ in range(3)]
        _sent(session, body, people[0][1], LIMIT + MOMENT, people[0][0]).values = None
        for number, (contact, _) in enumerate(people):
            point = session.scalars(
                select(ContactPoint).where(ContactPoint.contact_id == contact.id)
            ).one()
            at = LIMIT + MOMENT if number == 1 else LIMIT
            block(
                session,
                point.address_id,
                controller=body.controller,
                occurred_at=at,
                personal={"words": "no more"},
                now=at,
            )
        for at in (LIMIT, LIMIT + MOMENT):
            audit_trail.record(
                session, now=at, operator=OPERATOR, action="x.y", personal={"who": "Ann"}
            )
    assert _both(context) == {"opt_outs": {"riverside": 1}, "audit": {"-": 1}}
    with context.store.read() as session:
        assert _held(session, SuppressionPayload) == 2
        assert _held(session, AuditPayload) == 1
        assert [fault for ledger in LEDGERS for fault in verify(session, ledger)] == []


def test_people_stored_without_consent_go_at_their_date_unless_they_agreed(
    context: Context,
) -> None:
    today = NOW.date()
    with context.store.write() as session:
        body = establish(session)
        dates: list[date | None] = [today - timedelta(days=1), today, None]
        people = [add_contact(session, body.controller, retain_until=one) for one in dates]
        for person in people:
            person.first_name = "Ann"
            add_point(session, person)
        agreed = _agreed(session, body, NOW - timedelta(days=5))[0]
        session.execute(
            update(Contact).where(Contact.id == agreed.id).values(retain_until=dates[0])
        )
    assert _both(context) == {"people": {"riverside": 1}}
    with context.store.read() as session:
        gone = session.get_one(Contact, people[0].id)
        assert (gone.first_name, gone.erased_at) == (None, NOW)
        plain = session.scalars(select(ContactPoint.address).order_by(ContactPoint.id)).all()
        assert [address is None for address in plain] == [True, False, False, False]


def test_each_erasure_is_audited_in_its_own_transaction(context: Context) -> None:
    with context.store.write() as session:
        body = establish(session)
        for _ in range(3):
            _agreed(session, body, LONG_AGO)
    erase_expired(context)
    with context.store.read() as session:
        rows = session.scalars(
            select(AuditEvent).where(AuditEvent.action == "retention.apply").order_by(AuditEvent.id)
        ).all()
        assert [(one.operator, one.details) for one in rows] == [
            (OPERATOR, {"rule": "consent", "rows": {"riverside": 2}}),
            (OPERATOR, {"rule": "consent", "rows": {"riverside": 1}}),
        ]
