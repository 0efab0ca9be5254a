"""Hand e-mail to Amazon SES: up to 50 whole messages a call, or one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
)

from sender.clock import Clock
from sender.errors import ProviderError
from sender.providers.account import AccountSettings, read_credentials
from sender.providers.base import (
    Accepted,
    BatchResult,
    Capacity,
    Deferred,
    Directive,
    Outgoing,
    Rejected,
    Result,
    Unknown,
)
from sender.providers.gate import RequestGate, TooLateError
from sender.providers.outcome import (
    NOT_STARTED,
    UNANSWERED,
    UNREACHABLE,
    Meaning,
    Outcome,
    gravest,
)
from sender.providers.ses.client import open_client
from sender.providers.ses.outcomes import BAD_REQUEST, CREDENTIALS, call_outcome, entry_outcome
from sender.providers.ses.request import (
    MAX_ENTRIES,
    Entry,
    UnsendableError,
    bulk_request,
    cut_into_calls,
    make_entry,
    single_request,
)
from sender.vocabulary import Channel, ProviderName

KEY_VARIABLE = "AWS_ACCESS_KEY_ID"
SECRET_VARIABLE = "AWS_SECRET_ACCESS_KEY"  # noqa: S105  # a variable's name
TOKEN_VARIABLE = "AWS_SESSION_TOKEN"  # noqa: S105  # a variable's name

SLOWEST_RATE = 0.1
"""Messages per second when SES reports a rate of 0, which it does for paused accounts."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a call as a whole was not answered with results."""

    outcome: Outcome
    code: str


@dataclass(slots=True)
class _Batch:
    """The results gathered so far; positions without one were not started."""

    results: dict[int, Result] = field(default_factory=dict)
    directive: Directive | None = None
    calls: int = 0

    def note(self, entry: Entry, outcome: Outcome, code: str) -> None:
        self.results[entry.position] = outcome.result(code)
        self.directive = gravest(self.directive, outcome.directive(code))

    def finish(self, length: int) -> BatchResult:
        results = tuple(self.results.get(position, NOT_STARTED) for position in range(length))
        return BatchResult(results=results, directive=self.directive, calls=self.calls)


class SesProvider:
    """One SES account in one region."""

    name = ProviderName.SES
    channels = frozenset({Channel.EMAIL})

    def __init__(
        self,
        settings: AccountSettings,
        environ: Mapping[str, str],
        clock: Clock,
        timeout: timedelta,
    ) -> None:
        """Open the account; no request is made yet.

        Raises:
            ProviderError: a credential's environment variable is not set.
        """
        credentials = read_credentials(
            settings,
            environ,
            key_variable=KEY_VARIABLE,
            secret_variable=SECRET_VARIABLE,
            token_variable=TOKEN_VARIABLE,
        )
        self._settings = settings
        self._clock = clock
        self._configuration_set = settings.options.get("configuration_set")
        self._client, self._session = open_client(settings, credentials, environ, timeout)
        self.concurrency = settings.concurrency
        self.batch_limit = 1 if settings.options.get("mode") == "single" else MAX_ENTRIES
        self.messages_per_call = self.batch_limit

    def capacity(self) -> Capacity:
        """Read GetAccount: quota, rate, sandbox, pauses.

        Raises:
            ProviderError: SES cannot be reached or refuses the credentials.
        """
        try:
            account = self._client.get_account()
        except ClientError as error:
            raise self._refused(error) from None
        except BotoCoreError as error:
            raise ProviderError(
                f"Provider account {self._settings.name}: SES cannot be reached "
                f"({type(error).__name__}).",
                remedy=UNREACHABLE.remedy,
            ) from None
        return _read_capacity(self._settings, account)

    def send(self, batch: Sequence[Outgoing], start_before: float) -> BatchResult:
        """Send whole messages in as few calls as the limits of SES allow.

        A batch that SES refuses as a whole is halved until the refused message stands alone: a
        refused call has taken nothing. Where every message of several is refused that way, the
        cause is not in the messages, and the run stops.
        """
        progress = _Batch()
        entries = _make_entries(batch, progress)
        for call in cut_into_calls(entries):
            if progress.directive is not None:
                break
            self._send_call(call, start_before, progress)
            _suspect_the_account(call, progress)
        return progress.finish(len(batch))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()
        self._client.close()

    def _send_call(self, call: list[Entry], start_before: float, progress: _Batch) -> None:
        gate = RequestGate(self._clock, start_before)
        try:
            with gate:
                answer = self._request(call)
        except Exception as error:  # noqa: BLE001  # whatever the SDK raises, the gate knows best
            if _was_too_late(error):
                return
            progress.calls += 1
            self._note_failure(call, _explain(error, gate), start_before, progress)
            return
        progress.calls += 1
        _note_answer(call, answer, progress)

    def _request(self, call: list[Entry]) -> Mapping[str, Any]:
        if len(call) == 1:
            return self._client.send_email(**single_request(call[0], self._configuration_set))
        return self._client.send_bulk_email(**bulk_request(call, self._configuration_set))

    def _note_failure(
        self, call: list[Entry], failure: _Failure, start_before: float, progress: _Batch
    ) -> None:
        if failure.outcome.meaning is Meaning.REJECTED and len(call) > 1:
            middle = len(call) // 2
            for half in (call[:middle], call[middle:]):
                if progress.directive is None:
                    self._send_call(half, start_before, progress)
            return
        for entry in call:
            progress.note(entry, failure.outcome, failure.code)

    def _refused(self, error: ClientError) -> ProviderError:
        code = str(error.response["Error"].get("Code", ""))
        return ProviderError(
            f"Provider account {self._settings.name}: SES refuses GetAccount ({code}).",
            remedy=f"{CREDENTIALS.remedy} The access key comes from "
            f"{self._settings.key_variable or KEY_VARIABLE}; it needs ses:GetAccount and "
            "ses:SendEmail.",
        )


