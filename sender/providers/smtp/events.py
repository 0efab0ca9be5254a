"""Mail that comes back: delivery reports, complaints, automatic answers, people's words; pure.

    bytes of a message → `read_mail` → `Report` (a `Notification`, and what it names of ours)
                                     or `Words` (what a person wrote)

Nobody signs such mail, so what a report claims is only a claim: whether it is believed is decided
where our own records can be asked (`sender.inbound.mail_proof`). Parsing never fails on what is
new, and never on what is hostile.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from email.parser import HeaderParser
from email.utils import getaddresses
from hashlib import sha256

from sender.contacts.normalise import AddressRefusedError, normalise_email
from sender.providers.events import Notification, ProviderEvent
from sender.providers.smtp import bounce_words, delivery_status
from sender.providers.smtp.delivery_status import RecipientStatus
from sender.providers.smtp.mime import (
    HEAD_BYTES,
    UnreadableMailError,
    content_type,
    decoded,
    field_addresses,
    field_text,
    field_time,
    own_text,
    parse_mail,
    parts_of,
)
from sender.vocabulary import BlockCause, Channel, EventKind, ProviderName

_DELIVERY_STATUS = frozenset({"message/delivery-status", "message/global-delivery-status"})
"""RFC 3464, RFC 6533."""

_FEEDBACK = {
    "abuse": (EventKind.COMPLAINED, BlockCause.COMPLAINT),
    "fraud": (EventKind.COMPLAINED, BlockCause.COMPLAINT),
    "virus": (EventKind.COMPLAINED, BlockCause.COMPLAINT),
    "other": (EventKind.COMPLAINED, BlockCause.COMPLAINT),
    "opt-out": (EventKind.OPTED_OUT, BlockCause.OPT_OUT),
}
"""RFC 5965, section 7.3, and `opt-out` of its drafts, which some still send. `not-spam` (RFC 6430)
and `auth-failure` (RFC 6591) complain of nothing and are UNKNOWN, as is what is not registered."""

_JMRP_RECIPIENT = "X-HmXmrOriginalRecipient"

_AUTOMATIC_FIELDS = (
    "X-Autoreply",
    "X-Autorespond",
    "X-Autoresponder",
    "X-Auto-Reply",
    "X-Auto-Reply-From",
    "X-AutoReply-From",
)
_AUTOMATIC_PRECEDENCE = frozenset({"bulk", "junk", "auto_reply", "auto-reply"})

_OUR_FIELDS = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "To", "Cc")
_ANSWERED = ("In-Reply-To", "References")

_ANYWHERE = re.IGNORECASE | re.MULTILINE
_ENVELOPE = re.compile(
    r"[^\s<>@\"';:,=]{1,40}\+\d{1,17}\.\d{1,10}\.[a-z2-7]{16}@[^\s<>@\"';,]{1,255}", _ANYWHERE
)
_UNSUBSCRIBE = re.compile(
    r"^[ \t>]*List-Unsubscribe:\s*<https?://[^\s<>]{1,500}/u/([0-9A-Za-z]{22})>", _ANYWHERE
)
_MESSAGE_IDS = re.compile(
    r"^[ \t>]*(?:(?:X-)?(?:Original-)?Message-ID|In-Reply-To|References):"
    r"([^\n]*(?:\n[ \t][^\n]*)*)",
    _ANYWHERE,
)
_SENDER = re.compile(r"^[ \t>]*From:([^\n]{3,400})", _ANYWHERE)
_ID = re.compile(r"<([^\s<>]{3,200})>")
_MOST_TRACES = 50


@dataclass(frozen=True, slots=True)
class Traces:
    """What a mail names of ours; nothing of it is proven yet.

    Attributes:
        envelopes: addresses that look like a variable return path (`sender.providers.smtp.verp`).
        tokens: opt-out tokens in the List-Unsubscribe field of the message that came back.
        message_ids: of the messages it returns or answers, without angle brackets.
        senders: From addresses of the message that came back.
    """

    envelopes: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What a machine says, one event for each recipient that it names."""

    notification: Notification
    traces: Traces


