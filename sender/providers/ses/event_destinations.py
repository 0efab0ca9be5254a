"""Ask Amazon SES where a configuration set sends its events, and which.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_GetConfigurationSetEventDestinations.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from sender.errors import ProviderError
from sender.providers.account import AccountSettings, read_credentials
from sender.providers.outcome import UNREACHABLE
from sender.providers.ses.client import open_client
from sender.providers.ses.send import KEY_VARIABLE, SECRET_VARIABLE, TOKEN_VARIABLE

NEEDED: Final = frozenset({"BOUNCE", "COMPLAINT", "RENDERING_FAILURE"})
"""Without these, people who complained and addresses that are gone are written to again, and a
message that SES could not render counts as sent."""
REWRITES_LINKS: Final = "CLICK"
"""SES puts its own address in the place of each link to see who follows it, the opt-out's too."""


@dataclass(frozen=True, slots=True)
class EventDestination:
    """Where some kinds of events go.

    Attributes:
        enabled: whether anything goes there.
        topic_arn: the SNS topic; empty for another kind of destination.
        kinds: the kinds of events, in SES's words.
    """

    enabled: bool
    topic_arn: str
    kinds: frozenset[str]


def event_destinations(
    settings: AccountSettings, environ: Mapping[str, str], timeout: timedelta
) -> list[EventDestination]:
    """Return the destinations of the account's configuration set; none without a set.

    Raises:
        ProviderError: credentials are missing or refused, the set does not exist, or SES cannot be
            reached.
    """
    name = settings.options.get("configuration_set")
    if not name:
        return []
    credentials = read_credentials(
        settings,
        environ,
        key_variable=KEY_VARIABLE,
        secret_variable=SECRET_VARIABLE,
        token_variable=TOKEN_VARIABLE,
    )
    client, session = open_client(settings, credentials, environ, timeout)
    try:
        answer = client.get_configuration_set_event_destinations(ConfigurationSetName=name)
    except ClientError as error:
        raise ProviderError(
            f"Provider account {settings.name}: SES does not tell about the configuration set "
            f"{name} ({error.response.get('Error', {}).get('Code', 'refused')}).",
            remedy="Check its name, and that ses:GetConfigurationSetEventDestinations is allowed.",
        ) from None
    except BotoCoreError as error:
        raise ProviderError(
            f"Provider account {settings.name}: SES cannot be reached ({type(error).__name__}).",
            remedy=UNREACHABLE.remedy,
        ) from None
    finally:
        session.close()
        client.close()
    return [
        EventDestination(
            enabled=row.get("Enabled", False),
            topic_arn=row.get("SnsDestination", {}).get("TopicArn", ""),
            kinds=frozenset(row["MatchingEventTypes"]),
        )
        for row in answer.get("EventDestinations", ())
    ]
