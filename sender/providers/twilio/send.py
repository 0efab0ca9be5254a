"""Hand SMS to Twilio, one request a message, several at the same time."""

import math
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from twilio.base.exceptions import (
    TwilioException,
    TwilioRestException,
    TwilioServiceException,
)
from urllib3.exceptions import HTTPError

from sender.clock import Clock
from sender.errors import ProviderError
from sender.providers.account import AccountSettings, read_credentials
from sender.providers.base import (
    Accepted,
    BatchResult,
    Capacity,
    Directive,
    NotStarted,
    Outgoing,
    Rejected,
    Result,
    Unknown,
)
from sender.providers.gate import RequestGate, TooLateError
from sender.providers.outcome import NOT_STARTED, UNANSWERED, UNREACHABLE, Outcome, gravest
from sender.providers.twilio.client import open_client
from sender.providers.twilio.outcomes import CODES, error_outcome
from sender.rendering.message import RenderedSms
from sender.vocabulary import Channel, ProviderName

KEY_VARIABLE = "TWILIO_ACCOUNT_SID"
SECRET_VARIABLE = "TWILIO_AUTH_TOKEN"  # noqa: S105  # a variable's name

CAUTIOUS_RATE = 1.0
"""Messages per second of the slowest sender that Twilio has, a US long code; Twilio tells no rate.
https://help.twilio.com/articles/115002943027"""

MESSAGES_PER_WORKER = 4
"""Messages that one batch holds for each worker: about a second's work at 250 ms a request."""

SHORTEST_VALIDITY_SECONDS = 1
LONGEST_VALIDITY_SECONDS = 36_000
"""Twilio Message resource, ValidityPeriod."""

MESSAGING_SERVICE_PREFIX = "MG"

Answer = tuple[Result, Directive | None]


class TwilioProvider:
    """One Twilio account."""

    name = ProviderName.TWILIO
    channels = frozenset({Channel.SMS})
    messages_per_call = 1
    concurrency = 1
    """One batch at a time: the requests of a batch already run side by side."""

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
            settings, environ, key_variable=KEY_VARIABLE, secret_variable=SECRET_VARIABLE
        )
        self._settings = settings
        self._clock = clock
        self._client, self._http = open_client(settings, credentials, timeout)
        self._workers = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="twilio")
        self.batch_limit = settings.concurrency * MESSAGES_PER_WORKER

    def capacity(self) -> Capacity:
        """Fetch the account: its state, and whether it is a trial.

        Raises:
            ProviderError: Twilio cannot be reached or refuses the credentials.
        """
        try:
            account = self._client.api.v2010.accounts(self._client.account_sid).fetch()
        except (TwilioRestException, TwilioServiceException) as error:
            raise self._refused(error) from None
        except (HTTPError, ValueError) as error:
            raise ProviderError(
                f"Provider account {self._settings.name}: Twilio cannot be reached "
                f"({type(error).__name__}).",
                remedy=UNREACHABLE.remedy,
            ) from None
        trial = account.type == "Trial"
        return Capacity(
            rate_per_second=self._settings.rate_per_second or CAUTIOUS_RATE,
            remaining_today=self._settings.daily_quota,
            sandbox=trial,
            sending_enabled=account.status == "active",
            detail=f"Twilio, account {account.status}{', trial' if trial else ''}",
        )

    def send(self, batch: Sequence[Outgoing], start_before: float) -> BatchResult:
        """Send each message by a request of its own; a directive ends the batch."""
        halted = threading.Event()
        tasks = [
            self._workers.submit(self._send_one, outgoing, start_before, halted)
            for outgoing in batch
        ]
        answers = [task.result() for task in tasks]
        directive: Directive | None = None
        for _, told in answers:
            directive = gravest(directive, told)
        results = tuple(result for result, _ in answers)
        calls = sum(not isinstance(result, NotStarted) for result in results)
        return BatchResult(results=results, directive=directive, calls=calls)

    def close(self) -> None:
        """Wait for the workers and close the connections."""
        self._workers.shutdown()
        self._http.close()

    def _send_one(self, outgoing: Outgoing, start_before: float, halted: threading.Event) -> Answer:
        if not isinstance(outgoing.message, RenderedSms):
            return Rejected(code="not-an-sms", detail="Twilio carries SMS only."), None
        if halted.is_set():
            return NOT_STARTED, None
        result, directive = self._request(outgoing, outgoing.message, start_before)
        if directive is not None:
            halted.set()
        return result, directive

    def _request(self, outgoing: Outgoing, sms: RenderedSms, start_before: float) -> Answer:
        validity = self._validity_seconds(outgoing)
        if validity < SHORTEST_VALIDITY_SECONDS:
            return NOT_STARTED, None
        gate = RequestGate(self._clock, start_before)
        try:
            with gate:
                message = self._client.messages.create(
                    to=sms.to_number,
                    body=sms.body,
                    validity_period=validity,
                    **self._sender(sms),
                    **self._callback(outgoing),
                )
        except TooLateError:
            return NOT_STARTED, None
        except Exception as error:  # noqa: BLE001  # whatever the SDK raises, the gate knows best
            outcome, code = _explain(error, gate)
            return outcome.result(code), outcome.directive(code)
        sid = getattr(message, "sid", None)
        return (Accepted(sid) if sid else Unknown(code="answer-without-message-sid")), None

    def _validity_seconds(self, outgoing: Outgoing) -> int:
        """Whole seconds until the message must not go out any more, rounded down."""
        left = (outgoing.expires_at - self._clock.now()).total_seconds()
        return min(LONGEST_VALIDITY_SECONDS, math.floor(left))

    def _sender(self, sms: RenderedSms) -> dict[str, str]:
        """A service picks any of its senders, so the checked one is always named with it."""
        if sms.sender.startswith(MESSAGING_SERVICE_PREFIX) and len(sms.sender) == 34:  # noqa: PLR2004  # a SID
            return {"messaging_service_sid": sms.sender}
        service = self._settings.options.get("messaging_service_sid")
        return {"from_": sms.sender} | ({"messaging_service_sid": service} if service else {})

    def _callback(self, outgoing: Outgoing) -> dict[str, str]:
        """The status callback carries the delivery, so that events find it without our record."""
        base = self._settings.options.get("status_callback_url")
        if not base:
            return {}
        parts = urlsplit(base)
        mark = urlencode({"delivery": outgoing.delivery_id, "run": outgoing.run_id})
        query = f"{parts.query}&{mark}" if parts.query else mark
        return {"status_callback": urlunsplit(parts._replace(query=query))}

    def _refused(self, error: Any) -> ProviderError:
        return ProviderError(
            f"Provider account {self._settings.name}: Twilio refuses the account ({error.code}).",
            remedy=f"{CODES[20003].remedy} They come from "
            f"{self._settings.key_variable or KEY_VARIABLE} and "
            f"{self._settings.secret_variable or SECRET_VARIABLE}.",
        )


def _explain(error: Exception, gate: RequestGate) -> tuple[Outcome, str]:
    """Say what an exception means. A code equal to the HTTP status is the SDK's, not Twilio's."""
    if isinstance(error, TwilioRestException | TwilioServiceException):
        own = error.code if error.code != error.status else None
        return error_outcome(own, error.status), str(error.code or error.status)
    name = type(error).__name__
    if gate.wrote:
        return UNANSWERED, name
    return (CODES[20003] if isinstance(error, TwilioException) else UNREACHABLE), name
