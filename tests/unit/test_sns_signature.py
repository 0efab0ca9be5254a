import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.providers.ses.fetch import UnreachableError
from sender.providers.ses.sns import (
    Envelope,
    MalformedEnvelopeError,
    MessageType,
    SignatureRefusedError,
    UnsignedMessageError,
    parse_envelope,
    require_signature,
)
from sender.providers.ses.sns_certificates import (
    CertificateRefusedError,
    SnsCertificates,
)
from sender.providers.ses.sns_hosts import (
    ForeignUrlError,
)
from tests.fakes.outgoing import NOON
from tests.fakes.sns import (
    CERTIFICATE_URL,
    SUBSCRIBE_URL,
    TOPIC,
    SnsFake,
    key_pair,
    sign,
)

DATA = Path(__file__).parent / "data" / "ses"
GENUINE = {
    "envelope-with-subject-v1": (MessageType.NOTIFICATION, 2026),
    "envelope-without-subject-v1": (MessageType.NOTIFICATION, 2026),
    "envelope-without-subject-v2": (MessageType.NOTIFICATION, 2026),
    "envelope-subscription-v1": (MessageType.SUBSCRIPTION, 2026),
    "envelope-unsubscribed-v2": (MessageType.UNSUBSCRIBED, 2026),
    "envelope-2022-v1": (MessageType.NOTIFICATION, 2022),
    "envelope-2022-v2": (MessageType.NOTIFICATION, 2022),
}
CHAINS = {
    2026: ("sns-signing-2025.pem", "amazon-rsa-2048-m01.pem", datetime(2026, 3, 6, tzinfo=UTC)),
    2022: ("sns-signing-2021.pem", "amazon-server-ca-1b.pem", datetime(2022, 7, 28, tzinfo=UTC)),
}
ISSUERS = {
    "http://crt.r2m01.amazontrust.com/r2m01.cer": "amazon-rsa-2048-m01.pem",
    "http://crt.sca1b.amazontrust.com/sca1b.crt": "amazon-server-ca-1b.pem",
}
REFUSALS = (
    MalformedEnvelopeError,
    UnsignedMessageError,
    SignatureRefusedError,
    CertificateRefusedError,
    ForeignUrlError,
    UnreachableError,
)
CONFIRMATIONS = ("SubscriptionConfirmation", "UnsubscribeConfirmation")


@pytest.fixture
def sns() -> SnsFake:
    return SnsFake()


def certificates_of(sns: SnsFake) -> SnsCertificates:
    return SnsCertificates(sns, sns.roots)


def verify(sns: SnsFake, body: bytes | dict[str, Any], at: datetime = NOON) -> Envelope:
    envelope = parse_envelope(body if isinstance(body, bytes) else json.dumps(body).encode())
    require_signature(envelope, certificates_of(sns), at)
    return envelope


# Genuine messages of Amazon, with the web's usual roots


@pytest.mark.parametrize("name", GENUINE)
def test_what_amazon_signed_is_believed(name: str) -> None:
    kind, year = GENUINE[name]
    leaf, _, at = CHAINS[year]
    fetched = []

    def fetch(url: str) -> bytes:
        fetched.append(url)
        return (DATA / ISSUERS.get(url, leaf)).read_bytes()

    envelope = parse_envelope((DATA / f"{name}.json").read_bytes())
    require_signature(envelope, SnsCertificates(fetch), at)

    assert envelope.type is kind
    assert fetched[0] == envelope.certificate_url
    assert fetched[1:] == [url for url, file in ISSUERS.items() if file == CHAINS[year][1]]


@pytest.mark.parametrize("name", GENUINE)
@pytest.mark.parametrize("field", ["Message", "MessageId", "Timestamp", "TopicArn"])
def test_what_amazon_signed_cannot_be_changed(name: str, field: str) -> None:
    leaf, issuer, at = CHAINS[GENUINE[name][1]]
    document = json.loads((DATA / f"{name}.json").read_bytes())
    document[field] += "."
    chain = (DATA / leaf).read_bytes() + (DATA / issuer).read_bytes()

    with pytest.raises(SignatureRefusedError):
        require_signature(
            parse_envelope(json.dumps(document).encode()),
            SnsCertificates(lambda _: chain),
            at,
        )


def test_amazons_certificate_of_2022_is_not_believed_today() -> None:
    body = (DATA / "envelope-2022-v2.json").read_bytes()
    chain = (DATA / "sns-signing-2021.pem").read_bytes()

    with pytest.raises(CertificateRefusedError):
        require_signature(parse_envelope(body), SnsCertificates(lambda _: chain), NOON)


# Signatures


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("kind", ["Notification", *CONFIRMATIONS])
def test_both_versions_of_each_type_are_believed(sns: SnsFake, kind: str, version: str) -> None:
    envelope = verify(sns, sns.body(kind, SignatureVersion=version))

    assert envelope.type == kind
    assert envelope.topic_arn == TOPIC


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_subject_is_signed_where_there_is_one(sns: SnsFake, version: str) -> None:
    message = sns.message(Subject="News", SignatureVersion=version)

    verify(sns, message)
    for changed in ({**message, "Subject": "Olds"}, {**message, "Subject": None}):
        with pytest.raises(SignatureRefusedError):
            verify(sns, changed)


