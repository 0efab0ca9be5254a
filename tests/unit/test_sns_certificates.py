from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Event, Thread

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from sender.providers.ses.fetch import UnreachableError
from sender.providers.ses.sns import (
    parse_envelope,
    require_signature,
)
from sender.providers.ses.sns_certificates import (
    MAX_CACHED,
    MAX_WAITING,
    CertificateRefusedError,
    SnsCertificates,
)
from sender.providers.ses.sns_hosts import (
    ForeignUrlError,
    is_issuer_url,
    require_certificate_url,
    require_sns_url,
    signer_names,
)
from tests.fakes.outgoing import NOON
from tests.fakes.sns import (
    A_YEAR,
    CERTIFICATE_URL,
    HOST,
    ISSUER_URL,
    SUBSCRIBE_URL,
    Authority,
    SnsFake,
    der,
    key_pair,
    pem,
)


@pytest.fixture
def sns() -> SnsFake:
    return SnsFake()


def certificates_of(sns: SnsFake) -> SnsCertificates:
    return SnsCertificates(sns, sns.roots)


def verify(sns: SnsFake, body: bytes, at: datetime = NOON) -> None:
    require_signature(parse_envelope(body), certificates_of(sns), at)


# Addresses of certificates and confirmations


@pytest.mark.parametrize(
    "url",
    [
        CERTIFICATE_URL,
        "https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService-a_b-c.pem",
        "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-1.pem",
    ],
)
def test_amazons_certificates_may_be_fetched(url: str) -> None:
    assert require_certificate_url(url) == url.split("/")[2]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "http://sns.eu-west-2.amazonaws.com/SimpleNotificationService-1.pem",
        "HTTPS://sns.eu-west-2.amazonaws.com/SimpleNotificationService-1.pem",
        "file:///SimpleNotificationService-1.pem",
        "https://sns.eu-west-2.amazonaws.com.evil.example/SimpleNotificationService-1.pem",
        "https://sns.eu-west-2.amazonaws.com.cn.evil.example/SimpleNotificationService-1.pem",
        "https://sns.eu-west-2.amazonaws.comevil.example/SimpleNotificationService-1.pem",
        "https://evil.example/sns.eu-west-2.amazonaws.com/SimpleNotificationService-1.pem",
        "https://evilsns.eu-west-2.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.eu.west-2.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.x.amazonaws.com/SimpleNotificationService-1.pem",
        "https://s3.eu-west-2.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns-eu-west-2.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.eu-west-2.amazonaws.com@evil.example/SimpleNotificationService-1.pem",
        "https://user@sns.eu-west-2.amazonaws.com/SimpleNotificationService-1.pem",
        "https://user:pw@sns.eu-west-2.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.eu-west-2.amazonaws.com:443/SimpleNotificationService-1.pem",
        "https://sns.eu-west-2.amazonaws.com:8443/SimpleNotificationService-1.pem",
        "https://sns.eu-west-2.amazonaws.com/SimpleNotificationService-1.pem#x",
        "https://sns.eu-west-2.amazonaws.com#/SimpleNotificationService-1.pem",
        "https://sns.eu-west-2.amazonaws.com/SimpleNotificationService-1.pem?x=1",
        "https://sns.eu-west-2.amazonaws.com/SimpleNotificationService-1.pem?",
        "https://sns.eu-west-2.amazonaws.com/SimpleNotificationService-1.key",
        "https://sns.eu-west-2.amazonaws.com/x/SimpleNotificationService-1.pem",
        "https://sns.eu-west-2.amazonaws.com/../SimpleNotificationService-1.pem",
        "https://sns.eu-west-2.amazonaws.com/SimpleNotificationService-.pem",
        "https://sns.eu-west-2.amazonaws.com/SimpleNotificationService-1.pem\n",
        "https://sns.eu-west-2.amazonaws.com\\.evil.example/SimpleNotificationService-1.pem",
        "https://[sns.eu-west-2.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.eu-west-2.amazonaws.com\t/SimpleNotificationService-1.pem",
        "https://sn\u0455.eu-west-2.amazonaws.com/SimpleNotificationService-1.pem",
        "//sns.eu-west-2.amazonaws.com/SimpleNotificationService-1.pem",
    ],
)
def test_no_other_certificate_is_fetched(sns: SnsFake, url: str) -> None:
    sns.pages[url] = sns.pages[CERTIFICATE_URL]
    with pytest.raises(ForeignUrlError) as refused:
        certificates_of(sns).key_for(url, NOON)
    assert sns.fetched == []
    assert not url or url not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://sns.eu-west-2.amazonaws.com.evil.example/?Action=ConfirmSubscription",
        "http://sns.eu-west-2.amazonaws.com/?Action=ConfirmSubscription",
        "https://169.254.169.254/?Action=ConfirmSubscription",
        "https://u@sns.eu-west-2.amazonaws.com/?Action=ConfirmSubscription",
    ],
)
def test_a_confirmation_leads_to_amazon_only(url: str) -> None:
    require_sns_url(SUBSCRIBE_URL)
    with pytest.raises(ForeignUrlError):
        require_sns_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://crt.r2m01.amazontrust.com.evil.example/r2m01.cer",
        "http://evil.example/r2m01.cer",
        "http://127.0.0.1/r2m01.cer",
        "http://crt.r2m01.amazontrust.com:8080/r2m01.cer",
        "http://u@crt.r2m01.amazontrust.com/r2m01.cer",
        "http://crt.r2m01.amazontrust.com/r2m01.cer?x",
        "http://crt.r2m01.amazontrust.com/r2m01.cer#x",
        "ftp://crt.r2m01.amazontrust.com/r2m01.cer",
        "http://[crt.r2m01.amazontrust.com/r2m01.cer",
        "http://crt.r2m01.amazontrust.com/r2m01.cer\n",
        "http://crt.a.b.amazontrust.com/r2m01.cer",
    ],
)
def test_an_issuer_is_fetched_from_amazon_only(sns: SnsFake, url: str) -> None:
    sns.pages[url] = sns.pages[ISSUER_URL]
    sns.pages[CERTIFICATE_URL] = pem(sns.issuer.issue("sns.amazonaws.com", issuer_url=url))

    assert is_issuer_url(ISSUER_URL)
    assert not is_issuer_url(url)
    with pytest.raises(CertificateRefusedError):
        verify(sns, sns.body())
    assert sns.fetched == [CERTIFICATE_URL]


