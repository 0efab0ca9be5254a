"""Cases of messages that did not say who wrote, or how to make it stop."""

import pytest

from tests.support.case import TEXT, Case, supporter


def test_halfords_2022_no_way_out_in_the_message(case: Case) -> None:
    """£30,000. "Legitimate interest", and no link to unsubscribe.

    Nobody has to think of the link: it is put in, and looked for in each finished message.
    """
    case.brings_in(supporter("ann"))
    case.signs()
    assert case.launches(case.campaign("<p>Fit for winter?</p>")) == {"accepted": 1}
    [message] = case.messages()
    assert "https://out.example.org/u/" in message.read_text(encoding="utf-8").replace("=\n", "")


@pytest.mark.parametrize("template", [
    "<p>News.</p><style>footer, .footer, a { display: none }</style>",
    '<p>Unsubscribe <a href="https://elsewhere.example.org/x">here</a>.</p>',
])  # fmt: skip
def test_halfords_2022_a_way_out_that_is_none(case: Case, template: str) -> None:
    """A hidden link, or another's, is not the way out that was promised."""
    case.brings_in(supporter("ann"))
    case.signs()
    case.is_refused_to_launch(case.campaign(template))
    assert case.messages() == []


def test_global_one_2021_texts_through_an_agency_without_a_way_out(case: Case) -> None:
    """573,000 texts. The way out and the sender's name are part of each text here."""
    case.brings_in(supporter("ann", mobile="07400 123456", consent_channel="sms"))
    case.signs()
    nameless = case.campaign("Come along on Saturday.", channel="sms")
    assert "does not name everybody" in case.is_refused_to_launch(nameless)
    assert case.launches(case.campaign(TEXT, channel="sms")) == {"accepted": 1}
    [message] = case.messages()
    text = message.read_text(encoding="utf-8")
    assert "STOP" in text or "https://out.example.org/u/" in text
    assert "Riverside" in text


def test_chand_2025_nobody_said_who_was_writing(case: Case) -> None:
    """£200,000. Messages that did not name their sender; the imprint is due from a party too."""
    case.brings_in(supporter("ann"))
    case.signs()
    assert case.launches(case.campaign()) == {"accepted": 1}
    [message] = case.messages()
    shown = message.read_text(encoding="utf-8").replace("=\n", "")
    for told in ("Riverside Association", "1 High Street", "Pat Promoter", "2 High Street"):
        assert told in shown
