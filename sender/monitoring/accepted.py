"""How many messages were ever accepted, by channel: a count that only rises."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from sender.store.campaigns import Dispatcher, Run
from sender.vocabulary import Channel

_SETTLED_AFTER: Final = timedelta(minutes=2)
"""By then a run that is over has been left by its last dispatcher, which says its last number."""

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class AcceptedMessages:
    """Sums what the dispatchers say, as of their last sign of life.

    Runs that are over are summed once and remembered, so a scrape reads what is under way only.
    """

    _over: Counter[Channel] = field(default_factory=Counter)
    _through: datetime = _LONG_AGO
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def by_channel(self, session: Session, now: datetime) -> Counter[Channel]:
        """Return the messages that were accepted, tests included."""
        with self._lock:
            through = max(self._through, now - _SETTLED_AFTER)
            is_new = (Run.ended_at > self._through) & (Run.ended_at <= through)
            self._over += _sum(session, is_new)
            self._through = through
            return self._over + _sum(session, or_(Run.ended_at.is_(None), Run.ended_at > through))


def _sum(session: Session, of_runs: ColumnElement[bool]) -> Counter[Channel]:
    query = (
        select(Run.channel, func.sum(Dispatcher.accepted))
        .join(Dispatcher, Dispatcher.run_id == Run.id)
        .where(of_runs)
        .group_by(Run.channel)
    )
    return Counter({channel: int(accepted) for channel, accepted in session.execute(query)})
