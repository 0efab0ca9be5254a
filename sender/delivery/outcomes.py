"""Write down what the provider said of each message; never undo what an event said first.

A callback can come before our own record: a delivery that is already beyond `unknown` keeps its
state, and only learns the provider's message id.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Update,
    bindparam,
    case,
    func,
    literal,
    null,
    or_,
    update,
)
from sqlalchemy.orm import Session

from sender.delivery.row_writes import write_accepted
from sender.delivery.runs import skip_pending
from sender.inbound.outcomes import apply_waiting
from sender.providers.base import Accepted, Deferred, NotStarted, Rejected, Result, Unknown
from sender.store.base import Word
from sender.store.campaigns import Run
from sender.store.contacts import Contact
from sender.store.deliveries import Delivery
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.vocabulary import BlockCause, DeliveryState, Reason

_TABLE = Delivery.__table__
_STATE = Word(DeliveryState)

_LONGEST = 200
"""Characters that the columns hold of a provider's words; longer ones may not cost the record."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one delivery that this dispatcher marked."""

    delivery_id: int
    address_id: int
    result: Result
    told_contact_id: int | None = None
    """The third-party contact whom this message told where the details came from."""


def record_outcomes(
    session: Session, run: Run, dispatcher_id: int, outcomes: Sequence[Outcome], now: datetime
) -> None:
    """Record one outcome per delivery; also sets the blocks that a rejection calls for."""
    by_kind: dict[type[Any], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_kind[type(outcome.result)].append(outcome)
    for kind, write in _WRITERS.items():
        if by_kind[kind]:
            write(session, by_kind[kind], dispatcher_id, now)
    if not run.state.is_open:  # it ended while this dispatcher was taken for lost
        skip_pending(session, run.id, Reason.CANCELLED)
    _remember_told(session, by_kind[Accepted], now)  # contacts are locked before addresses
    _block_rejected(session, run, by_kind[Rejected], now)


def take_back(
    session: Session,
    run: Run,
    dispatcher_id: int,
    marked: Sequence[int],
    *,
    marked_at: datetime,
    now: datetime,
) -> None:
    """Take a mark back whose commit failed, or whose fate nobody knows: no call followed it.

    Only that very mark: where it was never made, somebody else may hold these deliveries by now.
    """
    statement = _returning(dispatcher_id).where(_TABLE.c.dispatched_at == marked_at)
    rows = [{"delivery": row_id, "later": now, "code": None} for row_id in marked]
    session.connection().execute(statement, rows)
    if not run.state.is_open:
        skip_pending(session, run.id, Reason.CANCELLED)


def _write_accepted(
    session: Session, outcomes: Sequence[Outcome], _dispatcher_id: int, now: datetime
) -> None:
    names = [
        (item.delivery_id, item.result.provider_message_id[:_LONGEST])
        for item in outcomes
        if isinstance(item.result, Accepted)
    ]
    write_accepted(session, names, now)
    apply_waiting(session, {name: delivery_id for delivery_id, name in names}, now)


def _write_rejected(
    session: Session, outcomes: Sequence[Outcome], _dispatcher_id: int, now: datetime
) -> None:
    statement = (
        update(Delivery)
        .where(_TABLE.c.id == bindparam("delivery"))
        .values(
            state=_advanced(DeliveryState.REJECTED),
            failed_at=func.coalesce(_TABLE.c.failed_at, literal(now, _TABLE.c.failed_at.type)),
            provider_code=bindparam("code"),
        )
    )
    session.connection().execute(statement, [_coded(item) for item in outcomes])


def _write_unknown(
    session: Session, outcomes: Sequence[Outcome], _dispatcher_id: int, _now: datetime
) -> None:
    statement = (
        update(Delivery)
        .where(_TABLE.c.id == bindparam("delivery"), _TABLE.c.state == DeliveryState.DISPATCHING)
        .values(state=literal(DeliveryState.UNKNOWN, _STATE), provider_code=bindparam("code"))
    )
    session.connection().execute(statement, [_coded(item) for item in outcomes])


def _write_returned(
    session: Session, outcomes: Sequence[Outcome], dispatcher_id: int, now: datetime
) -> None:
    """Take back to `pending` what clearly was not handed over.

    Also from `unknown`, where recovery put it while this dispatcher was frozen: this dispatcher
    alone knows that its request never started, or was refused.
    """
    rows = [_coded(item) | {"later": now + _delay(item.result)} for item in outcomes]
    session.connection().execute(_returning(dispatcher_id), rows)


def _returning(dispatcher_id: int) -> Update:
    return (
        update(Delivery)
        .where(
            _TABLE.c.id == bindparam("delivery"),
            _unsettled(),
            _TABLE.c.dispatcher_id == dispatcher_id,
        )
        .values(
            state=literal(DeliveryState.PENDING, _STATE),
            not_before=bindparam("later", type_=_TABLE.c.not_before.type),
            provider_code=bindparam("code"),
            dispatched_at=null(),
            dispatcher_id=null(),
        )
    )


_WRITERS: dict[type[Any], Callable[[Session, Sequence[Outcome], int, datetime], None]] = {
    Accepted: _write_accepted,
    Rejected: _write_rejected,
    Unknown: _write_unknown,
    Deferred: _write_returned,
    NotStarted: _write_returned,
}


def _advanced(state: DeliveryState) -> Any:
    return case((_unsettled(), literal(state, _STATE)), else_=_TABLE.c.state)


def _unsettled() -> ColumnElement[bool]:
    # Not IN: it cannot be used where one statement runs with many sets of parameters.
    return or_(_TABLE.c.state == DeliveryState.DISPATCHING, _TABLE.c.state == DeliveryState.UNKNOWN)


def _coded(outcome: Outcome) -> dict[str, Any]:
    result = outcome.result
    code = result.code if isinstance(result, Rejected | Deferred | Unknown) else None
    return {"delivery": outcome.delivery_id, "code": code and code[:_LONGEST]}


def _delay(result: Result) -> timedelta:
    return result.delay if isinstance(result, Deferred) else timedelta(0)


def _block_rejected(session: Session, run: Run, outcomes: Sequence[Outcome], now: datetime) -> None:
    acts = [
        Suppression(
            scope=BlockScope(item.address_id, run.controller_id, run.channel.value),
            cause=item.result.block,
            occurred_at=now,
            source=f"provider:{item.result.code}"[:_LONGEST],
            by_person=item.result.block is BlockCause.OPT_OUT,
            operator="sender",
            delivery_id=item.delivery_id,
        )
        for item in outcomes
        if isinstance(item.result, Rejected) and item.result.block is not None
    ]
    suppress(session, acts, now)


def _remember_told(session: Session, outcomes: Sequence[Outcome], now: datetime) -> None:
    told = [item.told_contact_id for item in outcomes if item.told_contact_id is not None]
    if told:
        session.execute(
            update(Contact)
            .where(Contact.id.in_(told), Contact.source_told_at.is_(None))
            .values(source_told_at=now)
        )
