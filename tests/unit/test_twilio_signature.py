from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.errors import ProviderError
from sender.providers.account import AccountSettings
from sender.providers.twilio.signature import (
    MOST_FIELDS,
    ForgedError,
    SignedForm,
    WebhookAccount,
    accounts_behind,
)
from sender.vocabulary import ProviderName
from tests.fakes.twilio_webhooks import Pairs, sign

DATA = Path(__file__).parent / "data" / "twilio"
URL = "https://out.example.org/webhooks/twilio/messages"
PAIRS = (("From", "+447700900456"), ("Body", "STOP"), ("AccountSid", "AC1"))

# Twilio's own example, in its documentation and in the tests of its SDKs.
EXAMPLE_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
EXAMPLE = (
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
)
REPEATED = (("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"))

Headers = dict[str, str]
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


def form_of(
    pairs: Pairs, signature: str, *, url: str = URL, settings: str | None = None
) -> SignedForm:
    headers: Headers = {"X-Twilio-Signature": signature}
    if settings is not None:
        headers["X-Twilio-Webhooks-Signature-Settings"] = settings
    return SignedForm.read(url, headers, urlencode(pairs).encode())


@pytest.mark.parametrize(
    ("pairs", "url", "signature"),
    [
        (EXAMPLE, EXAMPLE_URL, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (REPEATED, EXAMPLE_URL, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
        ((*REPEATED, ("Digits", "1234")), EXAMPLE_URL, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
        (EXAMPLE, EXAMPLE_URL, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (EXAMPLE, EXAMPLE_URL.replace(".com", ".com:1234"), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
    ],
    ids=["example", "repeated", "repeated twice", "signed with the port", "port not signed"],
)
def test_twilios_own_examples_are_good(pairs: Pairs, url: str, signature: str) -> None:
    assert form_of(pairs, signature, url=url).signed_with("12345")
    assert not form_of(pairs, signature, url=url).signed_with("12346")


def test_a_request_that_twilio_signed_is_good() -> None:
    body = (DATA / "signed_by_twilio.form").read_bytes().strip()
    url = "https://0447-85-232-252-1.eu.ngrok.io/twilio/conference_status?waiter_id=42"
    headers = {"X-Twilio-Signature": "cN6s/ajWzahiBNHjFpssnkbSQSM="}
    token = "c73504dac708a5cd9f57e80c747bb488"

    assert SignedForm.read(url, headers, body).signed_with(token)
    assert not SignedForm.read(url + "0", headers, body).signed_with(token)
    assert not SignedForm.read(url, headers, body + b"&Body=no").signed_with(token)


@given(st.lists(st.tuples(words, st.text(st.characters(exclude_categories=["Cs"])))), words)
def test_whatever_the_form_both_schemes_are_read_as_they_are_written(
    pairs: list[tuple[str, str]], token: str
) -> None:
    classic, newer = sign(URL, pairs, token), sign(URL, pairs, token, "sha256")
    settings = "key=webhooks_sharedkey_01,algorithm=HMAC_SHA256"

    assert form_of(pairs, classic).signed_with(token)
    assert form_of(pairs, newer, settings=settings).signed_with(token)
    assert not form_of(pairs, newer).signed_with(token)
    assert not form_of(pairs, classic, settings=settings).signed_with(token)
    assert not form_of([*pairs, ("From", "+447700900999")], classic).signed_with(token)


@pytest.mark.parametrize("settings", ["", "key=webhooks_sharedkey_01", "algorithm=HMAC_SHA1", "?"])
def test_settings_that_name_no_newer_algorithm_need_the_classic_signature(settings: str) -> None:
    assert form_of(PAIRS, sign(URL, PAIRS, "t"), settings=settings).signed_with("t")
    assert not form_of(PAIRS, sign(URL, PAIRS, "t", "sha256"), settings=settings).signed_with("t")


@pytest.mark.parametrize("algorithm", ["HMAC_MD5", "none", "HMAC_SHA512", "\u00e9"])
def test_an_algorithm_that_is_not_known_is_refused(algorithm: str) -> None:
    for digest in ("sha1", "sha256"):
        signature = sign(URL, PAIRS, "t", digest)
        assert not form_of(PAIRS, signature, settings=f"algorithm={algorithm}").signed_with("t")


@pytest.mark.parametrize(
    "signature", ["x", "=", "A" * 28, " " * 28, "\u00e9" * 28, "0" * 10_000, "null"]
)
def test_what_is_no_signature_is_refused(signature: str) -> None:
    assert not form_of(PAIRS, signature).signed_with("t")


@pytest.mark.parametrize("headers", [{}, {"X-Twilio-Signature": ""}])
def test_a_request_without_a_signature_is_not_looked_at(headers: Headers) -> None:
    with pytest.raises(ForgedError) as caught:
        SignedForm.read(URL, headers, b"From=%2B447700900456")
    assert caught.value.why == "unsigned"
    assert "447700900456" not in str(caught.value)


def test_a_form_of_endless_fields_is_refused() -> None:
    with pytest.raises(ForgedError):
        SignedForm.read(URL, {"X-Twilio-Signature": "x"}, b"&".join([b"a=1"] * (MOST_FIELDS + 1)))


@given(st.binary(), words, words)
def test_no_body_makes_reading_or_checking_fail(body: bytes, signature: str, settings: str) -> None:
    headers = {"X-Twilio-Signature": signature, "X-Twilio-Webhooks-Signature-Settings": settings}
    form = SignedForm.read(URL, headers, body)
    assert not form.signed_with("t")
    assert isinstance(form.fields, dict)


def test_of_several_values_the_first_counts() -> None:
    assert form_of([("From", "a"), ("From", "b")], "x").fields == {"From": "a"}


def test_the_query_is_read_from_what_was_signed() -> None:
    assert form_of(PAIRS, "x", url=f"{URL}?v=1&delivery=5&run=7").query == {
        "v": "1",
        "delivery": "5",
        "run": "7",
    }


# Whose account it is


PARTY = WebhookAccount(1, "AC1", ("new", "old"))
CHARITY = WebhookAccount(2, "AC2", ("other",))
UNNAMED = WebhookAccount(3, "", ("third",))
ALL = [PARTY, CHARITY, UNNAMED]


def from_account(sid: str, secret: str) -> SignedForm:
    pairs = [("AccountSid", sid), ("From", "+447700900456")]
    return form_of(pairs, sign(URL, pairs, secret))


@pytest.mark.parametrize("secret", ["new", "old"])
def test_old_and_new_secrets_speak_for_their_account(secret: str) -> None:
    assert accounts_behind(from_account("AC1", secret), ALL) == (1,)


def test_no_account_speaks_for_another_of_ours() -> None:
    with pytest.raises(ForgedError) as caught:
        accounts_behind(from_account("AC1", "other"), ALL)
    assert caught.value.why == "account"


def test_a_secret_that_nobody_has_speaks_for_nobody() -> None:
    with pytest.raises(ForgedError) as caught:
        accounts_behind(from_account("AC1", "guess"), ALL)
    assert caught.value.why == "signature"
    with pytest.raises(ForgedError):
        accounts_behind(from_account("AC1", ""), [WebhookAccount(1, "AC1", ())])
    with pytest.raises(ForgedError):
        accounts_behind(from_account("AC1", "new"), [])


def test_a_subaccount_that_is_not_known_here_comes_from_no_account_of_ours() -> None:
    assert accounts_behind(from_account("AC9", "new"), ALL) == ()


def test_an_account_whose_sid_is_not_known_is_told_by_its_secret() -> None:
    assert accounts_behind(from_account("AC9", "third"), ALL) == (3,)


def test_two_accounts_of_ours_may_be_one_of_twilios() -> None:
    twins = [PARTY, WebhookAccount(4, "AC1", ("new",))]
    assert accounts_behind(from_account("AC1", "new"), twins) == (1, 4)
    assert accounts_behind(from_account("AC1", "old"), twins) == (1,)


def test_a_secret_that_is_not_set_leaves_it_open_whether_a_request_is_genuine() -> None:
    """Refused, Twilio would not tell it again, and a STOP would be lost to a wrong setting."""
    lame = WebhookAccount(1, "AC1", ("new",), missing=("PARTY_OLD_TOKEN",))

    with pytest.raises(ProviderError, match="PARTY_OLD_TOKEN"):
        accounts_behind(from_account("AC1", "old"), [lame, CHARITY])
    with pytest.raises(ForgedError):
        accounts_behind(from_account("AC2", "old"), [lame, CHARITY])
    assert accounts_behind(from_account("AC1", "new"), [lame]) == (1,)


def settings(**changed: object) -> AccountSettings:
    return AccountSettings("texts", ProviderName.TWILIO, **changed)  # type: ignore[arg-type]  # as given by each test


def test_the_usual_variables_are_read_where_the_account_names_none() -> None:
    environ = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": " secret "}
    assert WebhookAccount.of(5, settings(), environ) == WebhookAccount(5, "AC1", ("secret",))
    assert WebhookAccount.of(5, settings(), {}).missing == ("TWILIO_AUTH_TOKEN",)


def test_the_variables_that_the_account_names_are_read_instead() -> None:
    named = settings(
        key_variable="PARTY_SID",
        secret_variable="PARTY_TOKEN",
        webhook_secret_variables=("NEW", "OLD"),
    )
    environ = {"PARTY_SID": "AC7", "PARTY_TOKEN": "p", "NEW": "n", "TWILIO_AUTH_TOKEN": "no"}

    assert WebhookAccount.of(5, named, environ) == WebhookAccount(5, "AC7", ("n",), ("OLD",))
    only = settings(secret_variable="PARTY_TOKEN")
    assert WebhookAccount.of(5, only, environ).secrets == ("p",)


def test_an_api_key_is_no_account() -> None:
    environ = {"TWILIO_ACCOUNT_SID": "SK1", "TWILIO_AUTH_TOKEN": "s"}
    assert WebhookAccount.of(5, settings(), environ).sid == ""
    named = settings(options={"account_sid": "AC7"})
    assert WebhookAccount.of(5, named, environ).sid == "AC7"


def test_no_secret_shows_in_a_representation() -> None:
    assert "hunter2" not in repr(WebhookAccount(1, "AC1", ("hunter2",)))
    assert "447700900456" not in repr(form_of(PAIRS, "x"))
