"""Who may be written to at this hour, on the clock of each person."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import update
from sqlalchemy.orm import Session

from sender.delivery.recipients import Addressee
from sender.delivery.window import SendingWindow, window_of, zone_of
from sender.store.campaigns import Run
from sender.store.controllers import ControllerVersion
from sender.store.deliveries import Delivery
from sender.vocabulary import DeliveryState


@dataclass(slots=True)
class Sorted:
    """People by when they may be written to.

    Attributes:
        now: at once.
        closes_at: until the first of those people's hours end; None: at any time.
        later: delivery ids by the moment at which their hours begin again.
        never: delivery ids whose hours begin again only after the run has expired.
    """

    now: list[Addressee] = field(default_factory=list)
    closes_at: datetime | None = None
    later: dict[datetime, list[int]] = field(default_factory=lambda: defaultdict(list))
    never: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Hours:
    """A run's sending hours.

    Attributes:
        window: on each person's own clock; None: at any time.
        zone: of people whose time zone is not known: the controller's.
        expires_at: when nothing of the run goes out any more.
    """

    window: SendingWindow | None
    zone: ZoneInfo
    expires_at: datetime | None

    def sort(self, people: Sequence[Addressee], now: datetime) -> Sorted:
        """Sort people by when they may be written to."""
        if self.window is None:
            return Sorted(now=list(people))
        by_zone: dict[str, list[Addressee]] = defaultdict(list)
        for person in people:
            by_zone[str(person.fields.get("time_zone") or "")].append(person)
        result = Sorted()
        for name, group in by_zone.items():
            self._sort_zone(result, self.window, zone_of(name, self.zone), group, now)
        return result

    def _sort_zone(
        self,
        result: Sorted,
        window: SendingWindow,
        zone: ZoneInfo,
        group: Sequence[Addressee],
        now: datetime,
    ) -> None:
        if window.is_open(now, zone):
            result.now.extend(group)
            closes_at = window.closes_at(now, zone)
            if closes_at is not None:
                result.closes_at = min(closes_at, result.closes_at or closes_at)
            return
        opens_at = window.next_opening(now, zone)
        ids = [person.delivery_id for person in group]
        if self.expires_at is not None and opens_at >= self.expires_at:
            result.never.extend(ids)
        else:
            result.later[opens_at].extend(ids)


def hours_of(session: Session, run: Run) -> Hours:
    """Return the sending hours of a run."""
    version = session.get_one(ControllerVersion, run.controller_version_id)
    return Hours(window_of(run), ZoneInfo(version.time_zone), run.expires_at)


def postpone(session: Session, later: dict[datetime, list[int]]) -> None:
    """Let pending people wait until these moments."""
    for opens_at, delivery_ids in later.items():
        session.execute(
            update(Delivery)
            .where(Delivery.id.in_(delivery_ids), Delivery.state == DeliveryState.PENDING)
            .values(not_before=opens_at)
            .execution_options(synchronize_session=False)
        )
