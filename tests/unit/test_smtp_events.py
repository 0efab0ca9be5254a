"""Mail that comes back is read for what it is: reports, complaints, automatic mail, words."""

import re
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.providers.events import ProviderEvent
from sender.providers.smtp.delivery_status import failure, status_in
from sender.providers.smtp.events import Report, Words, read_mail
from sender.providers.smtp.mime import UnreadableMailError
from sender.providers.smtp.verp import LONGEST_BASE, Sent, read_verp, verp_address
from sender.suppression.tokens import HIGHEST_DELIVERY_ID, TokenKeys
from sender.vocabulary import BlockCause, EventKind

MAIL = Path(__file__).parent / "data" / "mail"
ANN = "ann@example.net"
KEYS = TokenKeys.parse("1:" + "cd" * 32)
NEWER = TokenKeys.parse(f"2:{'ef' * 32},1:{'cd' * 32}")
OTHER = TokenKeys.parse("1:" + "ab" * 32)

NO_MAILBOX = (EventKind.BOUNCED, BlockCause.INVALID, False)
BOUNCE = (EventKind.BOUNCED, BlockCause.BOUNCE, False)
MAY_PASS = (EventKind.BOUNCED, None, True)
NOT_THE_ADDRESS = (EventKind.FAILED, None, False)
COMPLAINT = (EventKind.COMPLAINED, BlockCause.COMPLAINT, False)
UNKNOWN = (EventKind.UNKNOWN, None, False)

SAMPLES = {
    "amazonses-unknown-user": BOUNCE,
    "aol-mailbox-full": MAY_PASS,
    "apple-no-longer-on-server": NO_MAILBOX,
    "arf-aol-redacted": COMPLAINT,
    "arf-auth-failure": UNKNOWN,
    "arf-not-spam": UNKNOWN,
    "arf-spamtrap-two-recipients": COMPLAINT,
    "arf-yahoo-abuse": COMPLAINT,
    "base64-encoded-status": NO_MAILBOX,
    "courier-unknown-user": BOUNCE,
    "domino-not-in-directory": BOUNCE,
    "exchange-online-access-denied": BOUNCE,
    "exchange-plain-subject": NO_MAILBOX,
    "exchange-recipient-not-found": NO_MAILBOX,
    "exchange2007-not-found": NO_MAILBOX,
    "exim-content": NOT_THE_ADDRESS,
    "global-status-rfc6533": NO_MAILBOX,
    "gmail-client-blocked": NOT_THE_ADDRESS,
    "gmail-recipient-rejected": BOUNCE,
    "googleworkspace-empty-status": UNKNOWN,
    "hotmail-carriage-returns": MAY_PASS,
    "imail-invalid-userid": UNKNOWN,
    "ionos-spam-without-diagnostic": NOT_THE_ADDRESS,
    "jmrp-hotmail": COMPLAINT,
    "mailru-user-unknown": NO_MAILBOX,
    "mdn-displayed": UNKNOWN,
    "mfilter-user-unknown": NO_MAILBOX,
    "office365-recipient-not-found": NO_MAILBOX,
    "openmail-bare-daemon": NO_MAILBOX,
    "opensmtpd-no-such-domain": NO_MAILBOX,
    "oracle-mailbox-full": MAY_PASS,
    "outlook-user-unknown": NO_MAILBOX,
    "postfix-delayed": (EventKind.DEFERRED, None, False),
    "postfix-no-such-domain": BOUNCE,
    "postfix-policy": NOT_THE_ADDRESS,
    "postfix-relayed-success": (EventKind.SENT, None, False),
    "postfix-unknown-user": NO_MAILBOX,
    "qmail-mailbox-full": MAY_PASS,
    "qmail-quota": MAY_PASS,
    "sendmail-four-days": MAY_PASS,
    "sendmail-queue-expired": MAY_PASS,
    "vacation-sieve": UNKNOWN,
    "yandex-user-unknown": NO_MAILBOX,
    "zoho-mailbox-unavailable": BOUNCE,
}

