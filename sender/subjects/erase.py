"""Erase a person: every personal value goes, the history that names nobody stays.

What stays is the address by its keyed hash with its blocks and the acts of the ledgers, so that a
no holds for good, and the same address brought in again is still not written to. Of somebody who
objected the reference stays too, by a keyed hash. The evidence of a consent that a message relied
on stays as the hash-chained act without its payload.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.orm import Session

from sender.consent.ledger import AWAITS_APPROVAL, ConsentAct
from sender.consent.ledger import record as record_consent
from sender.consent.objection import lock_people
from sender.contacts.addresses import ensure_address_ids
from sender.context import Context
from sender.store import audit_trail
from sender.store.addresses import Address
from sender.store.campaigns import Run
from sender.store.consents import ConsentEvent, ConsentState
from sender.store.contacts import Contact, ImportBatch
from sender.store.controllers import Controller
from sender.store.deliveries import Delivery
from sender.store.erased_references import kept_reference
from sender.store.journal_entries import ERASURE
from sender.store.keys import AddressHasher, require_unrotated
from sender.store.suppressions import Block
from sender.subjects.holdings import HOLDINGS, Holding
from sender.subjects.whom import Asked, Whom, controllers_asked, find_whom
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.vocabulary import EVERY, BlockCause, ConsentKind, DeliveryState, Reason

SOURCE = ERASURE
"""Of the block and the withdrawals that an erasure records."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did at one controller, in numbers.

    Attributes:
        controller: its slug.
        contacts: people whose details were emptied.
        addresses: addresses that are blocked from now on.
        skipped: messages that were about to go, and now do not.
        rows: rows that were emptied or removed, by table.
    """

    controller: str
    contacts: int
    addresses: int
    skipped: int
    rows: dict[str, int]


def erase(context: Context, asked: Asked) -> list[Erased]:
    """Erase the person at the controller that is asked, or at all; return what was done.

    The address need not be known: it is blocked all the same. Done again, it changes nothing but
    the audit trail. A later yes of the person's own counts again; an import brings nothing back.

    Raises:
        NotFoundError: there is no such controller.
        KeyRefusedError: the key was rotated since this process was started.
    """
    now = context.clock.now()
    with context.store.write() as session:
        known = ensure_address_ids(
            session, context.hasher, asked.channel, [asked.address], for_a_no=True
        )
        asked_id = known[asked.address]
        everywhere = asked.controller is None
        controllers = controllers_asked(session, asked)
        _lock(session, controllers, asked_id)
        require_unrotated(session, context.hasher)
        people = [
            find_whom(session, controller, [asked_id], everywhere=everywhere)
            for controller in controllers
        ]
        done = [_erase(session, context, whom, asked_id, now) for whom in people]
    context.store.empty_log()
    return done


def erase_again(
    session: Session,
    controller_id: int,
    address_id: int,
    operator: str,
    now: datetime,
    *,
    hasher: AddressHasher,
) -> None:
    """Empty a person whom a restored backup brought back; a replay brings the noes back itself.

    Args:
        session: a writing session.
        controller_id: where they were erased.
        address_id: an address by which they were known.
        operator: who restores.
        now: when.
        hasher: with the database's key.

    Raises:
        KeyRefusedError: the key was rotated since this process was started.
    """
    controller = session.get_one(Controller, controller_id)
    _lock(session, [controller], address_id)
    require_unrotated(session, hasher)
    whom = find_whom(session, controller, [address_id], everywhere=False)
    skipped = _skip_pending(session, whom)
    _empty_everything(session, hasher, whom, now)
    audit_trail.record(
        session,
        now=now,
        operator=operator,
        action="subject.erase_again",
        controller_id=controller_id,
        details={"address_id": address_id, "skipped": skipped},
    )


def _lock(session: Session, controllers: Sequence[Controller], address_id: int) -> None:
    """Lock messages under way before their people, as whoever records what became of one does."""
    for controller in controllers:
        whom = find_whom(session, controller, [address_id], everywhere=False)
        waiting = select(Delivery.id).where(Delivery.address_id.in_(whom.address_ids))
        session.execute(waiting.order_by(Delivery.id).with_for_update()).all()
    for controller in controllers:
        lock_people(session, controller.id, [address_id])


def _erase(session: Session, context: Context, whom: Whom, asked_id: int, now: datetime) -> Erased:
    operator = context.operator
    _withdraw(session, whom, operator, now)
    _block(session, whom, operator, now)
    skipped = _skip_pending(session, whom)
    rows = _empty_everything(session, context.hasher, whom, now)
    audit_trail.record(
        session,
        now=now,
        operator=operator,
        action="subject.erase",
        controller_id=whom.controller_id,
        details={"address_id": asked_id, "everywhere": whom.everywhere, "skipped": skipped},
    )
    return Erased(
        controller=whom.slug,
        contacts=len(whom.contact_ids),
        addresses=len(whom.address_ids),
        skipped=skipped,
        rows={table: count for table, count in rows.items() if count},
    )


def _withdraw(session: Session, whom: Whom, operator: str, now: datetime) -> None:
    """Let no earlier yes count again, whatever lifts the block later; a no stays what it is."""
    event, state = ConsentEvent, ConsentState
    query = (
        select(
            event.purpose_id,
            event.address_id,
            state.status,
            func.max(case((AWAITS_APPROVAL, 1), else_=0)),
        )
        .outerjoin(ImportBatch, ImportBatch.id == event.batch_id)
        .outerjoin(
            state,
            (state.controller_id == event.controller_id)
            & (state.purpose_id == event.purpose_id)
            & (state.address_id == event.address_id),
        )
        .where(event.controller_id == whom.controller_id, event.address_id.in_(whom.address_ids))
        .group_by(event.purpose_id, event.address_id, state.status)
    )
    acts = [
        ConsentAct(
            controller_id=whom.controller_id,
            purpose_id=purpose_id,
            address_id=address_id,
            kind=ConsentKind.WITHDRAWN,
            occurred_at=now,
            method=SOURCE,
            source=SOURCE,
            operator=operator,
        )
        for purpose_id, address_id, status, awaits in session.execute(query)
        if awaits or not _is_no(status)
    ]
    record_consent(session, acts, now)


def _is_no(status: ConsentKind | None) -> bool:
    return status is not None and status.is_negative


def _block(session: Session, whom: Whom, operator: str, now: datetime) -> None:
    channels = session.execute(
        select(Address.id, Address.channel).where(Address.id.in_(whom.address_ids))
    )
    acts = [
        Suppression(
            scope=BlockScope(address_id, whom.controller_id, channel.value),
            cause=BlockCause.OPT_OUT,
            occurred_at=now,
            source=SOURCE,
            by_person=True,
            operator=operator,
        )
        for address_id, channel in channels
    ]
    suppress(session, acts, now)


def _skip_pending(session: Session, whom: Whom) -> int:
    runs = select(Run.id).where(Run.controller_id == whom.controller_id)
    pending = session.scalars(
        select(Delivery.id).where(
            Delivery.address_id.in_(whom.address_ids),
            Delivery.run_id.in_(runs),
            Delivery.state == DeliveryState.PENDING,
        )
    ).all()
    session.execute(
        update(Delivery)
        .where(Delivery.id.in_(pending))
        .values(
            state=DeliveryState.SKIPPED,
            reason=Reason.ERASED,
            refused_by_id=whom.controller_id,
            consent_event_id=None,
        )
    )
    return len(pending)


def _empty_everything(
    session: Session, hasher: AddressHasher, whom: Whom, now: datetime
) -> dict[str, int]:
    """Empty or remove every personal row; return how many, by table."""
    references = _kept_references(session, hasher, whom)
    rows = {holding.model.__tablename__: _empty(session, holding, whom) for holding in HOLDINGS}
    session.execute(
        update(Contact)
        .where(Contact.id.in_(whom.contact_ids), Contact.erased_at.is_(None))
        .values(erased_at=now, updated_at=now)
    )
    for contact_id, kept in references.items():
        session.execute(update(Contact).where(Contact.id == contact_id).values(external_ref=kept))
    return rows


def _kept_references(session: Session, hasher: AddressHasher, whom: Whom) -> dict[int, str]:
    """Return by contact what stays of the references of somebody who objected, else nothing.

    By it a later file with a new address of theirs is known to be about them (guidance ¶72).
    """
    if not _has_objected(session, whom):
        return {}
    query = select(Contact.id, Contact.external_ref).where(
        Contact.id.in_(whom.contact_ids), Contact.external_ref.is_not(None)
    )
    return {
        contact_id: kept_reference(hasher, whom.controller_id, reference)
        for contact_id, reference in session.execute(query)
        if reference
    }


def _has_objected(session: Session, whom: Whom) -> bool:
    marked = select(Contact.id).where(
        Contact.id.in_(whom.contact_ids), Contact.objected_at.is_not(None)
    )
    blocked = select(Block.event_id).where(
        Block.address_id.in_(whom.address_ids),
        Block.controller_id.in_((EVERY, whom.controller_id)),
        Block.cause == BlockCause.OBJECTION,
    )
    return any(session.scalar(query.limit(1)) is not None for query in (marked, blocked))


def _empty(session: Session, holding: Holding, whom: Whom) -> int:
    if not holding.removed and not holding.emptied:
        return 0
    rows = holding.rows(whom)
    statement = (
        delete(holding.model).where(rows)
        if holding.removed
        else update(holding.model).where(rows).values(dict(holding.emptied))
    )
    done = session.execute(statement.execution_options(synchronize_session=False))
    return int(done.rowcount)  # type: ignore[attr-defined]  # of a statement that changes rows
