"""Does a provider account still tell what becomes of its messages? A dead webhook tells nothing.

A webhook that is dead for deliveries is dead for opt-outs too, so whoever sends on writes to people
who have said no (guidance ¶56).
"""

from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from sender.store.controllers import ProviderAccount
from sender.store.inbound import InboundNotification
from sender.vocabulary import ProviderName

_BY_WEBHOOK = text("inbound_notification.arrived_by = 'webhook'")
"""In the words of the partial index, or SQLite would not take it. What we had to ask for, or what
came by mail, says nothing of a webhook."""


def expects_events(account: ProviderAccount) -> bool:
    """Whether the account is set up so that each message brings an event by webhook.

    Amazon SES tells the topics that are listed of each delivery (docs/providers.md), and Twilio the
    callback address of each status. Reports of `smtp` come by mail, if at all.
    """
    if account.provider is ProviderName.SES:
        return bool(account.options.get("topic_arns"))
    if account.provider is ProviderName.TWILIO:
        return bool(account.options.get("options", {}).get("status_callback_url"))
    return False


def last_heard(session: Session, account: ProviderAccount) -> datetime | None:
    """Return when a webhook last brought something of this account; None for never.

    Several accounts may share one topic or secret; what came through it then names none of them,
    and counts for each.
    """
    times = [_newest(session, account.provider, one) for one in (account.id, None)]
    return max((time for time in times if time is not None), default=None)


def _newest(session: Session, provider: ProviderName, account_id: int | None) -> datetime | None:
    query = (
        select(InboundNotification.received_at)
        .where(
            InboundNotification.provider == provider,
            InboundNotification.account_id == account_id,  # None becomes IS NULL
            _BY_WEBHOOK,
        )
        .order_by(InboundNotification.received_at.desc())
        .limit(1)
    )
    return session.scalar(query)
