"""What a reply does to the suppression ledger: STOP sets, a doubt holds, START lifts STOP's own.

The source of each act says how it was told: `stop:` and the recogniser's rule, `stop:provider:`
where the provider heard the same and blocks by itself, `stop-unsure:` where the recipient named no
controller; `inbox:` for a hold.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.errors import RefusedError
from sender.store.campaigns import Run
from sender.store.deliveries import Delivery
from sender.store.suppressions import SuppressionEvent
from sender.suppression.ledger import BlockScope, Suppression, release, suppress
from sender.vocabulary import BlockCause, Channel, DeliveryState, SuppressionAct

OPERATOR: Final = "sender"
ANSWERED_WITHIN: Final = timedelta(days=30)
"""A STOP is counted against the last message that was handed over within this time."""

_STOP, _UNSURE, _HEARD = "stop:", "stop-unsure:", "provider:"
_PROVIDERS_LIST: Final = "provider:21610"
"""Twilio refused a message because of its own opt-out list: a STOP that only Twilio heard."""
_REPLAYED: Final = "replay:"
_LONGEST_SOURCE: Final = 200


@dataclass(frozen=True, slots=True)
class ReplyAct:
    """An act that a person did by a reply.

    Attributes:
        address_id: of whom.
        channel: of the address.
        controller_ids: at whom; empty for every controller.
        certain: whether the recipient named them.
        rule: of the recogniser.
        heard: whether the provider heard it too and blocks or answers by itself.
        at: when it was written.
        now: when it is recorded.
        delivery_id: the message that it answers, if known.
    """

    address_id: int
    channel: Channel
    controller_ids: tuple[int, ...]
    certain: bool
    rule: str
    heard: bool
    at: datetime
    now: datetime
    delivery_id: int | None = None

    @property
    def scopes(self) -> list[BlockScope]:
        """What it is about: the channel of the address, for all purposes."""
        return [
            BlockScope(self.address_id, controller_id, self.channel.value)
            for controller_id in self.controller_ids or (None,)
        ]


def stop(session: Session, act: ReplyAct) -> dict[int | None, int]:
    """Opt the address out, as the person's own act; return the event ids by controller (¶56)."""
    told = (_STOP if act.certain else _UNSURE) + (_HEARD if act.heard else "")
    return _set(session, act, BlockCause.OPT_OUT, told)


def hold(session: Session, act: ReplyAct) -> dict[int | None, int]:
    """Hold messages until somebody has read the reply; return the event ids by controller."""
    return _set(session, act, BlockCause.HOLD, "inbox:")


def start(session: Session, act: ReplyAct) -> dict[int | None, int]:
    """Lift what STOP set, and nothing else; return the event ids by controller.

    Each act that the block rests on must have been a STOP by text: what an import, a page, a letter
    or a complaint set stays. A START that reached no controller's own number lifts only what such a
    STOP set. The caller holds the lock on the address.
    """
    lifted = {}
    for scope in act.scopes:
        sources = sources_in_force(session, scope, BlockCause.OPT_OUT)
        if sources and all(_is_stop(source, certain=act.certain) for source in sources):
            event_id = _release(session, act, scope)
            if event_id is not None:
                lifted[scope.controller_id] = event_id
    return lifted


def sources_in_force(session: Session, scope: BlockScope, cause: BlockCause) -> list[str]:
    """Return how each act reached us that a block in force rests on; empty if it is not in force.

    Args:
        session: any open session.
        scope: exactly this one.
        cause: of the block.
    """
    event = SuppressionEvent
    query = (
        select(event.act, event.source)
        .where(
            event.address_id == scope.address_id,
            event.controller_id.is_not_distinct_from(scope.controller_id),
            event.channel == scope.channel,
            event.purpose_id.is_not_distinct_from(scope.purpose_id),
            event.cause == cause,
        )
        .order_by(event.id)
    )
    sources: list[str] = []
    for direction, source in session.execute(query):
        if direction is SuppressionAct.RELEASE:
            sources.clear()
        else:
            sources.append(source.removeprefix(_REPLAYED))
    return sources


def provider_blocks(session: Session, act: ReplyAct) -> bool:
    """Whether Twilio blocks the address by itself: no answer would arrive there."""
    return any(
        source == _PROVIDERS_LIST or source.startswith((_STOP + _HEARD, _UNSURE + _HEARD))
        for scope in act.scopes
        for source in sources_in_force(session, scope, BlockCause.OPT_OUT)
    )


def mark_opted_out(session: Session, act: ReplyAct) -> None:
    """Tell the message that was answered, for the reports: the last one from each controller.

    Called before the address is locked: whoever records outcomes takes the locks in this order.
    """
    if act.delivery_id is not None:
        latest = [act.delivery_id]
    else:
        found = [_latest_delivery(session, act, one) for one in act.controller_ids]
        latest = [one for one in found if one is not None]
    for delivery_id in sorted(latest):
        delivery = session.get_one(
            Delivery, delivery_id, with_for_update=True, populate_existing=True
        )
        delivery.opted_out_at = delivery.opted_out_at or act.at
    session.flush()


def _latest_delivery(session: Session, act: ReplyAct, controller_id: int) -> int | None:
    query = (
        select(Delivery.id)
        .join(Run, Run.id == Delivery.run_id)
        .where(
            Delivery.address_id == act.address_id,
            Run.controller_id == controller_id,
            Run.channel == act.channel,
            Delivery.dispatched_at > act.now - ANSWERED_WITHIN,
            Delivery.state != DeliveryState.REJECTED,
        )
        .order_by(Delivery.dispatched_at.desc(), Delivery.id.desc())
        .limit(1)
    )
    return session.scalar(query)


def _set(session: Session, act: ReplyAct, cause: BlockCause, told: str) -> dict[int | None, int]:
    acts = [
        Suppression(
            scope=scope,
            cause=cause,
            occurred_at=act.at,
            source=(told + act.rule)[:_LONGEST_SOURCE],
            by_person=cause.set_by_person,
            operator=OPERATOR,
            delivery_id=act.delivery_id,
        )
        for scope in act.scopes
    ]
    event_ids = suppress(session, acts, act.now)
    return {one.scope.controller_id: row for one, row in zip(acts, event_ids, strict=True)}


def _is_stop(source: str, *, certain: bool) -> bool:
    if not certain:
        return source.startswith(_UNSURE)
    return source.startswith((_STOP, _UNSURE)) or source == _PROVIDERS_LIST


def _release(session: Session, act: ReplyAct, scope: BlockScope) -> int | None:
    lifting = Suppression(
        scope=scope,
        cause=BlockCause.OPT_OUT,
        occurred_at=act.at,
        source=f"start:{act.rule}"[:_LONGEST_SOURCE],
        by_person=True,
        operator=OPERATOR,
        delivery_id=act.delivery_id,
    )
    try:
        return release(session, lifting, act.now)
    except RefusedError:  # overtaken by a newer no, which stands
        return None
