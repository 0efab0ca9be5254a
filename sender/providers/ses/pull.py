"""Ask Amazon SES what its webhook may have missed: the account's own suppression list.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_ListSuppressedDestinations.html. SES puts
an address there after a hard bounce or a complaint, and lists it with the time of the last one. It
knows no delivery and no sender: whoever sends through the account is concerned.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from sender.contacts.normalise import AddressRefusedError, normalise
from sender.errors import ProviderError
from sender.providers.account import AccountSettings, read_credentials
from sender.providers.events import Notification, ProviderEvent
from sender.providers.outcome import UNREACHABLE
from sender.providers.ses.client import open_client
from sender.providers.ses.outcomes import CREDENTIALS
from sender.providers.ses.scrub import code_of
from sender.providers.ses.send import KEY_VARIABLE, SECRET_VARIABLE, TOKEN_VARIABLE
from sender.store.keys import AddressHasher
from sender.vocabulary import BlockCause, Channel, EventKind, ProviderName

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

RAW_TYPE: Final = "SuppressedDestination"
PAGE_SIZE: Final = 1_000
"""The most that one page holds (ListSuppressedDestinations, PageSize)."""

_ATTEMPTS: Final = 4
_COMPLAINT: Final = "COMPLAINT"


def suppressed_destinations(
    settings: AccountSettings,
    environ: Mapping[str, str],
    timeout: timedelta,
    since: datetime,
    hasher: AddressHasher,
) -> Iterator[Notification]:
    """Yield what was put on the account's suppression list, or renewed there, since then.

    Each has a name that stays the same when it is asked again, and does not tell the address to
    anybody without the database's key.

    Args:
        settings: the account.
        environ: where its credentials stand.
        timeout: of one request.
        since: timezone-aware.
        hasher: with the database's key, for the names.

    Raises:
        ProviderError: credentials are missing or refused, or SES cannot be reached.
    """
    credentials = read_credentials(
        settings,
        environ,
        key_variable=KEY_VARIABLE,
        secret_variable=SECRET_VARIABLE,
        token_variable=TOKEN_VARIABLE,
    )
    client, session = open_client(settings, credentials, environ, timeout, attempts=_ATTEMPTS)
    try:
        for row in _rows(client, since):
            yield _notification(row, hasher)
    except ClientError as error:
        raise _refused(settings, error) from None
    except BotoCoreError as error:
        raise ProviderError(
            f"Provider account {settings.name}: SES cannot be reached ({type(error).__name__}).",
            remedy=UNREACHABLE.remedy,
        ) from None
    finally:
        session.close()
        client.close()


def _rows(client: "SESV2Client", since: datetime) -> Iterator[Mapping[str, Any]]:
    page = client.list_suppressed_destinations(StartDate=since, PageSize=PAGE_SIZE)
    yield from page.get("SuppressedDestinationSummaries", ())
    while token := page.get("NextToken"):
        page = client.list_suppressed_destinations(
            StartDate=since, PageSize=PAGE_SIZE, NextToken=token
        )
        yield from page.get("SuppressedDestinationSummaries", ())


def _notification(row: Mapping[str, Any], hasher: AddressHasher) -> Notification:
    reason = code_of(row.get("Reason")) or "unspecified"
    at = _utc(row.get("LastUpdateTime"))
    address = _address(row.get("EmailAddress"))
    complained = reason == _COMPLAINT
    event = ProviderEvent(
        kind=EventKind.COMPLAINED if complained else EventKind.BOUNCED,
        raw_type=RAW_TYPE,
        occurred_at=at,
        channel=Channel.EMAIL,
        address=address,
        code=f"suppression-list/{reason}",
        block=BlockCause.COMPLAINT if complained else BlockCause.BOUNCE,
    )
    stamp = at.isoformat() if at else ""
    whom = hasher.hash(Channel.EMAIL, address or str(row.get("EmailAddress")))
    return Notification(
        provider=ProviderName.SES,
        name=f"suppressed:{sha256(whom + stamp.encode()).hexdigest()}",
        raw_type=RAW_TYPE,
        events=(event,),
        payload={"reason": reason, "lastUpdateTime": stamp},
    )


def _address(written: object) -> str | None:
    try:
        return normalise(Channel.EMAIL, str(written))
    except AddressRefusedError:
        return None


def _utc(value: object) -> datetime | None:
    return value.astimezone(UTC) if isinstance(value, datetime) else None


def _refused(settings: AccountSettings, error: ClientError) -> ProviderError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    return ProviderError(
        f"Provider account {settings.name}: SES refuses ListSuppressedDestinations ({code}).",
        remedy=f"{CREDENTIALS.remedy} The access key comes from "
        f"{settings.key_variable or KEY_VARIABLE}; it needs ses:ListSuppressedDestinations.",
    )
