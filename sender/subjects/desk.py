"""The desk for what people ask by letter, phone or mail: opened, acknowledged, answered in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from sender.consent.objection import Objection, record_objection
from sender.contacts.addresses import ensure_address_ids
from sender.contacts.merged import survivors
from sender.context import Context
from sender.controllers.lookup import current_version, find_controller
from sender.errors import NotFoundError, RefusedError
from sender.store import audit_trail
from sender.store.campaigns import Run
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import Controller
from sender.store.deliveries import Delivery
from sender.store.requests import SubjectRequest, SubjectRequestDelivery
from sender.subjects.due import acknowledge_by, one_month_after
from sender.subjects.still_held import is_held_in_plain
from sender.vocabulary import Channel


class RequestKind(StrEnum):
    """What a person asks for."""

    ACCESS = "access"
    ERASURE = "erasure"
    OBJECTION = "objection"
    RECTIFICATION = "rectification"
    COMPLAINT = "complaint"


class Outcome(StrEnum):
    """How a request ended."""

    DONE = "done"
    REFUSED = "refused"
    TAKEN_BACK = "taken_back"


_NEEDS_IDENTITY: Final = frozenset(
    {RequestKind.ACCESS, RequestKind.ERASURE, RequestKind.RECTIFICATION}
)
"""What would harm the person if somebody else asked for it in their name."""


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request as it came.

    Attributes:
        controller: the slug of whom it was sent to.
        kind: what is asked for.
        received_on: when it came, on the controller's calendar.
        address: an address of the person, normalised, with its channel.
        contact_id: the contact, for a letter that names no address; see `sender contacts find`.
        requester: who asks, where neither is known.
        words: what they say.
        identity_check: how it is known that they are who they say.
        messages: numbers of the deliveries that it is about.
    """

    controller: str
    kind: RequestKind
    received_on: date
    address: tuple[Channel, str] | None = None
    contact_id: int | None = None
    requester: str = ""
    words: str = ""
    identity_check: str = ""
    messages: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """A request for people to look at.

    Attributes:
        deadline: the next last day: to acknowledge a complaint, or to answer.
        is_overdue: whether that day has passed on the controller's calendar.
    """

    id: int
    controller: str
    kind: str
    who: str
    received_on: date
    deadline: date | None
    is_overdue: bool
    identity_check: str | None
    acknowledged_on: date | None
    outcome: str | None
    messages: tuple[int, ...]


def open_request(context: Context, new: NewRequest) -> Listed:
    """Write the request down. An objection takes effect at once: nobody waits for the desk.

    Raises:
        NotFoundError: no such controller, or it has no such contact or message.
        RefusedError: it came in the future, or nothing says who asks.
    """
    now = context.clock.now()
    with context.store.write() as session:
        controller = find_controller(session, new.controller)
        if new.received_on > _today(session, controller, now):
            raise RefusedError("A request lies in the future.", remedy="Correct --received-on.")
        address_id, contact_id = _person(session, context, controller, new)
        is_complaint = new.kind is RequestKind.COMPLAINT
        row = SubjectRequest(
            controller_id=controller.id,
            kind=new.kind,
            address_id=address_id,
            contact_id=contact_id,
            received_on=new.received_on,
            due_on=one_month_after(new.received_on),
            acknowledge_by=acknowledge_by(new.received_on) if is_complaint else None,
            requester=new.requester or None,
            words=new.words or None,
            identity_check=new.identity_check or None,
            opened_at=now,
            opened_by=context.operator,
        )
        session.add(row)
        session.flush()
        _link(session, row, new.messages)
        if new.kind is RequestKind.OBJECTION:
            _object(session, context, row, now)
        _audit(session, context, row, "request.open", now)
        return _listed(session, row, now)


def list_requests(
    session: Session, *, now: datetime, slug: str | None = None, everything: bool = False
) -> list[Listed]:
    """Return the requests that are open, or all there ever were; the most urgent first.

    Raises:
        NotFoundError: there is no such controller.
    """
    query = select(SubjectRequest)
    if slug is not None:
        query = query.where(SubjectRequest.controller_id == find_controller(session, slug).id)
    if not everything:
        query = query.where(is_open())
    found = [_listed(session, row, now) for row in session.scalars(query).all()]
    return sorted(found, key=lambda one: (one.deadline or date.max, one.id))


