"""What each provider account allows now, and how much of it is used."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.delivery.turns import Claim, share_left, wants
from sender.store.campaigns import AccountQuota, RateClaim, RateLimit, Run
from sender.store.controllers import ProviderAccount, SenderIdentity
from sender.vocabulary import ProviderName


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """A provider account that some controller sends through.

    Attributes:
        account_id: its number.
        name: the account's.
        provider: which.
        rate_per_second: messages a second that it allows, as the provider told when the quota was
            counted, or else as its file says; None: not known yet.
        part_left: the part of the rate, up to 1, that the provider's throttling leaves now.
        runs_that_want_it: how many runs asked for its rate within the last seconds.
        last_minute: messages that went out through it in the last minute.
        quota_a_day: messages a day; None: unlimited, or never counted.
        quota_left: messages left of that.
        quota_counted_at: when that was counted; None: never.
    """

    account_id: int
    name: str
    provider: ProviderName
    rate_per_second: float | None
    part_left: float
    runs_that_want_it: int
    last_minute: int
    quota_a_day: int | None
    quota_left: int | None
    quota_counted_at: datetime | None


def accounts_in_use(
    session: Session, last_minute: Mapping[int, float], now: datetime
) -> list[AccountStatus]:
    """Return the accounts of sender identities that are not retired, in order of their names.

    Args:
        session: any open session.
        last_minute: messages of the last minute, by run.
        now: when.
    """
    in_use = select(SenderIdentity.provider_account_id).where(SenderIdentity.retired_at.is_(None))
    query = (
        select(ProviderAccount, AccountQuota)
        .outerjoin(AccountQuota, AccountQuota.account_id == ProviderAccount.id)
        .where(ProviderAccount.id.in_(in_use))
        .order_by(ProviderAccount.name)
    )
    rates = {row.name: row for row in session.scalars(select(RateLimit))}
    claims = _claims_now(session, now)
    sent = _by_account(session, last_minute)
    found = []
    for account, quota in session.execute(query):
        rate = rates.get(f"account:{account.id}")
        allowed, remaining, counted_at, rate_told = _told_by(quota)
        found.append(
            AccountStatus(
                account_id=account.id,
                name=account.name,
                provider=account.provider,
                rate_per_second=rate_told or account.options.get("rate_per_second"),
                part_left=_part_left(rate, now),
                runs_that_want_it=claims.get(f"account:{account.id}", 0),
                last_minute=round(sent.get(account.id, 0.0)),
                quota_a_day=allowed,
                quota_left=remaining,
                quota_counted_at=counted_at,
            )
        )
    return found


def _part_left(rate: RateLimit | None, now: datetime) -> float:
    if rate is None:
        return 1.0
    return share_left(rate.slowed_to, rate.slowed_at_seconds, now.timestamp())


def _claims_now(session: Session, now: datetime) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in session.scalars(select(RateClaim)):
        claim = Claim(row.weight, row.urgent, row.wanted_at_seconds, row.arrival_at_seconds)
        if wants(claim, now.timestamp()):
            counts[row.name] = counts.get(row.name, 0) + 1
    return counts


def _told_by(
    quota: AccountQuota | None,
) -> tuple[int | None, int | None, datetime | None, float | None]:
    """Return what a quota says; nothing where the account has none."""
    if quota is None:
        return None, None, None, None
    return quota.allowed, quota.remaining, quota.counted_at, quota.rate_per_second


def _by_account(session: Session, last_minute: Mapping[int, float]) -> dict[int, float]:
    query = (
        select(Run.id, SenderIdentity.provider_account_id)
        .join(SenderIdentity, SenderIdentity.id == Run.sender_identity_id)
        .where(Run.id.in_(list(last_minute)))
    )
    sent: dict[int, float] = {}
    for run_id, account_id in session.execute(query):
        sent[account_id] = sent.get(account_id, 0.0) + last_minute[run_id]
    return sent
