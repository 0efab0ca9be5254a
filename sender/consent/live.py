"""Who may be written to at a moment, with how long that yes lasts: one controller, all at once."""

from typing import Any

from sqlalchemy import ColumnElement, Subquery, and_, or_, select, true

from sender.consent.eligibility import AFFIRMED, IdColumn, People, decisions
from sender.consent.policy import Scope
from sender.store.consents import ConsentState
from sender.store.contacts import ContactPoint


def live_consents(scope: Scope) -> Subquery:
    """Return everybody whom the policy allows now: what they agreed with, and until when.

    The columns are `point_id`, `address_id`, `last_affirmative_at` and `ends_at`. The rules are
    those of `sender.consent.eligibility`. Objected people are not in it (guidance ¶72).
    """
    people = People(_with_a_yes(scope), _everybody)
    judged = decisions(people, [scope]).subquery("judged_now")
    state = ConsentState
    return (
        select(
            judged.c.key.label("point_id"),
            judged.c.address_id,
            state.last_affirmative_at,
            state.ends_at,
        )
        .join(
            state,
            and_(
                state.controller_id == scope.controller_id,
                state.purpose_id == scope.purpose_id,
                state.address_id == judged.c.address_id,
            ),
        )
        .where(judged.c.reason.is_(None))
        .subquery("live")
    )


def over_by(live: Subquery, scope: Scope) -> ColumnElement[bool]:
    """Whether a live consent is stale or ended at the scope's moment, if nobody reconfirms.

    Nothing else of the policy depends on the time alone.
    """
    if scope.closes_at is not None and scope.closes_at <= scope.at:
        return true()
    return or_(live.c.last_affirmative_at <= scope.fresh_after, live.c.ends_at <= scope.at)


def _with_a_yes(scope: Scope) -> Subquery:
    """The contact points with a yes of the scope: others are allowed nowhere, and cost nothing."""
    state = ConsentState
    return (
        select(
            ContactPoint.id.label("key"),
            ContactPoint.contact_id,
            ContactPoint.address_id,
            ContactPoint.address.is_not(None).label("has_address"),
        )
        .join(
            state,
            and_(
                state.controller_id == scope.controller_id,
                state.purpose_id == scope.purpose_id,
                state.address_id == ContactPoint.address_id,
            ),
        )
        .where(
            ContactPoint.controller_id == scope.controller_id,
            ContactPoint.channel == scope.channel,
            state.status.in_(AFFIRMED),
        )
        .subquery("candidates")
    )


def _everybody(column: IdColumn) -> ColumnElement[Any]:
    del column
    return true()
