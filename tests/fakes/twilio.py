"""Twilio's REST API as far as we call it: create a Message, list Messages, fetch the Account.

By hand: `python -m tests.fakes.twilio --port 9002`, then endpoint_url = "http://127.0.0.1:9002".
"""

import base64
import re
import uuid
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from tests.fakes.command import run_fake
from tests.fakes.http import Answer, HttpFake, Request

_MESSAGES = re.compile(r"/2010-04-01/Accounts/(?P<account>AC\w+)/Messages\.json")
_ACCOUNT = re.compile(r"/2010-04-01/Accounts/(?P<account>AC\w+)\.json")
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOST_ON_A_PAGE = 1000
_NOON = datetime(2026, 4, 21, 12, tzinfo=UTC)


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
    record: the Messages that a list shows, oldest first; those created are among them, as sent.
    page_limit: how many a page holds at most, whatever is asked for.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.account_type = "Full"
        self.account_status = "active"
        self.known_token: str | None = None
        self.refusals: dict[str, int] = {}
        self.record: list[dict[str, Any]] = []
        self.page_limit = _MOST_ON_A_PAGE

    def note(self, **fields: Any) -> dict[str, Any]:
        """Add a Message to the record; `at` is when it was sent, `from_` who sent it."""
        at = format_datetime(fields.pop("at", _NOON))
        document = {
            "sid": f"SM{uuid.uuid4().hex}",
            "account_sid": "AC" + "0" * 32,
            "messaging_service_sid": None,
            "to": "+447700900123",
            "from": fields.pop("from_", "+447700900456"),
            "body": "",
            "status": "received",
            "direction": "inbound",
            "num_segments": "1",
            "num_media": "0",
            "price": None,
            "price_unit": "GBP",
            "error_code": None,
            "error_message": None,
            "date_created": at,
            "date_updated": at,
            "date_sent": at,
            "api_version": "2010-04-01",
            "subresource_uris": {},
            **fields,
        }
        self.record.append(document)
        return document

    def respond(self, request: Request) -> Answer:
        try:
            return self._route(request)
        except RefusedError as refused:
            return refused.answer

    def _route(self, request: Request) -> Answer:
        path = urlsplit(request.path).path
        if match := _MESSAGES.fullmatch(path):
            self._authenticate(request, match["account"])
            if request.method == "GET":
                return self._list(request)
            return self._create(match["account"], _form(request))
        if match := _ACCOUNT.fullmatch(path):
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
        created = self.note(
            account_sid=account,
            messaging_service_sid=form.get("MessagingServiceSid"),
            to=form["To"],
            from_=form.get("From"),
            body=form["Body"],
            direction="outbound-api",
            status="sent",
        )
        return Answer.from_json(201, created | {"status": "queued", "date_sent": None})

    def _list(self, request: Request) -> Answer:
        """A page, newest first; the rest is found by the next page's address alone."""
        parts = urlsplit(request.path)
        query = dict(parse_qsl(parts.query))
        size = min(int(query.get("PageSize", "50")), self.page_limit)
        if not 1 <= size <= _MOST_ON_A_PAGE:
            raise RefusedError(400, 20001, "Invalid PageSize")
        first = int(query.get("PageToken", "0"))
        found = [one for one in reversed(self.record) if _is_sent_since(one, query)]
        more = query | {"Page": str(first // size + 1), "PageToken": str(first + size)}
        document = {
            "messages": found[first : first + size],
            "page": first // size,
            "page_size": size,
            "start": first,
            "end": min(first + size, len(found)) - 1,
            "uri": request.path,
            "first_page_uri": request.path,
            "previous_page_uri": None,
            "next_page_uri": f"{parts.path}?{urlencode(more)}"
            if first + size < len(found)
            else None,
        }
        return Answer.from_json(200, document)

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


def _is_sent_since(document: dict[str, Any], query: dict[str, str]) -> bool:
    """Whole days of UTC only, as the pages promise; what was never sent is on none."""
    day = query.get("DateSent>")
    if day is None:
        return True
    if not _DAY.fullmatch(day):
        raise RefusedError(400, 20001, "Invalid date value.")
    sent = document["date_sent"]
    return sent is not None and parsedate_to_datetime(sent).date().isoformat() >= day


def _form(request: Request) -> dict[str, str]:
    fields = parse_qs(request.body.decode(), keep_blank_values=True, strict_parsing=True)
    return {name: values[0] for name, values in fields.items()}


if __name__ == "__main__":
    run_fake(TwilioFake)
