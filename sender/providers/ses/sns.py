"""The envelope that Amazon SNS wraps a message in, and its signature.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html
https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
"""

import base64
import binascii
import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from sender.errors import SenderError
from sender.providers.ses.sns_certificates import SnsCertificates

MAX_FIELD_CHARACTERS: Final = 4_000
"""Of every field but the message itself; the longest, SubscribeURL, has some 500."""

MAX_NAME_CHARACTERS: Final = 200

_DIGESTS: Final[dict[str, type[hashes.SHA1 | hashes.SHA256]]] = {
    "1": hashes.SHA1,
    "2": hashes.SHA256,
}
"""SignatureVersion 1 is SNS's default still; it is the topic's owner who chooses."""


class MalformedEnvelopeError(SenderError):
    """The body is no message of Amazon SNS; it is answered 400 and not sent again."""


class UnsignedMessageError(SenderError):
    """The body may be a message, but nothing proves it; it is answered 403."""


class SignatureRefusedError(SenderError):
    """The signature is not of this text and this certificate; it is answered 403."""


class MessageType(StrEnum):
    """What SNS sends to an HTTPS endpoint. The header of the same name is not signed."""

    NOTIFICATION = "Notification"
    SUBSCRIPTION = "SubscriptionConfirmation"
    UNSUBSCRIBED = "UnsubscribeConfirmation"


_SIGNED: Final = {
    MessageType.NOTIFICATION: (
        "Message",
        "MessageId",
        "Subject",
        "Timestamp",
        "TopicArn",
        "Type",
    ),
    MessageType.SUBSCRIPTION: (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}
_SIGNED[MessageType.UNSUBSCRIBED] = _SIGNED[MessageType.SUBSCRIPTION]
_OPTIONAL: Final = frozenset({"Subject"})
_SIGNATURE_FIELDS: Final = ("Signature", "SignatureVersion", "SigningCertURL")


@dataclass(frozen=True, slots=True)
class Envelope:
    """One SNS message; nothing of it is believed before `require_signature`.

    Attributes:
        type: what it is.
        fields: the signed fields that are there, by SNS's names.
        signature: the bytes.
        signature_version: `1` or `2`.
        certificate_url: SigningCertURL, as it came.
    """

    type: MessageType
    fields: dict[str, str] = field(repr=False)
    signature: bytes = field(repr=False)
    signature_version: str
    certificate_url: str = field(repr=False)

    @property
    def message(self) -> str:
        """The text that was published."""
        return self.fields["Message"]

    @property
    def message_id(self) -> str:
        """The message's name; the same when SNS sends it again."""
        return self.fields["MessageId"]

    @property
    def topic_arn(self) -> str:
        """The topic that it was published to."""
        return self.fields["TopicArn"]

    @property
    def subscribe_url(self) -> str:
        """Where a subscription is confirmed; only in confirmations."""
        return self.fields["SubscribeURL"]

    def signed_text(self) -> bytes:
        """Return the bytes that SNS signs: a line each of name and value, for its type's fields."""
        names = (name for name in _SIGNED[self.type] if name in self.fields)
        return "".join(f"{name}\n{self.fields[name]}\n" for name in names).encode()


def parse_envelope(body: bytes) -> Envelope:
    """Read the body of a request of SNS.

    No field but the message may hold a line end: the signed text has a line each of name and value,
    and a value with lines of its own could pass for other fields.

    Raises:
        MalformedEnvelopeError: it is no JSON object, or a field is missing or malformed.
        UnsignedMessageError: it is a JSON object without type and signature, as raw delivery sends.
    """
    document = parse_object(body)
    if "Type" not in document and "Signature" not in document:
        raise UnsignedMessageError("The message carries no signature.")
    try:
        kind = MessageType(_text(document, "Type"))
    except ValueError:
        raise MalformedEnvelopeError("The SNS message is of an unknown type.") from None
    for name in _SIGNATURE_FIELDS:
        if document.get(name) is None:
            raise UnsignedMessageError("The message carries no signature.")
    given = [n for n in _SIGNED[kind] if n not in _OPTIONAL or document.get(n) is not None]
    fields = {name: _text(document, name) for name in given}
    if not 0 < len(fields["MessageId"]) <= MAX_NAME_CHARACTERS:
        raise MalformedEnvelopeError("The SNS message has no usable MessageId.")
    return Envelope(
        type=kind,
        fields=fields,
        signature=_signature(_text(document, "Signature")),
        signature_version=_text(document, "SignatureVersion"),
        certificate_url=_text(document, "SigningCertURL"),
    )


def parse_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object in UTF-8, whatever the content type says (SNS says text/plain).

    Raises:
        MalformedEnvelopeError: it is none.
    """
    try:
        document = json.loads(body.decode())
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise MalformedEnvelopeError("The body is no JSON object.")
    return document


def require_signature(envelope: Envelope, certificates: SnsCertificates, now: datetime) -> None:
    """Believe the envelope, or not.

    Raises:
        ForeignUrlError: the certificate's URL is not Amazon's.
        CertificateRefusedError: the certificate is not to be believed.
        SignatureRefusedError: the signature is of another text or key, or of a version that does
            not exist.
        UnreachableError: the certificate cannot be fetched now.
    """
    digest = _DIGESTS.get(envelope.signature_version)
    if digest is None:
        raise SignatureRefusedError("The SNS message has an unknown SignatureVersion.")
    key = certificates.key_for(envelope.certificate_url, now)
    try:
        key.verify(envelope.signature, envelope.signed_text(), PKCS1v15(), digest())
    except InvalidSignature:
        raise SignatureRefusedError("The signature of the SNS message is not valid.") from None


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not _is_proper(name, value):
        raise MalformedEnvelopeError(f"The SNS message has no proper {name}.")
    return value


def _is_proper(name: str, value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can write and UTF-8 cannot
        return False
    return name == "Message" or (
        len(value) <= MAX_FIELD_CHARACTERS and "\n" not in value and "\0" not in value
    )


def _signature(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedEnvelopeError("The SNS message has no proper Signature.") from None
