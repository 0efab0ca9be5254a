"""One provider account, as it is configured."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sender.errors import ProviderError
from sender.vocabulary import ProviderName


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """What is needed to open a provider. Credentials are named here, never held.

    Attributes:
        name: the account's own name, used in error messages.
        provider: which provider.
        region: the AWS region or Twilio region; None is the provider's default.
        endpoint_url: where to reach the provider's API instead of its public address.
        rate_per_second: messages per second that the account may send; None is the provider's
            own figure, or a cautious default where it gives none.
        daily_quota: messages per 24 hours; None is the provider's own figure, or unlimited.
        concurrency: provider requests at the same time, >= 1.
        key_variable: the environment variable with the user name, access key id or account SID.
        secret_variable: the one with the password, secret key or auth token.
        token_variable: the one with an AWS session token; it may be unset.
        webhook_secret_variables: the ones whose values sign webhooks, newest first.
        topic_arns: the SNS topics that tell of this account.
        options: further options of the provider, see docs/providers.md.
    """

    name: str
    provider: ProviderName
    region: str | None = None
    endpoint_url: str | None = None
    rate_per_second: float | None = None
    daily_quota: int | None = None
    concurrency: int = 4
    key_variable: str | None = None
    secret_variable: str | None = None
    token_variable: str | None = None
    webhook_secret_variables: tuple[str, ...] = ()
    topic_arns: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)

    def option(self, name: str) -> str:
        """Return an option that must be there.

        Raises:
            ProviderError: it is missing or empty.
        """
        value = self.options.get(name, "")
        if not value:
            raise ProviderError(
                f"Provider account {self.name} ({self.provider}) lacks the option {name}.",
                remedy=f"Add {name} to the account's options.",
            )
        return value

    def yes_or_no(self, name: str, *, default: bool) -> bool:
        """Return an option that is `yes` or `no`.

        Raises:
            ProviderError: it is neither.
        """
        value = self.options.get(name, "yes" if default else "no")
        if value not in {"yes", "no"}:
            raise ProviderError(
                f"Provider account {self.name}: the option {name} must be yes or no."
            )
        return value == "yes"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Secrets read from the environment; they show in no representation."""

    key: str = field(repr=False)
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def read_credentials(
    settings: AccountSettings,
    environ: Mapping[str, str],
    *,
    key_variable: str,
    secret_variable: str,
    token_variable: str | None = None,
) -> Credentials:
    """Read the account's credentials; the keyword arguments name the usual variables.

    Raises:
        ProviderError: one is missing; names the variable, never a value.
    """
    token_name = settings.token_variable or token_variable
    return Credentials(
        key=_required(settings, environ, settings.key_variable or key_variable),
        secret=_required(settings, environ, settings.secret_variable or secret_variable),
        token=(environ.get(token_name) or None) if token_name else None,
    )


def _required(settings: AccountSettings, environ: Mapping[str, str], variable: str) -> str:
    value = environ.get(variable, "").strip()
    if not value:
        raise ProviderError(
            f"Provider account {settings.name} ({settings.provider}): "
            f"the environment variable {variable} is not set.",
            remedy=f"Set {variable} and try again.",
        )
    return value
