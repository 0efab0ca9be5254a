"""Set and release blocks. The events are the history; the blocks are what is in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from sender.errors import RefusedError
from sender.store.address_locks import lock_addresses
from sender.store.address_moves import lock_with_successors
from sender.store.chain import SUPPRESSION_LEDGER, NewRow, append
from sender.store.journal_entries import note_suppressions
from sender.store.portable import chunks, insert_missing
from sender.store.suppressions import Block, SuppressionEvent
from sender.vocabulary import EVERY, EVERY_CHANNEL, BlockCause, Channel, SuppressionAct


@dataclass(frozen=True, slots=True)
class BlockScope:
    """Which messages a block covers: None and `*` stand for every controller, purpose, channel.

    Raises:
        ValueError: there is no such channel; a block on it would hold nothing back.
    """

    address_id: int
    controller_id: int | None
    channel: str = EVERY_CHANNEL
    purpose_id: int | None = None

    def __post_init__(self) -> None:
        if self.channel != EVERY_CHANNEL:
            Channel(self.channel)


@dataclass(frozen=True, slots=True)
class Suppression:
    """An act that sets or releases a block.

    Attributes:
        scope: what it covers.
        cause: why.
        occurred_at: when the person (or the mail server) acted.
        source: how it reached us, e.g. `one-click`, `stop`, `import`, `letter`.
        by_person: whether it is the person's own explicit act.
        operator: who recorded it.
        delivery_id: the message that it answers, if known.
        batch_id: the import that it came with, if any.
        personal: personal details of the act, erasable.
    """

    scope: BlockScope
    cause: BlockCause
    occurred_at: datetime
    source: str
    by_person: bool
    operator: str
    delivery_id: int | None = None
    batch_id: int | None = None
    personal: Mapping[str, Any] | None = None


def suppress(session: Session, acts: Sequence[Suppression], now: datetime) -> list[int]:
    """Record acts that set blocks, put the blocks in force and return the event ids, in order.

    Nothing else is needed: no contact, delivery or campaign (guidance ¶56). An act that claims to
    lie in the future, by a clock that is fast, is taken as of now. What a person set holds also for
    the addresses that theirs moved to; the events of that are not among those returned.
    """
    dated = [replace(act, occurred_at=min(act.occurred_at, now)) for act in acts]
    event_ids: list[int] = []
    for some in chunks([*dated, *_where_they_moved(session, dated)]):
        rows = [_event(act, SuppressionAct.SET, now) for act in some]
        ids = append(session, SUPPRESSION_LEDGER, rows, now)
        blocks = [_block(act, event_id) for act, event_id in zip(some, ids, strict=True)]
        insert_missing(session, Block, blocks)
        event_ids.extend(ids)
    note_suppressions(session, event_ids)
    return event_ids[: len(dated)]


def _where_they_moved(session: Session, acts: Sequence[Suppression]) -> list[Suppression]:
    """Lock the addresses of these acts, and return those that hold for another address too."""
    moved = lock_with_successors(session, {act.scope.address_id for act in acts})
    told = {(act.scope, act.cause) for act in acts}
    carried: dict[tuple[BlockScope, BlockCause], Suppression] = {}
    for act in acts if moved else ():
        if not act.cause.set_by_person:
            continue
        for at in moved.get(act.scope.address_id, ()):
            if act.scope.controller_id in {None, at.controller_id}:
                scope = replace(act.scope, address_id=at.address_id, controller_id=at.controller_id)
                carried[scope, act.cause] = replace(act, scope=scope, personal=None)
    return [act for key, act in carried.items() if key not in told]


def release(session: Session, act: Suppression, now: datetime) -> int:
    """Record an act that lifts exactly the block of its scope and cause; return the event id.

    Raises:
        RefusedError: it would lift what a person set without a new act of that person, or what was
            set after it; it comes from an import, or from an operator without evidence; or it lies
            in the future.
    """
    _require_releasable(act, now)
    lock_addresses(session, [act.scope.address_id])
    _require_newest(session, act)
    event_ids = append(session, SUPPRESSION_LEDGER, [_event(act, SuppressionAct.RELEASE, now)], now)
    session.execute(
        delete(Block).where(
            Block.address_id == act.scope.address_id,
            Block.controller_id == (act.scope.controller_id or EVERY),
            Block.channel == act.scope.channel,
            Block.purpose_id == (act.scope.purpose_id or EVERY),
            Block.cause == act.cause,
        )
    )
    note_suppressions(session, event_ids)
    return event_ids[0]


def _require_releasable(act: Suppression, now: datetime) -> None:
    if act.batch_id is not None:
        raise RefusedError("An import releases nothing.")
    if act.cause.set_by_person and not act.by_person:
        raise RefusedError(
            "Only the person's own explicit act lifts what the person set.",
            remedy="Ask them to opt in again themselves.",
        )
    if not act.by_person and not act.personal:
        raise RefusedError(
            "An operator lifts a block only with evidence.",
            remedy="Say what shows that the address works again, or that the reply was no opt-out.",
        )
    if act.occurred_at > now:
        raise RefusedError("A release lies in the future.", remedy="Correct its time.")


def _require_newest(session: Session, act: Suppression) -> None:
    """A START that was overtaken by a newer STOP lifts nothing; a tie is a no."""
    event = SuppressionEvent
    newer = select(event.id).where(
        event.address_id == act.scope.address_id,
        event.act == SuppressionAct.SET,
        event.cause == act.cause,
        event.controller_id.is_not_distinct_from(act.scope.controller_id),
        event.channel == act.scope.channel,
        event.purpose_id.is_not_distinct_from(act.scope.purpose_id),
        event.occurred_at >= act.occurred_at,
    )
    if session.scalar(newer.limit(1)) is not None:
        raise RefusedError(
            "The block was set again at or after the time of this release.",
            remedy="Nothing is to be done: the newer no stands.",
        )


def _event(act: Suppression, direction: SuppressionAct, now: datetime) -> NewRow:
    columns = {
        "act": direction,
        "cause": act.cause,
        "address_id": act.scope.address_id,
        "controller_id": act.scope.controller_id,
        "channel": act.scope.channel,
        "purpose_id": act.scope.purpose_id,
        "by_person": act.by_person,
        "occurred_at": act.occurred_at,
        "recorded_at": now,
        "source": act.source,
        "delivery_id": act.delivery_id,
        "batch_id": act.batch_id,
        "operator": act.operator,
    }
    return NewRow(columns, act.personal)


def _block(act: Suppression, event_id: int) -> dict[str, Any]:
    return {
        "address_id": act.scope.address_id,
        "controller_id": act.scope.controller_id or EVERY,
        "channel": act.scope.channel,
        "purpose_id": act.scope.purpose_id or EVERY,
        "cause": act.cause,
        "event_id": event_id,
        "set_at": act.occurred_at,
    }