@dataclass(frozen=True, slots=True)
class Words:
    """What a person wrote.

    Attributes:
        name: the same for the same mail, however often it is fetched.
        author: the normalised address in From.
        mailboxes: whom it was sent to, as they are written.
        subject: its subject line.
        text: its text with all that it quotes.
        written_at: its Date; None if it has none that can be read.
        traces: the messages that it answers.
    """

    name: str
    author: str
    mailboxes: tuple[str, ...]
    subject: str
    text: str
    written_at: datetime | None
    traces: Traces


def read_mail(head: bytes) -> Report | Words:
    """Return what a mail is.

    Args:
        head: the message, or as much of its beginning as `HEAD_BYTES`.

    Raises:
        UnreadableMailError: it cannot be taken apart, or it is a person's and names no author.
    """
    head = head[:HEAD_BYTES].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    message = parse_mail(head)
    try:
        return _read(message, head)
    except (RecursionError, ValueError, LookupError, TypeError, AttributeError):
        # The standard library's parser has raised each of these on hostile mail.
        raise UnreadableMailError("The message cannot be taken apart.") from None


def _read(message: Message, head: bytes) -> Report | Words:
    name = _name(message, head)
    parts = list(parts_of(message))
    statuses = [part for part in parts if content_type(part) in _DELIVERY_STATUS]
    if statuses and _is_from_machine(message):
        words = bounce_words.words_in_front(message)
        told = [one for part in statuses for one in delivery_status.recipients_of(part, words)]
        recipients = told or bounce_words.recipients_in_words(message)
        return _bounce(name, "delivery-status", message, head, recipients)
    complaint = next((one for part in parts if (one := _feedback_in(part))), None)
    if complaint is not None:
        return _complaint(name, message, head, complaint)
    if bounce_words.looks_like_bounce(message):
        recipients = bounce_words.recipients_in_words(message)
        return _bounce(name, "bounce", message, head, recipients)
    automatic = _automatic(message)
    if automatic:
        return _aside(name, automatic, message)
    return _words(name, message)


def _is_from_machine(message: Message) -> bool:
    return (
        content_type(message) == "multipart/report"
        or bounce_words.is_daemon(message)
        or bounce_words.returns_to_nobody(message)
    )


def _automatic(message: Message) -> str:
    """Return what sort of machine wrote this; empty for a person (RFC 3834, section 5).

    A subject alone tells nothing: people answer "On holiday, please take me off your list", too.
    """
    if content_type(message) == "multipart/report":  # of another type: read receipts, statistics
        return "report"
    submitted = field_text(message, "Auto-Submitted").partition(";")[0].strip().lower()
    if submitted not in {"", "no"} or any(message.get(name) for name in _AUTOMATIC_FIELDS):
        return "auto-reply"
    if field_text(message, "Precedence").lower() in _AUTOMATIC_PRECEDENCE:
        return "auto-reply"
    return ""


def _bounce(
    name: str,
    raw_type: str,
    message: Message,
    head: bytes,
    recipients: Iterable[RecipientStatus],
) -> Report:
    date = field_time(field_text(message, "Date"))
    events = tuple(
        ProviderEvent(
            kind=one.verdict.kind,
            raw_type=one.action or raw_type,
            occurred_at=field_time(one.at) or date,
            channel=Channel.EMAIL,
            address=one.addresses[0] if one.addresses else None,
            code=one.code,
            block=one.verdict.block,
            transient=one.verdict.transient,
        )
        for one in recipients
    )
    payload = {"recipients": [{"action": one.raw_type, "code": one.code} for one in events]}
    events = events or (_unknown(raw_type, date),)
    notification = Notification(ProviderName.SMTP, name, raw_type, events, payload)
    return Report(notification, _traces(_texts(message, head)))


