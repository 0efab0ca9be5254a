"""An operator leaves: the token opens nothing any more, and their schedules pause."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.schedule_state import get_schedule, move, settle_openings
from sender.context import Context
from sender.operators.registry import revoke_operator
from sender.store.schedules import Schedule
from sender.vocabulary import ScheduleState

_GOING = (ScheduleState.ACTIVE, ScheduleState.HELD)


def revoke(context: Context, name: str) -> list[int]:
    """Revoke an operator and pause their schedules in one transaction; return those schedules.

    Runs that were launched go on. Somebody else may look at a schedule and resume it.

    Raises:
        NotFoundError: there is no such operator.
        RefusedError: already revoked, the last officer at all controllers, or who acts may not.
    """
    with context.store.write() as session:
        operator = revoke_operator(session, context, name)
        query = select(Schedule.id).where(
            Schedule.operator == operator.name, Schedule.state.in_(_GOING)
        )
        ids = list(session.scalars(query.order_by(Schedule.id)))
        return [one for one in ids if _pause(session, context, one)]


def _pause(session: Session, context: Context, schedule_id: int) -> bool:
    schedule = get_schedule(session, schedule_id, lock=True)
    if schedule.state not in _GOING:
        return False
    now, because = context.clock.now(), "the operator who added it was revoked"
    settle_openings(session, context, schedule, because, now)
    move(
        session, schedule, ScheduleState.PAUSED, "pause",
        now=now, operator=context.operator, because=because,
    )  # fmt: skip
    return True
