"""Set and release blocks. The events are the history; the blocks are what is in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from sender.contacts.addresses import lock_addresses
from sender.errors import RefusedError
from sender.store.chain import SUPPRESSION_LEDGER, NewRow, append
from sender.store.portable import chunks, insert_missing
from sender.store.suppressions import Block
from sender.vocabulary import EVERY, EVERY_CHANNEL, BlockCause, SuppressionAct


@dataclass(frozen=True, slots=True)
class BlockScope:
    """Which messages a block covers: None and `*` stand for every controller, purpose, channel."""

    address_id: int
    controller_id: int | None
    channel: str = EVERY_CHANNEL
    purpose_id: int | None = None


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

    Nothing else is needed: no contact, delivery or campaign (guidance ¶56).
    """
    event_ids: list[int] = []
    for some in chunks(acts):
        lock_addresses(session, (act.scope.address_id for act in some))
        rows = [_event(act, SuppressionAct.SET, now) for act in some]
        ids = append(session, SUPPRESSION_LEDGER, rows, now)
        blocks = [_block(act, event_id) for act, event_id in zip(some, ids, strict=True)]
        insert_missing(session, Block, blocks)
        event_ids.extend(ids)
    return event_ids


def release(session: Session, act: Suppression, now: datetime) -> int:
    """Record an act that lifts exactly the block of its scope and cause; return the event id.

    Raises:
        RefusedError: it would lift what a person set without a new act of that person, or it comes
            from an import.
    """
    if act.batch_id is not None:
        raise RefusedError("An import releases nothing.")
    if act.cause.set_by_person and not act.by_person:
        raise RefusedError(
            "Only the person's own explicit act lifts what the person set.",
            remedy="Ask them to opt in again themselves.",
        )
    lock_addresses(session, [act.scope.address_id])
    event_id = append(session, SUPPRESSION_LEDGER, [_event(act, SuppressionAct.RELEASE, now)], now)[
        0
    ]
    session.execute(
        delete(Block).where(
            Block.address_id == act.scope.address_id,
            Block.controller_id == (act.scope.controller_id or EVERY),
            Block.channel == act.scope.channel,
            Block.purpose_id == (act.scope.purpose_id or EVERY),
            Block.cause == act.cause,
        )
    )
    return event_id


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
