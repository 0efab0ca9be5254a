"""Delivery status notifications (RFC 3464): what became of each recipient, and whose fault it was.

An invalid mailbox, a full one and a refused text all fail; only the first says that the address is
no good. Status codes: RFC 3463 and https://www.iana.org/assignments/smtp-enhanced-status-codes/.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser

from sender.providers.smtp.mime import decoded
from sender.providers.smtp.outcomes import INVALID_ADDRESS
from sender.vocabulary import BlockCause, EventKind

MOST_RECIPIENTS = 50
"""Of one report; each message of ours has one."""

_ACTIONS = {
    "failed": EventKind.BOUNCED,
    "delayed": EventKind.DEFERRED,
    "delivered": EventKind.DELIVERED,
    "relayed": EventKind.SENT,
    "expanded": EventKind.SENT,
}
"""RFC 3464, section 2.3.3; relayed and expanded: handed on, and no more will be told."""

_BY_CLASS = {"2": "delivered", "4": "delayed", "5": "failed"}

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
_REPLY = re.compile(r"(?<![\d.])(4[25]\d|5[0-7]\d)(?=[ \-#:,.\n])")

_NOBODY_THERE = re.compile(
    r"(?:unknown|no such|invalid|non-?existent) (?:local )?(?:user|recipient|mailbox|account|addr)"
    r"|(?:user|recipient|mailbox|account|address)[^\n]{0,60}?(?:unknown|not found|unavailable"
    r"|does ?n[o']t exist|not exist|no longer|disabled|inactive|invalid|address rejected)"
    r"|recipient address rejected",
    re.IGNORECASE,
)
_REFUSED_US = re.compile(
    r"spam|blacklist|block ?list|blocked|reputation|policy|dmarc|\bspf\b|dkim|virus|\brbl\b"
    r"|banned|content|not accepted from|authenticat",
    re.IGNORECASE,
)
_FULL = re.compile(r"\bfull\b|quota|over ?limit|storage|too many messages", re.IGNORECASE)

_FULL_STATUS = "5.2.2"
_NO_ROUTE = "5.4.4"
_SENDERS_FAULT = frozenset({"5.1.7", "5.1.8", "5.1.9", "5.2.3", "5.2.4"})
"""Bad or unroutable sender address, message too long for the mailbox, trouble of a list."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failure says of the message and of the address."""

    kind: EventKind
    block: BlockCause | None = None
    transient: bool = False


NO_MAILBOX = Verdict(EventKind.BOUNCED, block=BlockCause.INVALID)
BOUNCED = Verdict(EventKind.BOUNCED, block=BlockCause.BOUNCE)
MAY_PASS = Verdict(EventKind.BOUNCED, transient=True)
NOT_THE_ADDRESS = Verdict(EventKind.FAILED)


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """What a report says of one recipient.

    Attributes:
        addresses: the original and the final recipient as they are written, where they are.
        action: RFC 3464's word, or the one that the status code stands for; may be unknown.
        code: the status code and the SMTP reply code, as far as they are given.
        at: the time of the last attempt, as it is written; may be empty.
        verdict: what it amounts to; the kind is UNKNOWN for words that no RFC has.
    """

    addresses: tuple[str, ...]
    action: str
    code: str
    at: str
    verdict: Verdict


def recipients_of(part: Message, words: str) -> list[RecipientStatus]:
    """Return what a `message/delivery-status` part says of each recipient, at most 50.

    Args:
        part: the part.
        words: the report's own for people, where some servers tell more than in its fields.
    """
    blocks = [block for block in _blocks(part) if _names_recipient(block)]
    return [_status_of(block, words) for block in blocks[:MOST_RECIPIENTS]]


def status_in(text: str) -> str:
    """Return the first status code in a text; else the one that its first SMTP reply stands for.

    RFC 5321, section 4.2.2: 552 is a mailbox over its quota. Empty if there is neither.
    """
    match = _STATUS.search(text)
    if match is not None:
        return match[0]
    reply = reply_in(text)
    if not reply:
        return ""
    return _FULL_STATUS if reply == "552" else f"{reply[0]}.0.0"


def reply_in(text: str) -> str:
    """Return the first SMTP reply code in a text that says no; empty without one."""
    match = _REPLY.search(text)
    return match[1] if match is not None else ""


def failure(status: str, text: str) -> Verdict:
    """Return what a final failure with this status code says.

    Args:
        status: such as `5.1.1`; empty where none was given.
        text: the server's words, which decide where the code says little.
    """
    if not status.startswith("5"):
        return MAY_PASS
    if status in INVALID_ADDRESS:
        return NO_MAILBOX
    subject = status.split(".")[1]
    if status in _SENDERS_FAULT or subject in {"6", "7"}:  # content; security and policy
        return NOT_THE_ADDRESS
    if status == _FULL_STATUS:
        return MAY_PASS
    if subject in {"1", "2"}:
        return BOUNCED
    return _by_words(status, subject, text)


def _by_words(status: str, subject: str, text: str) -> Verdict:
    if _NOBODY_THERE.search(text):
        return BOUNCED
    if _REFUSED_US.search(text):
        return NOT_THE_ADDRESS
    if _FULL.search(text):
        return MAY_PASS
    if subject == "0" or status == _NO_ROUTE:
        return BOUNCED
    return NOT_THE_ADDRESS if subject == "5" else MAY_PASS


def _blocks(part: Message) -> Iterator[Message]:
    parser = HeaderParser()
    for block in re.split(r"\n[ \t]*(?:\r?\n)+", decoded(part).replace("\r\n", "\n")):
        yield parser.parsestr(block.lstrip("\n"))


def _names_recipient(block: Mapping[str, str] | Message) -> bool:
    return "Final-Recipient" in block or "Original-Recipient" in block


def _status_of(block: Message, words: str) -> RecipientStatus:
    diagnostic = " ".join((str(block.get("Diagnostic-Code", "")) or words)[:2000].split())
    status = _precise(str(block.get("Status", ""))[:200], diagnostic)
    actions = str(block.get("Action", ""))[:200].split() or [_BY_CLASS.get(status[:1], "")]
    action = actions[0].strip(";,.").lower()[:64]
    kind = _ACTIONS.get(action, EventKind.UNKNOWN)
    verdict = failure(status, diagnostic) if kind is EventKind.BOUNCED else Verdict(kind)
    return RecipientStatus(
        addresses=tuple(_address(block, name) for name in _RECIPIENTS if block.get(name)),
        action=action,
        code=f"{status} {reply_in(diagnostic)}".strip(),
        at=str(block.get("Last-Attempt-Date", ""))[:200],
        verdict=verdict,
    )


_RECIPIENTS = ("Original-Recipient", "Final-Recipient")


def _precise(status: str, diagnostic: str) -> str:
    """Return the status code; the server's own where the report's says no more than its class."""
    given = _STATUS.search(status)
    if given is not None and given[0][1:] != ".0.0":
        return given[0]
    told = status_in(diagnostic)
    if given is None:
        return told
    return told if told.startswith(given[1]) else given[0]


def _address(block: Message, name: str) -> str:
    """Return the address after its type, `rfc822;` (RFC 3464, section 2.3.1)."""
    _, _, address = str(block.get(name, ""))[:1000].rpartition(";")
    return address.strip().strip("<>").strip()
