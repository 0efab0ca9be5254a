"""Tell Twilio's webhooks from everybody else's, and whose account they come from.

Twilio signs the public URL and the sorted form parameters: with HMAC-SHA1 under the account's auth
token (https://www.twilio.com/docs/usage/webhooks/webhooks-security), or with the algorithm that a
second header names, under a shared key
(https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys). What is signed, and what that
header names, is for the SDK to say. A request without it needs a good HMAC-SHA1.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from twilio.request_validator import (
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    add_port,
    get_signature_algorithm,
    remove_port,
)

from sender.errors import ProviderError, SenderError
from sender.providers.account import AccountSettings
from sender.providers.twilio.send import KEY_VARIABLE, SECRET_VARIABLE

MOST_FIELDS = 1000
"""Fields of one form; Twilio sends some thirty."""

_ACCOUNT_PREFIX = "AC"


class ForgedError(SenderError):
    """A request is not signed as Twilio signs; it says nothing.

    Attributes:
        why: `unsigned`, `signature` or `account`; for counting.
    """

    def __init__(self, why: str) -> None:
        super().__init__("The request does not carry a signature of Twilio's.")
        self.why = why


class _Parameters(dict[str, list[str]]):
    """Form parameters, one of which may have several values, as the SDK asks for them."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


@dataclass(frozen=True, slots=True, repr=False)
class SignedForm:
    """A form as it was posted, with what should prove where it comes from.

    Attributes:
        url: the public URL that was called, query included.
        signature: of the header X-Twilio-Signature.
        algorithm: that the second header names; HMAC_SHA1 without it.
        parameters: of the form, all values of each.
    """

    url: str
    signature: str
    algorithm: str
    parameters: _Parameters

    @classmethod
    def read(cls, url: str, headers: Mapping[str, str], body: bytes) -> Self:
        """Read a request; nothing of it is believed yet.

        Args:
            url: the public URL that was called.
            headers: looked up in any case.
            body: of the request, `application/x-www-form-urlencoded`.

        Raises:
            ForgedError: it has no signature, or is no form.
        """
        signature = headers.get(SIGNATURE_HEADER)
        if not signature:
            raise ForgedError("unsigned")
        try:
            pairs = parse_qsl(
                body.decode(errors="replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS
            )
        except ValueError:
            raise ForgedError("signature") from None
        parameters = _Parameters()
        for name, value in pairs:
            parameters.setdefault(name, []).append(value)
        algorithm = get_signature_algorithm(headers.get(SIGNATURE_SETTINGS_HEADER))
        return cls(url, signature, algorithm, parameters)

    @property
    def fields(self) -> dict[str, str]:
        """The form, of several values of one name the first."""
        return {name: values[0] for name, values in self.parameters.items()}

    @property
    def query(self) -> dict[str, str]:
        """The query of the URL, which is signed with it; of several values of one name the last."""
        return dict(parse_qsl(urlsplit(self.url).query))

    def signed_with(self, secret: str) -> bool:
        """Whether this secret made the signature, over the URL with or without its port."""
        url = urlsplit(self.url)
        signer = RequestValidator(secret)
        try:
            expected = [
                signer.compute_signature(variant, self.parameters, self.algorithm)
                for variant in (remove_port(url), add_port(url))
            ]
        except ValueError:  # an algorithm that is not known
            return False
        given = self.signature.encode()
        return any(hmac.compare_digest(given, one.encode()) for one in expected)


@dataclass(frozen=True, slots=True)
class WebhookAccount:
    """An account whose webhooks are expected.

    Attributes:
        id: ours.
        sid: Twilio's; empty where it is not known.
        secrets: that may sign for it.
        missing: environment variables that should hold one and are not set.
    """

    id: int
    sid: str
    secrets: tuple[str, ...] = field(repr=False)
    missing: tuple[str, ...] = ()

    @classmethod
    def of(cls, account_id: int, settings: AccountSettings, environ: Mapping[str, str]) -> Self:
        """Read what the account's settings name."""
        names = settings.webhook_secret_variables or (settings.secret_variable or SECRET_VARIABLE,)
        found = {name: environ.get(name, "").strip() for name in names}
        user = environ.get(settings.key_variable or KEY_VARIABLE, "").strip()
        sid = settings.options.get("account_sid") or user
        return cls(
            id=account_id,
            sid=sid if sid.startswith(_ACCOUNT_PREFIX) else "",
            secrets=tuple(secret for secret in found.values() if secret),
            missing=tuple(name for name, secret in found.items() if not secret),
        )


def accounts_behind(form: SignedForm, accounts: Sequence[WebhookAccount]) -> tuple[int, ...]:
    """Return the ids of our accounts that a form comes from; none for an account not known here.

    A secret speaks for the account that names it, and for accounts that nobody here names, such as
    a subaccount; not for another one of ours, whose people its owner could opt in again.

    Raises:
        ForgedError: no secret that may speak for the form's account signed it.
        ProviderError: the secret that would tell is not set; the form may be genuine.
    """
    sid = form.fields.get("AccountSid", "")
    signers = [one for one in accounts if any(form.signed_with(key) for key in one.secrets)]
    named = [one for one in accounts if sid and one.sid == sid]
    if signers and (not named or any(one in signers for one in named)):
        return tuple(one.id for one in signers if one.sid in {sid, ""})
    missing = [name for one in (named or accounts) for name in one.missing]
    if missing:
        raise ProviderError(
            f"A webhook of Twilio cannot be verified: {missing[0]} is not set.",
            remedy=f"Set {missing[0]}, or take it out of the account's webhook_secret_variables.",
        )
    raise ForgedError("account" if signers else "signature")
