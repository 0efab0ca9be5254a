"""The wire form of SES requests, their limits, and how a batch is cut to fit them."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.header import Header
from email.utils import formataddr
from typing import TYPE_CHECKING

from sender.providers.base import Outgoing
from sender.rendering.message import RenderedEmail

if TYPE_CHECKING:
    from mypy_boto3_sesv2.type_defs import (
        BulkEmailEntryTypeDef,
        EmailTemplateContentTypeDef,
        MessageHeaderTypeDef,
        MessageTagTypeDef,
        SendBulkEmailRequestTypeDef,
        SendEmailRequestTypeDef,
    )

MAX_ENTRIES = 50
"""Entries in one SendBulkEmail call (SES API v2, SendBulkEmail)."""

MAX_TEMPLATE_DATA_CHARACTERS = 262_144
"""ReplacementTemplateData (SES API v2, ReplacementTemplate)."""

MAX_CALL_BYTES = 1_000_000
"""Input JSON of a call with an inline template (SES developer guide, inline templates)."""

CALL_OVERHEAD_BYTES = 4_096
"""Kept free in each call for the sender, the template and the configuration set."""

MAX_HEADERS = 15
MAX_HEADER_VALUE = 995
MAX_HEADER_TOTAL = 996
"""SES API v2, MessageHeader; the SDK checks none of them."""

_HEADER_NAME = re.compile(r"[!-9;-~]{1,126}")
_HEADER_VALUE = re.compile(rf"[ -~]{{1,{MAX_HEADER_VALUE}}}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_LONGEST_ESCAPE = len(r"\u0000")
_RARE_CONTROLS = tuple(chr(code) for code in range(0x20) if chr(code) != "\n")

_HEADER_FRAME = len(json.dumps({"Name": "", "Value": ""})) + len(", ")
_ENTRY_FRAME = 512
"""More than what an entry has around its texts: names of fields, tags with their numbers."""

_INLINE_TEMPLATE: "EmailTemplateContentTypeDef" = {
    "Subject": "{{subject}}",
    "Html": "{{html}}",
    "Text": "{{text}}",
}
"""Whole rendered parts go in: inline templates take simple substitutions only."""


class UnsendableError(Exception):
    """SES could not carry this message; the only argument is a code for the limit it breaks."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message that SES can carry.

    Attributes:
        position: in the batch.
        outgoing: what was handed over.
        email: its message.
        data: its template data, for a bulk call; empty where none is needed.
        size: bytes that it takes in the JSON of a bulk call, at most.
    """

    position: int
    outgoing: Outgoing
    email: RenderedEmail
    data: str
    size: int

    @property
    def sender(self) -> tuple[str, str, str | None]:
        """What all entries of one call have in common."""
        return self.email.from_name, self.email.from_address, self.email.reply_to


def make_entry(position: int, outgoing: Outgoing, *, alone: bool = False) -> Entry:
    """Check one message against the limits of SES, and write the data of its bulk entry.

    Args:
        position: in the batch.
        outgoing: the message.
        alone: whether it goes by a call of its own, which has no template data.

    Raises:
        UnsendableError: it is no e-mail, or breaks one of the limits of SES.
    """
    email = outgoing.message
    if not isinstance(email, RenderedEmail):
        raise UnsendableError("not-an-email")
    _check_addresses(email)
    _check_headers(email)
    if alone and _is_short(email):
        return Entry(position, outgoing, email, "", 0)
    data = template_data(email)
    if len(data) > MAX_TEMPLATE_DATA_CHARACTERS:
        raise UnsendableError("template-data-too-long")
    size = _size(email, data)
    if size > MAX_CALL_BYTES - CALL_OVERHEAD_BYTES:
        raise UnsendableError("message-too-long")
    return Entry(position, outgoing, email, data, size)


def _is_short(email: RenderedEmail) -> bool:
    """Whether its template data stay below every limit, however many characters are escaped."""
    characters = len(email.subject) + len(email.html) + len(email.text)
    return characters * _LONGEST_ESCAPE < MAX_TEMPLATE_DATA_CHARACTERS - _ENTRY_FRAME


def template_data(email: RenderedEmail) -> str:
    """Return the values of the inline template's variables, as JSON."""
    parts = {"subject": email.subject, "html": email.html, "text": email.text}
    whole = "".join(parts.values())
    if any(control in whole for control in _RARE_CONTROLS):
        return json.dumps(parts, ensure_ascii=False)
    members = [f'"{name}": {_json_text(text)}' for name, text in parts.items()]
    return "{" + ", ".join(members) + "}"


