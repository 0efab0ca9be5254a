"""An opened installation for tests of the web side."""

from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from sender.clock import SystemClock
from sender.context import Context
from sender.settings import Settings
from sender.store.engine import Store
from sender.store.keys import register_key
from tests.support.factory import HASH_KEY, HASHER, NOW, OPERATOR

PUBLIC_URL = "https://out.example.org"
TOKEN_KEYS = "1:" + "cd" * 32


class SteppedClock(SystemClock):
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime = NOW) -> None:
        self.wall = now
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.wall.astimezone(UTC)

    def monotonic(self) -> float:
        return self.seconds


def web_settings(**changed: Any) -> Settings:
    """Return complete settings; `changed` overrides them."""
    values: dict[str, Any] = {
        "hash_key": SecretStr(HASH_KEY.hex()),
        "token_keys": SecretStr(TOKEN_KEYS),
        "public_url": PUBLIC_URL,
        "journal": "off",
        **changed,
    }
    return Settings().model_copy(update=values)


def web_context(store: Store, **changed: Any) -> Context:
    """Open an installation on `store`, which gets its key; `changed` overrides settings."""
    with store.write() as session:
        register_key(session, HASHER, NOW)
    return Context(web_settings(**changed), store, HASHER, SteppedClock(), OPERATOR)
