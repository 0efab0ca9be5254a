"""Settings, from the environment only: secrets never stand in files or on a command line."""

from datetime import timedelta
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from sender.errors import KeyRefusedError, SettingsError

MINIMUM_KEY_BYTES = 32
"""HMAC-SHA-256 keys shorter than the hash weaken it (RFC 2104, section 3)."""


_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


class Settings(BaseSettings):
    """All settings, each from the environment variable `SENDER_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="SENDER_", extra="ignore", frozen=True)

    database_url: str = Field(default="sqlite:///sender.sqlite3", repr=False)
    hash_key: SecretStr | None = None
    """The keys of the address hashes, comma-separated, newest first; every one is needed."""
    token_keys: SecretStr | None = None
    """`id:secret` pairs, comma-separated, newest first; the first signs, the others only verify."""
    public_url: str | None = None
    """The https address under which opt-out pages are reached, e.g. https://out.example.org."""
    operator: str = Field(default="", max_length=200)
    operator_token: SecretStr | None = None
    """Proves who acts, once operators are registered."""
    outbox: Path = Path("outbox")
    provider_timeout_seconds: float = Field(default=20.0, gt=0, le=120)
    staging_retention_days: int = Field(default=30, ge=1, le=3650)
    event_retention_days: int = Field(default=180, ge=1, le=3650)
    """How long what a provider told us is kept as it came, without addresses."""
    inbox_retention_days: int = Field(default=730, ge=30, le=3650)
    """How long the words of people's replies are kept."""
    limitation_years: int = Field(default=6, ge=1, le=30)
    """How long the evidence of a consent is kept after the last message that relied on it."""
    values_retention_days: int = Field(default=396, ge=30, le=3650)
    """How long the personal values that a message used are kept beside it: thirteen months."""
    journal: str = "opt-outs.journal"
    """The file, outside the database, to which each opt-out is also written; `off` for none."""
    metrics_token: SecretStr | None = None
    """Who may read /metrics; without one it is not served on the public address."""
    trusted_proxies: str = "127.0.0.1"
    """Addresses of the proxies whose X-Forwarded-For counts, comma-separated."""
    alert_webhook_url: SecretStr | None = None
    """Where alerts are posted to; chat services put a secret into it."""
    alert_webhook_secret: SecretStr | None = None
    """Signs what is posted there."""
    alert_emails: str = Field(default="", repr=False)
    """Addresses of the operators who are told of alerts, comma-separated."""
    alert_account: str = ""
    """The provider account through which they are told."""
    alert_from: str = Field(default="", repr=False)
    """From whom; else from a sender identity of that account."""

    @field_validator("alert_webhook_url")
    @classmethod
    def _reached_safely(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None or not url.get_secret_value():
            return None
        parts = urlsplit(url.get_secret_value())
        here = parts.scheme == "http" and parts.hostname in _THIS_MACHINE
        if not parts.hostname or not (parts.scheme == "https" or here):
            raise ValueError("must be an https address")
        return url

    @field_validator("alert_emails", "alert_from")
    @classmethod
    def _addresses(cls, text: str) -> str:
        if any(one.count("@") != 1 or " " in one for one in _parts(text)):
            raise ValueError("must be e-mail addresses, with commas between them")
        return text

    @property
    def alert_addresses(self) -> tuple[str, ...]:
        """Who is told of alerts by e-mail, each once."""
        return tuple(dict.fromkeys(_parts(self.alert_emails)))

    @property
    def provider_timeout(self) -> timedelta:
        """How long one provider request may take."""
        return timedelta(seconds=self.provider_timeout_seconds)

    @cached_property
    def hash_keys(self) -> tuple[bytes, ...]:
        """Return the address hashing keys, newest first.

        Raises:
            KeyRefusedError: there is none, one is shorter than 32 bytes, or one is there twice.
        """
        remedy = (
            "Set SENDER_HASH_KEY to the key that this database was made with; for a new database "
            'make one with: python -c "import secrets; print(secrets.token_hex(32))"'
        )
        if self.hash_key is None or not self.hash_key.get_secret_value():
            raise KeyRefusedError("SENDER_HASH_KEY is not set.", remedy=remedy)
        texts = self.hash_key.get_secret_value().split(",")
        keys = tuple(_hash_key(text.strip(), remedy) for text in texts)
        if len(set(keys)) != len(keys):
            raise KeyRefusedError("SENDER_HASH_KEY has a key twice.", remedy=remedy)
        return keys


def _hash_key(text: str, remedy: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        raise KeyRefusedError("SENDER_HASH_KEY is not hexadecimal.", remedy=remedy) from None
    if len(key) < MINIMUM_KEY_BYTES:
        raise KeyRefusedError(
            f"SENDER_HASH_KEY has {len(key)} bytes; at least {MINIMUM_KEY_BYTES} are needed.",
            remedy=remedy,
        )
    return key


def _parts(text: str) -> list[str]:
    return [part for one in text.split(",") if (part := one.strip())]


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: a value is malformed; names the variable, never its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = "SENDER_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name}: {first['msg']}.", remedy="Mend it and try again.") from None
