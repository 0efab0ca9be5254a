"""Whether the fixed links of a campaign lead anywhere, and none is a placeholder left behind."""

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final
from urllib.parse import unquote, urlsplit

from sender.campaigns.link_fetch import Fetcher, LinkTroubleError

DEFAULT_TIMEOUT: Final = timedelta(seconds=10)
DEFAULT_CONCURRENCY: Final = 8

_SAMPLE_HOSTS: Final = re.compile(
    r"(?:.+\.)?(?:example\.(?:com|org|net)|test|invalid|example|localhost)\.?"
)
"""Names that are set aside for samples: RFC 2606, RFC 6761."""
_UNFINISHED: Final = re.compile(r"#|https?:/*|.*\b(?:TO-?DO|TBC|TBD)\b.*|")
_UNUSABLE: Final = re.compile(r"[\s\x00-\x1f\x7f<>\"]")
_WEB: Final = ("http", "https")
_DIALLED: Final = ("tel", "sms")


@dataclass(frozen=True, slots=True)
class Link:
    """A link, and where it stands, such as `spring.html:12`; empty if that is not known."""

    url: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class LinkProblem:
    """A link that recipients could not follow.

    Attributes:
        problem: why, as the end of a sentence that begins with the link.
        remedy: what to do about it; may be empty.
    """

    link: Link
    problem: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.link.where}: " if self.link.where else ""
        return f"{where}{self.link.url or 'an empty link'} {self.problem} {self.remedy}".rstrip()


def check_links(
    links: Iterable[Link | str],
    *,
    allow_placeholders: bool = False,
    fetcher: Fetcher | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
) -> list[LinkProblem]:
    """Fetch every link once and return those that lead nowhere, in the order given.

    Placeholders are problems, or, where they are allowed, left alone. `mailto:`, `tel:` and `sms:`
    links and `#anchors` are not fetched.

    Args:
        links: fixed links only; a personal one, such as the opt-out link, must not be fetched.
        allow_placeholders: for samples and drafts.
        fetcher: how to fetch; None: 10 seconds a link, public addresses only.
        concurrency: how many links at the same time, >= 1.
    """
    found = [Link(link) if isinstance(link, str) else link for link in links]
    look = partial(
        _trouble_of,
        allow_placeholders=allow_placeholders,
        fetcher=fetcher or Fetcher(DEFAULT_TIMEOUT),
    )
    urls = list(dict.fromkeys(link.url for link in found))
    with ThreadPoolExecutor(max_workers=concurrency) as pool:
        troubles = dict(zip(urls, pool.map(look, urls), strict=True))
    return [
        LinkProblem(link, trouble.problem, trouble.remedy)
        for link in found
        if (trouble := troubles[link.url]) is not None
    ]


def _trouble_of(url: str, *, allow_placeholders: bool, fetcher: Fetcher) -> LinkTroubleError | None:
    url = url.strip()
    if is_placeholder(url) and allow_placeholders:
        return None
    try:
        refuse_unfollowable(url)
        if urlsplit(url).scheme.lower() in _WEB:
            fetcher.fetch(url, refuse_unfollowable)
    except LinkTroubleError as trouble:
        return trouble
    return None


def is_placeholder(url: str) -> bool:
    """Tell whether a link was never meant to be followed: unfinished, or to a sample host."""
    if _UNFINISHED.fullmatch(url):
        return True
    return any(_SAMPLE_HOSTS.fullmatch(host.lower()) for host in _hosts(url))


def _hosts(url: str) -> list[str]:
    with suppress(ValueError):  # a malformed one is refused later, with its own words
        parts = urlsplit(url)
        if parts.scheme.lower() == "mailto":
            addresses = unquote(parts.path).split(",")
            return [address.rpartition("@")[2].strip() for address in addresses]
        return [parts.hostname] if parts.hostname else []
    return []


def refuse_unfollowable(url: str) -> None:
    """Refuse what nobody could follow from a message, without fetching it.

    Raises:
        LinkTroubleError: a placeholder, a relative link, a scheme that mail programs do not open,
            a login inside the link, or no URL at all.
    """
    if is_placeholder(url):
        raise LinkTroubleError("is a placeholder.", "Put the real address in.")
    if _UNUSABLE.search(url):
        raise LinkTroubleError("holds a space or a sign that no URL has.", "Write it as %20.")
    if url.startswith("#"):
        return
    try:
        parts = urlsplit(url)
        scheme, login, port = parts.scheme.lower(), parts.username, parts.port
    except ValueError:
        raise LinkTroubleError("is not a URL.") from None
    del port  # only looked at, because an impossible one is a ValueError
    if login is not None:
        raise LinkTroubleError("holds a login.", "Everybody who gets the message would read it.")
    _refuse_scheme(scheme, has_host=bool(parts.hostname), has_address="@" in parts.path)


def _refuse_scheme(scheme: str, *, has_host: bool, has_address: bool) -> None:
    if not scheme:
        raise LinkTroubleError(
            "is relative, which leads nowhere from a message.", "Begin it with https://."
        )
    if scheme in _WEB and not has_host:
        raise LinkTroubleError("names no host.")
    if scheme == "mailto" and not has_address:
        raise LinkTroubleError("names no address.")
    if scheme not in (*_WEB, *_DIALLED, "mailto"):
        raise LinkTroubleError(f"begins with {scheme}:, which mail programs do not open.")