# Certificates


def test_a_chain_that_is_served_whole_is_not_fetched_again(sns: SnsFake) -> None:
    leaf = sns.issuer.issue("sns.amazonaws.com")
    sns.pages[CERTIFICATE_URL] = pem(leaf, sns.issuer.certificate)

    verify(sns, sns.body())

    assert sns.fetched == [CERTIFICATE_URL]


def test_missing_issuers_are_fetched_one_after_the_other(sns: SnsFake) -> None:
    upper = sns.root.intermediate("Upper")
    lower = upper.intermediate("Lower")
    above = "http://crt.upper.amazontrust.com/upper.cer"
    sns.pages[CERTIFICATE_URL] = pem(lower.issue("sns.amazonaws.com"))
    sns.pages[ISSUER_URL] = pem(lower.certificate, upper.certificate)
    sns.pages[above] = der(upper.certificate)

    verify(sns, sns.body())

    assert sns.fetched == [CERTIFICATE_URL, ISSUER_URL]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("sns.eu-west-2.amazonaws.com", "sns.amazonaws.com"),
        ("sns.eu-west-2.amazonaws.com", "sns.eu-west-2.amazonaws.com"),
        ("sns.af-south-1.amazonaws.com", "sns-signing.af-south-1.amazonaws.com"),
        ("sns.us-gov-east-1.amazonaws.com", "sns-us-gov-west-1.amazonaws.com"),
        ("sns.cn-north-1.amazonaws.com.cn", "sns-cn-north-1.amazonaws.com.cn"),
    ],
)
def test_each_regions_certificate_has_its_own_name(sns: SnsFake, host: str, name: str) -> None:
    url = f"https://{host}/SimpleNotificationService-1.pem"
    sns.pages[url] = pem(sns.issuer.issue(name))

    assert name in signer_names(host)
    verify(sns, sns.body(SigningCertURL=url))


def certificate_without_names(sns: SnsFake) -> bytes:
    return pem(sns.issuer.issue())


def other_region(sns: SnsFake) -> bytes:
    return pem(sns.issuer.issue("sns-signing.af-south-1.amazonaws.com"))


