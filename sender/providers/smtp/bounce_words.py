"""Bounces in words alone, as qmail, Exim, Exchange and Gmail wrote or write them; pure.

There is no standard for these, so only what several of them have in common is read: a line that is
an address and nothing else, and a status or reply code somewhere in front of the returned message.
"""

import re
from email.message import Message
from email.utils import parseaddr

from sender.providers.smtp.delivery_status import (
    MOST_RECIPIENTS,
    RecipientStatus,
    Verdict,
    failure,
    reply_in,
    status_in,
)
from sender.providers.smtp.mime import field_addresses, field_text, own_text
from sender.vocabulary import EventKind

_DAEMONS = frozenset({"mailer-daemon", "mailerdaemon", "mail-daemon", "mail_daemon"})
_POSTMASTERS = frozenset({"postmaster", "mail-delivery", "maildelivery"})

_SUBJECT = re.compile(
    r"undeliver|delivery (?:status|fail|report|has failed)|fail(?:ed|ure) (?:notice|to deliver)"
    r"|mail (?:delivery )?fail|returned (?:mail|to sender)|returning message|could not be delivered"
    r"|delivery notification|non[- ]?delivery",
    re.IGNORECASE,
)
_COPY = re.compile(
    r"^[ >]{0,9}-{2,20}[^\n]{0,80}(?:copy of|original|headers? of|unsent|returned)[^\n]*$"
    r"|^[^\n]{0,40}original message(?: follows| headers)?[:.]?[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
"""The line in front of the returned message, in the forms of qmail, Exim, Gmail, Sendmail."""

_ADDRESS_FIRST = re.compile(
    r"^[ \t>]*<?([^\s<>@;:,()]{1,64}@[^\s<>@;:,()\[\]]{1,255})>?(?=[:,\s\[(]|$)", re.MULTILINE
)
_GONE = re.compile(
    r"recipient not found|no such (?:user|recipient)|user unknown|unknown recipient"
    r"|recipient name is not recognized|domain does not exist",
    re.IGNORECASE,
)
_DELAYED = re.compile(
    r"has been delayed|delayed|still (?:being )?(?:trying|retr)|will (?:be )?(?:retr|keep trying)"
    r"|warning: message",
    re.IGNORECASE,
)


def is_daemon(message: Message) -> bool:
    """Whether a mail program, and no person, says that it wrote this."""
    return _local_part(message) in _DAEMONS


def looks_like_bounce(message: Message) -> bool:
    """Whether a mail server returns a message, in whatever words.

    A postmaster is a person at times, who may want to be left alone as others do.
    """
    author = _local_part(message)
    if message.get("X-Failed-Recipients") or author in _DAEMONS:
        return True
    if author in _POSTMASTERS and returns_to_nobody(message):
        return True
    subject = _SUBJECT.search(field_text(message, "Subject"))
    return subject is not None and (author in _POSTMASTERS or returns_to_nobody(message))


def returns_to_nobody(message: Message) -> bool:
    """Whether its envelope sender was empty, as reports must have it (RFC 5321, section 4.5.5)."""
    return str(message.get("Return-Path", "")).strip() == "<>"


def words_in_front(message: Message) -> str:
    """Return a report's own words, without the message that it returns."""
    return _COPY.split(own_text(message), maxsplit=1)[0]


def recipients_in_words(message: Message) -> list[RecipientStatus]:
    """Return what a bounce without a report says; UNKNOWN for each address that has no code."""
    text = words_in_front(message)
    named = field_addresses(message, "X-Failed-Recipients") or _ADDRESS_FIRST.findall(text)
    status = status_in(text) or ("5.1.1" if _GONE.search(text) else "")
    code = f"{status} {reply_in(text)}".strip()
    verdict = _verdict(status, text, field_text(message, "Subject"))
    several = list(dict.fromkeys(named))[:MOST_RECIPIENTS]
    return [
        RecipientStatus((one,), "bounce", code, field_text(message, "Date"), verdict)
        for one in several
    ] or [RecipientStatus((), "bounce", code, field_text(message, "Date"), verdict)]


def _verdict(status: str, text: str, subject: str) -> Verdict:
    if not status:
        return Verdict(EventKind.UNKNOWN)
    if status.startswith("4") and _DELAYED.search(f"{subject}\n{text}"):
        return Verdict(EventKind.DEFERRED)
    return failure(status, text)


def _local_part(message: Message) -> str:
    _, address = parseaddr(str(message.get("From", ""))[:1000])
    return address.partition("@")[0].strip().lower()
