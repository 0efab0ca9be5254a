"""Which addresses on the web are Amazon's own, for certificates and confirmations.

A pattern that is not anchored lets `sns.eu-west-1.amazonaws.com.evil.example` pass.
"""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from sender.errors import SenderError

_SNS_HOST: Final = re.compile(
    r"sns\.(?P<region>[a-zA-Z0-9-]{3,})\.(?P<suffix>amazonaws\.com(?:\.cn)?)"
)
_CERTIFICATE_PATH: Final = re.compile(r"/SimpleNotificationService-[A-Za-z0-9_-]{1,100}\.pem")
_ISSUER_HOST: Final = re.compile(r"crt\.[a-z0-9-]{1,63}\.amazontrust\.com")
_ISSUER_PATH: Final = re.compile(r"/[A-Za-z0-9_-]{1,100}\.(?:cer|crt)")
_PLAIN: Final = re.compile(r"[!-~]{1,2000}")


class ForeignUrlError(SenderError):
    """An address that is not Amazon's; the message never repeats it."""


def require_certificate_url(url: str) -> str:
    """Return the host of a SigningCertURL.

    https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html

    Raises:
        ForeignUrlError: it is not an SNS certificate on an SNS host.
    """
    parts = _sns_parts(url)
    if not _CERTIFICATE_PATH.fullmatch(parts.path) or parts.query or "?" in url:
        raise ForeignUrlError("SigningCertURL is no certificate of Amazon SNS.")
    return parts.netloc


def require_sns_url(url: str) -> None:
    """Let a SubscribeURL pass.

    Raises:
        ForeignUrlError: it does not lead to an SNS host.
    """
    _sns_parts(url)


def is_issuer_url(url: str) -> bool:
    """Whether Amazon Trust Services publishes its intermediate certificates there.

    http is usual (RFC 5280, section 4.2.2.1): what comes is only believed if the chain verifies.
    """
    if not _PLAIN.fullmatch(url):
        return False
    parts = _split(url)
    return (
        parts is not None
        and parts.scheme in {"http", "https"}
        and _ISSUER_HOST.fullmatch(parts.netloc) is not None
        and _ISSUER_PATH.fullmatch(parts.path) is not None
        and url == f"{parts.scheme}://{parts.netloc}{parts.path}"
    )


def signer_names(host: str) -> tuple[str, ...]:
    """Return the DNS names that an SNS certificate served by this SNS host may have.

    `sns.amazonaws.com` in most regions, `sns-signing.<region>` in those that are opted into,
    `sns-<region>` in China and GovCloud: SnsHostProvider of aws-sdk-java-v2.
    """
    match = _SNS_HOST.fullmatch(host.lower())
    if match is None:
        return ()
    region, suffix = match["region"], match["suffix"]
    names = [
        f"sns.{suffix}",
        f"sns.{region}.{suffix}",
        f"sns-signing.{region}.{suffix}",
        f"sns-{region}.{suffix}",
    ]
    if region.startswith("us-gov-"):
        names.append(f"sns-us-gov-west-1.{suffix}")  # signs for both GovCloud regions
    return tuple(names)


def _sns_parts(url: str) -> SplitResult:
    """Split a URL; its host stands alone, without user, port or fragment."""
    parts = _split(url) if _PLAIN.fullmatch(url) else None
    if (
        parts is None
        or parts.scheme != "https"
        or not url.startswith("https://")
        or _SNS_HOST.fullmatch(parts.netloc) is None
        or "#" in url
        or "\\" in url
    ):
        raise ForeignUrlError("A URL in the message does not lead to Amazon SNS.")
    return parts


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None
