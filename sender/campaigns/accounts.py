"""Open the provider account that a sender identity goes out through."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from sender.context import Context
from sender.delivery.planning import HANDED_OVER
from sender.errors import ProviderError
from sender.providers.account import AccountSettings
from sender.providers.base import BatchResult, Capacity, Outgoing, Provider
from sender.providers.registry import open_provider
from sender.store.campaigns import Run
from sender.store.controllers import ProviderAccount, SenderIdentity
from sender.store.deliveries import Delivery
from sender.vocabulary import Channel, ProviderName

QUOTA_PERIOD = timedelta(hours=24)


def account_settings(account: ProviderAccount, context: Context) -> AccountSettings:
    """Return the account as the provider takes it."""
    options: dict[str, Any] = dict(account.options)
    extra: dict[str, str] = options.pop("options", {})
    for name in ("webhook_secret_variables", "topic_arns"):
        options[name] = tuple(options.get(name, ()))
    if account.provider is ProviderName.OUTBOX:
        extra = {"folder": str(context.settings.outbox), **extra}
    return AccountSettings(name=account.name, provider=account.provider, options=extra, **options)


def open_account(account: ProviderAccount, context: Context) -> Provider:
    """Open the provider of this account.

    Raises:
        ProviderError: an option or a credential's environment variable is missing.
    """
    settings = account_settings(account, context)
    provider = open_provider(settings, os.environ, context.clock, context.settings.provider_timeout)
    if settings.daily_quota is None:
        return provider
    return _Rationed(provider, context, account.id, settings.daily_quota)


@dataclass(frozen=True, slots=True)
class _Rationed:
    """A provider whose account has a daily quota of our own, which only our ledger can count."""

    inner: Provider
    context: Context
    account_id: int
    daily_quota: int

    @property
    def name(self) -> ProviderName:
        return self.inner.name

    @property
    def channels(self) -> frozenset[Channel]:
        return self.inner.channels

    @property
    def batch_limit(self) -> int:
        return self.inner.batch_limit

    @property
    def messages_per_call(self) -> int:
        return self.inner.messages_per_call

    @property
    def concurrency(self) -> int:
        return self.inner.concurrency

    def capacity(self) -> Capacity:
        capacity = self.inner.capacity()
        left = max(0, self.daily_quota - self._handed_over())
        told, allowed = capacity.remaining_today, capacity.daily_quota
        return replace(
            capacity,
            remaining_today=left if told is None else min(left, told),
            daily_quota=self.daily_quota if allowed is None else min(self.daily_quota, allowed),
        )

    def send(self, batch: Sequence[Outgoing], start_before: float) -> BatchResult:
        return self.inner.send(batch, start_before)

    def close(self) -> None:
        self.inner.close()

    def _handed_over(self) -> int:
        query = (
            select(func.count())
            .select_from(Delivery)
            .join(Run, Run.id == Delivery.run_id)
            .join(SenderIdentity, SenderIdentity.id == Run.sender_identity_id)
            .where(
                SenderIdentity.provider_account_id == self.account_id,
                Delivery.state.in_(HANDED_OVER),
                Delivery.dispatched_at > self.context.clock.now() - QUOTA_PERIOD,
            )
        )
        with self.context.store.read() as session:
            return session.scalar(query) or 0


def counter_of(provider: Provider, known: Capacity) -> Callable[[], Capacity]:
    """Return what tells a quota's state: what is known already at first, then the provider."""
    left = [known]

    def count() -> Capacity:
        return left.pop() if left else provider.capacity()

    return count


def usable_capacity(account: ProviderAccount, provider: Provider) -> Capacity:
    """Ask the provider what the account allows, and refuse one that cannot send in earnest.

    Raises:
        ProviderError: credentials are refused, sending is off, or the account is in the sandbox.
    """
    capacity = provider.capacity()
    if not capacity.sending_enabled:
        raise ProviderError(
            f"Provider account {account.name} may not send: {capacity.detail}",
            remedy="See the provider's console.",
        )
    if capacity.sandbox:
        raise ProviderError(
            f"Provider account {account.name} is in sandbox mode: it reaches verified "
            "recipients only, and everybody else's message would be lost.",
            remedy="Ask the provider for production access.",
        )
    return capacity
