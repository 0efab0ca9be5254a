"""Messages of a subscription with raw delivery on: bare events, without envelope and signature.

https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html

Nothing in them proves where they come from. They are believed only with a secret in the endpoint's
own address, which SNS sends as HTTP basic authentication (RFC 7617) after a 401 has asked for it:
https://docs.aws.amazon.com/sns/latest/dg/sns-http-https-endpoint-as-subscriber.html
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sender.errors import SenderError
from sender.providers.ses.sns import MalformedEnvelopeError, UnsignedMessageError
from sender.providers.ses.topics import ListeningAccount, accounts_of_topic

RAW_HEADER: Final = "x-amz-sns-rawdelivery"
TOPIC_HEADER: Final = "x-amz-sns-topic-arn"
ID_HEADER: Final = "x-amz-sns-message-id"
AUTHORIZATION: Final = "authorization"

_ID: Final = re.compile(r"[A-Za-z0-9-]{1,200}")


class SecretMissingError(SenderError):
    """The endpoint has a secret and the request brought none: it is answered 401."""


class SecretRefusedError(SenderError):
    """The secret is not of an account that listens to this topic: it is answered 403."""


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A raw message whose secret was right.

    Attributes:
        message_id: the same when SNS sends it again.
        text: the event as SES published it.
        accounts: those that listen to the topic and know the secret, at least one.
    """

    message_id: str
    text: str = field(repr=False)
    accounts: tuple[ListeningAccount, ...]


def is_raw(headers: Mapping[str, str]) -> bool:
    """Whether the request says that it is raw; a lie only means that a secret is asked for."""
    return headers.get(RAW_HEADER, "").strip().lower() == "true"


def read_raw(
    body: bytes, headers: Mapping[str, str], accounts: Sequence[ListeningAccount]
) -> RawMessage:
    """Believe a raw message, or not.

    Args:
        body: of the request.
        headers: of the request, found by names in lower case.
        accounts: all that listen.

    Raises:
        UnsignedMessageError: no account takes raw messages.
        SecretMissingError: the request has no secret.
        SecretRefusedError: it has a wrong one.
        ForeignTopicError: nobody listens to the topic.
        MalformedEnvelopeError: it has no message id, or its body is no text.
    """
    if not any(account.secrets for account in accounts):
        raise UnsignedMessageError("A raw message carries no signature.")
    secret = _password(headers.get(AUTHORIZATION, ""))
    knowing = tuple(account for account in accounts if account.knows(secret))
    if not knowing:
        raise SecretRefusedError("A raw message has a wrong secret.")
    message_id = headers.get(ID_HEADER, "")
    if not _ID.fullmatch(message_id):
        raise MalformedEnvelopeError("A raw message has no usable message id.")
    return RawMessage(
        message_id, _text(body), accounts_of_topic(headers.get(TOPIC_HEADER, ""), knowing)
    )


def _password(authorization: str) -> str:
    """Return the password; whatever stands for the user's name is not looked at."""
    if not authorization:
        raise SecretMissingError("A raw message needs the endpoint's secret.")
    scheme, _, credentials = authorization.partition(" ")
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        decoded = ""
    _, colon, password = decoded.partition(":")
    if scheme.lower() != "basic" or not colon or not password:
        raise SecretRefusedError("A raw message has a malformed secret.")
    return password


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise MalformedEnvelopeError("A raw message is no text.") from None
