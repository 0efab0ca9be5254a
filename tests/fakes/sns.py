"""Amazon SNS as far as an HTTPS endpoint sees it: an authority, signed messages, its web addresses.

`SnsFake` takes the place of the network (`sender.providers.ses.fetch.Fetch`).
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import count
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    NameOID,
)

from sender.providers.ses.fetch import UnreachableError
from tests.fakes.outgoing import NOON

TOPIC = "arn:aws:sns:eu-west-2:123456789012:ses-events"
HOST = "sns.eu-west-2.amazonaws.com"
CERTIFICATE_URL = f"https://{HOST}/SimpleNotificationService-0123456789abcdef.pem"
ISSUER_URL = "http://crt.r2m01.amazontrust.com/r2m01.cer"
SUBSCRIBE_URL = f"https://{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=abc"
A_YEAR = timedelta(days=365)

_FIELDS = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}
_FIELDS["UnsubscribeConfirmation"] = _FIELDS["SubscriptionConfirmation"]
_DIGESTS = {"1": hashes.SHA1, "2": hashes.SHA256}
_numbers = count(1)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def key_pair(name: str) -> rsa.RSAPrivateKey:
    """One RSA key for each name in a test process: making one takes a while."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True)
class Authority:
    """Who issues certificates."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @classmethod
    def root(cls, name: str = "Test Root") -> Self:
        key = key_pair(name)
        own = _named(name)
        builder = _builder(own, own, key, NOON - A_YEAR, NOON + 10 * A_YEAR)
        return cls(_as_authority(builder, key, key).sign(key, hashes.SHA256()), key)

    def intermediate(self, name: str = "Test Intermediate") -> "Authority":
        key = key_pair(name)
        builder = _builder(
            _named(name), self.certificate.subject, key, NOON - A_YEAR, NOON + 5 * A_YEAR
        )
        signed = _as_authority(builder, key, self.key).sign(self.key, hashes.SHA256())
        return Authority(signed, key)

    def issue(
        self,
        *names: str,
        key: PrivateKey | None = None,
        valid_from: datetime = NOON - timedelta(days=30),
        valid_until: datetime = NOON + A_YEAR,
        issuer_url: str | None = ISSUER_URL,
    ) -> x509.Certificate:
        """Issue the certificate of a web server."""
        key = key or key_pair("signer")
        common_name = names[0] if names else "sns.amazonaws.com"
        builder = _builder(
            _named(common_name), self.certificate.subject, key, valid_from, valid_until
        )
        if names:
            alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(alternative, critical=False)
        if issuer_url:
            place = x509.AccessDescription(
                AuthorityInformationAccessOID.CA_ISSUERS,
                x509.UniformResourceIdentifier(issuer_url),
            )
            builder = builder.add_extension(
                x509.AuthorityInformationAccess([place]), critical=False
            )
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(usage, critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
            critical=False,
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        return builder.sign(self.key, hashes.SHA256())


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


class SnsFake:
    """What stands at Amazon's addresses, and messages signed with the key that goes with it.

    pages: what each address answers; an exception is raised.
    fetched: the addresses that were asked for.
    """

    def __init__(self) -> None:
        self.root = Authority.root()
        self.issuer = self.root.intermediate()
        self.roots = [self.root.certificate]
        self.fetched: list[str] = []
        self.pages: dict[str, bytes | Exception | Callable[[], bytes]] = {
            CERTIFICATE_URL: pem(self.issuer.issue("sns.amazonaws.com")),
            ISSUER_URL: der(self.issuer.certificate),
            SUBSCRIBE_URL: b"<ConfirmSubscriptionResponse/>",
        }

    def __call__(self, url: str) -> bytes:
        self.fetched.append(url)
        page = self.pages.get(url, UnreachableError("nothing stands there"))
        if isinstance(page, Exception):
            raise page
        return page() if callable(page) else page

    def message(self, kind: str = "Notification", **changed: Any) -> dict[str, Any]:
        """Return a signed message; `changed` overrides fields before it is signed."""
        fields: dict[str, Any] = {
            "Type": kind,
            "MessageId": f"22b80b92-fdea-4c2c-8f9d-{next(_numbers):012d}",
            "TopicArn": TOPIC,
            "Message": "Hello world!",
            "Timestamp": "2026-04-21T11:41:03.000Z",
            "SignatureVersion": "2",
            "SigningCertURL": CERTIFICATE_URL,
        }
        if kind != "Notification":
            fields |= {"Token": "abc", "SubscribeURL": SUBSCRIBE_URL}
        return sign(fields | changed)

    def body(self, kind: str = "Notification", **changed: Any) -> bytes:
        """Return a signed message as SNS posts it."""
        return json.dumps(self.message(kind, **changed), indent=2).encode()

    def event(self, event: Mapping[str, Any] | str, **changed: Any) -> bytes:
        """Return the notification of an SES event."""
        text = event if isinstance(event, str) else json.dumps(event)
        return self.body(Message=text, **changed)


def sign(fields: dict[str, Any], key: rsa.RSAPrivateKey | None = None) -> dict[str, Any]:
    """Return the fields with their signature."""
    names = [name for name in _FIELDS[fields["Type"]] if fields.get(name) is not None]
    text = "".join(f"{name}\n{fields[name]}\n" for name in names).encode()
    digest = _DIGESTS.get(fields["SignatureVersion"], hashes.SHA256)()
    signature = (key or key_pair("signer")).sign(text, PKCS1v15(), digest)
    return fields | {"Signature": base64.b64encode(signature).decode()}


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: PrivateKey,
    valid_from: datetime,
    valid_until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid_from)
        .not_valid_after(valid_until)
    )


def _as_authority(
    builder: x509.CertificateBuilder, key: rsa.RSAPrivateKey, signer: rsa.RSAPrivateKey
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
    )
