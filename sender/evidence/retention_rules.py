"""What is kept for how long: each rule says which rows are past their time, and empties them.

Only personal details go. The acts themselves, the blocks and the deliveries stay, and the chains
verify as before: they commit to a digest of what lay beside them. What an open request is about
stays too, until it is answered.

Whether a message relied on a consent is looked up for each row that is old enough, by an index: no
rule reads the ledger of deliveries from end to end.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    case,
    cast,
    delete,
    func,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.orm import Session

from sender.consent.eligibility import AFFIRMED
from sender.consent.freshness import FreshnessPolicy, months_before
from sender.consent.moved import MOVED, rests_on
from sender.contacts.held import held_contacts, is_held, is_held_anywhere
from sender.contacts.merged import merged_into
from sender.controllers.retention_policy import LimitationYears, load_limitation
from sender.delivery.staging_retention import is_expired
from sender.inbound.retention import notifications_past, replies_past
from sender.settings import Settings
from sender.store.audit import AuditEvent, AuditPayload
from sender.store.base import UtcDateTime
from sender.store.campaigns import Run, StagedRecipient
from sender.store.consents import ConsentEvent, ConsentPayload, ConsentState
from sender.store.contact_changes import AddressMove
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import Controller
from sender.store.controllers import FreshnessPolicy as FreshnessRow
from sender.store.deliveries import Delivery, DeliveryReliance
from sender.store.id_lists import among
from sender.store.inbound import InboundNotification, InboxMessage
from sender.store.suppressions import SuppressionEvent, SuppressionPayload
from sender.vocabulary import EVERY, ConsentFlaw

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
    limitation = f"{years} years, or as the controller's file says,"
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
            lambda _, now: _owned(InboundNotification.id, _NOBODYS, notifications_past(now)),
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
            lambda session, now: _consent_due(session, now, load_limitation(session, years)),
            _remove_from(ConsentPayload),
        ),
        Rule(
            "opt_outs",
            "Personal details beside an opt-out",
            f"{limitation} and after the last message to the address",
            lambda session, now: _opt_outs_due(now, load_limitation(session, years)),
            _remove_from(SuppressionPayload),
        ),
        Rule(
            "audit",
            "Personal details in the audit trail",
            limitation.removesuffix(","),
            lambda session, now: _audit_due(now, load_limitation(session, years)),
            _remove_from(AuditPayload),
        ),
        Rule(
            "people",
            "People stored without consent, or who came with a revoked batch (¶83)",
            "until the date of the import, or 30 days from the revocation, unless they agreed",
            lambda _, now: _people_due(now),
            _empty_people,
        ),
    )


MONTHS_A_YEAR: Final = 12
_NOBODYS: Final = cast(null(), BigInteger)


def limit_of(now: datetime, years: int) -> datetime:
    """Return the moment before which a claim about a message is out of time."""
    return months_before(now, MONTHS_A_YEAR * years)


def _limits(controller_id: Any, now: datetime, years: LimitationYears) -> ColumnElement[Any]:
    """Return that moment for the controller of a row; the earliest where it belongs to all."""
    limits = {row_id: limit_of(now, own) for row_id, own in years.of_controller.items()}
    return _moments(controller_id, limits, limit_of(now, years.longest))


def _moments(
    controller_id: Any, moments: Mapping[int, datetime], otherwise: datetime
) -> ColumnElement[Any]:
    """Return the moment of a row's controller, as one value where it is the same for all."""
    if set(moments.values()) <= {otherwise}:
        return literal(otherwise, UtcDateTime())
    by_controller = {row_id: literal(one, UtcDateTime()) for row_id, one in moments.items()}
    return case(by_controller, value=controller_id, else_=literal(otherwise, UtcDateTime()))


def _owned(row_id: Any, controller_id: Any, condition: ColumnElement[bool]) -> Due:
    return select(row_id.label("row_id"), controller_id.label("controller_id")).where(condition)


def _is_none(query: Select[Any]) -> ColumnElement[bool]:
    """Whether there is no such row: looked up row by row, which NOT EXISTS leaves to chance."""
    return query.limit(1).scalar_subquery().is_(None)


def _is_asked_about(controller_id: Any, address_id: Any) -> ColumnElement[bool]:
    """Whether an open request holds a row that is one controller's, or all controllers'."""
    everybodys: ColumnElement[bool] = controller_id.is_(None)
    own = is_held(func.coalesce(controller_id, EVERY), address_id)
    return own | (everybodys & is_held_anywhere(address_id))


def _values_due(limit: datetime) -> Due:
    past = (Delivery.dispatched_at <= limit) & Delivery.values.is_not(None)
    condition = past & ~is_held(Run.controller_id, Delivery.address_id)
    return _owned(Delivery.id, Run.controller_id, condition).join(Run, Run.id == Delivery.run_id)


def _consent_due(session: Session, now: datetime, years: LimitationYears) -> Due:
    """Return evidence that no message relied on since, and that none may rely on any more.

    A yes may be relied on for as long as the freshness policy says; where that is longer than the
    limitation period, its evidence waits for that. What a message relied on at a changed address
    rests on the evidence of the old one.
    """
    event = ConsentEvent
    holds = _longest_holds(session)
    moments = {
        row_id: min(limit_of(now, own), months_before(now, holds[row_id]))
        for row_id, own in years.of_controller.items()
    }
    otherwise = min(moments.values(), default=limit_of(now, years.longest))
    condition = (
        (event.recorded_at <= _moments(event.controller_id, moments, otherwise))
        & ~is_held(event.controller_id, event.address_id)
        & _is_none(_relied_on_since(_limits(event.controller_id, now, years)))
        & _is_none(_relied_on_jointly_since(now, years))
        & ~among(session, event.id, _rested_on_since(session, now, years))
    )
    return _owned(ConsentPayload.event_id, event.controller_id, condition).join(
        event, event.id == ConsentPayload.event_id
    )


