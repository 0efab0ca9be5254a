"""Freeze a controller whose representative changed party: nothing goes on as if nothing happened.

What is sent afterwards is decided person by person: only an act after the freeze, under a wording
that was first shown after it, counts again (guidance ¶84-86). There is no unfreezing.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.schedule_state import get_schedule, move, settle_openings
from sender.context import Context
from sender.controllers.declarations import freeze
from sender.controllers.lookup import find_controller
from sender.store.schedules import Schedule
from sender.vocabulary import ScheduleState

BECAUSE = "the controller was frozen"


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a freeze did.

    Attributes:
        at: from when on earlier consent no longer counts.
        schedules: those that are paused now, and were not before.
    """

    at: datetime
    schedules: tuple[int, ...]


def freeze_controller(context: Context, slug: str, *, reason: str) -> Frozen:
    """Freeze the controller and pause its schedules, in one transaction.

    Runs under way need no word: the next last look refuses everybody who has not agreed since, so
    nothing starts later than a second after this returns.

    Raises:
        NotFoundError: there is no such controller.
        RefusedError: no reason is given.
    """
    now = context.clock.now()
    with context.store.write() as session:
        controller = find_controller(session, slug)
        freeze(session, slug, reason=reason, operator=context.operator, now=now)
        active = select(Schedule.id).where(
            Schedule.controller_id == controller.id, Schedule.state == ScheduleState.ACTIVE
        )
        paused = [
            schedule_id
            for schedule_id in session.scalars(active.order_by(Schedule.id)).all()
            if _pause(session, context, schedule_id, now)
        ]
    return Frozen(now, tuple(paused))


def _pause(session: Session, context: Context, schedule_id: int, now: datetime) -> bool:
    schedule = get_schedule(session, schedule_id, lock=True)
    if schedule.state is not ScheduleState.ACTIVE:  # held: nothing of it goes out anyhow
        return False
    settle_openings(session, context, schedule, BECAUSE, now)
    state, who = ScheduleState.PAUSED, context.operator
    move(session, schedule, state, "pause", now=now, operator=who, because=BECAUSE)
    return True