def acknowledge(context: Context, request_id: int, *, on: date) -> Listed:
    """Note that the person was told that their request came.

    Raises:
        NotFoundError: there is no such request.
        RefusedError: it is closed, or the day is before it came or in the future.
    """
    now = context.clock.now()
    with context.store.write() as session:
        row = _open_row(session, request_id)
        today = _today(session, session.get_one(Controller, row.controller_id), now)
        if not row.received_on <= on <= today:
            raise RefusedError("That day cannot be meant.", remedy="Correct --on.")
        row.acknowledged_on = row.acknowledged_on or on
        _audit(session, context, row, "request.acknowledge", now)
        return _listed(session, row, now)


def close_request(
    context: Context,
    request_id: int,
    *,
    outcome: Outcome,
    answer: str,
    identity_check: str = "",
) -> Listed:
    """Close a request with what the person was told.

    Args:
        context: the installation.
        request_id: which.
        outcome: how it ended.
        answer: what was done or why not, as the person was told.
        identity_check: how it is known that they are who they say, if that was not noted before.

    Raises:
        NotFoundError: there is no such request.
        RefusedError: it is closed; or it cannot be done, for nobody noted who asks, the complaint
            was not acknowledged, or the person to be erased is not named or still there.
    """
    now = context.clock.now()
    with context.store.write() as session:
        row = _open_row(session, request_id)
        row.identity_check = identity_check or row.identity_check
        if outcome is Outcome.DONE:
            _require_done(session, row)
        if not answer.strip():
            raise RefusedError("A request is closed with its answer.", remedy='Add --answer "…".')
        row.outcome, row.answer = outcome, answer.strip()
        row.closed_at, row.closed_by = now, context.operator
        _audit(session, context, row, "request.close", now)
        return _listed(session, row, now)


def is_open() -> ColumnElement[bool]:
    """Return the condition of a request that waits for its answer."""
    return SubjectRequest.closed_at.is_(None)


def deadline_of(row: SubjectRequest) -> date:
    """Return the next last day: to acknowledge a complaint, or to answer."""
    if row.acknowledge_by is not None and row.acknowledged_on is None:
        return min(row.acknowledge_by, row.due_on)
    return row.due_on


def _person(
    session: Session, context: Context, controller: Controller, new: NewRequest
) -> tuple[int | None, int | None]:
    address_id, contact_id = None, new.contact_id
    if new.address is not None:
        channel, plain = new.address
        address_id = ensure_address_ids(session, context.hasher, channel, [plain])[plain]
        point = ContactPoint
        contact_id = contact_id or session.scalar(
            select(point.contact_id).where(
                point.controller_id == controller.id, point.address_id == address_id
            )
        )
    if contact_id is not None:
        contact_id = survivors(session, [contact_id]).get(contact_id, contact_id)
        _require_contact(session, controller, contact_id)
    is_objection = new.kind is RequestKind.OBJECTION
    if address_id is None and contact_id is None and (is_objection or not new.requester.strip()):
        raise RefusedError(
            "Nothing says who asks.",
            remedy="Give --address, or --contact (see: sender contacts find), or --requester; "
            "an objection needs one of the first two to take effect.",
        )
    return address_id, contact_id


def _require_contact(session: Session, controller: Controller, contact_id: int) -> None:
    contact = session.get(Contact, contact_id)
    if contact is None or contact.controller_id != controller.id:
        raise NotFoundError(
            f"{controller.slug} has no contact {contact_id}.",
            remedy=f"See: sender contacts find NAME -c {controller.slug}",
        )


def _link(session: Session, row: SubjectRequest, messages: Sequence[int]) -> None:
    for delivery_id in dict.fromkeys(messages):
        delivery = session.get(Delivery, delivery_id)
        run = session.get(Run, delivery.run_id) if delivery is not None else None
        if run is None or run.controller_id != row.controller_id:
            raise NotFoundError(
                f"There is no message {delivery_id} of this controller.",
                remedy="See: sender evidence ADDRESS",
            )
        session.add(SubjectRequestDelivery(request_id=row.id, delivery_id=delivery_id))
    session.flush()


