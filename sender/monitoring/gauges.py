"""What /metrics says of the database: counts and ages, asked at each scrape."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import ColumnElement, TextClause, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from sender.campaigns.status import look
from sender.context import Context
from sender.inbound.inbox import is_open
from sender.monitoring.accepted import AcceptedMessages
from sender.monitoring.sending import sending_metrics
from sender.store.deliveries import Delivery
from sender.store.inbound import Alert, InboundEvent, InboxMessage
from sender.vocabulary import DeliveryState

_HELP: Mapping[str, str] = {
    "sender_inbox_open": "Replies that a person has to look at.",
    "sender_inbox_oldest_seconds": "Age of the oldest of them, in seconds.",
    "sender_alerts_open": "Alerts that nobody has resolved.",
    "sender_deliveries_unknown": "Messages that may or may not have gone out.",
    "sender_events_waiting": "Events of messages that we have no record of yet.",
}
_UNSETTLED = text("delivery.state IN ('dispatching', 'unknown')")
"""In the words of the partial index, or SQLite would look at every delivery there ever was."""


class DatabaseGauges(Collector):
    """Asks the database; when that fails, `sender_database_up` is 0 and the others are left out."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._accepted = AcceptedMessages()

    def describe(self) -> Iterable[Metric]:
        """Name nothing before it is asked: registering must not need the database."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Ask."""
        try:
            found = self._ask()
        except SQLAlchemyError:
            found = []
        yield _gauge("sender_database_up", "Whether the database answered.", 1 if found else 0)
        yield from found

    def _ask(self) -> list[Metric]:
        status, now = look(self._context), self._context.clock.now()
        with self._context.store.read() as session:
            values = _values(session, now)
            accepted = self._accepted.by_channel(session, now)
        alone = [_gauge(name, _HELP[name], value) for name, value in values.items()]
        return [*alone, *sending_metrics(status, accepted)]


def _values(session: Session, now: datetime) -> dict[str, float]:
    oldest = session.scalar(select(func.min(InboxMessage.received_at)).where(is_open()))
    unknown = Delivery.state == DeliveryState.UNKNOWN
    return {
        "sender_inbox_open": _count(session, is_open()),
        "sender_inbox_oldest_seconds": (now - oldest).total_seconds() if oldest else 0,
        "sender_alerts_open": _count(session, Alert.resolved_at.is_(None)),
        "sender_deliveries_unknown": _count(session, _UNSETTLED, unknown),
        "sender_events_waiting": _count(session, InboundEvent.applied_at.is_(None)),
    }


def _count(session: Session, *conditions: ColumnElement[bool] | TextClause) -> int:
    return session.scalar(select(func.count()).where(*conditions)) or 0


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, value=value)
