"""What research and service may say: labelled texts, and what no approval lifts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.rendering.kind_lint import Element, Flag, Own, links_in, lint, texts_of_html

OWN = Own(
    names=("Riverside Association", "Vote Riverside", "Fund the Future"),
    phrases=("1 Donation Road, Riverside RV1 1AA", "Pat Voter"),
    links=("https://riverside.example.org/privacy", "https://vote.example.org", "mailto:a@b.org"),
)

CLEAN = [
    "Your surgery appointment on 12 May at 10:30 is confirmed.",
    "The meeting of the residents' panel moves to the town hall, room 2.",
    "Our office is closed on Monday 25 May. We answer again from Tuesday.",
    "We have changed our privacy notice. The new one is at https://riverside.example.org/privacy",
    "Your case 4711 was passed to the council's housing department.",
    "The road outside the school is shut from 9am to 3pm.",
    "How satisfied are you with the bus service in your area?",
    "What matters most to you: housing, health, schools or transport?",
    "Take our five-minute survey: https://survey.example.org/buses",
    "Nobody can see who answered. The survey closes on 30 June.",
    "How often do you use the library?",
    "On a scale from 1 to 5, how safe do you feel in the town centre?",
    "Riverside Association, 1 Donation Road, Riverside RV1 1AA",
    "Promoted by Pat Voter on behalf of Riverside Association.",
    "Vote Riverside: your appointment is at noon.",
    "You get this because you agreed to hear from us by e-mail. Unsubscribe at any time.",
    "Reply STOP to opt out.",
    "Riverside: the flood warning was lifted at 6pm.",
    "Mae'r swyddfa ar gau ddydd Llun.",
    "Tick the box next to your answer.",
    "Put a cross in the box that applies.",
    "Where do you stand with regard to the bypass?",
    "Please return the form to your councillor.",
    "Your x-ray appointment is on Monday.",
    "Do you trust Labour or the Conservatives more on housing?",
    "We need your help to understand what residents think.",
    "Were you short of money last year?",
]
LIFTED = [
    ("Which party would you vote for if there were an election tomorrow?", Element.MENTIONS),
    ("Did you vote in the local election?", Element.MENTIONS),
    ("How likely are you to vote on 7 May?", Element.MENTIONS),
    ("Do you support or oppose the bypass?", Element.MENTIONS),
    ("To what extent do you support the new bus lanes?", Element.MENTIONS),
    ("Have you ever donated to a charity?", Element.MENTIONS),
    ("We have received your donation of £20.00.", Element.MENTIONS),
    ("Your direct debit of £5 was cancelled as you asked.", Element.MENTIONS),
    ("Our customer support team has moved.", Element.MENTIONS),
    ("How did you cast your ballot?", Element.MENTIONS),
    ("Who will you be backing?", Element.MENTIONS),
    ("Do you endorse or oppose the plan?", Element.MENTIONS),
    ("Our bank details have changed.", Element.MENTIONS),
    ("Text AGREE to 60777", Element.SIGN_UPS),
    ("The room costs £3.50 a head.", Element.MENTIONS),
    ("Your polling station has changed.", Element.MENTIONS),
    ("Sign up for the residents' panel.", Element.SIGN_UPS),
    ("Register for the hearing by Friday.", Element.SIGN_UPS),
    ("You are invited to the annual meeting.", Element.SIGN_UPS),
    ("Your membership ends soon: please renew.", Element.SIGN_UPS),
    ("Contact us if you would like to hear more.", Element.SIGN_UPS),
    ("Read more about our plans for the high street.", Element.PROMOTION),
    ("Ask for our manifesto.", Element.PROMOTION),
    ("20% off all mugs until Sunday", Element.PROMOTION),
    ("Share this with everybody you know.", Element.PROMOTION),
    ("Riverside Association will cut bus fares.", Element.NAMES),
    ("Do you agree that Labour has wasted your money?", Element.NAMES),
    ("Cllr Jones is working hard for the estate.", Element.NAMES),
    ("Only the Greens want to reopen the line.", Element.NAMES),
    ("Photos: https://www.facebook.com/riverside", Element.LINKS),
    ("More at https://bit.ly/3abcde", Element.LINKS),
    ("Read it at https://riverside.example.org/news/?utm_source=mail", Element.LINKS),
]
FINAL = [
    ("Vote for us on Thursday.", Element.VOTES),
    ("On 7 May, use both your votes.", Element.VOTES),
    ("Can we count on your vote?", Element.VOTES),
    ("Will you vote for me?", Element.VOTES),
    ("Every vote counts.", Element.VOTES),
    ("Help re-elect a hard-working team.", Element.VOTES),
    ("Make your voice heard at the ballot box!", Element.VOTES),
    ("V\u00adote Green", Element.VOTES),
    ("ＶＯＴＥ for change", Element.VOTES),  # noqa: RUF001  # wide letters, as spammers use them
    ("Which party would you vote for? Vote for ours!", Element.VOTES),
    ("Pleidleisiwch drosom ni ddydd Iau.", Element.VOTES),
    ("Results: https://riverside.example.org/vote-for-change", Element.VOTES),
    ("Elect Jo.", Element.VOTES),
    ("Cast your ballot for Jo on Thursday.", Element.VOTES),
    ("Put a cross next to Jo Bloggs.", Element.VOTES),
    ("Make Jo your next MP.", Element.VOTES),
    ("Send Jo to Westminster.", Element.VOTES),
    ("Keep Jo in office.", Element.VOTES),
    ("Give Jo your first preference.", Element.VOTES),
    ("Choose Labour this time.", Element.VOTES),
    ("Kick the Tories out!", Element.VOTES),
    ("Only Jo can beat the Conservatives here.", Element.VOTES),
    ("It is a two-horse race: the Lib Dems cannot win.", Element.VOTES),
    ("\u202eoJ rof etov\u202c", Element.VOTES),
    ("Chuck in a fiver.", Element.MONEY),
    ("Can you spare £5?", Element.MONEY),
    ("Every penny counts.", Element.MONEY),
    ("Fund our leaflets.", Element.MONEY),
    ("Text GIVE to 70085.", Element.MONEY),
    ("Here: https://www.justgiving.com/riverside", Element.MONEY),
    ("Send £10 to sort code 12-34-56.", Element.MONEY),
    ("Please donate today.", Element.MONEY),
    ("Could you chip in £5?", Element.MONEY),
    ("Give what you can.", Element.MONEY),
    ("Thank you for your donation. Please donate again.", Element.MONEY),
    ("Our spring appeal has begun.", Element.MONEY),
    ("Leave a gift in your will.", Element.MONEY),
    ("Add Gift Aid and we get 25% more.", Element.MONEY),
    ("Buy a raffle ticket.", Element.MONEY),
    ("One click: https://riverside.example.org/donate", Element.MONEY),
    ("Cyfrannwch heddiw.", Element.MONEY),
    ("Can we rely on your support?", Element.SUPPORT),
    ("Do you support us?", Element.SUPPORT),
    ("Would you support our campaign to save the library?", Element.SUPPORT),
    ("Support Riverside Association in May.", Element.SUPPORT),
    ("Back our candidate.", Element.SUPPORT),
    ("Sign the petition against the closure.", Element.SUPPORT),
    ("Become a member today.", Element.SUPPORT),
    ("We need you to deliver leaflets.", Element.SUPPORT),
    ("Help us win in Riverside.", Element.SUPPORT),
    ("Join us in the fight for fair rents.", Element.SUPPORT),
    ("Are you with us?", Element.SUPPORT),
    ("Stand with Jo.", Element.SUPPORT),
    ("Help Jo win on Thursday.", Element.SUPPORT),
    ("Jo needs you on the doorstep.", Element.SUPPORT),
    ("Endorse Jo.", Element.SUPPORT),
    ("Put a poster in your window.", Element.SUPPORT),
    ("Knock on some doors with the team.", Element.SUPPORT),
    ("Be part of our campaign.", Element.SUPPORT),
    ("Sign our open letter.", Element.SUPPORT),
    ("Cefnogwch ein hymgyrch.", Element.SUPPORT),
]


def elements(text: str) -> set[Element]:
    return {flag.element for flag in lint(text, OWN)}


def test_there_are_enough_labelled_texts() -> None:
    assert len(CLEAN) + len(LIFTED) + len(FINAL) >= 60


@pytest.mark.parametrize("text", CLEAN)
def test_plain_research_and_service_is_not_flagged(text: str) -> None:
    assert lint(text, OWN) == ()


@pytest.mark.parametrize(("text", "element"), LIFTED)
def test_what_an_approval_may_lift_is_flagged_and_not_final(text: str, element: Element) -> None:
    assert element in elements(text)
    assert not any(flag.is_final for flag in lint(text, OWN))


@pytest.mark.parametrize(("text", "element"), FINAL)
def test_an_ask_for_votes_money_or_support_is_final(text: str, element: Element) -> None:
    assert element in elements(text)
    assert any(flag.is_final for flag in lint(text, OWN))


@given(
    before=st.sampled_from([text for text in CLEAN if text.endswith((".", "?"))]),
    ask=st.sampled_from([text for text, _ in FINAL]),
    gap=st.sampled_from([" ", "\n", "\n\n", " \u2022 "]),
)
def test_no_clean_text_around_an_ask_hides_it(before: str, ask: str, gap: str) -> None:
    assert any(flag.is_final for flag in lint(before + gap + ask + gap + before, OWN))


def test_a_question_does_not_excuse_the_ask_in_the_same_sentence() -> None:
    assert Flag(Element.VOTES, "vote") in lint("Did you vote, and will you vote for us again?", OWN)


@pytest.mark.parametrize(
    "html",
    [
        "<p>Please do<b>nate</b> now</p>",
        "<p>Appointments</p><p>Vote</p>",
        '<img src="https://x.example/a.png" alt="Donate now">',
        '<a href="https://x.example/donate">Here</a>',
        "<a>Vote</a><a>Now</a>",
        "<p>V&#111;te for us</p>",
    ],
)
def test_markup_does_not_hide_an_ask(html: str) -> None:
    assert any(flag.is_final for text in texts_of_html(html) for flag in lint(text, OWN))


def test_styles_are_no_words() -> None:
    assert texts_of_html("<style>.vote { color: red }</style>")[0].strip() == ""


def test_links_are_found_without_the_punctuation_behind_them() -> None:
    text = "See https://a.example/x?a=1&amp;b=2. Or www.b.example, or (c.example/17)."
    assert links_in(text) == {"https://a.example/x?a=1&b=2", "www.b.example", "c.example/17"}
