"""Which SNS topics are listened to: those that the accounts list, and no other.

A valid signature proves that Amazon SNS sent a message, not that the topic is one of ours: anybody
can subscribe a foreign topic to a public address.
"""

import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from sender.errors import SenderError
from sender.providers.account import AccountSettings


class ForeignTopicError(SenderError):
    """No account listens to the topic."""


@dataclass(frozen=True, slots=True)
class ListeningAccount:
    """An SES account, as its webhook sees it.

    Attributes:
        id: of the provider account.
        topic_arns: the topics that tell of it.
        secrets: any of them proves a raw message; empty where raw delivery is not taken.
    """

    id: int
    topic_arns: tuple[str, ...]
    secrets: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, account_id: int, settings: AccountSettings, environ: Mapping[str, str]) -> Self:
        """Read the account's secrets; a variable that is unset or empty proves nothing."""
        values = (environ.get(name, "").strip() for name in settings.webhook_secret_variables)
        return cls(account_id, settings.topic_arns, tuple(value for value in values if value))

    def knows(self, secret: str) -> bool:
        """Whether it is one of the account's secrets; every comparison takes the same time."""
        given = secret.encode()
        found = [hmac.compare_digest(given, os.fsencode(one)) for one in self.secrets]
        return any(found)


def accounts_of_topic(
    topic_arn: str, accounts: Sequence[ListeningAccount]
) -> tuple[ListeningAccount, ...]:
    """Return the accounts that list the topic, at least one.

    Raises:
        ForeignTopicError: none does.
    """
    found = tuple(account for account in accounts if topic_arn in account.topic_arns)
    if not found:
        raise ForeignTopicError(
            "A message came from an SNS topic that no account lists.",
            remedy="Add the topic to topic_arns of its SES account, if it is yours.",
        )
    return found
