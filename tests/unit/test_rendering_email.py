# ruff: noqa: E501 - a template reads best on one line
from dataclasses import replace

import pytest

from sender.errors import TemplateError
from sender.rendering import visibility
from sender.rendering.email_renderer import EmailRenderer
from sender.rendering.markup import prepare
from sender.rendering.message import hash_parts
from sender.rendering.profile import EmailIdentity, JsonValue
from sender.rendering.refusal import MessageRefused, Rule
from sender.vocabulary import Reason
from tests.unit.rendering_samples import (
    CHARITY,
    IDENTITY,
    LAYOUT,
    OPT_OUT_URL,
    PARTY,
    email_renderer,
    email_text,
    person,
    template,
)

FOOT = (
    "<p>{{ controller.name }}, {{ controller.postal_address }}</p>"
    '<p><a href="{{ opt_out_url }}">Unsubscribe</a></p>'
)
TEXT_FOOT = (
    "{{ controller.name }}, {{ controller.postal_address }}\n\nUnsubscribe: {{ opt_out_url }}\n"
)
SAMPLES = ["samples/newsletter.html", "samples/polling-day.html", "samples/fundraising.html"]


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_pass_for_parties_and_charities(name: str) -> None:
    text = replace(email_text("", layout=True), html=template(name))
    for profile in (PARTY, CHARITY):
        renderer = EmailRenderer(text, profile, IDENTITY, list_id="news.leeds-north.org")
        report = renderer.check([frozenset(), frozenset({"first_name", "ward", "ask"})])
        assert report.errors == ()
        assert report.warnings == ()
        for source in (None, "Leeds Trades Council"):
            recipient = person({"first_name": "Zoë"}, source=source)
            message = renderer.render(recipient)
            renderer.check_fully(message.html, message.text, recipient)


def test_the_layout_says_where_details_came_from() -> None:
    renderer = email_renderer("<p>Hello</p>", layout=True)
    message = renderer.render(person(source="Otley <Bird> Fair"))
    assert "details from Otley &lt;Bird&gt; Fair" in message.html
    assert "details from Otley <Bird> Fair" in message.text
    assert CHARITY.privacy_notice_url in message.text
    assert "first message" not in renderer.render(person()).html


def test_a_first_message_without_the_source_is_refused() -> None:
    with pytest.raises(MessageRefused) as refusal:
        email_renderer(FOOT).render(person(source="Otley Bird Fair"))
    assert refusal.value.code == "source-missing"


def test_an_own_text_part_says_the_source_as_well() -> None:
    source = (
        "{% if third_party_source is defined %}<p>From {{ third_party_source }}. "
        '<a href="{{ controller.privacy_notice_url }}">Privacy notice</a></p>{% endif %}'
    )
    plain = "{% if third_party_source is defined %}From {{ third_party_source }}.{% endif %}\n\n"
    notice = "{{ controller.privacy_notice_url }}\n\n"
    recipient = person(source="Otley Bird Fair")
    for lacking in (TEXT_FOOT, plain + TEXT_FOOT, notice + TEXT_FOOT):
        with pytest.raises(MessageRefused) as refusal:
            email_renderer(source + FOOT, text=lacking).render(recipient)
        assert refusal.value.rule is Rule.TEXT_SOURCE
    said = email_renderer(source + FOOT, text=plain + notice + TEXT_FOOT).render(recipient)
    assert "From Otley Bird Fair." in said.text


@pytest.mark.parametrize("name", SAMPLES)
def test_all_text_of_the_samples_keeps_wcag_aa(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visibility, "LOWEST_CONTRAST", 4.5)
    monkeypatch.setattr(visibility, "NARROWEST_PX", 30.0)
    text = replace(email_text("", layout=True), html=template(name))
    renderer = EmailRenderer(text, PARTY, IDENTITY, list_id="news.leeds-north.org")
    views = prepare(renderer.render(person()).html).views
    assert len(views) == 8
    for view in views:
        runs = list(visibility.text_runs(view.tree, dark_canvas=view.dark_canvas))
        unseen = [run.text for run in runs if run.text.strip() and not run.seen]
        assert len(unseen) == 1  # the preview line


