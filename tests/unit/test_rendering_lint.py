# ruff: noqa: E501 - a template reads best on one line
from dataclasses import replace

import pytest

from sender.errors import TemplateError
from sender.rendering.email_renderer import EmailRenderer
from sender.rendering.text import TemplateSource
from tests.unit.rendering_samples import (
    CHARITY,
    IDENTITY,
    email_renderer,
    email_text,
    sms_renderer,
)

FOOT = (
    "<p>{{ controller.name }}, {{ controller.postal_address }}</p>"
    '<p><a href="{{ opt_out_url }}">Unsubscribe</a></p>'
)
SHAPES = [frozenset({"first_name", "ward"}), frozenset({"first_name"})]


def problems(source: str, shapes: list[frozenset[str]] | None = None) -> list[str]:
    report = email_renderer(source + FOOT, subject="Hi").check(SHAPES if shapes is None else shapes)
    return [str(error) for error in report.errors]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ recipient.ward }}", "recipient.ward: has no value for 1 of 2 kinds of recipients"),
        ("\n{{ recipient.frist_name }}", "campaign.html:2: recipient.frist_name: is not known. Did you mean first_name?"),
        ("{% if recipient.ward %}x{% endif %}", "recipient.ward: has no value"),
        ("{{ recipient['ward'] }}", "recipient.ward: has no value"),
        ("{{ first_name }}", "first_name: is not known"),
        ("{{ recipent.first_name }}", "Did you mean recipient?"),
        ("{{ controller.nmae }}", "controller.nmae: is not known. Did you mean name?"),
        ("{{ campaign.subject }}", "campaign.subject: is not known"),
        ("{% set controller = 1 %}", "controller: is taken"),
        ("{% set _holes = 1 %}", "_holes: is taken"),
        ("{% if recipient.ward is defined %}x{% else %}{{ recipient.ward }}{% endif %}", "recipient.ward: has no value"),
        ("{{ recipient.a.b }}", "recipient.a: is not known"),
    ],
)  # fmt: skip
def test_names_are_checked_against_the_audience(source: str, message: str) -> None:
    assert any(message in problem for problem in problems(source)), problems(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ recipient.first_name }}",
        "{{ recipient.ward | default('your ward') }}",
        "{{ recipient.ward | d('your ward') | upper }}",
        "{% if recipient.ward is defined %}{{ recipient.ward }}{% endif %}",
        "{% if recipient.ward is defined and recipient.ward == 'x' %}y{% endif %}",
        "{% if recipient.ward | default('') %}{{ recipient.ward }}{% endif %}",
        "{{ recipient.ward if recipient.ward is defined else 'x' }}",
        "{{ recipient.nowhere | default('x') }}",
        "{{ recipient.place.city | default('x') }}",
        "{% for tag in recipient.tags | default([]) %}{{ tag }}, {{ loop.index }}{% endfor %}",
        "{% set greeting = 'Hi' %}{{ greeting }}",
        "{% if controller.contact_phone is defined %}{{ controller.contact_phone }}{% endif %}",
    ],
)
def test_written_out_defaults_are_enough(source: str) -> None:
    assert problems(source) == []


def test_a_field_of_every_recipient_needs_no_default() -> None:
    assert problems("{{ recipient.ward }}", [frozenset({"ward"})]) == []


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("<p>\n{{ recipient. }}", 2),
        ("{% if x %}", 1),
        ("\n\n{% endif %}", 3),
        ("{% include 'x' %}", 1),
        ("{% import 'x' as x %}", 1),
        ("\n{% macro m() %}{% endmacro %}", 2),
        ("{% filter upper %}x{% endfilter %}", 1),
        ("{% set x %}y{% endset %}", 1),
        ("{% set x = 'a' ~ 'b' %}", 1),
        ("{% set x = ['a', 'b'] | join %}", 1),
        ("{% set x, y = 1, 2 %}", 1),
        ("{% with x = 1 %}{% endwith %}", 1),
        ("{% for a in b recursive %}{% endfor %}", 1),
        ("{% for a in [1] %}{% for b in [1] %}\n{% for c in [1] %}{% endfor %}{% endfor %}{% endfor %}", 2),
        ("{{ 'x' * 9 }}", 1),
        ("{{ 9 ** 9 }}", 1),
        ("{{ '%s' % 1 }}", 1),
        ("{{ 1 / 0 }}", 1),
        ("{{ recipient.x | safe }}", 1),
        ("{{ recipient.x | attr('y') }}", 1),
        ("{{ recipient.x | replace('a', 'b') }}", 1),
        ("{{ recipient.x | bounded }}", 1),
        ("{{ recipient.x.upper() }}", 1),
        ("{{ range(3) }}", 1),
        ("{{ super() | upper }}", 1),
        ("{{ self.content() }}", 1),
        ("{{ recipient.x | join(recipient.y) }}", 1),
        ("{{ recipient.x is callable }}", 1),
        ("{% extends recipient.x %}", 1),
        ("<p>\n\ue000</p>", 2),
        ("{{ " + "(" * 400 + "1" + ")" * 400 + " }}", None),
    ],
)  # fmt: skip
def test_what_the_grammar_leaves_out_is_an_error_with_its_line(
    source: str, line: int | None
) -> None:
    with pytest.raises(TemplateError) as error:
        email_renderer(source + FOOT)
    assert str(error.value.path) == "campaign.html"
    assert line is None or error.value.line == line


def test_errors_in_a_layout_name_the_layout() -> None:
    text = replace(email_text("<p>x</p>"), layout=TemplateSource("mine.html", "\n{% macro %}"))
    with pytest.raises(TemplateError, match=r"mine\.html:2"):
        EmailRenderer(text, CHARITY, IDENTITY, list_id="a.b")


def test_refusals_carry_their_code() -> None:
    report = email_renderer("<p>x</p>", subject="Hi").check([frozenset()])
    assert [error.key for error in report.errors] == ["identity-missing"]


def test_people_from_third_parties_are_a_warning_where_the_source_is_not_said() -> None:
    report = email_renderer(FOOT, subject="Hi").check([frozenset()])
    assert report.errors == ()
    assert any("third party" in warning for warning in report.warnings)


def test_what_samples_cannot_stand_in_for_is_a_warning() -> None:
    report = email_renderer("{{ recipient.age + 1 }}" + FOOT, subject="Hi").check(
        [frozenset({"age"})]
    )
    assert report.errors == ()
    assert any("sample values" in warning for warning in report.warnings)


def test_sms_templates_are_checked_the_same_way() -> None:
    report = sms_renderer("{{ sender_name }}: hi {{ recipient.ward }}").check(SHAPES)
    assert [error.key for error in report.errors] == ["recipient.ward"]
    hidden = "{% if recipient.ward | default('') == 'x' %}{{ sender_name }}{% endif %}: hello"
    assert [error.key for error in sms_renderer(hidden).check(SHAPES).errors] == ["sms-name"]