def other_service(sns: SnsFake) -> bytes:
    return pem(sns.issuer.issue("s3.amazonaws.com", "evil.example", "*.amazonaws.com"))


def expired(sns: SnsFake) -> bytes:
    until = NOON - timedelta(seconds=1)
    return pem(sns.issuer.issue("sns.amazonaws.com", valid_until=until))


def not_valid_yet(sns: SnsFake) -> bytes:
    since = NOON + timedelta(seconds=1)
    return pem(sns.issuer.issue("sns.amazonaws.com", valid_from=since))


def foreign_root(_: SnsFake) -> bytes:
    foreign = Authority.root("Foreign Root")
    between = foreign.intermediate("Foreign Intermediate")
    return pem(between.issue("sns.amazonaws.com"), between.certificate, foreign.certificate)


def self_signed(_: SnsFake) -> bytes:
    own = Authority.root("signer")  # the key that signs the messages
    return pem(own.issue("sns.amazonaws.com", issuer_url=None))


def issued_by_a_web_server(sns: SnsFake) -> bytes:
    server = Authority(sns.issuer.issue("evil.example", key=key_pair("evil")), key_pair("evil"))
    leaf = server.issue("sns.amazonaws.com")
    return pem(leaf, server.certificate, sns.issuer.certificate)


def elliptic(sns: SnsFake) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return pem(sns.issuer.issue("sns.amazonaws.com", key=key))


def no_certificate(_: SnsFake) -> bytes:
    return b"<html>AccessDenied</html>"


def half_a_certificate(sns: SnsFake) -> bytes:
    return pem(sns.issuer.issue("sns.amazonaws.com"))[:300]


@pytest.mark.parametrize(
    "make",
    [
        certificate_without_names,
        other_region,
        other_service,
        expired,
        not_valid_yet,
        foreign_root,
        self_signed,
        issued_by_a_web_server,
        elliptic,
        no_certificate,
        half_a_certificate,
    ],
)
def test_a_certificate_that_does_not_hold_is_refused(
    sns: SnsFake, make: Callable[[SnsFake], bytes]
) -> None:
    sns.pages[CERTIFICATE_URL] = make(sns)

    with pytest.raises(CertificateRefusedError):
        verify(sns, sns.body())


@pytest.mark.parametrize("make", [expired, not_valid_yet, other_service])
def test_nobody_is_asked_for_the_chain_of_a_certificate_that_cannot_hold(
    sns: SnsFake, make: Callable[[SnsFake], bytes]
) -> None:
    sns.pages[CERTIFICATE_URL] = make(sns)

    with pytest.raises(CertificateRefusedError):
        verify(sns, sns.body())
    assert sns.fetched == [CERTIFICATE_URL]


def test_an_expired_issuer_is_refused(sns: SnsFake) -> None:
    late = NOON + 6 * A_YEAR
    leaf = sns.issuer.issue("sns.amazonaws.com", valid_until=NOON + 8 * A_YEAR)
    sns.pages[CERTIFICATE_URL] = pem(leaf, sns.issuer.certificate)

    verify(sns, sns.body(), at=NOON)
    with pytest.raises(CertificateRefusedError):
        verify(sns, sns.body(), at=late)


@pytest.mark.parametrize("url", [CERTIFICATE_URL, ISSUER_URL])
def test_what_cannot_be_fetched_is_no_refusal(sns: SnsFake, url: str) -> None:
    page = sns.pages.pop(url)

    with pytest.raises(UnreachableError):
        verify(sns, sns.body())

    sns.pages[url] = page
    verify(sns, sns.body())


# The cache


def test_a_certificate_is_fetched_once(sns: SnsFake) -> None:
    certificates = certificates_of(sns)

    for _ in range(3):
        require_signature(parse_envelope(sns.body()), certificates, NOON)

    assert sns.fetched == [CERTIFICATE_URL, ISSUER_URL]


def test_a_certificate_that_expired_in_the_cache_is_fetched_anew(sns: SnsFake) -> None:
    certificates = certificates_of(sns)
    certificates.key_for(CERTIFICATE_URL, NOON)
    later = NOON + 2 * A_YEAR

    with pytest.raises(CertificateRefusedError):
        certificates.key_for(CERTIFICATE_URL, later)

    sns.pages[CERTIFICATE_URL] = pem(
        sns.issuer.issue("sns.amazonaws.com", valid_until=later + A_YEAR)
    )
    certificates.key_for(CERTIFICATE_URL, later)