WITHOUT_RECIPIENT = {
    "arf-aol-redacted",
    "arf-auth-failure",
    "imail-invalid-userid",
    "mdn-displayed",
    "vacation-sieve",
}
WITHOUT_OUR_MESSAGE_ID = {
    "amazonses-unknown-user",
    "exchange-recipient-not-found",
    "mdn-displayed",
    "qmail-quota",
    "vacation-sieve",
}


def report(name: str) -> Report:
    found = read_mail((MAIL / f"{name}.eml").read_bytes())
    assert isinstance(found, Report)
    return found


def summary(event: ProviderEvent) -> tuple[EventKind, BlockCause | None, bool]:
    return event.kind, event.block, event.transient


def words(**fields: str) -> bytes:
    message = EmailMessage()
    usual = {
        "From": "Ann Okafor <Ann@Example.net>",
        "To": "news@riverside.example.org",
        "Subject": "Re: Your local newsletter",
        "Message-ID": "<reply-1@example.net>",
        "Date": "Thu, 07 May 2026 10:00:00 +0100",
    }
    body = fields.pop("body", "Please stop.")
    for name, value in {**usual, **{one.replace("_", "-"): v for one, v in fields.items()}}.items():
        if value:
            message[name] = value
    message.set_content(body)
    return message.as_bytes()


def written(raw: bytes) -> Words:
    found = read_mail(raw)
    assert isinstance(found, Words)
    return found


def test_every_sample_has_an_expectation_and_a_source() -> None:
    files = {path.stem for path in MAIL.glob("*.eml")}
    assert files == set(SAMPLES)
    assert len(files) >= 30
    named = set(re.findall(r"`([a-z0-9-]+)`", (MAIL / "README.md").read_text(encoding="utf-8")))
    assert files <= named


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_report_is_read_for_what_it_says(name: str) -> None:
    found = report(name)
    assert {summary(event) for event in found.notification.events} == {SAMPLES[name]}
    named = {event.address for event in found.notification.events}
    assert (ANN in named) is (name not in WITHOUT_RECIPIENT)
    ours = "34.7@riverside.example.org" in found.traces.message_ids
    assert ours is (name not in WITHOUT_OUR_MESSAGE_ID)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_what_is_kept_of_a_report_names_nobody(name: str) -> None:
    told = report(name).notification
    kept = repr((told.name, told.raw_type, told.payload, [one.code for one in told.events]))
    assert "@" not in kept
    assert "ann" not in kept.lower().replace("channel", "")
    assert len(told.name) <= 200


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_report_cut_off_anywhere_is_never_a_failure(name: str) -> None:
    raw = (MAIL / f"{name}.eml").read_bytes()
    for length in range(0, len(raw), 97):
        try:
            read_mail(raw[:length])
        except UnreadableMailError:
            continue


def test_several_recipients_of_a_complaint_are_an_event_each() -> None:
    events = report("arf-spamtrap-two-recipients").notification.events
    assert [event.address for event in events] == [ANN, "bob@example.net"]


def test_a_report_names_what_was_signed() -> None:
    assert report("postfix-unknown-user").traces.tokens == ("0123456789ABCDEFGHIJKL",)
    assert report("office365-recipient-not-found").traces.tokens == ("0123456789ABCDEFGHIJKL",)
    assert "news@riverside.example.org" in report("arf-yahoo-abuse").traces.senders


def test_a_return_path_of_ours_is_found_wherever_it_stands() -> None:
    ours = verp_address("bounces@riverside.example.org", Sent(34, 7), KEYS)
    for name in ("postfix-unknown-user", "arf-yahoo-abuse", "exim-content", "jmrp-hotmail"):
        raw = (MAIL / f"{name}.eml").read_bytes()
        found = read_mail(raw.replace(b"bounces@riverside.example.org", ours.encode()))
        assert isinstance(found, Report)
        assert [read_verp(one, KEYS) for one in found.traces.envelopes] == [Sent(34, 7)]


