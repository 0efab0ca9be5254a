"""Amazon SES API v2 as far as it is used: GetAccount, SendEmail, SendBulkEmail,
ListSuppressedDestinations.

By hand: `python -m tests.fakes.ses --port 9001`, then endpoint_url = "http://127.0.0.1:9001".
"""

import json
import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fakes.command import run_fake
from tests.fakes.http import Answer, HttpFake, Request

_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
_HEADER_NAME = re.compile(r"[!-9;-~]{1,126}")
_HEADER_VALUE = re.compile(r"[ -~]{0,995}")
_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/\d{8}/[a-z0-9-]+/ses/aws4_request, "
    r"SignedHeaders=[a-z0-9;-]+, Signature=[0-9a-f]{64}"
)
_VARIABLE = re.compile(r"{{(\w+)}}")
_SUPPRESSED_PATH = "/v2/email/suppression/addresses"
_DESTINATIONS_PATH = re.compile(r"/v2/email/configuration-sets/(?P<name>[\w-]+)/event-destinations")


class RefusedError(Exception):
    """The call is refused as a whole."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(code)
        self.answer = error_answer(status, code, text)


def error_answer(status: int, code: str, text: str) -> Answer:
    """An error as the service writes it: the code in a header, the text in the body."""
    return Answer.from_json(status, {"message": text}, {"x-amzn-ErrorType": code})


@dataclass
class Account:
    """What GetAccount says."""

    production: bool = True
    sending_enabled: bool = True
    enforcement: str = "HEALTHY"
    rate: float = 200.0
    quota: float = 50_000.0


@dataclass(frozen=True)
class Suppressed:
    """One row of the account's suppression list."""

    address: str
    reason: str
    at: datetime