def test_a_certificate_that_was_refused_is_not_remembered(sns: SnsFake) -> None:
    certificates = certificates_of(sns)
    good, sns.pages[CERTIFICATE_URL] = sns.pages[CERTIFICATE_URL], no_certificate(sns)

    with pytest.raises(CertificateRefusedError):
        certificates.key_for(CERTIFICATE_URL, NOON)
    sns.pages[CERTIFICATE_URL] = good

    certificates.key_for(CERTIFICATE_URL, NOON)


def test_the_cache_is_bounded_and_forgets_the_oldest(sns: SnsFake) -> None:
    certificates = certificates_of(sns)
    page = pem(sns.issuer.issue("sns.amazonaws.com"), sns.issuer.certificate)
    urls = [
        f"https://{HOST}/SimpleNotificationService-{number}.pem" for number in range(MAX_CACHED + 1)
    ]
    for url in urls:
        sns.pages[url] = page
        certificates.key_for(url, NOON)
    sns.fetched.clear()

    for url in reversed(urls):
        certificates.key_for(url, NOON)

    assert sns.fetched == [urls[0]]


def test_those_who_wait_for_a_certificate_find_it_and_further_ones_are_sent_away(
    sns: SnsFake,
) -> None:
    certificates = certificates_of(sns)
    page = pem(sns.issuer.issue("sns.amazonaws.com"), sns.issuer.certificate)
    reached, answer = Event(), Event()
    keys = []

    def slow() -> bytes:
        reached.set()
        assert answer.wait(timeout=30)
        return page

    def ask() -> None:
        keys.append(certificates.key_for(CERTIFICATE_URL, NOON))

    sns.pages[CERTIFICATE_URL] = slow
    threads = [Thread(target=ask) for _ in range(MAX_WAITING)]
    threads[0].start()
    assert reached.wait(timeout=30)
    for thread in threads[1:]:
        thread.start()
    while certificates._waiting.acquire(blocking=False):  # until all of them wait
        certificates._waiting.release()

    with pytest.raises(UnreachableError):
        certificates.key_for(CERTIFICATE_URL, NOON)

    answer.set()
    for thread in threads:
        thread.join(timeout=30)
    assert len(keys) == MAX_WAITING
    assert sns.fetched == [CERTIFICATE_URL]


def test_a_fetch_that_fails_lets_the_next_one_try(sns: SnsFake) -> None:
    certificates = certificates_of(sns)
    page = sns.pages.pop(CERTIFICATE_URL)
    for _ in range(MAX_WAITING + 1):
        with pytest.raises(UnreachableError):
            certificates.key_for(CERTIFICATE_URL, NOON)

    sns.pages[CERTIFICATE_URL] = page
    certificates.key_for(CERTIFICATE_URL, NOON)


# Anything


@given(st.binary(max_size=400))
def test_whatever_stands_at_a_certificates_address_is_refused(page: bytes) -> None:
    with pytest.raises(CertificateRefusedError):
        SnsCertificates(lambda _: page).key_for(CERTIFICATE_URL, NOON)


@given(st.text() | st.from_regex(r"https://[a-z.@:#?/\\]{0,40}amazonaws\.com[a-z.@:#?/\\]{0,40}"))
def test_whatever_url_comes_is_amazons_or_refused(url: str) -> None:
    try:
        host = require_certificate_url(url)
    except ForeignUrlError:
        return
    assert url.startswith(f"https://{host}/SimpleNotificationService-")
    assert host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_a_certificate_with_one_wrong_byte_is_refused(sns: SnsFake) -> None:
    encoded = der(sns.issuer.issue("sns.amazonaws.com"))
    for position in range(len(encoded)):
        wrong = bytes([encoded[position] ^ 0x40])
        sns.pages[CERTIFICATE_URL] = encoded[:position] + wrong + encoded[position + 1 :]
        with pytest.raises((CertificateRefusedError, UnreachableError)):
            certificates_of(sns).key_for(CERTIFICATE_URL, NOON)
