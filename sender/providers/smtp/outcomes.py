"""What a mail server's reply means, by the stage of the conversation and the reply's codes.

RFC 5321, section 4.2.1: a 4yz or 5yz reply says that the requested action did not take place, at
whatever stage. RFC 3463 and its registry give the enhanced codes (x.y.z).
"""

import re
from enum import StrEnum

from sender.providers.outcome import (
    A_MINUTE,
    A_WHILE,
    AN_HOUR,
    BRIEFLY,
    UNANSWERED,
    UNREACHABLE,
    Meaning,
    Outcome,
)
from sender.vocabulary import BlockCause

_RFC5321 = "RFC 5321, section 4.2"
_REGISTRY = "https://www.iana.org/assignments/smtp-enhanced-status-codes/"
_SES_BY_SMTP = "https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html"


class Stage(StrEnum):
    """How far the conversation about one message has come."""

    CONNECT = "connect"
    LOGIN = "login"
    SENDER = "sender"
    RECIPIENT = "recipient"
    CONTENT = "content"
    """DATA was asked for; the line that ends the message is not written yet."""
    END = "end"
    """The line that ends the message was written: from here on the server may have taken it."""


CLOSING = Outcome(
    Meaning.DEFER_RUN,
    "The mail server is closing the connection.",
    "RFC 5321, section 3.8",
    remedy="Wait, or ask the mail server's operator.",
    delay=A_MINUTE,
)
NOT_NOW = Outcome(
    Meaning.DEFERRED, "The mail server does not take this message for now.", _RFC5321, delay=A_WHILE
)
SERVER_NOT_NOW = Outcome(
    Meaning.DEFER_RUN,
    "The mail server does not take mail for now.",
    _RFC5321,
    remedy="Wait, or ask the mail server's operator.",
    delay=A_MINUTE,
)
REFUSED = Outcome(Meaning.REJECTED, "The mail server refuses this message.", _RFC5321)
TOO_LARGE = Outcome(Meaning.REJECTED, "The message is too large for the mail server.", "RFC 1870")
SERVER_REFUSES = Outcome(
    Meaning.STOP_RUN,
    "The mail server refuses this client or its sender address.",
    _RFC5321,
    remedy="Check the account's host, security and From address, then resume the run.",
)
LOGIN_REFUSED = Outcome(
    Meaning.STOP_RUN,
    "The mail server refuses the login, or asks for one.",
    "RFC 4954, section 6",
    remedy="Check the account's user name and password, then resume the run.",
)
NO_STARTTLS = Outcome(
    Meaning.STOP_RUN,
    "The mail server offers no STARTTLS.",
    "RFC 3207, section 4",
    remedy="Check the port, or set the option security to tls; nothing is sent in the clear.",
)
TOO_FAST = Outcome(
    Meaning.SLOW_DOWN, "The account's sending rate was exceeded.", _SES_BY_SMTP, delay=BRIEFLY
)
QUOTA_USED_UP = Outcome(
    Meaning.DEFER_RUN, "The account's daily quota is used up.", _SES_BY_SMTP, delay=AN_HOUR
)


def _invalid(detail: str) -> Outcome:
    return Outcome(Meaning.REJECTED, detail, _REGISTRY, block=BlockCause.INVALID)


INVALID_ADDRESS = {
    "5.1.1": _invalid("The mailbox does not exist."),
    "5.1.2": _invalid("The address's domain does not exist."),
    "5.1.3": _invalid("The address is malformed."),
    "5.1.6": _invalid("The mailbox has moved without a forwarding address."),
    "5.1.10": _invalid("The address's domain takes no mail."),
}

CODES = {
    421: CLOSING,
    530: LOGIN_REFUSED,
    534: LOGIN_REFUSED,
    535: LOGIN_REFUSED,
    538: LOGIN_REFUSED,
    552: TOO_LARGE,
}
"""Replies that mean the same at every stage (RFC 5321, RFC 4954 section 6, RFC 1870)."""

TOO_LARGE_CODE = "5.3.4"

TEXTS = (
    ("maximum sending rate exceeded", TOO_FAST),
    ("daily message quota exceeded", QUOTA_USED_UP),
)
"""Amazon SES by SMTP gives 454 for both; looked for in lower case."""

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\d)")


def reply_outcome(stage: Stage, code: int, text: str) -> Outcome:
    """Return what a reply other than success means.

    Args:
        stage: what was answered.
        code: the three-digit reply code; anything outside 400-599 was not understood.
        text: the rest of the reply.
    """
    if code // 100 not in {4, 5}:
        return UNANSWERED if stage is Stage.END else SERVER_REFUSES
    of_the_server = stage in {Stage.CONNECT, Stage.LOGIN, Stage.SENDER}
    always = _by_text(text) or CODES.get(code)
    if always is not None:
        return always
    if code < 500:  # noqa: PLR2004  # 4yz, transient
        return SERVER_NOT_NOW if of_the_server else NOT_NOW
    enhanced = enhanced_code(text)
    if enhanced == TOO_LARGE_CODE:
        return TOO_LARGE
    return SERVER_REFUSES if of_the_server else INVALID_ADDRESS.get(enhanced, REFUSED)


def _by_text(text: str) -> Outcome | None:
    lowered = text.lower()
    return next((outcome for words, outcome in TEXTS if words in lowered), None)


def lost_outcome(stage: Stage) -> Outcome:
    """Return what a lost connection or a time-out means.

    Without the line that ends it, a message is not accepted (RFC 5321, section 4.1.1.4).
    """
    if stage is Stage.END:
        return UNANSWERED
    return UNREACHABLE if stage in {Stage.CONNECT, Stage.LOGIN} else NOT_NOW


def enhanced_code(text: str) -> str:
    """Return the enhanced status code at the head of a reply's text, or an empty string."""
    match = _ENHANCED.match(text)
    return match[0] if match else ""


def code_of(code: int, text: str) -> str:
    """Return a reply's codes without its text, which may quote the address."""
    return f"{code} {enhanced_code(text)}".strip()
