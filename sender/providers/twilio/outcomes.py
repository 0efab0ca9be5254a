"""What each of Twilio's error codes means, wherever it turns up.

Some codes answer the request, some come later in a status callback; one code means one thing in
both places, so there is one table. Each code has its page under https://www.twilio.com/docs/api/errors/.
"""

from datetime import timedelta

from sender.providers.outcome import (
    A_MINUTE,
    A_WHILE,
    AN_HOUR,
    BRIEFLY,
    UNANSWERED,
    Meaning,
    Outcome,
)
from sender.vocabulary import BlockCause

_PAGES = "https://www.twilio.com/docs/api/errors/"
_MEND = "Mend it in the Twilio console, then resume the run."
_CREDENTIALS = "Check the account SID and the auth token, then resume the run."
_SENDER = "Check the sender identity and the account it belongs to, then resume the run."


def _stop(code: int, detail: str, remedy: str = _MEND) -> Outcome:
    return Outcome(Meaning.STOP_RUN, detail, f"{_PAGES}{code}", remedy=remedy)


def _slow(code: int, detail: str) -> Outcome:
    return Outcome(Meaning.SLOW_DOWN, detail, f"{_PAGES}{code}", delay=BRIEFLY)


def _wait(code: int, detail: str, delay: timedelta) -> Outcome:
    return Outcome(Meaning.DEFER_RUN, detail, f"{_PAGES}{code}", delay=delay)


def _rejected(code: int, detail: str, block: BlockCause | None = None) -> Outcome:
    return Outcome(Meaning.REJECTED, detail, f"{_PAGES}{code}", block=block)


def _invalid(code: int, detail: str) -> Outcome:
    return _rejected(code, detail, BlockCause.INVALID)


CODES = {
    # The person
    21610: _rejected(
        21610, "The recipient opted out of this sender at Twilio.", BlockCause.OPT_OUT
    ),
    21211: _invalid(21211, "The number is not valid."),
    21217: _invalid(21217, "The number is not valid."),
    21265: _invalid(21265, "The number is a short code, which cannot receive messages."),
    21614: _invalid(21614, "The number is not a mobile number."),
    21635: _invalid(21635, "The number is a landline."),
    30005: _invalid(30005, "The number is unknown to its network."),
    30006: _invalid(30006, "The number is a landline, or its network cannot be reached."),
    30003: Outcome(
        Meaning.DEFERRED, "The handset cannot be reached for now.", f"{_PAGES}30003", delay=A_WHILE
    ),
    30004: _rejected(30004, "The network blocks messages to this number."),
    # The message
    30007: _rejected(30007, "A network filtered the message for its content."),
    21266: _rejected(21266, "Sender and recipient are the same number."),
    21602: _rejected(21602, "The message has no body."),
    21605: _rejected(21605, "The body is longer than 1,600 characters."),
    21617: _rejected(21617, "The body is longer than 1,600 characters."),
    # The way there
    21408: _rejected(21408, "The account may not send to this region."),
    21612: _rejected(21612, "This sender cannot reach this number."),
    30008: Outcome(
        Meaning.UNKNOWN, "Delivery failed for a reason that is not known.", f"{_PAGES}30008"
    ),
    # The rate
    20429: _slow(20429, "Too many requests; this one was not processed."),
    21611: _slow(21611, "The sender's queue is full."),
    30001: _slow(30001, "The queue is full."),
    30022: _slow(30022, "The campaign's rate at the networks was exceeded."),
    63038: _wait(63038, "The account's daily limit is used up.", AN_HOUR),
    21730: _wait(21730, "Twilio is under maintenance.", A_MINUTE),
    # The account
    10001: _stop(10001, "The account is not active."),
    20003: _stop(20003, "Twilio refuses the credentials.", _CREDENTIALS),
    20005: _stop(20005, "The account is not active."),
    20008: _stop(20008, "Test credentials cannot send this message.", _CREDENTIALS),
    20403: _stop(20403, "The account may not do this."),
    20404: _stop(20404, "The account was not found.", _CREDENTIALS),
    21608: _stop(21608, "A trial account reaches verified numbers only."),
    30002: _stop(30002, "The account is suspended."),
    30034: _stop(30034, "The sender is not registered with the networks."),
    30035: _stop(30035, "The sender's registration is incomplete or was refused."),
    # The sender
    21212: _stop(21212, "The sender is not valid.", _SENDER),
    21601: _stop(21601, "The sender cannot send messages.", _SENDER),
    21603: _stop(21603, "No sender was given.", _SENDER),
    21606: _stop(21606, "The sender cannot send messages from this account.", _SENDER),
    21609: _stop(21609, "The status callback address is not valid.", "Check status_callback_url."),
    21659: _stop(21659, "The sender is no Twilio number.", _SENDER),
    21660: _stop(21660, "The sender does not belong to this account.", _SENDER),
    21661: _stop(21661, "The sender cannot send SMS.", _SENDER),
    21701: _stop(21701, "The messaging service does not exist.", _SENDER),
    21703: _stop(21703, "The messaging service has no senders.", _SENDER),
    21705: _stop(21705, "The messaging service is not valid.", _SENDER),
}

_REFUSED = Outcome(
    Meaning.REJECTED, "Twilio refuses the message.", "https://www.twilio.com/docs/api/errors"
)
_DENIED = _stop(20003, "Twilio refuses the credentials.", _CREDENTIALS)
_STRANGE_REFUSAL = Outcome(
    Meaning.STOP_RUN,
    "The endpoint refused the request in a way that is not Twilio's.",
    "https://www.twilio.com/docs/usage/twilios-response",
    remedy="Check the account's endpoint and any proxy, then resume the run.",
)


def error_outcome(code: int | None, http_status: int) -> Outcome:
    """Return what an error answer means.

    Args:
        code: Twilio's own code; None where the answer carried none.
        http_status: of the answer; decides where the code is not in the table.
    """
    if code in CODES:
        return CODES[code]
    if http_status == 429:  # noqa: PLR2004  # Too Many Requests, RFC 6585, section 4
        return CODES[20429]
    if http_status in {401, 403}:
        return _DENIED
    if http_status == 408 or http_status >= 500:  # noqa: PLR2004  # it may have been processed
        return UNANSWERED
    return _REFUSED if code is not None and http_status == 400 else _STRANGE_REFUSAL  # noqa: PLR2004  # Bad Request