def _feedback_in(part: Message) -> Message | None:
    """Return the fields of a complaint that a part holds.

    Outlook.com's programme (JMRP) sends the message itself, with the recipient in a field on top.
    """
    if content_type(part) == "message/feedback-report":
        return HeaderParser().parsestr(decoded(part).replace("\n\n", "\n"))
    inner = part.get_payload()
    if content_type(part) != "message/rfc822" or not isinstance(inner, list):
        return None
    recipient = inner[0].get(_JMRP_RECIPIENT) if isinstance(inner[0], Message) else None
    if recipient is None:
        return None
    return HeaderParser().parsestr(f"Feedback-Type: abuse\nOriginal-Rcpt-To: {recipient}\n")


def _complaint(name: str, message: Message, head: bytes, fields: Message) -> Report:
    kind_of_it = field_text(fields, "Feedback-Type").lower()[:64] or "unknown"
    kind, block = _FEEDBACK.get(kind_of_it, (EventKind.UNKNOWN, None))
    at = field_time(field_text(fields, "Arrival-Date") or field_text(message, "Date"))
    named = field_addresses(fields, "Original-Rcpt-To")[: delivery_status.MOST_RECIPIENTS]
    events = tuple(
        ProviderEvent(
            kind=kind,
            raw_type=kind_of_it,
            occurred_at=at,
            channel=Channel.EMAIL,
            address=address,
            code=f"complaint/{kind_of_it}",
            block=block,
        )
        for address in named or (None,)
    )
    payload = {"feedback_type": kind_of_it, "recipients": len(named)}
    notification = Notification(ProviderName.SMTP, name, "feedback-report", events, payload)
    return Report(notification, _traces(_texts(message, head)))


def _aside(name: str, raw_type: str, message: Message) -> Report:
    event = _unknown(raw_type, field_time(field_text(message, "Date")))
    notification = Notification(ProviderName.SMTP, name, raw_type, (event,), {})
    return Report(notification, Traces())


def _unknown(raw_type: str, at: datetime | None) -> ProviderEvent:
    return ProviderEvent(EventKind.UNKNOWN, raw_type, at, Channel.EMAIL)


def _texts(message: Message, head: bytes) -> Iterator[str]:
    """Yield the message as it came, and its parts as they read once they are decoded."""
    yield head.decode("utf-8", "replace")
    for part in parts_of(message):
        if str(part.get("Content-Transfer-Encoding", "")).strip().lower() not in {"", "7bit"}:
            yield decoded(part).replace("\r\n", "\n")  # encoded, they are still there


def _traces(texts: Iterable[str]) -> Traces:
    envelopes: list[str] = []
    tokens: list[str] = []
    message_ids: list[str] = []
    senders: list[str] = []
    for text in texts:
        envelopes += _ENVELOPE.findall(text)
        tokens += _UNSUBSCRIBE.findall(text)
        for values in _MESSAGE_IDS.findall(text):
            message_ids += _ID.findall(values)
        senders += [one for _, one in getaddresses(_SENDER.findall(text)[:_MOST_TRACES])]
    return Traces(_few(envelopes), _few(tokens), _few(message_ids), _few(senders))


def _words(name: str, message: Message) -> Words:
    answered = " ".join(field_text(message, one) for one in _ANSWERED)
    return Words(
        name=name,
        author=_author(message),
        mailboxes=_few(field_addresses(message, *_OUR_FIELDS)),
        subject=field_text(message, "Subject"),
        text=own_text(message),
        written_at=field_time(field_text(message, "Date")),
        traces=Traces(message_ids=_few(_ID.findall(answered))),
    )


def _author(message: Message) -> str:
    for one in field_addresses(message, "From"):
        try:
            return normalise_email(one)
        except AddressRefusedError:
            continue
    raise UnreadableMailError("The message names no author that can be read.")


def _few(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))[:_MOST_TRACES]


def _name(message: Message, head: bytes) -> str:
    """Return a name that does not depend on the fields that each delivery adds on top."""
    fields = ("Message-ID", "Date", "From", "To", "Subject")
    body = head.partition(b"\n\n")[2].rstrip()
    digest = sha256(
        "\n".join(str(message.get(one, "")) for one in fields).encode("utf-8", "replace")
    )
    digest.update(b"\0" + body)
    return f"mail:{digest.hexdigest()}"
