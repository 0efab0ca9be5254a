"""A file's yeses count once another person has approved the import, and until it is revoked.

The decision is one row's; the consent states follow it in chunks. A revocation is obeyed at once:
until all states are written anew, the policy itself refuses whoever relies on the batch. An
approval that was cut short is carried through when it is said again.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, aliased

from sender.clock import Clock
from sender.consent.ledger import Key, refold
from sender.contacts.addresses import lock_addresses
from sender.errors import NotFoundError, RefusedError
from sender.imports.ending import give_end
from sender.store.addresses import Address
from sender.store.audit_trail import record as audit
from sender.store.consents import ConsentEvent, Notice, Purpose
from sender.store.contacts import Contact, ContactPoint, ImportBatch
from sender.store.engine import Store
from sender.vocabulary import Channel, ConsentFlaw, ConsentKind

SAMPLE_ROWS: Final = 20
_AT_ONCE: Final = 500
_FEW: Final = 20
"""Consents; among fewer, equal times tell nothing."""
_MOST_EQUAL: Final = 0.5
_OLD: Final = timedelta(days=3 * 365)

Progress = Callable[[int], None]
"""Called with the number of people whose state was written since the last call."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One consent of a batch, to be compared with the source that it came from."""

    name: str
    address: str
    channel: Channel
    purpose: str
    notice: str
    given_at: datetime
    method: str
    source: str


@dataclass(frozen=True, slots=True)
class BatchView:
    """What is to be looked at before a batch is approved.

    Attributes:
        batch: the import; detached from the database.
        consents: how many yeses it brought.
        sample: some of them, spread over the whole file, the same at each look.
        warnings: what is odd about them, in sentences.
    """

    batch: ImportBatch
    consents: int
    sample: Sequence[Sample]
    warnings: Sequence[str]