def _rested_on_since(session: Session, now: datetime, years: LimitationYears) -> set[int]:
    """Return the yeses that were carried to changed addresses where messages relied on them."""
    event, move = ConsentEvent, AddressMove
    since = _is_none(_relied_on_since(_limits(event.controller_id, now, years)))
    jointly = _is_none(_relied_on_jointly_since(now, years))
    carried = (
        select(event.id, event.method, event.source, since & jointly)
        .join(
            move,
            (move.controller_id == event.controller_id) & (move.new_address_id == event.address_id),
        )
        .where(move.confirmed_at.is_not(None), event.method == MOVED)
    )
    rows = session.execute(carried).all()
    before = {event_id: rests_on(method, source) for event_id, method, source, _ in rows}
    found: set[int] = set()
    for event_id, *_, is_out_of_time in rows:
        while not is_out_of_time and (event_id := before.get(event_id) or 0):
            found.add(event_id)
    return found


def _longest_holds(session: Session) -> dict[int, int]:
    rows = session.execute(
        select(Controller.id, func.max(FreshnessRow.hold_months))
        .outerjoin(FreshnessRow, FreshnessRow.controller_id == Controller.id)
        .group_by(Controller.id)
    )
    least = FreshnessPolicy().hold_months
    return {row_id: max(least, longest or 0) for row_id, longest in rows}


def _relied_on_since(limit: ColumnElement[Any]) -> Select[Any]:
    """Return messages that relied on the event since, among those to its address."""
    event = ConsentEvent
    return select(Delivery.id).where(
        Delivery.address_id == event.address_id,
        Delivery.consent_event_id == event.id,
        Delivery.dispatched_at > limit,
    )


def _relied_on_jointly_since(now: datetime, years: LimitationYears) -> Select[Any]:
    """Return others' messages that relied on the event since, by the longer of both periods."""
    event, reliance = ConsentEvent, DeliveryReliance
    theirs = _limits(Run.controller_id, now, years)
    own = _limits(event.controller_id, now, years)
    return (
        select(reliance.delivery_id)
        .join(Delivery, Delivery.id == reliance.delivery_id)
        .join(Run, Run.id == Delivery.run_id)
        .where(
            reliance.consent_event_id == event.id,
            (reliance.dispatched_at > theirs) | (reliance.dispatched_at > own),
        )
    )


def _opt_outs_due(now: datetime, years: LimitationYears) -> Due:
    event = SuppressionEvent
    limit = _limits(event.controller_id, now, years)
    written_since = select(Delivery.id).where(
        Delivery.address_id == event.address_id, Delivery.dispatched_at > limit
    )
    past = (event.recorded_at <= limit) & ~_is_asked_about(event.controller_id, event.address_id)
    condition = past & _is_none(written_since)
    return _owned(SuppressionPayload.event_id, event.controller_id, condition).join(
        event, event.id == SuppressionPayload.event_id
    )


def _audit_due(now: datetime, years: LimitationYears) -> Due:
    event = AuditEvent
    about = event.details["address_id"].as_integer()
    past = event.recorded_at <= _limits(event.controller_id, now, years)
    condition = past & ~_is_asked_about(event.controller_id, about)
    return _owned(AuditPayload.event_id, event.controller_id, condition).join(
        event, event.id == AuditPayload.event_id
    )


def _people_due(now: datetime) -> Due:
    """Return people whose date has passed, none of whose addresses has a yes that is one.

    The sum keeps SQLite from reading all states of the controller for each of them.
    """
    theirs = (
        select(ContactPoint.address_id)
        .where(ContactPoint.contact_id == Contact.id)
        .correlate(Contact)
    )
    agreed = select(ConsentState.event_id).where(
        ConsentState.address_id.in_(theirs),
        ConsentState.controller_id + 0 == Contact.controller_id,
        ConsentState.status.in_(AFFIRMED),
        ConsentState.flaw == ConsentFlaw.NONE,
    )
    past = (Contact.retain_until < now.date()) & Contact.erased_at.is_(None)
    condition = past & Contact.id.not_in(held_contacts()) & _is_none(agreed)
    return _owned(Contact.id, Contact.controller_id, condition)


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
    """Empty the person; what the ledgers know by keyed hash stays, an objection among it.

    With whatever was merged into them: of that only a reference is left. Whoever objected keeps the
    reference, by which a file that tells of a new address of theirs is recognised (guidance ¶72).
    """
    objected = select(Contact.id).where(Contact.id.in_(ids), Contact.objected_at.is_not(None))
    known_by = session.scalars(objected).all()
    kept = [*known_by, *merged_into(session, known_by)]
    ids = [*ids, *merged_into(session, ids)]
    personal = ("title", "first_name", "last_name", "postcode", "locale", "time_zone",
                "source_detail")  # fmt: skip
    values: dict[str, Any] = {**dict.fromkeys(personal), "attributes": {}}
    nameless = update(Contact).where(Contact.id.in_(ids), Contact.id.not_in(kept))
    session.execute(nameless.values(external_ref=None))
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