def test_headers_are_what_mail_programs_need() -> None:
    message = email_renderer(FOOT).render(person())
    assert dict(message.headers) == {
        "List-Unsubscribe": f"<{OPT_OUT_URL}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "List-Id": "<news.leeds-north.org>",
        "Feedback-ID": "c1:leeds:mail:sender1",
    }
    assert message.reply_to == "reply@leeds-north.org"


@pytest.mark.parametrize(
    "value", ["Ann\r\nBcc: x@y.z", "Ann\n\n<b>", "Ann\x00", "Ann\u2028x", "Ann\x85x"]
)
def test_a_value_cannot_start_a_header_line(value: str) -> None:
    message = email_renderer(FOOT).render(person({"first_name": value}))
    assert len(message.subject.splitlines()) == 1
    assert message.subject.startswith("News for Ann")


@pytest.mark.parametrize("subject", ["", "  ", "two\nlines", "two\rlines", "two\u2028lines"])
def test_a_subject_template_is_one_line(subject: str) -> None:
    with pytest.raises(TemplateError):
        email_renderer(FOOT, subject=subject)


@pytest.mark.parametrize(
    ("subject", "rule"),
    [
        ("{{ recipient.first_name | default('') }}", Rule.SUBJECT_EMPTY),
        ("{% raw %}{{ first_name }}{% endraw %}", Rule.BRACES),
        ("x" * 251, Rule.HEADER),
    ],
)
def test_bad_subjects_are_refused(subject: str, rule: Rule) -> None:
    with pytest.raises(MessageRefused) as refusal:
        email_renderer(FOOT, subject=subject).render(person())
    assert refusal.value.rule is rule


@pytest.mark.parametrize(
    "url",
    ["http://out.org/o/x", "https://out.org/", "https://out.org/o x", "https://out.org/o\r\nX: y",
     "https://out.org/o/<x>", "javascript:x", "", "https://out.org/" + "x" * 1000],
)  # fmt: skip
def test_the_opt_out_link_is_plain_https(url: str) -> None:
    with pytest.raises(MessageRefused) as refusal:
        email_renderer(FOOT).render(replace(person(), opt_out_url=url))
    assert refusal.value.rule is Rule.OPT_OUT_URL


@pytest.mark.parametrize("address", ["a@b\r\nBcc: c@d", "<a@b>", "a b@c", "nobody", "a@b, c@d"])
def test_no_address_writes_a_header_line(address: str) -> None:
    with pytest.raises(MessageRefused):
        email_renderer(FOOT).render(replace(person(), address=address))
    with pytest.raises(MessageRefused):
        EmailRenderer(email_text(FOOT), CHARITY, EmailIdentity(address, "x"), list_id="a.b")


@pytest.mark.parametrize("name", ["", " ", "a\r\nb", "a\x00"])
def test_the_from_name_is_one_clean_line(name: str) -> None:
    with pytest.raises(MessageRefused):
        EmailRenderer(email_text(FOOT), CHARITY, EmailIdentity("a@b.org", name), list_id="a.b")


@pytest.mark.parametrize(("list_id", "feedback"), [("a b.c", None), ("a", None), ("a.b", "x\ny")])
def test_list_and_feedback_ids_are_plain(list_id: str, feedback: str | None) -> None:
    with pytest.raises(MessageRefused):
        EmailRenderer(
            email_text(FOOT), CHARITY, IDENTITY, list_id=list_id, feedback_id=feedback
        )  # fmt: skip


