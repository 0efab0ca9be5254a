"""What is kept for how long: each rule says which rows are past their time, and empties them.

Only personal details go. The acts themselves, the blocks and the deliveries stay, and the chains
verify as before: they commit to a digest of what lay beside them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, delete, false, func, null, or_, select, update
from sqlalchemy.orm import Session

from sender.consent.eligibility import AFFIRMED
from sender.consent.freshness import FreshnessPolicy, months_before
from sender.delivery.staging_retention import is_expired
from sender.inbound.retention import notifications_past, replies_past
from sender.settings import Settings
from sender.store.audit import AuditEvent, AuditPayload
from sender.store.campaigns import Run, StagedRecipient
from sender.store.consents import ConsentEvent, ConsentPayload, ConsentState
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import Controller
from sender.store.controllers import FreshnessPolicy as FreshnessRow
from sender.store.deliveries import Delivery, DeliveryReliance
from sender.store.inbound import InboundNotification, InboxMessage
from sender.store.suppressions import SuppressionEvent, SuppressionPayload

Due = Select[Any]
"""Rows past their time: the columns `row_id` and `controller_id`, empty where none owns them."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of personal detail, and how long it is kept.

    Attributes:
        name: one word for scripts.
        what: for people.
        kept: how long, for people.
        due: returns the rows past their time.
        erase: empties so many of them; is given the present.
    """

    name: str
    what: str
    kept: str
    due: Callable[[Session, datetime], Due]
    erase: Callable[[Session, Sequence[int], datetime], None]


def retention_rules(settings: Settings) -> tuple[Rule, ...]:
    """Return every rule of this installation, with its times."""
    years, values = settings.limitation_years, timedelta(days=settings.values_retention_days)
    limitation = f"{years} years" if years > 1 else "1 year"
    return (
        Rule(
            "replies",
            "Words of people's replies that are decided",
            f"{settings.inbox_retention_days} days",
            lambda _, now: _owned(InboxMessage.id, InboxMessage.controller_id, replies_past(now)),
            _empty_replies,
        ),
        Rule(
            "notifications",
            "What providers told, as it came",
            f"{settings.event_retention_days} days",
            lambda _, now: _owned(InboundNotification.id, null(), notifications_past(now)),
            _empty_notifications,
        ),
        Rule(
            "staging",
            "Recipients pulled from another database, after their run",
            f"{settings.staging_retention_days} days",
            lambda _, now: _owned(StagedRecipient.id, Run.controller_id, is_expired(now)).join(
                Run, Run.id == StagedRecipient.run_id
            ),
            _empty_staging,
        ),
        Rule(
            "values",
            "Personal values that a message used",
            f"{settings.values_retention_days} days after it",
            lambda _, now: _values_due(now - values),
            _empty_values,
        ),
        Rule(
            "consent",
            "Personal evidence beside a consent",
            f"{limitation} after the last message that relied on it",
            lambda session, now: _consent_due(session, now, years),
            _remove_from(ConsentPayload),
        ),
        Rule(
            "opt_outs",
            "Personal details beside an opt-out",
            f"{limitation}, and after the last message to the address",
            lambda _, now: _opt_outs_due(limit_of(now, years)),
            _remove_from(SuppressionPayload),
        ),
        Rule(
            "audit",
            "Personal details in the audit trail",
            limitation,
            lambda _, now: _owned(
                AuditPayload.event_id,
                AuditEvent.controller_id,
                AuditEvent.recorded_at <= limit_of(now, years),
            ).join(AuditEvent, AuditEvent.id == AuditPayload.event_id),
            _remove_from(AuditPayload),
        ),
        Rule(
            "people",
            "People stored without consent, who never agreed since (¶83)",
            "until the date that the import was given",
            lambda _, now: _people_due(now),
            _empty_people,
        ),
    )


def limit_of(now: datetime, years: int) -> datetime:
    """Return the moment before which a claim about a message is out of time."""
    return months_before(now, MONTHS_A_YEAR * years)


MONTHS_A_YEAR: Final = 12


def _owned(row_id: Any, controller_id: Any, condition: ColumnElement[bool]) -> Due:
    return select(row_id.label("row_id"), controller_id.label("controller_id")).where(condition)


def _values_due(limit: datetime) -> Due:
    past = (Delivery.dispatched_at <= limit) & Delivery.values.is_not(None)
    return _owned(Delivery.id, Run.controller_id, past).join(Run, Run.id == Delivery.run_id)


def _consent_due(session: Session, now: datetime, years: int) -> Due:
    """Return evidence that no message relied on since, and that none may rely on any more.

    A yes may be relied on for as long as the freshness policy says; where that is longer than the
    limitation period, its evidence waits for that.
    """
    event = ConsentEvent
    limit = limit_of(now, years)
    old = [
        (event.controller_id == controller_id)
        & (event.recorded_at <= min(limit, months_before(now, hold_months)))
        for controller_id, hold_months in _longest_holds(session)
    ]
    condition = or_(false(), *old) & ~_relied_on_since(limit)
    return _owned(ConsentPayload.event_id, event.controller_id, condition).join(
        event, event.id == ConsentPayload.event_id
    )


def _longest_holds(session: Session) -> list[tuple[int, int]]:
    rows = session.execute(
        select(Controller.id, func.max(FreshnessRow.hold_months))
        .outerjoin(FreshnessRow, FreshnessRow.controller_id == Controller.id)
        .group_by(Controller.id)
    )
    least = FreshnessPolicy().hold_months
    return [(row_id, max(least, longest or 0)) for row_id, longest in rows]


def _relied_on_since(limit: datetime) -> ColumnElement[bool]:
    """Whether a message relied on the event since; looked for among the address's messages."""
    event = ConsentEvent
    own = select(Delivery.id).where(
        Delivery.address_id == event.address_id,
        Delivery.consent_event_id == event.id,
        Delivery.dispatched_at > limit,
    )
    joint = (
        select(DeliveryReliance.delivery_id)
        .join(Delivery, Delivery.id == DeliveryReliance.delivery_id)
        .where(
            Delivery.address_id == event.address_id,
            DeliveryReliance.consent_event_id == event.id,
            DeliveryReliance.dispatched_at > limit,
        )
    )
    return own.exists() | joint.exists()


