"""The certificates that Amazon SNS signs with: fetched once, believed only with a whole chain."""

import ssl
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from threading import BoundedSemaphore, Lock
from typing import Final

import certifi
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import AuthorityInformationAccessOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from sender.errors import SenderError
from sender.providers.ses.fetch import Fetch, UnreachableError, fetch
from sender.providers.ses.sns_hosts import is_issuer_url, require_certificate_url, signer_names

MAX_CACHED: Final = 16
"""Certificates: a few per region, renewed once a year."""

MAX_WAITING: Final = 3
"""Requests that may wait for a certificate at once; further ones are answered 5xx and come again,
so that messages with made-up certificate names cannot take all the web server's threads."""

MAX_ISSUERS_FETCHED: Final = 3

_UNREADABLE: Final = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises for what is no proper certificate."""


class CertificateRefusedError(SenderError):
    """A certificate that must not be believed: expired, for another name, or without its chain."""


@dataclass(frozen=True, slots=True)
class _Signer:
    """A certificate that was verified."""

    key: RSAPublicKey
    valid_from: datetime
    valid_until: datetime

    def is_valid(self, now: datetime) -> bool:
        return self.valid_from <= now <= self.valid_until


class SnsCertificates:
    """Signing keys by SigningCertURL; may be used by several threads.

    Args:
        get: the network; tests give their own.
        roots: whom to trust; by default the roots that certifi brings.
    """

    def __init__(self, get: Fetch = fetch, roots: Sequence[x509.Certificate] | None = None) -> None:
        self._fetch = get
        self._roots = roots
        self._known: dict[str, _Signer] = {}
        self._waiting = BoundedSemaphore(MAX_WAITING)
        self._fetching = Lock()

    def key_for(self, url: str, now: datetime) -> RSAPublicKey:
        """Return the public key of a certificate that is valid now.

        Raises:
            ForeignUrlError: the URL is not Amazon's.
            CertificateRefusedError: what stands there is expired, not SNS's, or has no chain to a
                trusted root.
            UnreachableError: it cannot be fetched, or too many are being fetched.
        """
        host = require_certificate_url(url)
        known = self._known.get(url)
        if known is None or not known.is_valid(now):
            known = self._look_up(url, host, now)
        return known.key

    def _look_up(self, url: str, host: str, now: datetime) -> _Signer:
        with self._turn():
            known = self._known.get(url)
            if known is None or not known.is_valid(now):
                known = self._verified(_parse(self._fetch(url)), host, now)
                self._remember(url, known)
            return known

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One fetch at a time: those that wait for the same certificate find it in the cache."""
        if not self._waiting.acquire(blocking=False):
            raise UnreachableError("Too many certificates of Amazon SNS are being fetched.")
        try:
            with self._fetching:
                yield
        finally:
            self._waiting.release()

    def _remember(self, url: str, signer: _Signer) -> None:
        while len(self._known) >= MAX_CACHED:
            del self._known[next(iter(self._known))]
        self._known[url] = signer

    def _verified(self, chain: list[x509.Certificate], host: str, now: datetime) -> _Signer:
        leaf, issuers = chain[0], chain[1:]
        signer, name = _signer(leaf), _own_name(leaf, host)
        if not signer.is_valid(now):
            raise CertificateRefusedError("The signing certificate is expired or not valid yet.")
        for _ in range(MAX_ISSUERS_FETCHED):
            if self._leads_to_root(leaf, issuers, name, now):
                return signer
            url = _issuer_url((issuers or [leaf])[-1])
            if url is None:
                break
            issuers = [*issuers, *_parse(self._fetch(url))]
        if self._leads_to_root(leaf, issuers, name, now):
            return signer
        raise CertificateRefusedError("The signing certificate has no chain to a trusted root.")

    def _leads_to_root(
        self,
        leaf: x509.Certificate,
        issuers: Sequence[x509.Certificate],
        name: str,
        now: datetime,
    ) -> bool:
        """Whether the chain verifies by the rules for web servers (RFC 5280, CA/B Forum)."""
        roots = self._roots if self._roots is not None else _trusted_roots()
        policy = PolicyBuilder().store(Store(list(roots))).time(now)
        try:
            policy.build_server_verifier(x509.DNSName(name)).verify(leaf, list(issuers))
        except VerificationError:
            return False
        return True


@cache
def _trusted_roots() -> tuple[x509.Certificate, ...]:
    """Read certifi's roots. A few old ones break a rule of RFC 5280: none of them is Amazon's."""
    context = ssl.create_default_context(cafile=certifi.where())
    roots = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for encoded in context.get_ca_certs(binary_form=True):
            try:
                roots.append(x509.load_der_x509_certificate(encoded))
            except _UNREADABLE:
                continue
    return tuple(roots)


def _parse(encoded: bytes) -> list[x509.Certificate]:
    """Read a PEM chain, or one certificate in DER as issuers publish theirs."""
    try:
        if b"-----BEGIN CERTIFICATE-----" in encoded:
            return x509.load_pem_x509_certificates(encoded)
        return [x509.load_der_x509_certificate(encoded)]
    except _UNREADABLE:
        raise CertificateRefusedError("What stands at a certificate's address is none.") from None


def _signer(leaf: x509.Certificate) -> _Signer:
    try:
        key = leaf.public_key()
    except _UNREADABLE:
        key = None
    if not isinstance(key, RSAPublicKey):
        raise CertificateRefusedError("The signing certificate has no RSA key.")
    return _Signer(key, leaf.not_valid_before_utc, leaf.not_valid_after_utc)


def _own_name(leaf: x509.Certificate, host: str) -> str:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        given = set(names.get_values_for_type(x509.DNSName))
    except (*_UNREADABLE, x509.ExtensionNotFound):
        given = set()
    for name in signer_names(host):
        if name in given:
            return name
    raise CertificateRefusedError("The certificate was not issued to Amazon SNS.")


def _issuer_url(certificate: x509.Certificate) -> str | None:
    """Return where the issuer's certificate stands (caIssuers, RFC 5280, section 4.2.2.1)."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except (*_UNREADABLE, x509.ExtensionNotFound):
        return None
    for one in access.value:
        place = one.access_location
        if one.access_method == AuthorityInformationAccessOID.CA_ISSUERS and isinstance(
            place, x509.UniformResourceIdentifier
        ):
            return place.value if is_issuer_url(place.value) else None
    return None
