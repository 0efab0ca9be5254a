"""Does what comes back reach us: events of SES, webhooks of Twilio."""

import os
from collections.abc import Iterator

from sender.campaigns.accounts import account_settings
from sender.campaigns.findings import Finding, Health
from sender.context import Context
from sender.errors import ProviderError
from sender.providers.account import AccountSettings
from sender.providers.ses.event_destinations import NEEDED, REWRITES_LINKS, event_destinations
from sender.providers.twilio.signature import WebhookAccount
from sender.store.controllers import ProviderAccount
from sender.vocabulary import ProviderName


def examine_inbound(account: ProviderAccount, context: Context, *, ask: bool) -> Iterator[Finding]:
    """Yield what is found about the events of one provider account.

    Args:
        account: in use.
        context: the installation.
        ask: whether to ask the provider.
    """
    settings = account_settings(account, context)
    what = f"events of {account.name}"
    if account.provider is ProviderName.TWILIO:
        yield _secrets(what, account.id, settings)
    if account.provider is not ProviderName.SES:
        return
    yield _topics(what, settings)
    if ask:
        yield _destinations(what, settings, context)


def _topics(what: str, settings: AccountSettings) -> Finding:
    if settings.topic_arns:
        return Finding(what, Health.WELL, f"{len(settings.topic_arns)} SNS topic(s) listened to.")
    return Finding(
        what,
        Health.ATTENTION,
        "No topic is listened to: bounces and complaints do not arrive.",
        "Set topic_arns of the account (docs/providers.md).",
    )


def _secrets(what: str, account_id: int, settings: AccountSettings) -> Finding:
    webhook = WebhookAccount.of(account_id, settings, os.environ)
    if webhook.missing:
        return Finding(
            what,
            Health.BROKEN,
            f"{webhook.missing[0]} is not set: a STOP cannot be told from a forged one.",
            f"Set {webhook.missing[0]}, or correct webhook_secret_variables.",
        )
    if not webhook.sid:
        return Finding(
            what,
            Health.BROKEN,
            "The account's own SID is not known: an API key alone names no account.",
            "Set the option account_sid (docs/providers.md).",
        )
    return Finding(what, Health.WELL, "The secrets that sign its webhooks are set.")


def _destinations(what: str, settings: AccountSettings, context: Context) -> Finding:
    try:
        there = event_destinations(settings, os.environ, context.settings.provider_timeout)
    except ProviderError as error:
        return Finding(what, Health.BROKEN, error.problem, error.remedy)
    heard = [one for one in there if one.enabled and one.topic_arn in settings.topic_arns]
    lacking = NEEDED.difference(*(one.kinds for one in heard))
    if lacking:
        return Finding(
            what,
            Health.ATTENTION,
            f"SES does not tell a listed topic of {', '.join(sorted(lacking))}.",
            "Add an event destination to the configuration set (docs/providers.md).",
        )
    if any(one.enabled and REWRITES_LINKS in one.kinds for one in there):
        return Finding(
            what,
            Health.ATTENTION,
            "Clicks are tracked: SES puts its own address in the place of each opt-out link.",
            "Take CLICK out of the configuration set's event destinations.",
        )
    return Finding(what, Health.WELL, "SES tells of bounces, complaints and rendering failures.")
