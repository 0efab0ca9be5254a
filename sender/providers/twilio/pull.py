"""Ask Twilio what its webhooks may have missed: the list of messages, in and out.

https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources. The list
filters by day and not by direction, and knows no delivery of ours: an outcome has Twilio's name of
the message and its recipient instead. What comes has the names that the webhooks give it, so what
was told is told again and changes nothing.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from twilio.base.exceptions import TwilioException, TwilioServiceException
from urllib3.exceptions import HTTPError

from sender.errors import ProviderError
from sender.providers.account import AccountSettings, read_credentials
from sender.providers.events import Notification, PersonsReply
from sender.providers.outcome import UNREACHABLE
from sender.providers.twilio.client import open_client
from sender.providers.twilio.events import persons_reply, status_notification
from sender.providers.twilio.outcomes import CODES
from sender.providers.twilio.send import KEY_VARIABLE, SECRET_VARIABLE

PAGE_SIZE = 1000
"""The most that one page holds."""

_A_DAY = timedelta(days=1)
_INBOUND = "inbound"
_OUTBOUND = "outbound-api"
"""Our own requests; `outbound-reply` are the answers to webhooks."""


def inbound_messages(
    settings: AccountSettings, environ: Mapping[str, str], timeout: timedelta, since: datetime
) -> Iterator[PersonsReply]:
    """Yield what people wrote since then, and up to two days before, newest first.

    Twilio keeps no `OptOutType`: the words themselves have to say it.

    Args:
        settings: the account.
        environ: where its credentials stand.
        timeout: of one request.
        since: timezone-aware; the days are those of UTC.

    Raises:
        ProviderError: credentials are missing or refused, or Twilio cannot be reached.
        UnreadableFormError: a message has no name or sender.
    """
    for message in _messages(settings, environ, timeout, since, _INBOUND):
        form = _form(message) | {"Body": message.body or ""}
        yield persons_reply(form, occurred_at=message.date_sent or message.date_created)


def message_outcomes(
    settings: AccountSettings, environ: Mapping[str, str], timeout: timedelta, since: datetime
) -> Iterator[Notification]:
    """Yield what became of the messages sent since then, and up to two days before, newest first.

    The last status of each, also one that is not the end: it says that Twilio took the message.

    Args:
        settings: the account.
        environ: where its credentials stand.
        timeout: of one request.
        since: timezone-aware; the days are those of UTC.

    Raises:
        ProviderError: credentials are missing or refused, or Twilio cannot be reached.
        UnreadableFormError: a message has no name or status.
    """
    for message in _messages(settings, environ, timeout, since, _OUTBOUND):
        yield status_notification(_form(message), {}, None, occurred_at=message.date_updated)


def _messages(
    settings: AccountSettings,
    environ: Mapping[str, str],
    timeout: timedelta,
    since: datetime,
    direction: str,
) -> Iterator[Any]:
    credentials = read_credentials(
        settings, environ, key_variable=KEY_VARIABLE, secret_variable=SECRET_VARIABLE
    )
    # A day more: whether "after" a day begins with it, Twilio's pages leave open.
    first_day = (since - _A_DAY).date().isoformat()
    client, http = open_client(settings, credentials, timeout)
    try:
        for message in client.messages.stream(date_sent_after=first_day, page_size=PAGE_SIZE):
            if message.direction == direction:
                yield message
    except (TwilioException, TwilioServiceException) as error:
        raise _refused(settings, error) from None
    except (HTTPError, ValueError) as error:
        raise ProviderError(
            f"Provider account {settings.name}: Twilio cannot be reached ({type(error).__name__}).",
            remedy=UNREACHABLE.remedy,
        ) from None
    finally:
        http.close()


def _refused(settings: AccountSettings, error: Exception) -> ProviderError:
    """Say that Twilio refused; of its answer only the status, because the rest may quote people."""
    answer = error.args[1] if len(error.args) > 1 else None  # as the SDK raises for a list
    status = getattr(error, "status", None) or getattr(answer, "status_code", "unreadable")
    return ProviderError(
        f"Provider account {settings.name}: Twilio does not list its messages ({status}).",
        remedy=CODES[20003].remedy,
    )


def _form(message: Any) -> dict[str, str]:
    """Return the message as a webhook would have put it."""
    code = message.error_code
    told = {
        "MessageSid": message.sid,
        "AccountSid": message.account_sid,
        "MessagingServiceSid": message.messaging_service_sid,
        "From": message.from_,
        "To": message.to,
        "MessageStatus": message.status,
        "ErrorCode": None if code is None else str(code),
        "NumSegments": message.num_segments,
        "Price": message.price,
        "PriceUnit": message.price_unit,
    }
    return {name: value for name, value in told.items() if value}