def _opt_outs_due(limit: datetime) -> Due:
    event = SuppressionEvent
    written_since = select(Delivery.id).where(
        Delivery.address_id == event.address_id, Delivery.dispatched_at > limit
    )
    past = (event.recorded_at <= limit) & ~written_since.exists()
    return _owned(SuppressionPayload.event_id, event.controller_id, past).join(
        event, event.id == SuppressionPayload.event_id
    )


def _people_due(now: datetime) -> Due:
    """Return people whose date has passed, none of whose addresses has a yes."""
    agreed = (
        select(ConsentState.event_id)
        .join(ContactPoint, ContactPoint.address_id == ConsentState.address_id)
        .where(
            ContactPoint.contact_id == Contact.id,
            ConsentState.controller_id == Contact.controller_id,
            ConsentState.status.in_(AFFIRMED),
        )
    )
    past = (Contact.retain_until < now.date()) & Contact.erased_at.is_(None) & ~agreed.exists()
    return _owned(Contact.id, Contact.controller_id, past)


def _empty_replies(session: Session, ids: Sequence[int], _now: datetime) -> None:
    session.execute(update(InboxMessage).where(InboxMessage.id.in_(ids)).values(body=None))


def _empty_notifications(session: Session, ids: Sequence[int], _now: datetime) -> None:
    told = InboundNotification
    session.execute(update(told).where(told.id.in_(ids)).values(payload=None))


def _empty_staging(session: Session, ids: Sequence[int], _now: datetime) -> None:
    staged = StagedRecipient
    empty: dict[str, Any] = {"address": None, "attributes": {}}
    session.execute(update(staged).where(staged.id.in_(ids)).values(empty))


def _empty_values(session: Session, ids: Sequence[int], _now: datetime) -> None:
    session.execute(update(Delivery).where(Delivery.id.in_(ids)).values(values=None))


def _empty_people(session: Session, ids: Sequence[int], now: datetime) -> None:
    """Empty the person; what the ledgers know by keyed hash stays, an objection among it."""
    personal = ("external_ref", "title", "first_name", "last_name", "postcode", "locale",
                "time_zone", "source_detail")  # fmt: skip
    values: dict[str, Any] = {**dict.fromkeys(personal), "attributes": {}}
    session.execute(
        update(Contact).where(Contact.id.in_(ids)).values(**values, erased_at=now, updated_at=now)
    )
    point = ContactPoint
    session.execute(update(point).where(point.contact_id.in_(ids)).values(address=None))


def _remove_from(
    table: type[ConsentPayload | SuppressionPayload | AuditPayload],
) -> Callable[[Session, Sequence[int], datetime], None]:
    def remove(session: Session, ids: Sequence[int], _now: datetime) -> None:
        session.execute(delete(table).where(table.event_id.in_(ids)))

    return remove
