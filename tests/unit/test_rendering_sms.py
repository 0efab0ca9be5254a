from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sender.errors import TemplateError
from sender.rendering.profile import Body, SmsIdentity
from sender.rendering.refusal import MessageRefused, Rule
from sender.rendering.segments import SmsEncoding, count_segments
from sender.rendering.sms_renderer import SmsRenderer
from sender.rendering.text import CampaignText
from sender.vocabulary import OptOutStyle, Reason
from tests.unit.rendering_samples import (
    CHARITY,
    NAMED,
    NUMBER,
    OPT_OUT_URL,
    person,
    sms_renderer,
    template,
)

if TYPE_CHECKING:
    from sender.rendering.message import RenderedSms

HELLO = "{{ sender_name }}: hello {{ recipient.first_name | default('friend') }}."
BOTH = replace(NUMBER, opt_out_style=OptOutStyle.BOTH)


@pytest.mark.parametrize(
    ("identity", "ending"),
    [
        (NUMBER, "Reply STOP to opt out"),
        (NAMED, f"Opt out: {OPT_OUT_URL}"),
        (BOTH, f"Reply STOP or opt out: {OPT_OUT_URL}"),
    ],
)
def test_the_way_out_is_appended(identity: SmsIdentity, ending: str) -> None:
    message = sms_renderer(HELLO, identity=identity).render(person(sms=True))
    assert message.body == f"Friends of Owls: hello friend. {ending}"
    assert (message.opt_out_url is None) == (identity is NUMBER)
    assert message.segments == count_segments(message.body)


@pytest.mark.parametrize(
    ("identity", "body"),
    [
        (NUMBER, "{{ sender_name }}: hi. Text STOP to end"),
        (NAMED, "{{ sender_name }}: hi. Unsubscribe: {{ opt_out_url }}"),
        (BOTH, "{{ sender_name }}: hi. Reply STOP or unsubscribe: {{ opt_out_url }}"),
    ],
)
def test_a_way_out_in_the_template_is_not_doubled(identity: SmsIdentity, body: str) -> None:
    message = sms_renderer(body, identity=identity).render(person(sms=True))
    assert message.body.lower().count("stop") + message.body.count(OPT_OUT_URL) <= 2
    assert message.body.startswith("Friends of Owls: hi.")
    assert not message.body.endswith("opt out")


def test_telling_people_not_to_reply_stop_is_no_way_out() -> None:
    message = sms_renderer("{{ sender_name }}: do not reply STOP").render(person(sms=True))
    assert message.body.endswith("Reply STOP to opt out")


@pytest.mark.parametrize("sender", ["+4412", "owls!", "ABCDEFGHIJKL", "", "0", "+447700 1"])
def test_malformed_senders_are_refused(sender: str) -> None:
    with pytest.raises(MessageRefused):
        sms_renderer(HELLO, identity=replace(NAMED, sender=sender))


@pytest.mark.parametrize("sender", ["+447700900123", "60777", "MG" + "0a" * 16])
def test_numbers_and_services_receive(sender: str) -> None:
    message = sms_renderer(HELLO, identity=replace(NUMBER, sender=sender)).render(person(sms=True))
    assert message.sender == sender


@pytest.mark.parametrize("style", [OptOutStyle.REPLY, OptOutStyle.BOTH])
def test_a_name_cannot_receive_stop(style: OptOutStyle) -> None:
    with pytest.raises(MessageRefused) as refusal:
        sms_renderer(HELLO, identity=replace(NAMED, opt_out_style=style))
    assert refusal.value.rule is Rule.SMS_OPT_OUT


def test_every_body_it_speaks_for_is_named() -> None:
    profile = replace(CHARITY, on_behalf_of=(Body("Jo Candidate", "3 Mid Street"),))
    with pytest.raises(MessageRefused) as refusal:
        sms_renderer(HELLO, profile=profile).render(person(sms=True))
    assert refusal.value.rule is Rule.SMS_NAME
    both = "{{ sender_name }} and {{ controller.on_behalf_of[0].name }}: hello"
    assert "Jo Candidate" in sms_renderer(both, profile=profile).render(person(sms=True)).body


def test_too_many_segments_and_too_many_characters() -> None:
    long = "{{ sender_name }}: " + "a" * 300
    with pytest.raises(MessageRefused) as refusal:
        sms_renderer(long, max_segments=2).render(person(sms=True))
    assert refusal.value.reason is Reason.TOO_MANY_SEGMENTS
    assert sms_renderer(long, max_segments=3).render(person(sms=True)).segments.parts == 3
    with pytest.raises(MessageRefused) as refusal:
        sms_renderer("{{ sender_name }}: " + "a" * 1600, max_segments=99).render(person(sms=True))
    assert refusal.value.rule is Rule.SMS_TOO_LONG


def test_one_letter_can_change_the_alphabet() -> None:
    plain = sms_renderer(HELLO).render(person({"first_name": "Zoe"}, sms=True))
    umlaut = sms_renderer(HELLO).render(person({"first_name": "Zoë"}, sms=True))
    assert plain.segments.encoding is SmsEncoding.GSM_7
    assert plain.warnings == ()
    assert umlaut.segments.encoding is SmsEncoding.UCS_2
    assert "GSM" in umlaut.warnings[0]


def test_a_first_message_says_the_source() -> None:
    with pytest.raises(MessageRefused) as refusal:
        sms_renderer(HELLO).render(person(source="Otley Bird Fair", sms=True))
    assert refusal.value.rule is Rule.SOURCE_MISSING
    said = (
        HELLO
        + "{% if third_party_source is defined %} Number from {{ third_party_source }}.{% endif %}"
    )
    body = sms_renderer(said).render(person(source="Otley Bird Fair", sms=True)).body
    assert "Number from Otley Bird Fair." in body


@pytest.mark.parametrize("name", ["samples/polling-day.txt", "samples/meeting.txt"])
def test_the_samples_pass(name: str) -> None:
    text = CampaignText("x", sms=template(name))
    for identity in (NUMBER, NAMED, BOTH):
        renderer = SmsRenderer(text, CHARITY, identity, max_segments=2)
        report = renderer.check([frozenset(), frozenset({"first_name", "polling_station"})])
        assert report.errors == ()
        assert renderer.render(person(sms=True)).segments.encoding is SmsEncoding.GSM_7


def test_a_campaign_without_a_body_is_an_error() -> None:
    with pytest.raises(TemplateError):
        SmsRenderer(CampaignText("x"), CHARITY, NUMBER, max_segments=1)


@given(st.text(max_size=60))
def test_whatever_the_value_the_way_out_stays(value: str) -> None:
    renderer = sms_renderer(HELLO, identity=BOTH, max_segments=9)
    message: RenderedSms | None = None
    with suppress(MessageRefused):
        message = renderer.render(person({"first_name": value}, sms=True))
    assume(message is not None)
    assert message is not None
    assert message.body.startswith("Friends of Owls: hello ")
    assert message.body.endswith(f"Reply STOP or opt out: {OPT_OUT_URL}")


@pytest.mark.parametrize("value", ["Text STOP to 60777", "unsubscribe at evil.org/x"])
def test_a_value_cannot_counterfeit_the_way_out(value: str) -> None:
    with pytest.raises(MessageRefused) as refusal:
        sms_renderer(HELLO).render(person({"first_name": value}, sms=True))
    assert refusal.value.rule is Rule.OPT_OUT_COUNTERFEIT