class SesFake(HttpFake):
    """Attributes beyond those of every fake.

    suppressed: the account's suppression list.
    page_size: rows of one page of that list, if less than what is asked for.
    event_destinations: of each configuration set.

    known_key: when set, any other access key is refused.
    entry_failures: bulk entry statuses and texts by delivery id.
    refused_addresses: addresses that make a call malformed as a whole.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.account = Account()
        self.known_key: str | None = None
        self.entry_failures: dict[int, tuple[str, str]] = {}
        self.refused_addresses: set[str] = set()
        self.suppressed: list[Suppressed] = []
        self.page_size = 1000
        self.event_destinations: dict[str, list[dict[str, Any]]] = {}

    def respond(self, request: Request) -> Answer:
        try:
            self._check_signature(request)
            return self._route(request)
        except RefusedError as refused:
            return refused.answer

    def _check_signature(self, request: Request) -> None:
        match = _SIGNATURE.fullmatch(request.headers.get("authorization", ""))
        if match is None:
            raise RefusedError(403, "MissingAuthenticationTokenException", "Missing Token")
        if self.known_key not in {None, match["key"]}:
            text = "The security token included in the request is invalid."
            raise RefusedError(403, "UnrecognizedClientException", text)

    def _route(self, request: Request) -> Answer:
        if (request.method, request.path) == ("GET", "/v2/email/account"):
            return Answer.from_json(200, self._describe_account())
        if (request.method, urlsplit(request.path).path) == ("GET", _SUPPRESSED_PATH):
            return self._list_suppressed(parse_qs(urlsplit(request.path).query))
        if match := _DESTINATIONS_PATH.fullmatch(request.path):
            return self._list_destinations(match["name"])
        if len(request.body) > 1_000_000:
            raise RefusedError(400, "BadRequestException", "Input JSON is longer than 1 MB.")
        document = json.loads(request.body)
        if request.path == "/v2/email/outbound-emails":
            return self._send_one(document)
        if request.path == "/v2/email/outbound-bulk-emails":
            return self._send_bulk(document)
        raise RefusedError(404, "UnknownOperationException", "")

    def _describe_account(self) -> dict[str, Any]:
        account = self.account
        return {
            "DedicatedIpAutoWarmupEnabled": False,
            "EnforcementStatus": account.enforcement,
            "ProductionAccessEnabled": account.production,
            "SendingEnabled": account.sending_enabled,
            "SendQuota": {
                "Max24HourSend": account.quota,
                "MaxSendRate": account.rate,
                "SentLast24Hours": float(len(self.messages)),
            },
        }

    def _list_destinations(self, name: str) -> Answer:
        if name not in self.event_destinations:
            text = f"Configuration set <{name}> does not exist."
            raise RefusedError(404, "NotFoundException", text)
        return Answer.from_json(200, {"EventDestinations": self.event_destinations[name]})

    def _list_suppressed(self, query: dict[str, list[str]]) -> Answer:
        """One page; times are seconds, as the service writes them."""
        since = datetime.fromisoformat(query["StartDate"][0]).timestamp()
        rows = [row for row in self.suppressed if row.at.timestamp() >= since]
        start = int(query.get("NextToken", ["0"])[0])
        end = start + min(int(query["PageSize"][0]), self.page_size)
        page: dict[str, Any] = {
            "SuppressedDestinationSummaries": [
                {
                    "EmailAddress": row.address,
                    "Reason": row.reason,
                    "LastUpdateTime": row.at.timestamp(),
                }
                for row in rows[start:end]
            ]
        }
        return Answer.from_json(200, page | ({"NextToken": str(end)} if end < len(rows) else {}))

    def _send_one(self, document: dict[str, Any]) -> Answer:
        simple = document["Content"]["Simple"]
        body = simple["Body"]
        message = {
            "from": document["FromEmailAddress"],
            "reply_to": document.get("ReplyToAddresses", []),
            "configuration_set": document.get("ConfigurationSetName"),
            "to": document["Destination"]["ToAddresses"],
            "subject": simple["Subject"]["Data"],
            "html": body["Html"]["Data"],
            "text": body["Text"]["Data"],
            "headers": _headers(simple.get("Headers", [])),
            "tags": _tags(document.get("EmailTags", [])),
        }
        self._check_message(message)
        self._check_rate(1)
        if not self.room_today(1):
            raise RefusedError(400, "LimitExceededException", "Daily message quota exceeded.")
        message["message_id"] = _message_id()
        self.take(int(message["tags"].get("delivery-id", "0")), message)
        return Answer.from_json(200, {"MessageId": message["message_id"]})

    def _send_bulk(self, document: dict[str, Any]) -> Answer:
        entries = document["BulkEmailEntries"]
        if not 1 <= len(entries) <= 50:
            raise RefusedError(400, "BadRequestException", "Between 1 and 50 entries are allowed.")
        template = document["DefaultContent"]["Template"]["TemplateContent"]
        messages = [self._bulk_message(document, template, entry) for entry in entries]
        self._check_rate(len(messages))
        results = [self._entry_result(message) for message in messages]
        return Answer.from_json(200, {"BulkEmailEntryResults": results})

    def _bulk_message(
        self, document: dict[str, Any], template: dict[str, str], entry: dict[str, Any]
    ) -> dict[str, Any]:
        replacement = entry["ReplacementEmailContent"]["ReplacementTemplate"]
        data = replacement["ReplacementTemplateData"]
        if len(data) > 262_144:
            raise RefusedError(400, "BadRequestException", "Template data is too long.")
        values = json.loads(data)
        message = {
            "from": document["FromEmailAddress"],
            "reply_to": document.get("ReplyToAddresses", []),
            "configuration_set": document.get("ConfigurationSetName"),
            "to": entry["Destination"]["ToAddresses"],
            "subject": _fill(template["Subject"], values),
            "html": _fill(template["Html"], values),
            "text": _fill(template["Text"], values),
            "headers": _headers(entry.get("ReplacementHeaders", [])),
            "tags": _tags(entry.get("ReplacementTags", [])),
        }
        self._check_message(message)
        return message

    def _entry_result(self, message: dict[str, Any]) -> dict[str, str]:
        delivery_id = int(message["tags"].get("delivery-id", "0"))
        if delivery_id in self.entry_failures:
            status, text = self.entry_failures[delivery_id]
            return {"Status": status, "Error": text}
        if not self.room_today(1):
            text = "Daily message quota exceeded."
            return {"Status": "ACCOUNT_DAILY_QUOTA_EXCEEDED", "Error": text}
        message["message_id"] = _message_id()
        self.take(delivery_id, message)
        return {"Status": "SUCCESS", "MessageId": message["message_id"]}

    def _check_rate(self, count: int) -> None:
        if self.bucket and not self.bucket.take(count):
            raise RefusedError(429, "TooManyRequestsException", "Maximum sending rate exceeded.")

    def _check_message(self, message: dict[str, Any]) -> None:
        addresses = [message["from"], *message["to"], *message["reply_to"]]
        if not all(address.isascii() and "@" in address for address in addresses):
            raise RefusedError(400, "BadRequestException", "Local address contains control")
        if self.refused_addresses.intersection(message["to"]):
            raise RefusedError(400, "BadRequestException", "Missing final '@domain'")


def _fill(template: str, values: dict[str, str]) -> str:
    if _VARIABLE.sub("", template).count("{"):
        text = "Template contains unsupported operations"
        raise RefusedError(400, "BadRequestException", text)
    return _VARIABLE.sub(lambda match: values[match[1]], template)


def _headers(rows: list[dict[str, str]]) -> dict[str, str]:
    if len(rows) > 15:
        raise RefusedError(400, "BadRequestException", "More than 15 headers.")
    for row in rows:
        fits = len(row["Name"]) + len(row["Value"]) <= 996
        well_formed = _HEADER_NAME.fullmatch(row["Name"]) and _HEADER_VALUE.fullmatch(row["Value"])
        if not (fits and well_formed):
            raise RefusedError(400, "BadRequestException", "Header is not allowed.")
    return {row["Name"]: row["Value"] for row in rows}


def _tags(rows: list[dict[str, str]]) -> dict[str, str]:
    for row in rows:
        if not (_TAG.fullmatch(row["Name"]) and _TAG.fullmatch(row["Value"])):
            raise RefusedError(400, "BadRequestException", "Tag is not allowed.")
    return {row["Name"]: row["Value"] for row in rows}


def _message_id() -> str:
    return f"{uuid.uuid4().hex[:16]}-{uuid.uuid4()}-000000"


if __name__ == "__main__":
    run_fake(SesFake)