def _make_entries(batch: Sequence[Outgoing], progress: _Batch) -> list[Entry]:
    entries = []
    for position, outgoing in enumerate(batch):
        try:
            entries.append(make_entry(position, outgoing, alone=len(batch) == 1))
        except UnsendableError as error:
            progress.results[position] = Rejected(
                code=str(error), detail="The message breaks a limit of SES; it was not sent."
            )
    return entries


def _explain(error: Exception, gate: RequestGate) -> _Failure:
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        code = str(details.get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return _Failure(call_outcome(code, str(details.get("Message", "")), status), code)
    code = type(error).__name__
    if gate.wrote:
        return _Failure(UNANSWERED, code)
    if isinstance(error, ParamValidationError):
        return _Failure(BAD_REQUEST, code)
    return _Failure(CREDENTIALS if isinstance(error, NoCredentialsError) else UNREACHABLE, code)


def _was_too_late(error: Exception) -> bool:
    """Whether the gate held the request back; botocore wraps what it does not know."""
    wrapped = getattr(error, "kwargs", {}).get("error")
    return isinstance(error, TooLateError) or isinstance(wrapped, TooLateError)


def _note_answer(call: list[Entry], answer: Mapping[str, Any], progress: _Batch) -> None:
    if len(call) == 1:
        progress.results[call[0].position] = _accepted(answer.get("MessageId"))
        return
    rows = answer.get("BulkEmailEntryResults", ())
    if len(rows) != len(call):
        for entry in call:
            progress.results[entry.position] = Unknown(code="answer-not-understood")
        return
    for entry, row in zip(call, rows, strict=True):
        status = str(row.get("Status", ""))
        if status == "SUCCESS":
            progress.results[entry.position] = _accepted(row.get("MessageId"))
        else:
            progress.note(entry, entry_outcome(status, str(row.get("Error", ""))), status)


def _accepted(message_id: str | None) -> Result:
    return Accepted(message_id) if message_id else Unknown(code="answer-without-message-id")


def _suspect_the_account(call: list[Entry], progress: _Batch) -> None:
    """Stop the run where each of several messages was refused as a malformed request."""
    results = [progress.results.get(entry.position) for entry in call]
    codes = {result.code for result in results if isinstance(result, Rejected)}
    if len(call) == 1 or len(codes) != 1 or not all(isinstance(r, Rejected) for r in results):
        return
    code = codes.pop()
    if call_outcome(code, "", 400) is not BAD_REQUEST:
        return
    stop = Outcome(
        Meaning.STOP_RUN,
        "SES refused every message of a batch as malformed, so the cause is not in one message.",
        BAD_REQUEST.source,
        remedy="Check the From address and the account's options, then resume the run.",
    )
    progress.directive = stop.directive(code)
    for entry in call:
        progress.results[entry.position] = Deferred(delay=stop.delay, code=code)


def _read_capacity(settings: AccountSettings, account: Mapping[str, Any]) -> Capacity:
    quota = account.get("SendQuota", {})
    allowed, sent = quota.get("Max24HourSend", 0), quota.get("SentLast24Hours", 0)
    remaining = None if allowed < 0 else max(0, int(allowed - sent))
    limits = [limit for limit in (remaining, settings.daily_quota) if limit is not None]
    rates = [rate for rate in (quota.get("MaxSendRate"), settings.rate_per_second) if rate]
    status = str(account.get("EnforcementStatus", "unknown"))
    sandbox = not account.get("ProductionAccessEnabled", False)
    return Capacity(
        rate_per_second=max(SLOWEST_RATE, min(rates, default=SLOWEST_RATE)),
        remaining_today=min(limits, default=None),
        sandbox=sandbox,
        sending_enabled=bool(account.get("SendingEnabled", False)) and status != "SHUTDOWN",
        detail=f"Amazon SES, {settings.region or 'default region'}, reputation {status}"
        + (", sandbox" if sandbox else ""),
        daily_quota=None if allowed < 0 else int(allowed),
    )
