"""What each of Amazon SES's answers means.

Two tables: the errors of a whole call (`x-amzn-ErrorType`) and the status of one entry of a bulk
call. Some codes carry two meanings and are told apart by their text, so `TEXTS` is read first.
"""

from sender.providers.outcome import (
    A_WHILE,
    AN_HOUR,
    BRIEFLY,
    UNANSWERED,
    Meaning,
    Outcome,
)

_ACTIONS = "https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendBulkEmail.html"
_ENTRIES = "https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_BulkEmailEntryResult.html"
_COMMON = "https://docs.aws.amazon.com/ses/latest/APIReference-V2/CommonErrors.html"
_QUOTAS = "https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html"

TOO_FAST = Outcome(
    Meaning.SLOW_DOWN, "The account's sending rate was exceeded.", _QUOTAS, delay=BRIEFLY
)
QUOTA_USED_UP = Outcome(
    Meaning.DEFER_RUN,
    "The account's daily quota is used up.",
    _QUOTAS,
    remedy="Wait, or ask AWS for a higher quota.",
    delay=AN_HOUR,
)
UNVERIFIED = Outcome(
    Meaning.STOP_RUN,
    "An identity is not verified in this region.",
    "https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-error-messages.html",
    remedy="Verify the From domain in SES; in the sandbox, every recipient must be verified too.",
)
PAUSED = Outcome(
    Meaning.STOP_RUN,
    "Sending is paused for this account.",
    _ACTIONS,
    remedy="See the reputation page of the SES console, then resume the run.",
)
SUSPENDED = Outcome(
    Meaning.STOP_RUN,
    "The account may not send any more.",
    _ACTIONS,
    remedy="Answer AWS's case about this account, then resume the run.",
)
SET_PAUSED = Outcome(
    Meaning.STOP_RUN,
    "Sending is paused for this configuration set.",
    _ENTRIES,
    remedy="Switch sending on for the configuration set, then resume the run.",
)
FROM_UNVERIFIED = Outcome(
    Meaning.STOP_RUN,
    "The MAIL FROM domain is not verified.",
    _ACTIONS,
    remedy="Mend the custom MAIL FROM domain's DNS records, then resume the run.",
)
MISSING = Outcome(
    Meaning.STOP_RUN,
    "A resource that the request names does not exist in this region.",
    _ACTIONS,
    remedy="Check the account's region and configuration_set.",
)
CREDENTIALS = Outcome(
    Meaning.STOP_RUN,
    "AWS refuses the credentials.",
    _COMMON,
    remedy="Check the access key, its permissions and this machine's clock.",
)
BAD_CONTENT = Outcome(Meaning.REJECTED, "SES refuses the message's content.", _ENTRIES)
BAD_REQUEST = Outcome(Meaning.REJECTED, "SES refuses the request as malformed.", _ACTIONS)
NOT_NOW = Outcome(
    Meaning.DEFERRED, "SES could not process this entry for now.", _ENTRIES, delay=A_WHILE
)

TEXTS = (
    ("daily message quota exceeded", QUOTA_USED_UP),
    ("maximum sending rate exceeded", TOO_FAST),
    ("is not verified", UNVERIFIED),
    ("sending is paused", PAUSED),
    ("sending paused", PAUSED),
)
"""Texts that decide when a code has several meanings; looked for in lower case."""