def test_an_own_text_template_is_checked_too() -> None:
    message = email_renderer(
        FOOT, text="Hello {{ recipient.first_name | default('you') }}\n\n" + TEXT_FOOT
    ).render(person({"first_name": "<Ann>"}))
    assert message.text.startswith("Hello <Ann>\n")
    assert OPT_OUT_URL in message.text


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Hello\n", Rule.TEXT_IDENTITY),
        ("{{ controller.name }}, {{ controller.postal_address }}", Rule.TEXT_OPT_OUT),
        ("{% raw %}{{ x }}{% endraw %}\n\n" + TEXT_FOOT, Rule.BRACES),
        ("Unsubscribe at https://evil.org/u\n\n" + TEXT_FOOT, Rule.OPT_OUT_COUNTERFEIT),
    ],
)
def test_bad_text_parts_are_refused(text: str, rule: Rule) -> None:
    with pytest.raises(MessageRefused) as refusal:
        email_renderer(FOOT, text=text).render(person())
    assert refusal.value.rule is rule


def test_a_text_part_without_the_imprint_is_refused() -> None:
    html = FOOT + (
        "<p>{{ controller.promoter_name }} {{ controller.promoter_address }}</p>"
        "{% for b in controller.on_behalf_of %}<p>{{ b.name }} {{ b.postal_address }}</p>{% endfor %}"
    )
    bodies = (
        "{% for b in controller.on_behalf_of %}{{ b.name }} {{ b.postal_address }} {% endfor %}"
    )
    with pytest.raises(MessageRefused) as refusal:
        email_renderer(html, text=TEXT_FOOT + bodies, profile=PARTY).render(person())
    assert refusal.value.rule is Rule.TEXT_IMPRINT


@pytest.mark.parametrize(
    ("source", "fields", "rule"),
    [
        ("{{ recipient.first_name }}", {}, Rule.UNDEFINED),
        ("{{ recipient.first_name }}", {"first_name": None}, Rule.UNDEFINED),
        ("{{ recipient.first_name }}", {"first_name": " "}, Rule.UNDEFINED),
        ("{{ recipient.tags }}", {"tags": ["a"]}, Rule.VALUE_NOT_TEXT),
        ("{{ recipient.flag }}", {"flag": True}, Rule.VALUE_NOT_TEXT),
        ("{{ recipient.bio }}", {"bio": "x" * 2001}, Rule.VALUE_TOO_LONG),
        ("{{ recipient.age + 'x' }}", {"age": 1}, Rule.RENDER_FAILED),
        ("{{ recipient.bio + recipient.bio }}", {"bio": "x"}, Rule.RENDER_FAILED),
        ("{{ recipient.a.b }}", {"a": "text"}, Rule.UNDEFINED),
        ("{{ recipient.first_name.upper }}", {"first_name": "x"}, Rule.UNDEFINED),
        ("{{ recipient.__class__ }}", {"first_name": "x"}, Rule.UNDEFINED),
        ("{% for x in recipient.bio %}{% endfor %}", {"bio": "abc"}, Rule.RENDER_FAILED),
        ("{% for x in recipient.tags %}{% endfor %}", {"tags": ["a"] * 201}, Rule.RENDER_FAILED),
        ("{% for x in range(201) %}{% endfor %}", {}, Rule.RENDER_FAILED),
        ("{% for x in range(99) %}{% for y in range(99) %}" + "z" * 200 + "{% endfor %}{% endfor %}", {}, Rule.OUTPUT_TOO_LONG),
        ("{% for x in range(99) %}{% for y in range(99) %}{{ y }}{% endfor %}{% endfor %}", {}, Rule.OUTPUT_TOO_LONG),
    ],
)  # fmt: skip
def test_what_cannot_be_rendered_is_refused(
    source: str, fields: dict[str, JsonValue], rule: Rule
) -> None:
    with pytest.raises(MessageRefused) as refusal:
        email_renderer(source + FOOT).render(person(fields))
    assert (refusal.value.rule, refusal.value.reason) == (rule, Reason.RENDERING)


def test_the_refusal_names_template_and_line_and_no_value() -> None:
    source = "<p>\n\n{{ recipient.age + recipient.first_name }}</p>"
    with pytest.raises(MessageRefused) as refusal:
        email_renderer(source + FOOT).render(person({"age": 3, "first_name": "Quentin"}))
    assert "campaign.html:3" in refusal.value.problem
    assert "Quentin" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_values_are_data_and_never_template_source() -> None:
    with pytest.raises(MessageRefused) as refusal:
        email_renderer("{{ recipient.a }}" + FOOT).render(person({"a": "{{ 7 * 7 }}"}))
    assert refusal.value.rule is Rule.BRACES
    assert "49" not in str(refusal.value)


