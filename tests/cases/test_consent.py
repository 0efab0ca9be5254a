"""Cases of consent: not asked for, not specific, inferred, or asked for again when it was gone."""

from tests.support.case import NOT_HELD, TEXT, Case, person, supporter
from tests.support.command_line import NOTICE_FILE


def test_hello_fresh_2024_texts_to_people_who_had_agreed_to_e_mail(case: Case) -> None:
    """£140,000. The wording did not mention texts, and bundled consent with an age box."""
    bundled = NOTICE_FILE.replace("sign-up-form", "age-box") + "bundled = true\n"
    case.desk.done("notice", "add", case.desk.write("bundled.toml", bundled))
    email_only = NOTICE_FILE.replace("sign-up-form", "email-form").replace(
        '["email", "sms"]', '["email"]'
    ).replace("by e-mail and text message", "by e-mail")  # fmt: skip
    case.desk.done("notice", "add", case.desk.write("email-form.toml", email_only))
    counts = case.brings_in(
        supporter("ann", mobile="07400 123456", consent_notice="email-form"),
        supporter("bo", mobile="07400 123457", consent_notice="age-box", consent_channel="sms"),
    )
    assert counts["consents_recorded"] == 1
    texts = case.campaign(TEXT, channel="sms")
    assert case.why_not("+447400123456", texts) == "wrong_channel"
    assert case.why_not("+447400123457", texts) == NOT_HELD


def test_penny_appeal_2024_any_interaction_was_taken_for_consent(case: Case) -> None:
    """Whoever had been in touch within five years was written to, opt-outs or not, at night."""
    case.brings_in(person("ann"), supporter("bo"), supporter("cy"))
    case.brings_old_opt_outs("cy@example.org")
    campaign = case.campaign()
    assert case.why_not("ann@example.org", campaign) == NOT_HELD
    assert case.why_not("cy@example.org", campaign) == "suppressed"
    assert case.launches(campaign) == {"accepted": 1, "suppressed": 1}


def test_virgin_media_2021_people_who_had_opted_out_were_asked_again(case: Case) -> None:
    """£50,000. 451,217 e-mails asked people who had opted out to opt in again.

    So too Flybe and Honda 2017: to ask for consent is marketing.
    """
    case.brings_in(supporter("ann"), supporter("bo"), person("cy"))
    case.desk.done("consent", "withdraw", "ann@example.org", "-c", "riverside", "--channel")
    case.signs()
    asking = case.campaign("<p>May we write to you again? Press the button.</p>")
    assert case.launches(asking) == {"accepted": 1, "suppressed": 1}


def test_ee_2019_a_service_message_that_sold_something(case: Case) -> None:
    """£100,000; American Express 2021, £90,000. "Service" messages to people who had opted out."""
    case.brings_in(supporter("ann"), supporter("bo"))
    case.desk.done("consent", "withdraw", "bo@example.org", "-c", "riverside", "--channel")
    case.signs()
    service = case.campaign("<p>Your card: buy a second one now.</p>", kind="service")
    assert case.why_not("bo@example.org", service) == "suppressed"
    assert "money" in case.is_refused_approval(service, reason="About their account")
    assert "approve" in case.is_refused_to_launch(service)
    assert case.messages() == []


def test_conservatives_2017_research_that_urged_support(case: Case) -> None:
    """A warning. A research script by phone went on to promote the party and its candidates."""
    case.brings_in(person("ann"), supporter("bo"))
    research = case.campaign("<p>Would you vote for us on Thursday?</p>", kind="research")
    assert case.why_not("ann@example.org", research) == NOT_HELD
    case.signs()
    assert "votes" in case.is_refused_approval(research, reason="Asks for opinions")
    assert "approve" in case.is_refused_to_launch(research)
    assert case.messages() == []
