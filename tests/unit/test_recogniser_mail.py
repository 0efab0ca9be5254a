"""What a person wrote themselves in an e-mail reply, and what its subject says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.inbound.recogniser import mail
from sender.inbound.recogniser.mail import own_words, recognise_mail
from sender.vocabulary import ReplyMeaning

QUOTED = "> Vote on Thursday!\n>\n> > To stop these, unsubscribe here: https://v.example/u/1\n"
BARE = "Vote on Thursday!\n\nTo stop these e-mails, unsubscribe here.\n"
DISCLAIMER = (
    "This e-mail and any attachments are confidential. If you are not the intended recipient,\n"
    "please delete it and stop.\n\nRemove me from nothing. Unsubscribe."
)

INTRODUCTIONS = {
    "gmail": "On Mon, 2 Nov 2026 at 09:00, Ann Lee <ann@party.example> wrote:\n",
    "gmail wrapped": "On Mon, 2 Nov 2026 at 09:00, Ann Lee\n<ann@party.example> wrote:\n",
    "apple": "On 2 Nov 2026, at 09:00, Ann Lee <ann@party.example> wrote:\n\n",
    "without address": "On Monday, 2 November 2026 at 09:00:00 GMT, Ann Lee wrote:\n",
    "welsh": "Ar Llun, 2 Tach 2026 am 09:00, ysgrifennodd Ann Lee <ann@party.example>:\n",
    "address only": "Ann Lee <ann@party.example> wrote:\n",
}
HEADERS = {
    "outlook": "From: Ann <ann@party.example>\nSent: 02 November 2026\nTo: Jo\nSubject: Vote\n\n",
    "outlook bold": "*From:* Ann <ann@party.example>\n*Sent:* 02 November 2026\n*To:* Jo\n\n",
    "outlook web": "________________________________\nFrom: Ann\nSent: Monday\n\n",
    "old outlook": "-----Original Message-----\nFrom: Ann\n\n",
    "welsh": "Oddi wrth: Ann <ann@party.example>\nAnfonwyd: 02 Tachwedd 2026\nPwnc: Pleidlais\n\n",
    "forwarded": "---------- Forwarded message ---------\nFrom: Ann\n\n",
    "apple": "Begin forwarded message:\n\nFrom: Ann\n\n",
}


@pytest.mark.parametrize("introduction", INTRODUCTIONS.values(), ids=INTRODUCTIONS)
@pytest.mark.parametrize("quoted", [QUOTED, BARE], ids=["quoted", "bare"])
def test_the_campaign_they_quote_is_not_their_own(introduction: str, quoted: str) -> None:
    reply = f"Good luck!\n\n{introduction}{quoted}"
    assert own_words(reply) == "Good luck!"
    assert recognise_mail("Re: Vote", reply).meaning is ReplyMeaning.OTHER


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_what_outlook_puts_below_is_not_their_own(header: str) -> None:
    assert own_words(f"Good luck!\n\n{header}{BARE}") == "Good luck!"


@pytest.mark.parametrize("introduction", INTRODUCTIONS.values(), ids=INTRODUCTIONS)
@pytest.mark.parametrize("gap", ["\n", "\n\n"])
def test_what_stands_before_a_quote_is_kept(introduction: str, gap: str) -> None:
    reply = f"On no account write to me{gap}{introduction}{QUOTED}"
    assert own_words(reply) == "On no account write to me"


def test_answers_below_and_between_quotes_are_kept() -> None:
    reply = f"{INTRODUCTIONS['gmail']}{QUOTED}\nTake me off this list.\n{QUOTED}Thanks"
    assert own_words(reply) == "Take me off this list.\nThanks"
    assert recognise_mail("Re: Vote", reply).meaning is ReplyMeaning.STOP


@pytest.mark.parametrize(
    "text",
    [
        "Hello.\nThanks, but please unsubscribe me.\nAnn",
        "Hi\n- remove me from the list please",
        "On Tuesday 3 people wrote:\nI said no to all.\nPlease stop",
        "I received this email in error, please remove me",
        "The contents of this message are offensive. Stop.",
        "Mae'r neges hon yn ddigroeso, stopiwch",
        "From: me\n\nPlease stop",
    ],
)
def test_their_own_words_are_not_taken_for_a_signature_or_a_disclaimer(text: str) -> None:
    assert recognise_mail("Re: Vote", text).meaning is ReplyMeaning.STOP


@pytest.mark.parametrize(
    "ending",
    [
        "-- \nJo\nUnsubscribe Consultants Ltd",
        "Sent from my iPhone",
        "Sent from Yahoo Mail on Android",
        "Get Outlook for iOS<https://aka.example/stop>",
        "Anfonwyd o fy iPhone",
        DISCLAIMER,
        "Os nad chi yw'r derbynnydd, dilëwch fy manylion",
    ],
)
def test_signatures_and_disclaimers_are_left_out(ending: str) -> None:
    assert own_words(f"Good luck!\n\n{ending}") == "Good luck!"


def test_a_banner_above_does_not_hide_what_follows() -> None:
    banner = "CAUTION: This email originated from outside the council. Do not click links."
    assert own_words(f"{banner}\n\nPlease stop\n\n{DISCLAIMER}") == "Please stop"


def test_windows_line_ends_and_nothing_at_all() -> None:
    assert (
        own_words(f"Stop\r\n\r\n{INTRODUCTIONS['gmail']}{QUOTED}".replace("\n", "\r\n")) == "Stop"
    )
    assert own_words("") == own_words(QUOTED) == ""


@pytest.mark.parametrize(
    ("subject", "meaning"),
    [
        ("unsubscribe", ReplyMeaning.STOP),
        ("Unsubscribe me please", ReplyMeaning.STOP),
        ("RE: Unsubscribe", ReplyMeaning.STOP),
        ("Ateb: opt out", ReplyMeaning.STOP),
        ("not interested", ReplyMeaning.DOUBTFUL),
        ("Re: Please stop texting", ReplyMeaning.OTHER),
        ("Fwd: Re: unsubscribe from Brexit", ReplyMeaning.OTHER),
        ("Yes", ReplyMeaning.OTHER),
        ("", ReplyMeaning.OTHER),
    ],
)
def test_a_subject_counts_where_it_is_their_own(subject: str, meaning: ReplyMeaning) -> None:
    assert recognise_mail(subject, "").meaning is meaning


def test_a_subject_that_stops_wins_over_the_text() -> None:
    assert recognise_mail("unsubscribe", "Good luck!").meaning is ReplyMeaning.STOP
    assert recognise_mail("Re: Vote", "not interested").meaning is ReplyMeaning.DOUBTFUL


@pytest.mark.parametrize("text", [QUOTED, f"{HEADERS['outlook']}{BARE}\nNo thank you, stop"])
def test_a_reply_without_words_of_its_own_is_held(text: str) -> None:
    assert recognise_mail("Re: Vote", text).meaning is ReplyMeaning.DOUBTFUL
    assert recognise_mail("unsubscribe", text).meaning is ReplyMeaning.STOP
    assert recognise_mail("Re: Vote", " \n").meaning is ReplyMeaning.OTHER


def test_a_yes_by_e_mail_releases_nothing() -> None:
    assert recognise_mail("Re: Will you come?", "Yes").meaning is ReplyMeaning.OTHER
    assert recognise_mail("Re: Will you come?", "HELP").meaning is ReplyMeaning.HELP


@given(st.text(st.characters()), st.text(st.characters()))
def test_no_mail_is_too_strange(subject: str, text: str) -> None:
    assert recognise_mail(subject, text).meaning in ReplyMeaning


LINES = st.lists(
    st.sampled_from(
        ["On 2 Nov", "<a@b.example> wrote:", "> x", "--", "From: a", "Sent: b", "", "stop", "hello"]
    ),
    max_size=30,
)


@given(LINES)
def test_nothing_is_made_up_and_the_first_words_are_kept(lines: list[str]) -> None:
    own = own_words("\n".join(["please stop", "", *lines]))
    assert own.startswith("please stop")
    assert set(own.split("\n")) <= {"please stop", "", *lines}


@pytest.mark.parametrize(
    "line",
    ["On 2\n", "> \n", "From: a\n", "On 2 a@b.example " * 40 + "\n", "if you have\n\n", "\n"],
)
def test_the_work_on_a_huge_mail_grows_with_its_lines(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0
    introduces = mail._introduces

    def counted(joined: str) -> bool:
        nonlocal looked
        looked += 1
        assert len(joined) <= 4 * (mail._LONGEST_LINE + 1)
        return introduces(joined)

    monkeypatch.setattr(mail, "_introduces", counted)
    text = line * (200_000 // len(line))
    own_words(text)
    assert looked <= 4 * text.count("\n")
