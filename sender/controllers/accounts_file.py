"""`[[account]]` of a controller file: a provider account, its credentials by variable name only."""

import re
from typing import Annotated, Any, Final

from pydantic import Field, ValidationInfo, field_validator

from sender.toml.model import Line, Slug, Table, is_https, refused
from sender.vocabulary import ProviderName

_THIS_MACHINE: Final = re.compile(r"http://(?:localhost|127\.0\.0\.1|\[::1\])(?:[:/]|$)")
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")

OPTIONS: Final[dict[ProviderName, frozenset[str]]] = {
    ProviderName.OUTBOX: frozenset({"folder"}),
    ProviderName.SMTP: frozenset(
        {"host", "port", "security", "login", "envelope_sender", "verp", "ca_file", "helo_name"}
    ),
    ProviderName.SES: frozenset({"configuration_set", "mode"}),
    ProviderName.TWILIO: frozenset(
        {
            "account_sid",
            "answers_keywords",
            "currency",
            "messaging_service_sid",
            "price_per_part",
            "status_callback_url",
        }
    ),
}
"""The options that each provider reads (docs/providers.md)."""


TopicArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]+$")]


class AccountEntry(Table):
    """A provider account; several controllers may use one."""

    name: Slug
    provider: ProviderName
    region: Line | None = None
    endpoint_url: Annotated[str, Field(max_length=500)] | None = None
    rate_per_second: Annotated[float, Field(gt=0)] | None = None
    daily_quota: Annotated[int, Field(ge=1)] | None = None
    concurrency: Annotated[int, Field(ge=1, le=64)] | None = None
    key_variable: str | None = None
    secret_variable: str | None = None
    token_variable: str | None = None
    webhook_secret_variables: tuple[str, ...] = ()
    """Whose secrets sign webhooks, newest first; two while a token is being changed."""
    topic_arns: tuple[TopicArn, ...] = ()
    """SNS topics whose events are this account's; no other topic is listened to."""
    options: dict[str, str] = Field(default_factory=dict)

    @field_validator("key_variable", "secret_variable", "token_variable")
    @classmethod
    def _names_a_variable(cls, value: str | None) -> str | None:
        if value is not None and not _VARIABLE.fullmatch(value):
            raise refused(
                "must be the name of an environment variable, not a secret itself.",
                'Write e.g. "AWS_SECRET_ACCESS_KEY", and put the secret into that variable.',
            )
        return value

    @field_validator("webhook_secret_variables")
    @classmethod
    def _name_variables(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            cls._names_a_variable(one)
        return value

    @field_validator("endpoint_url")
    @classmethod
    def _encrypted(cls, value: str | None) -> str | None:
        """Credentials go there: in the clear to this machine only, as to a local fake."""
        if value is not None and not (is_https(value) or _THIS_MACHINE.match(value)):
            raise refused("must be a full https address.", "http is for this machine only.")
        return value

    @field_validator("options", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        return {k: _text(v) for k, v in value.items()} if isinstance(value, dict) else value

    @field_validator("options")
    @classmethod
    def _known(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        known = OPTIONS.get(info.data.get("provider", ""), frozenset(value))
        unknown = sorted(value.keys() - known)
        if unknown:
            raise refused(
                f"{unknown[0]} is no option of {info.data['provider']}.",
                f"Known: {', '.join(sorted(known))}.",
            )
        return value

    def stored(self) -> dict[str, Any]:
        """Return what is kept of the account beside its name and provider."""
        return self.model_dump(exclude={"name", "provider"}, exclude_defaults=True, mode="json")


def _text(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, int) else value
