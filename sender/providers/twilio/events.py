"""Twilio's webhooks in the words of all providers: status callbacks, and what people write.

Both are forms: https://www.twilio.com/docs/messaging/guides/track-outbound-message-status and
https://www.twilio.com/docs/messaging/guides/webhook-request. Fields come and go; those that are not
known are left alone.
"""

import re
from collections.abc import Mapping
from datetime import datetime

from sender.contacts.normalise import AddressRefusedError, normalise_number
from sender.errors import SenderError
from sender.providers.events import Notification, PersonsReply, ProviderEvent
from sender.providers.outcome import Meaning
from sender.providers.twilio.outcomes import CODES
from sender.vocabulary import BlockCause, Channel, EventKind, ProviderName

IDEMPOTENCY_HEADER = "I-Twilio-Idempotency-Token"

_KINDS = {
    "accepted": EventKind.SENT,
    "scheduled": EventKind.SENT,
    "queued": EventKind.SENT,
    "sending": EventKind.SENT,
    "sent": EventKind.SENT,
    "delivered": EventKind.DELIVERED,
    "read": EventKind.DELIVERED,
    "canceled": EventKind.FAILED,
}
"""Each status but the two that leave it to their code. Those of SENT prove no more than that Twilio
took the message, which is what an unknown delivery has to know."""

_FAILURES = frozenset({"undelivered", "failed"})
_INBOUND = frozenset({"received", "receiving"})

_KEPT = (
    "AccountSid",
    "MessageSid",
    "MessagingServiceSid",
    "MessageStatus",
    "SmsStatus",
    "ErrorCode",
    "NumSegments",
    "Price",
    "PriceUnit",
    "RawDlrDoneDate",
    "ChannelPrefix",
)
"""What is kept of a status callback: nothing that says to whom, from whom or what."""

_LONGEST_SID = 64
_LONGEST_STATUS = 64
_LONGEST_CODE = 20
_LONGEST_KEPT = 100
_LONGEST_ADDRESS = 320

_CODE = re.compile(r"[1-9][0-9]{0,8}")
_ID = re.compile(r"-?[0-9]{1,18}")
_CHANNEL_OF_NUMBER = re.compile(r"[A-Za-z]+:(?=\+)")


class UnreadableFormError(SenderError):
    """A form lacks what tells whose words or which message it is about; never quotes it."""


def is_persons_text(form: Mapping[str, str]) -> bool:
    """Whether a form brings what a person wrote, and not what became of a message of ours.

    Looked at rather than the path that it was posted to: a STOP that a mistake in the console sends
    to the path of the status callbacks is a STOP.
    """
    status = _status(form)
    if status:
        return status in _INBOUND or "OptOutType" in form
    return any(name in form for name in ("Body", "NumMedia", "OptOutType"))


def persons_reply(
    form: Mapping[str, str],
    account_ids: tuple[int, ...] = (),
    occurred_at: datetime | None = None,
) -> PersonsReply:
    """Return what a person wrote.

    A From that is no number which takes texts (a landline, a short code, a name) stays as Twilio
    wrote it, so that a STOP from there is kept as well; `whatsapp:+44…` is the person of +44….

    Args:
        form: Twilio's.
        account_ids: ours, that it came through.
        occurred_at: when it was written, where that is known.

    Raises:
        UnreadableFormError: it names no message or no sender.
    """
    sender = _bare(_text(form, "From", _LONGEST_ADDRESS))
    if not sender:
        raise UnreadableFormError("A text names nobody as its sender.")
    service = _text(form, "MessagingServiceSid", _LONGEST_SID)
    to = (_bare(_text(form, "To", _LONGEST_ADDRESS)), service)
    return PersonsReply(
        provider=ProviderName.TWILIO,
        name=_sid(form),
        channel=Channel.SMS,
        address=_person(sender),
        to=tuple(one for one in to if one),
        body=_clean(form.get("Body", "")),
        account_ids=account_ids,
        opt_out_type=_text(form, "OptOutType", _LONGEST_STATUS).upper() or None,
        occurred_at=occurred_at,
    )


