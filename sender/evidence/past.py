"""Decide again as it was recorded at a past moment: only what was recorded by then is looked at.

The policy is the pure one that decides now. What it is given is folded anew from the ledgers and
the versioned rows, never from the folded tables, which know only the present.

Not kept by time, and so as it is now: where a contact's details came from. It changes no yes; it
only chooses between reasons for a no.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from sender.consent.fold import EventView, fold
from sender.consent.freshness import FreshnessPolicy
from sender.consent.ledger import event_view
from sender.consent.policy import BlockView, ConsentView, Decision, Person, Scope, decide
from sender.consent.scopes import most_specific
from sender.store.campaigns import Run, RunBody
from sender.store.consents import ConsentEvent, Notice
from sender.store.contact_changes import ContactPointMove
from sender.store.contacts import Contact, ContactPoint, ImportBatch
from sender.store.controllers import ControllerFreeze, SenderIdentity
from sender.store.controllers import FreshnessPolicy as FreshnessRow
from sender.store.requests import PurposeClosure
from sender.store.suppressions import SuppressionEvent
from sender.vocabulary import EVERY, BlockCause, Channel, ConsentKind, SuppressionAct

_YES = tuple(kind for kind in ConsentKind if kind.is_affirmative)

BlockKey = tuple[int, int, str, int, BlockCause]
"""Address, controller, channel, purpose, cause: what one block is known by."""


@dataclass(frozen=True, slots=True)
class Question:
    """Might this controller write to this address for this purpose, as recorded then?

    Attributes:
        address_id: to whom.
        controller_id: who.
        channel: of the address.
        purpose_id: for what, of that controller.
        then: only what was recorded by this moment counts.
        fresh_within_months: a campaign's stricter limit, if it had one.
        instigates: whether this controller's own sender identity was used.
        identity_id: the sender identity; None for any that was in use.
        has_address: whether the plain address was at hand; None looks at the contact point.
    """

    address_id: int
    controller_id: int
    channel: Channel
    purpose_id: int
    then: datetime
    fresh_within_months: int | None = None
    instigates: bool = True
    identity_id: int | None = None
    has_address: bool | None = None


def decide_then(session: Session, question: Question) -> Decision:
    """Return the decision as the records of that moment have it, with every rule that was run."""
    return decide(person_then(session, question), scope_then(session, question))


def questions_of_run(
    session: Session, run: Run, address_id: int, then: datetime, *, has_address: bool | None = None
) -> list[Question]:
    """Return what a run asked about one address: for its controller, then for each body (¶26)."""
    own = Question(
        address_id=address_id,
        controller_id=run.controller_id,
        channel=run.channel,
        purpose_id=run.purpose_id,
        then=then,
        fresh_within_months=run.fresh_within_months,
        identity_id=run.sender_identity_id,
        has_address=has_address,
    )
    bodies = session.scalars(
        select(RunBody).where(RunBody.run_id == run.id).order_by(RunBody.controller_id)
    )
    return [
        own,
        *[
            Question(
                address_id=address_id,
                controller_id=body.controller_id,
                channel=run.channel,
                purpose_id=body.purpose_id,
                then=then,
                fresh_within_months=run.fresh_within_months,
                instigates=False,
                has_address=True,
            )
            for body in bodies
        ],
    ]


def scope_then(session: Session, question: Question) -> Scope:
    """Return the freshness policy, freeze, closure and sender identity that held."""
    policy = _freshness(session, question)
    return Scope(
        controller_id=question.controller_id,
        channel=question.channel,
        purpose_id=question.purpose_id,
        at=question.then,
        freshness=policy.tightened(question.fresh_within_months),
        frozen_at=session.scalar(
            select(func.max(ControllerFreeze.frozen_at)).where(
                ControllerFreeze.controller_id == question.controller_id,
                ControllerFreeze.frozen_at <= question.then,
            )
        ),
        has_sender_identity=not question.instigates or _had_identity(session, question),
        closes_at=session.scalar(
            select(func.min(PurposeClosure.closes_at)).where(
                PurposeClosure.purpose_id == question.purpose_id,
                PurposeClosure.recorded_at <= question.then,
            )
        ),
        is_only_named=not question.instigates,
    )


def person_then(session: Session, question: Question) -> Person:
    """Return what was on record about the address."""
    point = session.scalar(
        select(ContactPoint).where(
            ContactPoint.controller_id == question.controller_id,
            ContactPoint.address_id == question.address_id,
            ContactPoint.created_at <= question.then,
        )
    )
    contact = session.get(Contact, _contact_id_then(session, point, question)) if point else None
    channels = {question.address_id: question.channel} | _addresses(session, contact, question)
    states = _states(session, question, list(channels))
    agreed = [key for key, state in states.items() if state.status in _YES]
    blocks = blocks_then(session, list(channels), question.then)
    held = _was_held(point, contact, question.then)
    return Person(
        has_address=held if question.has_address is None else question.has_address,
        objected=contact is not None and _had_objected(session, contact, blocks, question),
        source=contact.source if contact else None,
        consent=states.get((question.purpose_id, question.address_id)),
        consented_on_other_channel=any(
            purpose_id == question.purpose_id and channels[address_id] is not question.channel
            for purpose_id, address_id in agreed
        ),
        consented_to_other_purpose=any(
            purpose_id != question.purpose_id and address_id == question.address_id
            for purpose_id, address_id in agreed
        ),
        blocks=tuple(
            BlockView(cause, controller_id, channel, purpose_id)
            for address_id, controller_id, channel, purpose_id, cause in blocks
            if address_id == question.address_id
        ),
    )


def blocks_then(session: Session, address_ids: Sequence[int], then: datetime) -> set[BlockKey]:
    """Return the blocks that stood on these addresses: the fold of the suppression ledger."""
    event = SuppressionEvent
    query = (
        select(event)
        .where(event.address_id.in_(address_ids), event.recorded_at <= then)
        .order_by(event.id)
    )
    standing: set[BlockKey] = set()
    for row in session.scalars(query):
        key = (
            row.address_id,
            row.controller_id or EVERY,
            row.channel,
            row.purpose_id or EVERY,
            row.cause,
        )
        if row.act is SuppressionAct.SET:
            standing.add(key)
        else:
            standing.discard(key)
    return standing


def _was_held(point: ContactPoint | None, contact: Contact | None, then: datetime) -> bool:
    if point is None or contact is None:
        return False
    erased_later = contact.erased_at is not None and contact.erased_at > then
    return point.address is not None or erased_later


def _addresses(session: Session, contact: Contact | None, question: Question) -> dict[int, Channel]:
    if contact is None:
        return {}
    point, move = ContactPoint, ContactPointMove
    given_up = select(move.contact_point_id).where(
        move.from_contact_id == contact.id, move.moved_at > question.then
    )
    query = select(point).where(
        (point.contact_id == contact.id) | point.id.in_(given_up),
        point.created_at <= question.then,
    )
    return {
        row.address_id: row.channel
        for row in session.scalars(query)
        if _contact_id_then(session, row, question) == contact.id
    }


def _contact_id_then(session: Session, point: ContactPoint, question: Question) -> int:
    """Return whose address it was: before a merge, that of the contact that is empty now."""
    move = ContactPointMove
    query = (
        select(move.from_contact_id)
        .where(move.contact_point_id == point.id, move.moved_at > question.then)
        .order_by(move.moved_at, move.id)
    )
    return session.scalar(query.limit(1)) or point.contact_id


def _had_objected(
    session: Session, contact: Contact, blocks: set[BlockKey], question: Question
) -> bool:
    """Whether the contact was marked, as it is while an objection stands on one of its addresses.

    The mark itself bears the time of the act, which may be long before it was recorded. Only one
    that left no event at all is gone by.
    """
    if any(
        cause is BlockCause.OBJECTION and controller_id == question.controller_id
        for _, controller_id, _, _, cause in blocks
    ):
        return True
    marked = contact.objected_at is not None and contact.objected_at <= question.then
    return marked and not _has_objection_events(session, contact, question)


def _has_objection_events(session: Session, contact: Contact, question: Question) -> bool:
    event, point = SuppressionEvent, ContactPoint
    theirs = select(point.address_id).where(point.contact_id == contact.id)
    query = select(event.id).where(
        event.address_id.in_(theirs) | event.address_id.in_(_addresses(session, contact, question)),
        event.controller_id == contact.controller_id,
        event.cause == BlockCause.OBJECTION,
    )
    return session.scalar(query.limit(1)) is not None


def _states(
    session: Session, question: Question, address_ids: Sequence[int]
) -> dict[tuple[int, int], ConsentView]:
    """Return the folds of all purposes and addresses, by purpose and address."""
    event, batch = ConsentEvent, ImportBatch
    then = question.then
    query = (
        select(
            event.purpose_id,
            event.address_id,
            event.id,
            event.kind,
            event.occurred_at,
            event.batch_id,
            event.flaw,
            event.ends_at,
            Notice.shown_from,
            batch.revoked_at,
        )
        .outerjoin(Notice, Notice.id == event.notice_id)
        .outerjoin(batch, batch.id == event.batch_id)
        .where(
            event.controller_id == question.controller_id,
            event.address_id.in_(address_ids),
            event.recorded_at <= then,
            or_(
                event.batch_id.is_(None),
                event.kind.not_in(_YES),
                batch.approved_at <= then,
                batch.revoked_at <= then,
            ),
        )
        .order_by(event.id)
    )
    events: dict[tuple[int, int], list[EventView]] = defaultdict(list)
    for purpose_id, address_id, *columns, revoked_at in session.execute(query):
        known = revoked_at if revoked_at is not None and revoked_at <= then else None
        events[purpose_id, address_id].append(event_view([*columns, known]))
    folded = {key: fold(some) for key, some in events.items()}
    return {key: view for key, view in folded.items() if view is not None}


def _freshness(session: Session, question: Question) -> FreshnessPolicy:
    rows = session.scalars(
        select(FreshnessRow).where(
            FreshnessRow.controller_id == question.controller_id,
            FreshnessRow.channel.is_(None) | (FreshnessRow.channel == question.channel),
            FreshnessRow.purpose_id.is_(None) | (FreshnessRow.purpose_id == question.purpose_id),
            FreshnessRow.recorded_at <= question.then,
        )
    ).all()
    return most_specific(rows)


def _had_identity(session: Session, question: Question) -> bool:
    identity = SenderIdentity
    in_use = select(identity.id).where(
        identity.controller_id == question.controller_id,
        identity.channel == question.channel,
        identity.recorded_at <= question.then,
        identity.retired_at.is_(None) | (identity.retired_at > question.then),
    )
    if question.identity_id is not None:
        in_use = in_use.where(identity.id == question.identity_id)
    return session.scalar(in_use.limit(1)) is not None