def look_at_batch(session: Session, controller_id: int, batch_id: int) -> BatchView:
    """Return a batch with a sample and what is odd about it.

    Raises:
        NotFoundError: the controller has no such batch.
    """
    batch = find_batch(session, controller_id, batch_id)
    ids = session.scalars(_yeses(batch_id).order_by(ConsentEvent.id)).all()
    shown = min(SAMPLE_ROWS, len(ids))
    spread = [ids[number * len(ids) // shown] for number in range(shown)]
    sample = _sample(session, controller_id, spread)
    warnings = _warnings(session, batch, len(ids))
    session.expunge(batch)
    return BatchView(batch, len(ids), sample, warnings)


def approve_batch(
    store: Store,
    clock: Clock,
    *,
    controller_id: int,
    batch_id: int,
    operator: str,
    by_another: bool,
    sample_shown: bool = False,
    progress: Progress = lambda _people: None,
) -> int:
    """Let a batch's yeses count; return how many people's consent states were written.

    Args:
        store: the database.
        clock: the time.
        controller_id: whose batch.
        batch_id: which.
        operator: who approves.
        by_another: whether that has to be somebody else than who brought the file in.
        sample_shown: whether a person saw the sample at a terminal and said yes to it there; where
            none did, the audit trail says so.
        progress: told of each chunk.

    Raises:
        NotFoundError: the controller has no such batch.
        RefusedError: it was not brought in whole, or it was revoked, or the same file was, read
            alike; or who brought it in may not approve it.
    """
    with store.write() as session:
        batch = find_batch(session, controller_id, batch_id, lock=True)
        _require_approvable(session, batch, operator, by_another=by_another)
        if batch.approved_at is None:
            batch.approved_at, batch.approved_by = clock.now(), operator
            batch.settled_at = None
            _audit_approval(session, batch, operator, batch.approved_at, sample_shown=sample_shown)
    return _settle(store, clock, batch_id, progress)


def revoke_batch(
    store: Store,
    clock: Clock,
    *,
    controller_id: int,
    batch_id: int,
    operator: str,
    because: str,
    progress: Progress = lambda _people: None,
) -> int:
    """Take back all yeses of a bad batch, at once and for good; its noes stay.

    Returns how many people's consent states were written. Running sends skip them at their last
    look (guidance ¶57, ¶77). Whom nothing else ever said to have agreed is kept for a last while
    only: `sender.imports.ending.ending_of` says how many, and until when (¶83).

    Raises:
        NotFoundError: the controller has no such batch.
    """
    with store.write() as session:
        batch = find_batch(session, controller_id, batch_id, lock=True)
        if batch.revoked_at is None:
            batch.revoked_at, batch.revoked_by = clock.now(), operator
            batch.revoked_because = because
            batch.settled_at = None  # obeyed from now on, whatever another machine's clock said
            because_of = {"because": batch.revoked_because}
            _audit(session, batch, "revoke", operator, batch.revoked_at, details=because_of)
    return _settle(store, clock, batch_id, progress)


def find_batch(
    session: Session, controller_id: int, batch_id: int, *, lock: bool = False
) -> ImportBatch:
    """Return a controller's batch.

    Raises:
        NotFoundError: it has no such batch.
    """
    query = select(ImportBatch).where(
        ImportBatch.id == batch_id, ImportBatch.controller_id == controller_id
    )
    batch = session.scalar(query.with_for_update() if lock else query)
    if batch is None:
        raise NotFoundError(
            f"The controller has no import batch {batch_id}.",
            remedy="See them with: sender contacts batch list",
        )
    return batch


def _require_approvable(
    session: Session, batch: ImportBatch, operator: str, *, by_another: bool
) -> None:
    same = _revoked_alike(session, batch)
    if same is not None:
        raise RefusedError(
            f"This very file, read alike, was revoked as batch {same}.",
            remedy="Bring a corrected file in, or read it by a corrected mapping.",
        )
    if batch.revoked_at is not None:
        raise RefusedError(
            f"Batch {batch.id} was revoked; its consents never count again.",
            remedy="Bring a corrected file in; it becomes a batch of its own.",
        )
    if batch.finished_at is None:
        raise RefusedError(
            f"Batch {batch.id} was not brought in whole.",
            remedy="Bring the same file in again, and approve that batch.",
        )
    if by_another and operator == batch.operator:
        raise RefusedError(
            f"{operator} brought batch {batch.id} in; somebody else has to approve it.",
            remedy="Let another operator look at it: sender contacts batch approve",
        )


def _revoked_alike(session: Session, batch: ImportBatch) -> int | None:
    other = ImportBatch
    query = select(func.max(other.id)).where(
        other.id != batch.id,
        other.controller_id == batch.controller_id,
        other.file_hash == batch.file_hash,
        other.reading_hash == batch.reading_hash,
        other.revoked_at.is_not(None),
    )
    return session.scalar(query)


def _settle(store: Store, clock: Clock, batch_id: int, progress: Progress) -> int:
    """Write the consent states of everybody in a batch anew, in order of their address ids."""
    decided, written, above = _decided(store, batch_id), 0, 0
    while keys := _next_keys(store, batch_id, above):
        with store.write() as session:
            lock_addresses(session, [address_id for _, _, address_id in keys])
            refold(session, keys)
        if decided[1] is not None:
            _end(store, batch_id, {address_id for _, _, address_id in keys})
        written += len(keys)
        above = keys[-1][2]
        progress(len(keys))
    with store.write() as session:
        batch = session.get_one(ImportBatch, batch_id, with_for_update=True)
        if decided == (batch.approved_at, batch.revoked_at):
            batch.settled_at = max(clock.now(), *(one for one in decided if one))
    return written


def _end(store: Store, batch_id: int, address_ids: Collection[int]) -> None:
    with store.write() as session:
        give_end(session, session.get_one(ImportBatch, batch_id), sorted(address_ids))


def _decided(store: Store, batch_id: int) -> tuple[datetime | None, datetime | None]:
    with store.read() as session:
        batch = session.get_one(ImportBatch, batch_id)
        return batch.approved_at, batch.revoked_at


def _next_keys(store: Store, batch_id: int, above: int) -> list[Key]:
    """Return all keys of the next addresses; those of one address are never cut apart."""
    addresses = (
        _yeses(batch_id, ConsentEvent.address_id)
        .where(ConsentEvent.address_id > above)
        .distinct()
        .order_by(ConsentEvent.address_id)
        .limit(_AT_ONCE)
    )
    keys = (
        select(ConsentEvent.controller_id, ConsentEvent.purpose_id, ConsentEvent.address_id)
        .where(
            ConsentEvent.batch_id == batch_id,
            ConsentEvent.address_id.in_(addresses.scalar_subquery()),
        )
        .distinct()
        .order_by(ConsentEvent.address_id, ConsentEvent.purpose_id)
    )
    with store.read() as session:
        return [(row[0], row[1], row[2]) for row in session.execute(keys)]


def _yeses(batch_id: int, column: Any = ConsentEvent.id) -> Select[Any]:
    return select(column).where(
        ConsentEvent.batch_id == batch_id, ConsentEvent.kind == ConsentKind.GIVEN
    )


def _sample(session: Session, controller_id: int, event_ids: Sequence[int]) -> list[Sample]:
    query = (
        select(ConsentEvent, Purpose.slug, Notice, Address.channel, ContactPoint.address, Contact)
        .join(Purpose, Purpose.id == ConsentEvent.purpose_id)
        .join(Notice, Notice.id == ConsentEvent.notice_id)
        .join(Address, Address.id == ConsentEvent.address_id)
        .outerjoin(
            ContactPoint,
            (ContactPoint.address_id == ConsentEvent.address_id)
            & (ContactPoint.controller_id == controller_id),
        )
        .outerjoin(Contact, Contact.id == ContactPoint.contact_id)
        .where(ConsentEvent.id.in_(event_ids))
        .order_by(ConsentEvent.id)
    )
    return [
        Sample(
            name=_name(contact),
            address=address or _not_held(contact),
            channel=channel,
            purpose=purpose,
            notice=f"{notice.slug}@{notice.version}",
            given_at=event.occurred_at,
            method=event.method,
            source=event.source,
        )
        for event, purpose, notice, channel, address, contact in session.execute(query)
    ]


def _name(contact: Contact | None) -> str:
    parts = () if contact is None else (contact.first_name, contact.last_name)
    return " ".join(part for part in parts if part)


def _not_held(contact: Contact | None) -> str:
    """Say why there is no address: it went, or beside a no it was never kept in plain."""
    return "erased" if contact is not None and contact.erased_at is not None else "not kept"


def _warnings(session: Session, batch: ImportBatch, consents: int) -> list[str]:
    if not consents:
        return []
    found = []
    at, times = session.execute(
        _yeses(batch.id, ConsentEvent.occurred_at)
        .add_columns(func.count())
        .group_by(ConsentEvent.occurred_at)
        .order_by(func.count().desc(), ConsentEvent.occurred_at)
        .limit(1)
    ).one()
    if consents >= _FEW and times > consents * _MOST_EQUAL:
        found.append(
            f"{times:,} of {consents:,} consents bear the same time, {at:%Y-%m-%d %H:%M}: people "
            "agree one by one; the time of an export is no evidence."
        )
    flawed: Counter[ConsentFlaw] = Counter(dict(session.execute(
        _yeses(batch.id, ConsentEvent.flaw).add_columns(func.count()).group_by(ConsentEvent.flaw)
    ).all()))  # fmt: skip
    found += [
        f"{number:,} consents count for nothing: {flaw.value.replace('_', ' ')}."
        for flaw, number in flawed.items()
        if flaw is not ConsentFlaw.NONE
    ]
    if again := session.scalar(_taken_back(batch.id)):
        found.append(f"{again:,} consents were taken back before, with a batch that was revoked.")
    old = session.scalar(
        select(func.count()).where(
            ConsentEvent.batch_id == batch.id,
            ConsentEvent.kind == ConsentKind.GIVEN,
            ConsentEvent.occurred_at < batch.started_at - _OLD,
        )
    )
    if old:
        found.append(f"{old:,} consents were three years old or more when they were brought in.")
    return found


def _taken_back(batch_id: int) -> Select[Any]:
    """Count a batch's yeses that are those of a revoked one, to the letter."""
    yes, before = ConsentEvent, aliased(ConsentEvent)
    same = (
        select(before.id)
        .join(ImportBatch, ImportBatch.id == before.batch_id)
        .where(
            ImportBatch.revoked_at.is_not(None),
            before.batch_id != batch_id,
            before.controller_id == yes.controller_id,
            before.purpose_id == yes.purpose_id,
            before.address_id == yes.address_id,
            before.occurred_at == yes.occurred_at,
            before.notice_id == yes.notice_id,
        )
    )
    return _yeses(batch_id, func.count()).where(same.exists())


def _audit_approval(
    session: Session, batch: ImportBatch, operator: str, at: datetime, *, sample_shown: bool
) -> None:
    said = {
        "by_who_brought_it_in": operator == batch.operator,
        "sample_not_shown": not sample_shown,
    }
    odd = {name: True for name, is_so in said.items() if is_so}
    _audit(session, batch, "approve", operator, at, details=odd)


def _audit(
    session: Session,
    batch: ImportBatch,
    what: str,
    operator: str,
    at: datetime,
    *,
    details: Mapping[str, Any],
) -> None:
    audit(
        session,
        now=at,
        operator=operator,
        action=f"contacts.batch.{what}",
        controller_id=batch.controller_id,
        details={"batch": batch.id, "sha256": batch.file_hash.hex(), **details},
    )
