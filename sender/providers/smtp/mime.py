"""Read mail that strangers wrote: bounded, and without a failure for anything that is in it.

The standard library's parser notes defects instead of raising them; its newer policy, which parses
header fields on access, has raised on hostile ones, so the older one (`compat32`) is used and the
few fields that matter are read here.
"""

import codecs
import quopri
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from email import policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from email.utils import getaddresses, parsedate_to_datetime

from sender.errors import SenderError
from sender.providers.smtp.html_words import words_of_html

HEAD_BYTES = 1 << 19
"""Of a message; what follows is attachments and the ends of returned originals."""

MOST_BOUNDARIES = 40
MOST_PARTS = 200
LONGEST_TEXT = 1 << 18
"""Bytes of one part that are decoded."""

_LONGEST_FIELD = 20_000
_SLOW_CODECS = frozenset({"punycode", "idna", "undefined", "unicode_escape", "raw_unicode_escape"})
"""Registered with Python, and never the encoding of a mail; two of them take quadratic time."""


class UnreadableMailError(SenderError):
    """A message cannot be taken apart; it is left where it is."""


def parse_mail(head: bytes) -> Message:
    """Return the message whose first bytes these are; a cut end is no failure.

    Raises:
        UnreadableMailError: it nests deeper than any mail program writes.
    """
    deep = "The message nests too deeply to be read."
    if head.lower().count(b"boundary") > MOST_BOUNDARIES:
        raise UnreadableMailError(deep)
    try:
        return BytesParser(policy=policy.compat32).parsebytes(head[:HEAD_BYTES])
    except RecursionError:
        raise UnreadableMailError(deep) from None


def field_text(message: Message, name: str) -> str:
    """Return a header field as people read it; empty without one."""
    raw = _raw(message, name)
    try:
        return _clean(str(make_header(decode_header(raw))))
    except (HeaderParseError, LookupError, ValueError, AssertionError):
        return _clean(raw)


def field_addresses(message: Message, *names: str) -> list[str]:
    """Return the bare addresses in all fields of these names, as they are written."""
    values = [
        _clean(str(value))[:_LONGEST_FIELD]
        for name in names
        for value in message.get_all(name, [])[:MOST_PARTS]
    ]
    try:
        found = getaddresses(values)
    except (ValueError, IndexError):
        return []
    return [address for _, address in found if "@" in address]


def field_time(text: str) -> datetime | None:
    """Return the moment that a date field names (RFC 5322, section 3.3), aware UTC, if it does."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def parts_of(message: Message) -> Iterator[Message]:
    """Yield the parts, outermost first, without those of a message inside the message."""
    waiting = [message]
    for _ in range(MOST_PARTS):
        if not waiting:
            return
        part = waiting.pop(0)
        yield part
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            waiting += [one for one in payload if isinstance(one, Message)]


def content_type(part: Message) -> str:
    """Return the lower-case type; `text/plain` where none can be read."""
    try:
        return part.get_content_type().split()[0]
    except (ValueError, TypeError, LookupError):
        return "text/plain"


def decoded(part: Message) -> str:
    """Return a part's text, its transfer encoding and character set undone as far as they can be.

    A message inside the part, which the parser has taken apart, is put together again.
    """
    payload = part.get_payload()
    if isinstance(payload, list):
        blocks = [one for one in payload[:MOST_PARTS] if isinstance(one, Message)]
        return _unencoded("\n\n".join(_written(block) for block in blocks)[:LONGEST_TEXT], part)
    try:
        data = part.get_payload(decode=True)
    except (ValueError, LookupError, TypeError):
        data = None
    if not isinstance(data, bytes):
        return _clean_text(str(payload)[:LONGEST_TEXT])
    return _clean_text(_as_text(data[:LONGEST_TEXT], part))


def own_text(message: Message) -> str:
    """Return what a person sees of a message: its plain text, else the words of its HTML."""
    plain = [part for part in _shown(message) if content_type(part) == "text/plain"]
    text = "\n".join(decoded(part) for part in plain).strip()
    if text:
        return text
    return "\n".join(
        words_of_html(decoded(part))
        for part in _shown(message)
        if content_type(part) == "text/html"
    ).strip()


def _shown(message: Message) -> Iterator[Message]:
    for part in parts_of(message):
        if part.get_content_maintype() == "text" and part.get_content_disposition() != "attachment":
            yield part


def _written(block: Message) -> str:
    fields = "\n".join(f"{name}: {_clean_text(str(value))}" for name, value in block.items())
    rest = block.get_payload()
    return f"{fields}\n\n{_clean_text(rest)}" if isinstance(rest, str) and rest.strip() else fields


def _unencoded(text: str, part: Message) -> str:
    """Undo a transfer encoding that such a part may not have (RFC 2046, 5.2) and sometimes has."""
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    data = text.encode("ascii", "replace")
    if encoding == "quoted-printable":
        return _clean_text(_as_text(quopri.decodestring(data), part))
    if encoding != "base64":
        return text
    try:
        return _clean_text(_as_text(b64decode(data), part))
    except ValueError:
        return text


def _as_text(data: bytes, part: Message) -> str:
    try:
        name = codecs.lookup(part.get_content_charset("utf-8")).name
        if name in _SLOW_CODECS:
            name = "utf-8"
        return data.decode(name, "replace")
    except (LookupError, ValueError, TypeError):
        return data.decode("utf-8", "replace")


def _raw(message: Message, name: str) -> str:
    return _clean(str(message.get(name, "")))[:_LONGEST_FIELD]


def _clean(text: str) -> str:
    return " ".join(_clean_text(text).split())


def _clean_text(text: str) -> str:
    """Make the bytes that were no text visible as such, and drop what no database holds (NUL)."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\0", "")
