"""Posts webhooks as Twilio does: forms signed over the public URL, by either scheme.

webhooks = TwilioWebhooks(url, "https://out.example.org", token="secret")
answer = webhooks.text("STOP")
"""

import base64
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from urllib.parse import urlencode

import requests

MESSAGES = "/webhooks/twilio/messages"
STATUS = "/webhooks/twilio/status"

_TIMEOUT_SECONDS = 30
_numbers = count(1)

Pairs = Sequence[tuple[str, str]]


def message_sid() -> str:
    """Return a message SID that no other message of this process has."""
    return f"SM{next(_numbers):032x}"


def sign(url: str, pairs: Pairs, token: str, digest: str = "sha1") -> str:
    """Sign as Twilio's pages say: the URL, then each distinct name and value, sorted."""
    signed = url + "".join(name + value for name, value in sorted(set(pairs)))
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), digest)).decode()


@dataclass(frozen=True)
class TwilioWebhooks:
    """Twilio, as far as it calls us.

    base_url: where the server is reached.
    public_url: what is signed.
    token: of the account, or the secret of its shared key.
    digest: `sha256` signs by the newer scheme.
    """

    base_url: str
    public_url: str
    token: str
    account_sid: str = "AC" + "0" * 32
    digest: str = "sha1"

    def signed_with(self, token: str, digest: str = "sha1") -> "TwilioWebhooks":
        return replace(self, token=token, digest=digest)

    def post(
        self, target: str, pairs: Pairs, headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        """Post a form; `headers` override, an empty one is left out."""
        signature = sign(f"{self.public_url}{target}", pairs, self.token, self.digest)
        every = {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": signature,
        }
        if self.digest == "sha256":
            every["X-Twilio-Webhooks-Signature-Settings"] = (
                "key=webhooks_sharedkey_01,algorithm=HMAC_SHA256"
            )
        every |= headers or {}
        return requests.post(
            f"{self.base_url}{target}",
            data=urlencode(pairs).encode(),
            headers={name: value for name, value in every.items() if value},
            timeout=_TIMEOUT_SECONDS,
        )

    def text(
        self,
        body: str,
        sender: str = "+447700900456",
        to: str = "+447700900123",
        *,
        sid: str | None = None,
        headers: Mapping[str, str] | None = None,
        **fields: str,
    ) -> requests.Response:
        """A person's text comes in."""
        name = sid or message_sid()
        form = {
            "ToCountry": "GB",
            "SmsMessageSid": name,
            "NumMedia": "0",
            "SmsSid": name,
            "SmsStatus": "received",
            "Body": body,
            "FromCountry": "GB",
            "To": to,
            "NumSegments": "1",
            "MessageSid": name,
            "AccountSid": self.account_sid,
            "From": sender,
            "ApiVersion": "2010-04-01",
        }
        return self.post(MESSAGES, list((form | fields).items()), headers)

    def status(
        self,
        sid: str,
        status: str,
        *,
        code: str = "",
        to: str = "+447700900456",
        sender: str = "+447700900123",
        query: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """A status callback comes in."""
        form = {
            "SmsSid": sid,
            "SmsStatus": status,
            "MessageStatus": status,
            "To": to,
            "MessageSid": sid,
            "AccountSid": self.account_sid,
            "From": sender,
            "ApiVersion": "2010-04-01",
        }
        if code:
            form = {"ErrorCode": code, **form}
        target = f"{STATUS}?{query}" if query else STATUS
        return self.post(target, list(form.items()), headers)
