"""How many messages of a run went out, and on what basis: counted by the database, in one go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, String, cast, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql import ColumnElement

from sender.delivery.runs import get_run
from sender.errors import UsageError
from sender.store.campaigns import Run
from sender.store.consents import ConsentEvent, Notice
from sender.store.controllers import Controller
from sender.store.deliveries import Delivery, DeliveryReliance
from sender.vocabulary import DeliveryState

_NOTICE: Final = Notice.slug + "@" + cast(Notice.version, String)
DIMENSIONS: Final[Mapping[str, ColumnElement[Any] | InstrumentedAttribute[Any]]] = {
    "notice": _NOTICE,
    "source": ConsentEvent.source,
    "method": ConsentEvent.method,
    "kind": ConsentEvent.kind,
    "batch": ConsentEvent.batch_id,
    "state": Delivery.state,
}
"""What messages can be counted by: all but the last of the consent event that they relied on."""


@dataclass(frozen=True, slots=True)
class Basis:
    """So many messages that relied on the same: one value for each dimension, None for nothing."""

    controller: str
    by: tuple[object, ...]
    messages: int


@dataclass(frozen=True, slots=True)
class RunEvidence:
    """What a run's messages relied on, for its controller and for each body named with it.

    Attributes:
        run: its number in the database.
        by: the dimensions, in order.
        bases: the most frequent first.
        sent: messages that went out or may have.
        held_back: people who were not written to.
    """

    run: int
    by: tuple[str, ...]
    bases: tuple[Basis, ...]
    sent: int
    held_back: int


def count_by(session: Session, run_id: int, by: Sequence[str]) -> RunEvidence:
    """Count a run's messages by what they relied on.

    Raises:
        UsageError: there is no such dimension.
        NotFoundError: no such run.
    """
    unknown = [name for name in by if name not in DIMENSIONS]
    if unknown or not by:
        raise UsageError(
            f"Nothing can be counted by {', '.join(unknown) or 'nothing'}.",
            remedy=f"Choose among: {', '.join(DIMENSIONS)}.",
        )
    get_run(session, run_id)
    rows = [*session.execute(_own(run_id, by)), *session.execute(_bodies(run_id, by))]
    bases = [Basis(slug, tuple(values), number) for slug, number, *values in rows]
    bases.sort(key=lambda one: (one.controller, -one.messages, str(one.by)))
    sent = session.scalar(_number(run_id).where(Delivery.dispatched_at.is_not(None))) or 0
    held = session.scalar(_number(run_id).where(Delivery.state == DeliveryState.SKIPPED)) or 0
    return RunEvidence(run_id, tuple(by), tuple(bases), sent, held)


def _number(run_id: int) -> Select[int]:
    return select(func.count()).select_from(Delivery).where(Delivery.run_id == run_id)


def _own(run_id: int, by: Sequence[str]) -> Select[Any]:
    """Of the run's own controller: what each delivery says itself."""
    query = (
        _counted(by)
        .select_from(Delivery)
        .join(Run, Run.id == Delivery.run_id)
        .join(Controller, Controller.id == Run.controller_id)
        .outerjoin(ConsentEvent, ConsentEvent.id == Delivery.consent_event_id)
    )
    return _grouped(query, run_id, by)


def _bodies(run_id: int, by: Sequence[str]) -> Select[Any]:
    """Of the bodies named in `on_behalf_of`: what was relied on at the look that let it go."""
    reliance = DeliveryReliance
    query = (
        _counted(by)
        .select_from(Delivery)
        .join(
            reliance,
            (reliance.delivery_id == Delivery.id)
            & (reliance.dispatched_at == Delivery.dispatched_at),
        )
        .join(Controller, Controller.id == reliance.controller_id)
        .join(ConsentEvent, ConsentEvent.id == reliance.consent_event_id)
    )
    return _grouped(query, run_id, by)


def _counted(by: Sequence[str]) -> Select[Any]:
    return select(Controller.slug, func.count(), *[DIMENSIONS[name] for name in by])


def _grouped(query: Select[Any], run_id: int, by: Sequence[str]) -> Select[Any]:
    return (
        query.outerjoin(Notice, Notice.id == ConsentEvent.notice_id)
        .where(Delivery.run_id == run_id, Delivery.dispatched_at.is_not(None))
        .group_by(Controller.slug, *[DIMENSIONS[name] for name in by])
    )
