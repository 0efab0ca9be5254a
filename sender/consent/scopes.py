"""Read what is asked of the policy: freshness, freeze and sender identity of a controller now."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.consent.freshness import FreshnessPolicy
from sender.consent.ledger import UNSETTLED
from sender.consent.policy import Scope
from sender.store.contacts import ImportBatch
from sender.store.controllers import ControllerFreeze, SenderIdentity
from sender.store.controllers import FreshnessPolicy as FreshnessRow
from sender.store.requests import PurposeClosure
from sender.vocabulary import Channel


def load_scope(
    session: Session,
    *,
    controller_id: int,
    channel: Channel,
    purpose_id: int,
    at: datetime,
    fresh_within_months: int | None = None,
    instigates: bool = True,
    identity_id: int | None = None,
) -> Scope:
    """Return the scope of one question, as the database has it now.

    Args:
        session: any open session.
        controller_id: who wants to write.
        channel: how.
        purpose_id: for what.
        at: the time of the decision.
        fresh_within_months: a campaign's stricter limit, if it has one.
        instigates: whether this controller's own sender identity is used; a body that is only
            named in `on_behalf_of` needs none.
        identity_id: the sender identity that is used; None for any that is in use.
    """
    frozen_at = session.scalar(
        select(func.max(ControllerFreeze.frozen_at)).where(
            ControllerFreeze.controller_id == controller_id
        )
    )
    policy = _freshness(session, controller_id, channel, purpose_id)
    return Scope(
        controller_id=controller_id,
        channel=channel,
        purpose_id=purpose_id,
        at=at,
        freshness=policy.tightened(fresh_within_months),
        frozen_at=frozen_at,
        has_sender_identity=not instigates
        or _has_identity(session, controller_id, channel, identity_id),
        revoked_batches=_just_revoked(session, controller_id),
        closes_at=closes_at(session, purpose_id),
        is_only_named=not instigates,
    )


def closes_at(session: Session, purpose_id: int) -> datetime | None:
    """Return from when on the purpose is over, if it was closed; the earliest closure rules."""
    return session.scalar(
        select(func.min(PurposeClosure.closes_at)).where(PurposeClosure.purpose_id == purpose_id)
    )


def _just_revoked(session: Session, controller_id: int) -> frozenset[int]:
    """Return the revoked imports whose consent states are still being written anew."""
    query = select(ImportBatch.id).where(
        ImportBatch.controller_id == controller_id, ImportBatch.revoked_at.is_not(None), UNSETTLED
    )
    return frozenset(session.scalars(query))


def most_specific(rows: Sequence[FreshnessRow]) -> FreshnessPolicy:
    """Return the policy of the latest row among the most specific; the default if there is none."""
    if not rows:
        return FreshnessPolicy()
    chosen = max(
        rows, key=lambda row: (row.purpose_id is not None, row.channel is not None, row.id)
    )
    return FreshnessPolicy(warn_months=chosen.warn_months, hold_months=chosen.hold_months)


def _freshness(
    session: Session, controller_id: int, channel: Channel, purpose_id: int
) -> FreshnessPolicy:
    rows = session.scalars(
        select(FreshnessRow).where(
            FreshnessRow.controller_id == controller_id,
            FreshnessRow.channel.is_(None) | (FreshnessRow.channel == channel),
            FreshnessRow.purpose_id.is_(None) | (FreshnessRow.purpose_id == purpose_id),
        )
    ).all()
    return most_specific(rows)


def _has_identity(
    session: Session, controller_id: int, channel: Channel, identity_id: int | None
) -> bool:
    in_use = select(SenderIdentity.id).where(
        SenderIdentity.controller_id == controller_id,
        SenderIdentity.channel == channel,
        SenderIdentity.retired_at.is_(None),
    )
    if identity_id is not None:
        in_use = in_use.where(SenderIdentity.id == identity_id)
    return session.scalar(in_use.limit(1)) is not None
