"""The ways to the operators: one webhook, and each address by e-mail."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from pydantic import SecretStr

from sender.alerts.mail import send_mail
from sender.alerts.message import Digest
from sender.alerts.webhook import post
from sender.context import Context
from sender.errors import SenderError
from sender.vocabulary import Channel


@dataclass(frozen=True, slots=True)
class Way:
    """One way to one receiver; each is told for itself, so that none holds up another.

    Attributes:
        name: names it in the database, without the address.
        tell: tells, or raises a SenderError.
    """

    name: str
    tell: Callable[[Digest], None]


def ways_to_operators(context: Context) -> list[Way]:
    """Return all that are set; none if nobody is to be told."""
    settings = context.settings
    ways = []
    if settings.alert_webhook_url is not None:
        ways.append(Way("webhook", partial(_post, context, settings.alert_webhook_url)))
    for place, address in enumerate(settings.alert_addresses):
        digits = context.hasher.hash(Channel.EMAIL, address).hex()[:16]
        tell = partial(send_mail, context, address=address, place=place)
        ways.append(Way(f"email:{digits}", tell))
    return ways


def try_way(way: Way, digest: Digest) -> str:
    """Tell; return what went wrong, without personal data, or nothing."""
    try:
        way.tell(digest)
    except SenderError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  # what one way does must not hold up the others
        return f"{type(error).__name__}."
    return ""


def installation(context: Context) -> str:
    """Return by what name this installation tells: the host of its opt-out pages."""
    return urlsplit(context.settings.public_url or "").hostname or ""


def _post(context: Context, url: SecretStr, digest: Digest) -> None:
    secret = context.settings.alert_webhook_secret
    post(
        url.get_secret_value(),
        secret.get_secret_value() if secret else None,
        digest.body,
        digest.at,
        context.settings.provider_timeout,
    )
