"""Open the provider account that a sender identity goes out through."""

import os
from typing import Any

from sender.context import Context
from sender.errors import ProviderError
from sender.providers.account import AccountSettings
from sender.providers.base import Capacity, Provider
from sender.providers.registry import open_provider
from sender.store.controllers import ProviderAccount
from sender.vocabulary import ProviderName


def account_settings(account: ProviderAccount, context: Context) -> AccountSettings:
    """Return the account as the provider takes it."""
    options: dict[str, Any] = dict(account.options)
    extra: dict[str, str] = options.pop("options", {})
    if account.provider is ProviderName.OUTBOX:
        extra = {"folder": str(context.settings.outbox), **extra}
    return AccountSettings(name=account.name, provider=account.provider, options=extra, **options)


def open_account(account: ProviderAccount, context: Context) -> Provider:
    """Open the provider of this account.

    Raises:
        ProviderError: an option or a credential's environment variable is missing.
    """
    return open_provider(
        account_settings(account, context),
        os.environ,
        context.clock,
        context.settings.provider_timeout,
    )


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