def status_notification(
    form: Mapping[str, str],
    query: Mapping[str, str],
    idempotency_token: str | None,
    occurred_at: datetime | None = None,
) -> Notification:
    """Return what became of a message.

    Its name is made of message, status and code, which a second try with the same idempotency token
    repeats; so the token is kept but names nothing, and what is pulled later, without a token, has
    the name that its webhook had. A callback says no time that could be trusted: the carriers'
    `RawDlrDoneDate` has no time zone.

    Args:
        form: Twilio's.
        query: of the callback's URL, where the delivery and its run stand; negative delivery ids
            are replies.
        idempotency_token: of the header, if it is there.
        occurred_at: when, where that is known.

    Raises:
        UnreadableFormError: it names no message, or no status.
    """
    sid, status = _sid(form), _status(form)
    if not status:
        raise UnreadableFormError("A status callback names no status.")
    code = _code(form)
    kind, block, transient = _meaning(status, code)
    payload = {name: _text(form, name, _LONGEST_KEPT) for name in _KEPT if form.get(name)}
    if idempotency_token:
        payload[IDEMPOTENCY_HEADER] = _clean(idempotency_token)[:_LONGEST_KEPT]
    event = ProviderEvent(
        kind=kind,
        raw_type=status,
        occurred_at=occurred_at,
        channel=Channel.SMS,
        address=_bare(_text(form, "To", _LONGEST_ADDRESS)) or None,
        delivery_id=_id(query, "delivery"),
        run_id=_id(query, "run"),
        provider_message_id=sid,
        code=code,
        block=block,
        transient=transient,
        sender=_bare(_text(form, "From", _LONGEST_ADDRESS)) or None,
    )
    return Notification(
        provider=ProviderName.TWILIO,
        name=":".join(part for part in (sid, status, code) if part),
        raw_type=status,
        events=(event,),
        payload=payload,
    )


def _meaning(status: str, code: str) -> tuple[EventKind, BlockCause | None, bool]:
    """Return the kind, the block and whether it may pass; a code blocks whatever the status says.

    A failure that lies with the address is a bounce, any other is not.
    """
    outcome = CODES.get(int(code)) if code else None
    block = outcome.block if outcome else None
    if status not in _FAILURES:
        return _KINDS.get(status, EventKind.UNKNOWN), block, False
    transient = outcome is not None and outcome.meaning is Meaning.DEFERRED
    bounced = transient or block is BlockCause.INVALID
    return EventKind.BOUNCED if bounced else EventKind.FAILED, block, transient


def _sid(form: Mapping[str, str]) -> str:
    for name in ("MessageSid", "SmsMessageSid", "SmsSid"):
        if sid := _text(form, name, _LONGEST_SID):
            return sid
    raise UnreadableFormError("A form of Twilio's names no message.")


def _status(form: Mapping[str, str]) -> str:
    status = _text(form, "MessageStatus", _LONGEST_STATUS)
    return (status or _text(form, "SmsStatus", _LONGEST_STATUS)).lower()


def _code(form: Mapping[str, str]) -> str:
    """Return the error code; Twilio writes none as nothing, `0` or `null`."""
    code = _text(form, "ErrorCode", _LONGEST_CODE)
    return code if _CODE.fullmatch(code) else ""


def _id(query: Mapping[str, str], name: str) -> int | None:
    value = query.get(name, "")
    return int(value) if _ID.fullmatch(value) else None


def _person(number: str) -> str:
    try:
        return normalise_number(number)
    except AddressRefusedError:
        return number


def _bare(address: str) -> str:
    return _CHANNEL_OF_NUMBER.sub("", address, count=1)


def _text(form: Mapping[str, str], name: str, longest: int) -> str:
    return _clean(form.get(name, "")).strip()[:longest]


def _clean(text: str) -> str:
    """Return the text without what no database takes: NUL, and half surrogates of JSON."""
    return text.replace("\0", "").encode(errors="replace").decode()
