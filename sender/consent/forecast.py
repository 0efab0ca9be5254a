"""How many people remain contactable in the months to come if nobody reconfirms (guidance ¶57)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from sender.consent.freshness import MONTHS_A_YEAR
from sender.consent.live import live_consents, over_by
from sender.consent.policy import Scope
from sender.consent.purposes import find_purpose
from sender.consent.scopes import load_scope
from sender.controllers.lookup import current_version, find_controller, purposes
from sender.vocabulary import Channel

MOST_MONTHS = 120


@dataclass(frozen=True, slots=True)
class MonthEnd:
    """How many can still be written to when a month is over.

    Attributes:
        month: `2026-05`.
        at: the first moment after it, in UTC.
        contactable: addresses that the policy would allow then.
        lost: how many fewer than a month (or, for the first, the moment of asking) before.
    """

    month: str
    at: datetime
    contactable: int
    lost: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What remains of one purpose on one channel.

    Attributes:
        purpose: its slug.
        channel: how.
        now: addresses that the policy allows at the moment of asking.
        months: from the current month's end on.
    """

    purpose: str
    channel: Channel
    now: int
    months: tuple[MonthEnd, ...]


def forecast(
    session: Session,
    controller_slug: str,
    *,
    now: datetime,
    months: int = 24,
    purpose: str | None = None,
    channel: Channel | None = None,
) -> list[Forecast]:
    """Return what remains at the end of this month and of each that follows.

    Counted are the controller's addresses that the policy allows now, and that it would still allow
    then if nothing happened but time. Objected people are in none of the numbers (guidance ¶72);
    a channel without a sender identity, and a frozen controller, reach as few as they do now.

    Args:
        session: a reading session.
        controller_slug: whose.
        now: the moment of asking.
        months: how many month's ends, 1 to `MOST_MONTHS`.
        purpose: only this one; None for all.
        channel: only this one; None for all.

    Raises:
        NotFoundError: no such controller or purpose.
    """
    controller = find_controller(session, controller_slug)
    asked = (
        purposes(session, controller.id)
        if purpose is None
        else [find_purpose(session, controller, purpose)]
    )
    zone = ZoneInfo(current_version(session, controller.id).time_zone)
    ends = month_ends(now, zone, months)
    found = []
    for one in asked:
        for way in [channel] if channel else list(Channel):
            scope = load_scope(
                session, controller_id=controller.id, channel=way, purpose_id=one.id, at=now
            )
            counts = remaining(session, scope, [at for _, at in ends])
            rows = tuple(
                MonthEnd(month, at, left, before - left)
                for (month, at), (before, left) in zip(ends, pairwise(counts), strict=True)
            )
            found.append(Forecast(one.slug, way, counts[0], rows))
    return found


def month_ends(now: datetime, zone: ZoneInfo, months: int) -> list[tuple[str, datetime]]:
    """Return the current month and those after it, each with the first moment that follows it."""
    local = now.astimezone(zone)
    first = local.year * MONTHS_A_YEAR + local.month - 1
    return [
        (_name(index), _first_moment(index + 1, zone)) for index in range(first, first + months)
    ]


def remaining(session: Session, scope: Scope, moments: Sequence[datetime]) -> list[int]:
    """Count whom the policy allows at the scope's moment and at each later one, these rising.

    One pass over the people: each falls out at the first moment that they do not outlive, because
    of what time alone can do nothing is undone by more of it.
    """
    live = live_consents(scope)
    falls_out = case(
        *[(over_by(live, replace(scope, at=at)), number) for number, at in enumerate(moments)],
        else_=len(moments),
    ).label("falls_out")
    query = select(falls_out, func.count()).select_from(live).group_by(falls_out)
    lost: dict[int, int] = {row[0]: row[1] for row in session.execute(query)}
    total = sum(lost.values())
    return list(accumulate(
        (lost.get(number, 0) for number in range(len(moments))),
        lambda left, gone: left - gone,
        initial=total,
    ))  # fmt: skip


def _name(index: int) -> str:
    year, month = divmod(index, MONTHS_A_YEAR)
    return f"{year}-{month + 1:02}"


def _first_moment(index: int, zone: ZoneInfo) -> datetime:
    year, month = divmod(index, MONTHS_A_YEAR)
    return datetime(year, month + 1, 1, tzinfo=zone).astimezone(UTC)
