"""Twilio's REST API as far as sending goes: create a Message, fetch the Account.

By hand: `python -m tests.fakes.twilio --port 9002`, then endpoint_url = "http://127.0.0.1:9002".
"""

import base64
import re
import uuid
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fakes.command import run_fake
from tests.fakes.http import Answer, HttpFake, Request

_MESSAGES = re.compile(r"/2010-04-01/Accounts/(?P<account>AC\w+)/Messages\.json")
_ACCOUNT = re.compile(r"/2010-04-01/Accounts/(?P<account>AC\w+)\.json")
_E164 = re.compile(r"\+[1-9]\d{6,14}")


class RefusedError(Exception):
    """The request is refused."""

    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(code)
        self.answer = error_answer(status, code, text)


def error_answer(status: int, code: int, text: str = "Refused.") -> Answer:
    """An error as the service writes it."""
    page = f"https://www.twilio.com/docs/errors/{code}"
    document = {"code": code, "message": text, "more_info": page, "status": status}
    return Answer.from_json(status, document)


class TwilioFake(HttpFake):
    """Attributes beyond those of every fake.

    account_type, account_status: what fetching the account says.
    known_token: when set, any other auth token is refused.
    refusals: error codes by recipient.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.account_type = "Full"
        self.account_status = "active"
        self.known_token: str | None = None
        self.refusals: dict[str, int] = {}

    def respond(self, request: Request) -> Answer:
        try:
            return self._route(request)
        except RefusedError as refused:
            return refused.answer

    def _route(self, request: Request) -> Answer:
        if match := _MESSAGES.fullmatch(request.path):
            self._authenticate(request, match["account"])
            return self._create(match["account"], _form(request))
        if match := _ACCOUNT.fullmatch(request.path):
            self._authenticate(request, match["account"])
            return Answer.from_json(200, self._describe_account(match["account"]))
        raise RefusedError(404, 20404, "The requested resource was not found")

    def _authenticate(self, request: Request, account: str) -> None:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        user, _, token = base64.b64decode(encoded).decode().partition(":")
        known = self.known_token in {None, token}
        if scheme != "Basic" or not known or (user != account and not user.startswith("SK")):
            raise RefusedError(401, 20003, "Authenticate")

    def _describe_account(self, account: str) -> dict[str, Any]:
        return {
            "sid": account,
            "friendly_name": "Example",
            "status": self.account_status,
            "type": self.account_type,
            "date_created": "Tue, 21 Apr 2026 12:00:00 +0000",
            "date_updated": "Tue, 21 Apr 2026 12:00:00 +0000",
            "subresource_uris": {},
        }

    def _create(self, account: str, form: dict[str, str]) -> Answer:
        self._check(form)
        callback = parse_qs(urlsplit(form.get("StatusCallback", "")).query)
        self.take(int(callback.get("delivery", ["0"])[0]), dict(form))
        return Answer.from_json(
            201,
            {
                "sid": f"SM{uuid.uuid4().hex}",
                "account_sid": account,
                "messaging_service_sid": form.get("MessagingServiceSid"),
                "to": form["To"],
                "from": form.get("From"),
                "body": form["Body"],
                "status": "queued",
                "direction": "outbound-api",
                "num_segments": "1",
                "num_media": "0",
                "error_code": None,
                "error_message": None,
                "date_created": "Tue, 21 Apr 2026 12:00:00 +0000",
                "date_updated": "Tue, 21 Apr 2026 12:00:00 +0000",
                "date_sent": None,
                "subresource_uris": {},
            },
        )

    def _check(self, form: dict[str, str]) -> None:
        if not _E164.fullmatch(form.get("To", "")):
            raise RefusedError(400, 21211, "Invalid 'To' Phone Number")
        if not (form.get("From") or form.get("MessagingServiceSid")):
            raise RefusedError(400, 21603, "A 'From' phone number is required.")
        if not 1 <= len(form.get("Body", "")) <= 1600:
            raise RefusedError(400, 21617 if form.get("Body") else 21602, "Message body")
        if not 1 <= int(form.get("ValidityPeriod", "36000")) <= 36_000:
            raise RefusedError(400, 20001, "Invalid ValidityPeriod")
        if self.bucket and not self.bucket.take(1):
            raise RefusedError(429, 20429, "Too Many Requests")
        if not self.room_today(1):
            raise RefusedError(429, 63038, "Account exceeded its daily messages limit")
        if form["To"] in self.refusals:
            raise RefusedError(400, self.refusals[form["To"]], "Refused.")


def _form(request: Request) -> dict[str, str]:
    fields = parse_qs(request.body.decode(), keep_blank_values=True, strict_parsing=True)
    return {name: values[0] for name, values in fields.items()}


if __name__ == "__main__":
    run_fake(TwilioFake)