def test_a_subject_of_null_is_none(sns: SnsFake) -> None:
    verify(sns, sns.message() | {"Subject": None})


def test_a_message_in_any_language_is_believed(sns: SnsFake) -> None:
    text = "Zażółć 🗳️\nsecond line\r\n\x00"

    assert verify(sns, sns.body(Message=text)).message == text


@pytest.mark.parametrize("kind", ["Notification", *CONFIRMATIONS])
def test_every_signed_field_counts(sns: SnsFake, kind: str) -> None:
    message = sns.message(kind)
    signed = ["Message", "MessageId", "Timestamp", "TopicArn"]
    signed += ["SubscribeURL", "Token"] if kind in CONFIRMATIONS else []

    for field in signed:
        with pytest.raises(SignatureRefusedError):
            verify(sns, message | {field: message[field] + "x"})


def test_a_notification_cannot_pass_for_a_confirmation(sns: SnsFake) -> None:
    message = sns.message(Token="abc", SubscribeURL=SUBSCRIBE_URL)

    with pytest.raises(SignatureRefusedError):
        verify(sns, message | {"Type": "SubscriptionConfirmation"})


def test_a_signature_of_another_version_is_refused(sns: SnsFake) -> None:
    message = sns.message(SignatureVersion="2")

    with pytest.raises(SignatureRefusedError):
        verify(sns, message | {"SignatureVersion": "1"})


@pytest.mark.parametrize("version", ["0", "3", "", "\u0661", "2.0"])
def test_a_version_that_does_not_exist_is_refused_before_anything_is_fetched(
    sns: SnsFake, version: str
) -> None:
    with pytest.raises(SignatureRefusedError):
        verify(sns, sns.body(SignatureVersion=version))
    assert sns.fetched == []


def test_a_signature_of_another_key_is_refused(sns: SnsFake) -> None:
    with pytest.raises(SignatureRefusedError):
        verify(sns, sign(sns.message(), key_pair("somebody")))


@pytest.mark.parametrize("field", ["MessageId", "TopicArn", "Timestamp", "Token", "SubscribeURL"])
def test_no_field_but_the_message_may_have_lines(sns: SnsFake, field: str) -> None:
    kind = "SubscriptionConfirmation"
    value = f"{sns.message(kind)[field]}\nTopicArn\n{TOPIC}"

    with pytest.raises(MalformedEnvelopeError):
        verify(sns, sns.body(kind, **{field: value}))


# Bodies


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"7", b'"x"', b"{", b"\xff\xfe", b"[" * 100_000, b"a=b", b'{"a":NaN'],
)
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedEnvelopeError):
        parse_envelope(body)


def test_a_bare_event_is_unsigned() -> None:
    with pytest.raises(UnsignedMessageError):
        parse_envelope((DATA / "event-complaint-abuse.json").read_bytes())


@pytest.mark.parametrize("field", ["Signature", "SignatureVersion", "SigningCertURL"])
def test_an_envelope_without_its_signature_is_unsigned(sns: SnsFake, field: str) -> None:
    for missing in ({field: None}, {}):
        message = {k: v for k, v in sns.message().items() if k != field} | missing
        with pytest.raises(UnsignedMessageError):
            verify(sns, message)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Type", "Foreseen"),
        ("Type", 7),
        ("Message", None),
        ("Message", {"eventType": "Bounce"}),
        ("Message", "\ud800"),
        ("MessageId", ""),
        ("MessageId", "x" * 201),
        ("MessageId", 7),
        ("TopicArn", [TOPIC]),
        ("Timestamp", None),
        ("Signature", "not base64!"),
        ("Signature", 7),
        ("Signature", "é"),
        ("SigningCertURL", ["https://sns.eu-west-2.amazonaws.com"]),
        ("Subject", 7),
    ],
)
def test_a_malformed_field_makes_it_malformed(sns: SnsFake, field: str, value: object) -> None:
    with pytest.raises(MalformedEnvelopeError):
        verify(sns, sns.message() | {field: value})


# Anything


names = st.sampled_from(
    [
        *("Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion"),
        *("Signature", "SigningCertURL", "Token", "SubscribeURL"),
    ]
)
values = (
    st.none()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(
        [
            *("Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation", "1", "2"),
            *(CERTIFICATE_URL, TOPIC, "abcd", SUBSCRIBE_URL),
        ]
    )
)


@given(st.dictionaries(names, values), st.sampled_from(["Notification", *CONFIRMATIONS]))
def test_whatever_comes_is_refused_and_never_an_error(changed: dict[str, Any], kind: str) -> None:
    sns = SnsFake()
    message = sns.message(kind)
    body = json.dumps(message | changed).encode()

    try:
        verify(sns, body)
    except REFUSALS:
        return
    unsigned = {"Subject"} if kind != "Notification" else {"Token", "SubscribeURL"}
    unchanged = {name: value for name, value in changed.items() if name not in unsigned}
    assert all(message.get(name) == value for name, value in unchanged.items())


@given(st.binary(max_size=200))
def test_whatever_bytes_come_are_refused(body: bytes) -> None:
    with pytest.raises((MalformedEnvelopeError, UnsignedMessageError)):
        parse_envelope(body)