def test_a_copied_link_in_the_text_of_a_message_proves_nothing() -> None:
    raw = (MAIL / "zoho-mailbox-unavailable.eml").read_bytes()
    with_link = raw.replace(b"mailbox unavailable\n", b"no: https://out.example.org/u/" + b"1" * 22)
    found = read_mail(with_link)
    assert isinstance(found, Report)
    assert found.traces.tokens == ()


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        ("5.1.1", "", NO_MAILBOX),
        ("5.1.10", "", NO_MAILBOX),
        ("5.1.0", "", BOUNCE),
        ("5.1.8", "bad sender's system address", NOT_THE_ADDRESS),
        ("5.2.1", "", BOUNCE),
        ("5.2.2", "", MAY_PASS),
        ("5.2.3", "", NOT_THE_ADDRESS),
        ("5.3.0", "", MAY_PASS),
        ("5.4.4", "", BOUNCE),
        ("5.4.6", "loop", MAY_PASS),
        ("5.5.0", "Requested action not taken: mailbox unavailable", BOUNCE),
        ("5.5.2", "syntax", NOT_THE_ADDRESS),
        ("5.6.0", "user unknown", NOT_THE_ADDRESS),
        ("5.7.1", "user unknown", NOT_THE_ADDRESS),
        ("5.0.0", "", BOUNCE),
        ("5.0.0", "rejected as spam", NOT_THE_ADDRESS),
        ("5.0.0", "over quota", MAY_PASS),
        ("4.1.1", "", MAY_PASS),
        ("", "", MAY_PASS),
    ],
)
def test_only_what_is_the_addresss_own_fault_takes_it_away(
    status: str, text: str, expected: object
) -> None:
    verdict = failure(status, text)
    assert (verdict.kind, verdict.block, verdict.transient) == expected


def test_network_addresses_and_versions_are_no_status_codes() -> None:
    assert status_in("host mx[5.1.1.10], Exchange 4.0.994.63: 550 5.1.1 unknown") == "5.1.1"
    assert status_in("connected to 192.0.2.50, said 550-no") == "5.0.0"
    assert not status_in("nothing here")


def test_a_persons_words_come_with_who_wrote_them_to_whom() -> None:
    found = written(words(In_Reply_To="<34.7@riverside.example.org>", Cc="bob@example.org"))
    assert found.author == ANN
    assert found.mailboxes == ("news@riverside.example.org", "bob@example.org")
    assert found.text == "Please stop."
    assert found.traces.message_ids == ("34.7@riverside.example.org",)
    assert found.written_at is not None
    assert found.written_at.hour == 9


def test_the_same_mail_fetched_twice_has_the_same_name() -> None:
    raw = words()
    again = b"Received: by another.example.org\r\n" + raw.replace(b"\n", b"\r\n")
    assert written(raw).name == written(again).name
    assert written(raw).name != written(words(body="Please stop!")).name


@pytest.mark.parametrize(
    "fields",
    [
        {"Auto_Submitted": "auto-replied; owner-email=x"},
        {"Auto_Submitted": "auto-generated"},
        {"X_Autoreply": "yes"},
        {"Precedence": "bulk"},
    ],
)
def test_automatic_answers_are_nobodys_words(fields: dict[str, str]) -> None:
    found = read_mail(words(**fields))
    assert isinstance(found, Report)
    assert found.notification.events[0].kind is EventKind.UNKNOWN


@pytest.mark.parametrize(
    "fields",
    [
        {"Auto_Submitted": "no"},
        {"Subject": "Re: Out of office hours at the library"},
        {"From": "postmaster@example.net"},
        {"Return_Path": "<>"},
        {"Precedence": "first-class"},
    ],
)
def test_a_persons_words_are_not_taken_for_a_machines(fields: dict[str, str]) -> None:
    assert written(words(**fields)).text == "Please stop."


def test_an_author_who_cannot_be_read_is_told() -> None:
    for author in ("", "nobody", "Ann <ann@>", '"ann@example.net" <>'):
        with pytest.raises(UnreadableMailError):
            read_mail(words(From="").replace(b"To:", b"From: " + author.encode() + b"\nTo:", 1))


def test_the_words_of_a_mail_in_html_alone_are_read_without_what_it_quotes() -> None:
    html = (
        "<html><head><style>p {}</style></head><body><p>Please&nbsp;take me off\nyour list.</p>"
        '<div class="gmail_quote">On Thursday Riverside wrote:<br><div>Unsubscribe</div></div>'
        "<p>Ann</p><blockquote>more <blockquote>old</blockquote> text</blockquote>"
        '<div id="divRplyFwdMsg">From: Riverside</div>Unsubscribe</body></html>'
    )
    message = EmailMessage()
    message["From"] = ANN
    message["To"] = "news@riverside.example.org"
    message.set_content(html, subtype="html")
    assert written(message.as_bytes()).text == "Please take me off your list.\nAnn"