CALL_ERRORS = {
    "TooManyRequestsException": TOO_FAST,
    "ThrottlingException": TOO_FAST,
    "Throttling": TOO_FAST,
    "LimitExceededException": QUOTA_USED_UP,
    "SendingPausedException": PAUSED,
    "AccountSuspendedException": SUSPENDED,
    "MailFromDomainNotVerifiedException": FROM_UNVERIFIED,
    "NotFoundException": MISSING,
    "MessageRejected": BAD_CONTENT,
    "BadRequestException": BAD_REQUEST,
    "ValidationException": BAD_REQUEST,
    "ValidationError": BAD_REQUEST,
    "InvalidClientTokenId": CREDENTIALS,
    "UnrecognizedClientException": CREDENTIALS,
    "SignatureDoesNotMatch": CREDENTIALS,
    "InvalidSignatureException": CREDENTIALS,
    "IncompleteSignature": CREDENTIALS,
    "MissingAuthenticationTokenException": CREDENTIALS,
    "MissingAuthenticationToken": CREDENTIALS,
    "ExpiredToken": CREDENTIALS,
    "ExpiredTokenException": CREDENTIALS,
    "RequestExpired": CREDENTIALS,
    "AccessDenied": CREDENTIALS,
    "AccessDeniedException": CREDENTIALS,
    "NotAuthorized": CREDENTIALS,
    "OptInRequired": CREDENTIALS,
    "InternalFailure": UNANSWERED,
    "InternalServiceErrorException": UNANSWERED,
    "ServiceUnavailable": UNANSWERED,
}

_STRANGE_REFUSAL = Outcome(
    Meaning.STOP_RUN,
    "The endpoint refused the request in a way that is not in the table.",
    _COMMON,
    remedy="Look the code up, mend the cause and resume the run.",
)

ENTRY_STATUSES = {
    "TRANSIENT_FAILURE": NOT_NOW,
    "ACCOUNT_THROTTLED": TOO_FAST,
    "ACCOUNT_DAILY_QUOTA_EXCEEDED": QUOTA_USED_UP,
    "ACCOUNT_SUSPENDED": SUSPENDED,
    "ACCOUNT_SENDING_PAUSED": PAUSED,
    "CONFIGURATION_SET_SENDING_PAUSED": SET_PAUSED,
    "MAIL_FROM_DOMAIN_NOT_VERIFIED": FROM_UNVERIFIED,
    "CONFIGURATION_SET_NOT_FOUND": MISSING,
    "CONFIGURATION_SET_DOES_NOT_EXIST": MISSING,
    "TEMPLATE_NOT_FOUND": MISSING,
    "TEMPLATE_DOES_NOT_EXIST": MISSING,
    "INVALID_SENDING_POOL_NAME": MISSING,
    "MESSAGE_REJECTED": BAD_CONTENT,
    "INVALID_PARAMETER": BAD_REQUEST,
    "INVALID_PARAMETER_VALUE": BAD_REQUEST,
    "FAILED": UNANSWERED,
}
"""Both spellings where the SDK's model and its documentation differ. `SUCCESS` is no failure."""

_DECIDED_BY_TEXT = frozenset(
    {
        "BadRequestException",
        "FAILED",
        "LimitExceededException",
        "MESSAGE_REJECTED",
        "MessageRejected",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


def call_outcome(code: str, text: str, http_status: int) -> Outcome:
    """Return what the error of a whole call means; a 5xx not in the table may have been taken."""
    decided = _by_text(code, text)
    if decided is not None:
        return decided
    if code in CALL_ERRORS:
        return CALL_ERRORS[code]
    if http_status == 429:  # noqa: PLR2004  # Too Many Requests, RFC 6585, section 4
        return TOO_FAST
    if http_status == 408:  # noqa: PLR2004  # Request Timeout: somebody on the way gave up waiting
        return UNANSWERED
    return _STRANGE_REFUSAL if 300 <= http_status < 500 else UNANSWERED  # noqa: PLR2004  # 3xx, 4xx


def entry_outcome(status: str, text: str) -> Outcome:
    """Return what the status of a bulk entry other than `SUCCESS` means."""
    return _by_text(status, text) or ENTRY_STATUSES.get(status, UNANSWERED)


def _by_text(code: str, text: str) -> Outcome | None:
    if code not in _DECIDED_BY_TEXT:
        return None
    lowered = text.lower()
    return next((outcome for words, outcome in TEXTS if words in lowered), None)
