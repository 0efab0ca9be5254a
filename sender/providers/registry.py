"""Opens the provider that an account names."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from sender.clock import Clock
from sender.providers.account import AccountSettings
from sender.providers.base import Provider
from sender.vocabulary import ProviderName

Opener = Callable[[AccountSettings, Mapping[str, str], Clock, timedelta], Provider]


def open_provider(
    settings: AccountSettings, environ: Mapping[str, str], clock: Clock, timeout: timedelta
) -> Provider:
    """Open the account's provider; no message is sent and no request made.

    Args:
        settings: the account.
        environ: where credentials are read from.
        clock: its monotonic seconds are the unit of `start_before`.
        timeout: for connecting and for each wait for an answer, > 0.

    Raises:
        ProviderError: an option is missing or malformed, or a credential's environment variable
            is not set; names the variable, never its value.
    """
    return _OPENERS[settings.provider](settings, environ, clock, timeout)


# Each opener imports its provider itself: the SDKs take a quarter of a second each to import.


def _outbox(
    settings: AccountSettings, environ: Mapping[str, str], clock: Clock, timeout: timedelta
) -> Provider:
    from sender.providers.outbox.send import OutboxProvider  # noqa: PLC0415  # see above

    return OutboxProvider(settings, environ, clock, timeout)


def _smtp(
    settings: AccountSettings, environ: Mapping[str, str], clock: Clock, timeout: timedelta
) -> Provider:
    from sender.providers.smtp.send import SmtpProvider  # noqa: PLC0415  # see above

    return SmtpProvider(settings, environ, clock, timeout)


def _ses(
    settings: AccountSettings, environ: Mapping[str, str], clock: Clock, timeout: timedelta
) -> Provider:
    from sender.providers.ses.send import SesProvider  # noqa: PLC0415  # see above

    return SesProvider(settings, environ, clock, timeout)


def _twilio(
    settings: AccountSettings, environ: Mapping[str, str], clock: Clock, timeout: timedelta
) -> Provider:
    from sender.providers.twilio.send import TwilioProvider  # noqa: PLC0415  # see above

    return TwilioProvider(settings, environ, clock, timeout)


_OPENERS: Mapping[ProviderName, Opener] = {
    ProviderName.OUTBOX: _outbox,
    ProviderName.SMTP: _smtp,
    ProviderName.SES: _ses,
    ProviderName.TWILIO: _twilio,
}