def _json_text(text: str) -> str:
    """Return a text without controls as JSON (RFC 8259, section 7), quicker than the library."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _size(email: RenderedEmail, data: str) -> int:
    """Return how many bytes an entry takes in the request's JSON, at most.

    Each quote and backslash is escaped in `data` and again in the request: what grew once by one
    character grows by at most two more.
    """
    around = 2 * len(email.to_address) + sum(
        2 * (len(name) + len(value)) + _HEADER_FRAME for name, value in email.headers
    )
    if not data.isascii() or "\x7f" in data:
        return _ENTRY_FRAME + around + len(json.dumps(data))
    grown = len(data) - len(email.subject) - len(email.html) - len(email.text)
    return _ENTRY_FRAME + around + len(data) + 2 * grown


def cut_into_calls(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Cut entries into calls of one sender, at most 50 entries and less than 1 MB each."""
    by_sender: dict[tuple[str, str, str | None], list[Entry]] = {}
    for entry in entries:
        by_sender.setdefault(entry.sender, []).append(entry)
    for group in by_sender.values():
        yield from _cut_group(group)


def _cut_group(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    call: list[Entry] = []
    size = CALL_OVERHEAD_BYTES
    for entry in entries:
        if call and (len(call) == MAX_ENTRIES or size + entry.size > MAX_CALL_BYTES):
            yield call
            call, size = [], CALL_OVERHEAD_BYTES
        call.append(entry)
        size += entry.size + len(", ")
    if call:
        yield call


def bulk_request(
    call: Sequence[Entry], configuration_set: str | None
) -> "SendBulkEmailRequestTypeDef":
    """Build one SendBulkEmail request."""
    request: SendBulkEmailRequestTypeDef = {
        "FromEmailAddress": sender_header(call[0].email),
        "DefaultContent": {"Template": {"TemplateContent": _INLINE_TEMPLATE, "TemplateData": "{}"}},
        "BulkEmailEntries": [bulk_entry(entry) for entry in call],
    }
    if call[0].email.reply_to:
        request["ReplyToAddresses"] = [call[0].email.reply_to]
    if configuration_set:
        request["ConfigurationSetName"] = configuration_set
    return request


def bulk_entry(entry: Entry) -> "BulkEmailEntryTypeDef":
    """Build one entry of a SendBulkEmail request."""
    return {
        "Destination": {"ToAddresses": [entry.email.to_address]},
        "ReplacementTags": _tags(entry.outgoing),
        "ReplacementHeaders": _headers(entry.email),
        "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": entry.data}},
    }


def single_request(entry: Entry, configuration_set: str | None) -> "SendEmailRequestTypeDef":
    """Build one SendEmail request with simple content."""
    email = entry.email
    request: SendEmailRequestTypeDef = {
        "FromEmailAddress": sender_header(email),
        "Destination": {"ToAddresses": [email.to_address]},
        "EmailTags": _tags(entry.outgoing),
        "Content": {
            "Simple": {
                "Subject": {"Data": email.subject, "Charset": "UTF-8"},
                "Body": {
                    "Html": {"Data": email.html, "Charset": "UTF-8"},
                    "Text": {"Data": email.text, "Charset": "UTF-8"},
                },
                "Headers": _headers(email),
            }
        },
    }
    if email.reply_to:
        request["ReplyToAddresses"] = [email.reply_to]
    if configuration_set:
        request["ConfigurationSetName"] = configuration_set
    return request


def sender_header(email: RenderedEmail) -> str:
    """Return the From value: display names outside ASCII as encoded words (RFC 2047)."""
    if email.from_name.isascii():
        return formataddr((email.from_name, email.from_address))
    name = Header(email.from_name, "utf-8").encode(linesep="")
    return f"{name} <{email.from_address}>"


def _check_addresses(email: RenderedEmail) -> None:
    addresses = (email.to_address, email.from_address, email.reply_to or "")
    if not all(address.isascii() for address in addresses):
        raise UnsendableError("address-not-ascii")
    if any(_CONTROL.search(part) for part in (*addresses, email.from_name, email.subject)):
        raise UnsendableError("control-character")


def _tags(outgoing: Outgoing) -> "list[MessageTagTypeDef]":
    return [
        {"Name": "delivery-id", "Value": str(outgoing.delivery_id)},
        {"Name": "run-id", "Value": str(outgoing.run_id)},
    ]


def _check_headers(email: RenderedEmail) -> None:
    if len(email.headers) > MAX_HEADERS:
        raise UnsendableError("too-many-headers")
    for name, value in email.headers:
        fits = len(name) + len(value) <= MAX_HEADER_TOTAL
        if not (fits and _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
            raise UnsendableError("header-not-allowed")


def _headers(email: RenderedEmail) -> "list[MessageHeaderTypeDef]":
    return [{"Name": name, "Value": value} for name, value in email.headers]
