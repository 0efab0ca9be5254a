"""Would the operators hear of an alert: the ways to them, and what stands."""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.campaigns.findings import Finding, Health
from sender.context import Context
from sender.settings import Settings
from sender.store.controllers import ProviderAccount
from sender.store.inbound import Alert, AlertTelling
from sender.vocabulary import ProviderName

MOST_ALERTS: Final = 20

_WHAT: Final = "telling of alerts"


def examine_alerts(context: Context) -> Iterator[Finding]:
    """Yield what is found about the ways to the operators, and the alerts that stand."""
    with context.store.read() as session:
        yield _ways(session, context.settings)
        yield from _failures(session)
        yield from _standing(session)


def _ways(session: Session, settings: Settings) -> Finding:
    webhook, emails = settings.alert_webhook_url is not None, settings.alert_addresses
    if not webhook and not emails:
        return Finding(
            _WHAT,
            Health.ATTENTION,
            "Nobody is told when a run pauses itself or a reply waits.",
            "Set SENDER_ALERT_WEBHOOK_URL or SENDER_ALERT_EMAILS (docs/alerts.md).",
        )
    if emails and not _may_mail(session, settings.alert_account):
        return Finding(
            _WHAT,
            Health.BROKEN,
            "SENDER_ALERT_ACCOUNT names no provider account for e-mail.",
            "Set it to the name of one: sender controller show SLUG",
        )
    to = ["a webhook"] * webhook + [f"{len(emails)} by e-mail"] * bool(emails)
    return Finding(_WHAT, Health.WELL, f"Told: {', '.join(to)}. Try it: sender alert test")


def _may_mail(session: Session, name: str) -> bool:
    query = select(ProviderAccount.provider).where(ProviderAccount.name == name)
    return session.scalar(query) not in {None, ProviderName.TWILIO}


def _failures(session: Session) -> Iterator[Finding]:
    """Yield one finding for each way that failed to bring what stands."""
    query = (
        select(AlertTelling.way, AlertTelling.problem, func.max(AlertTelling.failed_at))
        .join(Alert, Alert.id == AlertTelling.alert_id)
        .where(Alert.resolved_at.is_(None), AlertTelling.failed_at.is_not(None))
        .group_by(AlertTelling.way, AlertTelling.problem)
        .order_by(AlertTelling.way)
    )
    for way, problem, failed_at in session.execute(query):
        assert failed_at is not None  # the query leaves out those that never failed
        at = failed_at.isoformat(timespec="minutes")
        detail = f"{way.partition(':')[0]} failed at {at}: {problem}"
        yield Finding(_WHAT, Health.ATTENTION, detail, "It is tried again.")


def _standing(session: Session) -> Iterator[Finding]:
    query = select(Alert).where(Alert.resolved_at.is_(None)).order_by(Alert.last_at.desc())
    for alert in session.scalars(query.limit(MOST_ALERTS)):
        times = "once" if alert.times == 1 else f"{alert.times:,} times"
        last = alert.last_at.isoformat(timespec="minutes")
        detail = f"{alert.subject}: {times}, last at {last}."
        remedy = str(alert.details.get("remedy", ""))
        yield Finding(f"alert {alert.kind}", Health.ATTENTION, detail, remedy)