def test_a_wrong_or_dangerous_character_set_costs_no_words() -> None:
    for charset in (
        "x-unheard-of",
        "punycode",
        "idna",
        "hex",
        "rot13",
        "utf-8\0",
        "unicode_escape",
    ):
        raw = words().replace(b'charset="utf-8"', f'charset="{charset}"'.encode())
        assert written(raw).text == "Please stop."


def test_what_no_database_holds_is_not_in_the_words() -> None:
    raw = words(body="Please stop").replace(b"Please stop", b"Please\0 stop \xff\xed\xa0\x80")
    text = written(raw).text
    assert "\0" not in text
    text.encode()


def test_attachments_are_not_read_for_words() -> None:
    message = EmailMessage()
    message["From"] = ANN
    message.set_content("Hello")
    message.add_attachment("stop", filename="stop.txt")
    assert written(message.as_bytes()).text == "Hello"


def test_hostile_nesting_is_refused_at_once() -> None:
    boundaries = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (one, one) for one in range(90)
    )
    chain = b"From: ann@example.net\n" + b"Content-Type: message/rfc822\n\n" * 30_000
    for raw in (b"From: ann@example.net\n" + boundaries, chain):
        with pytest.raises(UnreadableMailError):
            read_mail(raw)


_FRAGMENTS = st.sampled_from([
    b"From: ann@example.net\n", b"From: =?x?q?=\n", b"Return-Path: <>\n", b"\n", b"--b\n",
    b"--b--\n", b"Content-Type: multipart/report; boundary=b\n",
    b"Content-Type: message/delivery-status\n",
    b"Content-Type: message/feedback-report\n", b"Content-Type: message/rfc822\n",
    b"Content-Type: text/html; charset=utf-7\n", b"Content-Transfer-Encoding: base64\n",
    b"Content-Type: text/plain; charset*0*=x''%ff\n", b"Final-Recipient: rfc822; a@b.example\n",
    b"Action: failed\n", b"Status: 5.1.1\n", b"Feedback-Type: abuse\n",
    b"X-HmXmrOriginalRecipient: \n",
    b"Date: Thu, 99 May 99999 99:99:99 +9999\n", b"Auto-Submitted: \xff\n",
    b"<b@c.example>:\n", b"=\n",
    b"Content-Disposition: attachment; filename*=utf-8''%\n", b"<blockquote>", b"&#x110000;", b"<!",
])  # fmt: skip


@given(st.lists(_FRAGMENTS | st.binary(max_size=40), max_size=30).map(b"".join))
def test_nothing_in_a_mail_is_ever_a_failure(raw: bytes) -> None:
    try:
        found = read_mail(raw)
    except UnreadableMailError:
        return
    if isinstance(found, Report):
        assert found.notification.events
    else:
        found.text.encode()


@given(
    st.integers(1, HIGHEST_DELIVERY_ID), st.integers(1, 2**31 - 1), st.sampled_from([KEYS, NEWER])
)
def test_a_return_path_says_which_message_it_was(
    delivery_id: int, run_id: int, keys: TokenKeys
) -> None:
    sent = Sent(delivery_id, run_id)
    address = verp_address("b" * LONGEST_BASE + "@example.org", sent, keys)
    assert len(address.partition("@")[0]) <= 64
    assert read_verp(address.upper(), NEWER) == sent
    assert read_verp(address, OTHER) is None


@given(st.integers(1, 10**6), st.integers(1, 10**4))
def test_a_guessed_return_path_names_no_message(delivery_id: int, run_id: int) -> None:
    ours = verp_address("bounces@example.org", Sent(34, 7), KEYS)
    guessed = ours.replace("+34.7.", f"+{delivery_id}.{run_id}.")
    assert read_verp(guessed, KEYS) == (Sent(34, 7) if guessed == ours else None)