def _object(session: Session, context: Context, row: SubjectRequest, now: datetime) -> None:
    """Object for the person, also where no address of theirs is known yet (guidance ¶72)."""
    zone = ZoneInfo(current_version(session, row.controller_id).time_zone)
    at = min(datetime.combine(row.received_on, time(), zone).astimezone(UTC), now)
    theirs = session.scalars(_addresses_of(row.contact_id))
    for address_id in sorted({*theirs, row.address_id} - {None}):
        objection = Objection(
            controller_id=row.controller_id,
            address_id=address_id,
            occurred_at=at,
            source="request",
            operator=context.operator,
        )
        record_objection(session, objection, now)
    contact = session.get(Contact, row.contact_id) if row.contact_id is not None else None
    if contact is not None and contact.objected_at is None:
        contact.objected_at = at


def _require_done(session: Session, row: SubjectRequest) -> None:
    if row.kind in _NEEDS_IDENTITY and not row.identity_check:
        raise RefusedError(
            "Nobody noted how it is known who asks.", remedy='Add --identity-check "…".'
        )
    if row.acknowledge_by is not None and row.acknowledged_on is None:
        raise RefusedError(
            "The complaint was not acknowledged.",
            remedy=f"Tell the person, then: sender request acknowledge {row.id} --on DAY",
        )
    if row.kind != RequestKind.ERASURE:
        return
    if row.address_id is None and row.contact_id is None:
        raise RefusedError(
            "The request does not say by address or contact whom to erase.",
            remedy="Look for them: sender contacts find NAME. Who is found: open it again with "
            "--contact. Nobody: close it with --outcome refused, and say so.",
        )
    addresses = [*session.scalars(_addresses_of(row.contact_id)), row.address_id]
    controller = session.get_one(Controller, row.controller_id)
    if is_held_in_plain(session, controller, addresses, row.contact_id):
        raise RefusedError(
            "The person's data is still there.", remedy="First: sender subject erase ADDRESS"
        )


def _addresses_of(contact_id: int | None) -> Select[int]:
    return select(ContactPoint.address_id).where(ContactPoint.contact_id == contact_id)


def _open_row(session: Session, request_id: int) -> SubjectRequest:
    row = session.get(SubjectRequest, request_id, with_for_update=True)
    if row is None:
        raise NotFoundError(f"There is no request {request_id}.", remedy="See: sender request list")
    if row.closed_at is not None:
        raise RefusedError(
            f"Request {request_id} is closed.", remedy="See: sender request list --all"
        )
    return row


def _listed(session: Session, row: SubjectRequest, now: datetime) -> Listed:
    controller = session.get_one(Controller, row.controller_id)
    link = SubjectRequestDelivery
    messages = session.scalars(
        select(link.delivery_id).where(link.request_id == row.id).order_by(link.delivery_id)
    )
    deadline = None if row.closed_at is not None else deadline_of(row)
    return Listed(
        id=row.id,
        controller=controller.slug,
        kind=row.kind,
        who=row.requester or _name(session, row),
        received_on=row.received_on,
        deadline=deadline,
        is_overdue=deadline is not None and deadline < _today(session, controller, now),
        identity_check=row.identity_check,
        acknowledged_on=row.acknowledged_on,
        outcome=row.outcome,
        messages=tuple(messages),
    )


def _name(session: Session, row: SubjectRequest) -> str:
    contact = session.get(Contact, row.contact_id) if row.contact_id is not None else None
    if contact is None:
        return ""
    parts = (contact.title, contact.first_name, contact.last_name)
    return " ".join(part for part in parts if part) or f"contact {contact.id}"


def _today(session: Session, controller: Controller, now: datetime) -> date:
    return now.astimezone(ZoneInfo(current_version(session, controller.id).time_zone)).date()


def _audit(
    session: Session, context: Context, row: SubjectRequest, action: str, now: datetime
) -> None:
    details: dict[str, Any] = {"request": row.id, "kind": row.kind}
    if row.outcome is not None:
        details["outcome"] = row.outcome
    if row.address_id is not None:
        details["address_id"] = row.address_id
    audit_trail.record(
        session,
        now=now,
        operator=context.operator,
        action=action,
        controller_id=row.controller_id,
        details=details,
    )