def test_html_over_102_kb_is_a_warning() -> None:
    small = email_renderer("<p>" + "é" * 50_000 + "</p>" + FOOT).render(person())
    large = email_renderer("<p>" + "é" * 53_000 + "</p>" + FOOT).render(person())
    assert small.warnings == ()
    assert "102 KB" in large.warnings[0]


def test_styles_are_inlined_and_comments_stripped() -> None:
    html = "<style>p{color:#333333}</style><!-- to do -->" + FOOT
    message = email_renderer(html).render(person())
    assert '<p style="color' in message.html
    assert "<style>" not in message.html
    assert "to do" not in message.html


def test_the_text_part_reads_well() -> None:
    html = (
        "<div style='display:none'>preview</div><h1>Hello</h1><ul><li>One</li><li>Two</li></ul>"
        '<p>See <a href="https://a.org/x">this</a> and <a href="mailto:a@b.org">a@b.org</a></p>'
    )
    text = email_renderer(html + FOOT).render(person()).text
    assert text == (
        "Hello\n\n- One\n- Two\n\nSee this <https://a.org/x> and a@b.org\n\n"
        "Friends of Owls, 9 Barn Lane, Otley LS21 9ZZ\n\n"
        f"Unsubscribe <{OPT_OUT_URL}>\n"
    )


def test_the_hash_covers_every_part() -> None:
    base = email_renderer(FOOT).render(person())
    others = [
        email_renderer("<p>x</p>" + FOOT).render(person()),
        email_renderer(FOOT, subject="Other").render(person()),
        email_renderer(FOOT, text=TEXT_FOOT).render(person()),
        email_renderer(FOOT).render(replace(person(), address="other@mail.org")),
        email_renderer(FOOT).render(replace(person(), opt_out_url=OPT_OUT_URL[:-1] + "0")),
        EmailRenderer(email_text(FOOT), CHARITY, IDENTITY, list_id="other.org").render(person()),
    ]
    hashes = {base.message_hash, *(other.message_hash for other in others)}
    assert len(hashes) == 7
    assert email_renderer(FOOT).render(person()).message_hash == base.message_hash


def test_hash_parts_keeps_parts_apart() -> None:
    sequences: list[list[str | None]] = [["ab"], ["a", "b"], ["", "ab"], [None, "ab"], ["1:a", "b"]]
    assert len({hash_parts(parts) for parts in sequences}) == len(sequences)


def test_the_content_hash_is_of_the_exact_text() -> None:
    text = email_text(FOOT, layout=True)
    changed = [
        replace(text, subject="x"),
        replace(text, layout=None),
        replace(text, html=None, text=text.html),
        replace(text, campaign_name="x"),
        email_text(FOOT + " ", layout=True),
    ]
    assert len({text.content_hash, *(other.content_hash for other in changed)}) == 6


def test_a_template_may_extend_its_layout_or_be_wrapped() -> None:
    wrapped = email_renderer("<p>Hi</p>", layout=True)
    blocks = email_renderer("{% block content %}<p>Hi</p>{% endblock %}", layout=True)
    extends = email_renderer(
        '{% extends "' + LAYOUT + '" %}{% block content %}<p>Hi</p>{% endblock %}', layout=True
    )
    bodies = {renderer.render(person()).html for renderer in (wrapped, blocks, extends)}
    assert len(bodies) == 1


def test_blocks_without_content_are_an_error() -> None:
    with pytest.raises(TemplateError, match=r"campaign\.html:2: has blocks"):
        email_renderer("<p>x</p>\n{% block preheader %}x{% endblock %}", layout=True)


def test_only_the_given_layout_can_be_extended() -> None:
    with pytest.raises(MessageRefused) as refusal:
        email_renderer('{% extends "/etc/passwd" %}', layout=True).render(person())
    assert refusal.value.reason is Reason.RENDERING
