"""The ways to send that are measured. The bare loop reads this too: no heavy import."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sender.vocabulary import Channel, ProviderName


@dataclass(frozen=True)
class Way:
    """One way to send.

    Attributes:
        name: in tables.
        provider: which.
        options: of its account, beside the endpoint.
        least: of the bare loop's messages per client CPU second.
    """

    name: str
    provider: ProviderName
    options: Mapping[str, Any]
    least: float

    @property
    def channel(self) -> Channel:
        return Channel.SMS if self.provider is ProviderName.TWILIO else Channel.EMAIL

    @property
    def sink(self) -> str:
        return "smtp" if self.provider is ProviderName.SMTP else "http"


_CALLBACK = {"status_callback_url": "https://out.example.org/webhooks/twilio"}
SES_BULK = Way("SES bulk", ProviderName.SES, {}, 0.75)
SES_SINGLE = Way("SES single", ProviderName.SES, {"options": {"mode": "single"}}, 0.9)
TWILIO = Way("Twilio", ProviderName.TWILIO, {"rate_per_second": 100_000, "options": _CALLBACK}, 0.9)
SMTP = Way(
    "SMTP", ProviderName.SMTP, {"rate_per_second": 100_000, "options": {"security": "none"}}, 0.75
)
WAYS = (SES_BULK, SES_SINGLE, TWILIO, SMTP)
