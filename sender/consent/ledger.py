"""Record consent events and keep the folded state beside them, in one transaction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import and_, func, literal, or_, select
from sqlalchemy.orm import Session

from sender.consent.fold import EventView, fold
from sender.consent.policy import ConsentView
from sender.contacts.addresses import lock_addresses
from sender.errors import RefusedError
from sender.store.address_moves import lock_with_successors
from sender.store.base import UtcDateTime
from sender.store.chain import CONSENT_LEDGER, NewRow, append
from sender.store.consents import ConsentEvent, ConsentState, Notice
from sender.store.contacts import ImportBatch
from sender.store.id_lists import among
from sender.store.journal_entries import note_refusals
from sender.store.portable import chunks, upsert
from sender.vocabulary import ConsentFlaw, ConsentKind

_NEVER = literal(datetime(1, 1, 2, tzinfo=UTC), UtcDateTime())

STATE_KEY = ("controller_id", "purpose_id", "address_id")

Key = tuple[int, int, int]
"""Controller, purpose, address."""

COUNTS = or_(
    ConsentEvent.batch_id.is_(None),
    ConsentEvent.kind.not_in([kind for kind in ConsentKind if kind.is_affirmative]),
    ImportBatch.approved_at.is_not(None),
    ImportBatch.revoked_at.is_not(None),
)
"""Whether the fold looks at an event, joined with its import batch: a no always, a yes from a file
once another operator has approved the batch."""

AWAITS_APPROVAL = and_(
    ConsentEvent.batch_id.is_not(None),
    ImportBatch.approved_at.is_(None),
    ImportBatch.revoked_at.is_(None),
    ConsentEvent.kind.in_([kind for kind in ConsentKind if kind.is_affirmative]),
)
"""Whether an event, joined with its import batch, is a yes that may count some day."""

UNSETTLED = or_(
    ImportBatch.approved_at > func.coalesce(ImportBatch.settled_at, _NEVER),
    ImportBatch.revoked_at > func.coalesce(ImportBatch.settled_at, _NEVER),
)
"""Whether the states don't say yet what a batch's approval or revocation means."""


@dataclass(frozen=True, slots=True)
class ConsentAct:
    """One act of consent, or one statement about it.

    Attributes:
        controller_id: to whom.
        purpose_id: for what, of that controller.
        address_id: for which address (and so which channel).
        kind: what was said.
        occurred_at: when the person acted, not when we learned of it.
        method: how, e.g. `web-form`, `paper`, `doorstep`, `double-opt-in`.
        source: where, e.g. the form's address or the file's name.
        operator: who recorded it.
        notice_id: the wording that the person saw; needed for a yes.
        flaw: why the yes is none to this controller, channel or purpose.
        ends_at: until when, if the person or the wording limited it.
        batch_id: the import that it came with, if any.
        evidence: personal evidence, erasable.
    """

    controller_id: int
    purpose_id: int
    address_id: int
    kind: ConsentKind
    occurred_at: datetime
    method: str
    source: str
    operator: str
    notice_id: int | None = None
    flaw: ConsentFlaw = ConsentFlaw.NONE
    ends_at: datetime | None = None
    batch_id: int | None = None
    evidence: Mapping[str, Any] | None = None

    @property
    def key(self) -> Key:
        """The state that this act changes."""
        return (self.controller_id, self.purpose_id, self.address_id)


def record(session: Session, acts: Sequence[ConsentAct], now: datetime) -> list[int]:
    """Append the acts to the ledger, fold the states they touch and return the event ids, in order.

    A no that claims to lie in the future, by a clock that is fast, is taken as of now: it is never
    lost for its time. It holds also for the addresses that the person's moved to; the events of
    that are not among those returned.

    Raises:
        RefusedError: a yes or a request lies in the future, or a yes names no notice (guidance ¶25,
            ¶55).
    """
    sound = [_sound(act, now) for act in acts]
    event_ids: list[int] = []
    for some in chunks([*sound, *_where_they_moved(session, sound)]):
        ids = append(session, CONSENT_LEDGER, [_row(act, now) for act in some], now)
        refold(session, sorted({act.key for act in some}))
        refusals = zip(some, ids, strict=True)
        note_refusals(session, [row_id for act, row_id in refusals if act.kind.is_negative])
        event_ids.extend(ids)
    return event_ids[: len(sound)]


def _where_they_moved(session: Session, acts: Sequence[ConsentAct]) -> list[ConsentAct]:
    """Lock the addresses of these acts, and return the noes that hold for another address too."""
    lock_addresses(session, (act.address_id for act in acts))
    noes = [act for act in acts if act.kind.is_negative]
    moved = lock_with_successors(session, {act.address_id for act in noes}) if noes else {}
    told = {(act.key, act.kind) for act in noes}
    carried = {
        (one.key, one.kind): one
        for act in noes
        for at in moved.get(act.address_id, ())
        if at.controller_id == act.controller_id
        for one in [replace(act, address_id=at.address_id, evidence=None)]
    }
    return [act for key, act in carried.items() if key not in told]


def refold(session: Session, keys: Sequence[Key]) -> None:
    """Write the states of these keys anew from their events. The addresses must be locked."""
    by_subject: dict[tuple[int, int], list[int]] = defaultdict(list)
    for controller_id, purpose_id, address_id in keys:
        by_subject[controller_id, purpose_id].append(address_id)
    for (controller_id, purpose_id), address_ids in by_subject.items():
        for some in chunks(address_ids):
            states = [
                _state((controller_id, purpose_id, address_id), view)
                for address_id, events in _events_of(
                    session, controller_id, purpose_id, some
                ).items()
                if (view := fold(events)) is not None
            ]
            upsert(session, ConsentState, states, STATE_KEY)


def _sound(act: ConsentAct, now: datetime) -> ConsentAct:
    if act.kind.is_negative:
        return act if act.occurred_at <= now else replace(act, occurred_at=now)
    if act.occurred_at > now:
        raise RefusedError("A consent event lies in the future.", remedy="Correct its time.")
    if act.kind.is_affirmative and act.notice_id is None:
        raise RefusedError(
            "A yes without the wording that was seen is no evidence of consent.",
            remedy="Name the notice; add it with: sender notice add",
        )
    return act


def _row(act: ConsentAct, now: datetime) -> NewRow:
    columns = {
        "controller_id": act.controller_id,
        "purpose_id": act.purpose_id,
        "address_id": act.address_id,
        "kind": act.kind,
        "occurred_at": act.occurred_at,
        "recorded_at": now,
        "method": act.method,
        "source": act.source,
        "notice_id": act.notice_id,
        "lawful_basis": "consent",
        "flaw": act.flaw,
        "ends_at": act.ends_at,
        "batch_id": act.batch_id,
        "operator": act.operator,
    }
    return NewRow(columns, act.evidence)


def _events_of(
    session: Session, controller_id: int, purpose_id: int, address_ids: Sequence[int]
) -> dict[int, list[EventView]]:
    query = (
        select(
            ConsentEvent.address_id,
            ConsentEvent.id,
            ConsentEvent.kind,
            ConsentEvent.occurred_at,
            ConsentEvent.batch_id,
            ConsentEvent.flaw,
            ConsentEvent.ends_at,
            Notice.shown_from,
            ImportBatch.revoked_at,
        )
        .outerjoin(Notice, Notice.id == ConsentEvent.notice_id)
        .outerjoin(ImportBatch, ImportBatch.id == ConsentEvent.batch_id)
        .where(
            ConsentEvent.controller_id == controller_id,
            ConsentEvent.purpose_id == purpose_id,
            among(session, ConsentEvent.address_id, address_ids),
            COUNTS,
        )
    )
    events: dict[int, list[EventView]] = defaultdict(list)
    for address_id, *columns in session.execute(query):
        events[address_id].append(event_view(columns))
    return events


def event_view(columns: Sequence[Any]) -> EventView:
    """Return what the fold looks at, of the columns of an event, its notice and its batch.

    They are id, kind, time, batch, flaw and end of the event; since when the notice was shown; when
    the batch was revoked.
    """
    event_id, kind, occurred_at, batch_id, flaw, ends_at, shown_from, revoked_at = columns
    imported, revoked = batch_id is not None, kind.is_affirmative and revoked_at is not None
    return EventView(event_id, kind, occurred_at, imported, flaw, ends_at, shown_from, revoked)


def _state(key: Key, view: ConsentView) -> dict[str, Any]:
    return {
        **dict(zip(STATE_KEY, key, strict=True)),
        "status": view.status,
        "event_id": view.event_id,
        "last_affirmative_at": view.last_affirmative_at,
        "ends_at": view.ends_at,
        "flaw": view.flaw,
        "notice_shown_from": view.notice_shown_from,
    }
