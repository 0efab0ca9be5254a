"""Rendering once for many says the same as rendering each in full."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sender.rendering.environment import CompiledTemplate, LockedEnvironment
from sender.rendering.profile import Recipient
from sender.rendering.refusal import MessageRefused
from sender.rendering.text import CampaignText, TemplateSource
from sender.rendering.values import Sample
from sender.rendering.variables import run_variables, variables_for
from tests.unit.rendering_samples import CHARITY, OPT_OUT_URL

FRAGMENTS = [
    "{{ recipient.a }}",
    "{{ recipient.a | default('friend') }}, {{ recipient.b | d('x') }}",
    "{{ recipient.a | default }}",
    "{{ recipient.a | default(recipient.b | default('c')) }}",
    "{{ recipient.a | default('', true) }}",
    "{{ recipient.a | upper }}",
    "{{ recipient.a | default('y') | upper }}",
    "{{ recipient.a ~ '!' }}",
    "{{ recipient['a'] | default('i') }}",
    "{{ recipient.a if recipient.b is defined else recipient.c | default('n') }}",
    "{% if recipient.a is defined %}A{{ recipient.a }}{% else %}-{% endif %}",
    "{% if recipient.a is undefined and not recipient.b is defined %}none{% endif %}",
    "{% if recipient.b == 'Ann' %}{{ recipient.b }}{% endif %}",
    "{% if recipient.c is defined and recipient.c | length > 2 %}long{% endif %}",
    "{% for one in recipient.b | default('') %}{{ one }};{% endfor %}",
    "{% for i in range(3) %}{{ i }}{{ recipient.a | default('l') }}{% endfor %}",
    "{% set x = recipient.a | default('s') %}{{ x }}",
    "{% set recipient = values %}{{ recipient.a | default('other') }}",
    "{% if recipient %}some{% endif %}",
    "{% if third_party_source is defined %}From {{ third_party_source }}{% endif %}",
    "{{ controller.name }}, {{ opt_out_url }} {{ values.k }}",
    "{% block b %}{{ recipient.b | default('in a block') }}{% endblock %}",
]
BODIES = st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=4, unique=True).map("".join)
VALUES = st.one_of(
    st.none(),
    st.sampled_from([
        "", " ", "\xa0", "Ann", "Zoë  B", "\u200e", "\ue000", "\uf8fe", "x" * 2001, "<b>",
        "{{ 1 }}", "a\r\nb", 7, 0, 1.5, True, ["x", "y"], [], {"k": "v"}, Sample("Sample"),
    ]),
    st.text(max_size=4),
)  # fmt: skip
PEOPLE = st.lists(
    st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), min_size=1, max_size=4
)
SOURCES = st.sampled_from([None, "", "A friend"])
RUN = run_variables(CHARITY, CampaignText("c", values={"k": "v", "a": "z"}), sender_name="Owls")


def compiled(body: str, *, html: bool = True) -> CompiledTemplate:
    environment = LockedEnvironment({"t": body}, autoescape=html, constants=RUN)
    return CompiledTemplate(environment, TemplateSource("t", body))


def variables(fields: dict[str, Any], source: str | None = None) -> dict[str, Any]:
    return variables_for(Recipient("sam@mail.org", fields, OPT_OUT_URL, source), RUN)


def outcome(render: Any, given_variables: dict[str, Any]) -> tuple[str, list[str]] | str:
    try:
        skeleton, values = render(given_variables)
    except MessageRefused as refusal:
        return str(refusal)
    return "".join(skeleton), values


@settings(max_examples=150, deadline=None)
@given(BODIES, PEOPLE, SOURCES, st.sampled_from(["html", "txt"]))
@example(
    FRAGMENTS[1], [{"a": "Ann"}, {"a": "\u200e"}, {"a": " ", "b": "x"}, {"a": 7}], None, "html"
)
@example(FRAGMENTS[5] + FRAGMENTS[0], [{"a": "Ann"}, {"a": "Ben"}], None, "txt")
@example(FRAGMENTS[12] + FRAGMENTS[1], [{"b": "Ben"}, {"b": "Ann"}], "A friend", "html")
@example(FRAGMENTS[18], [{"a": "Ann"}, {}], None, "html")
def test_the_shortcut_says_what_rendering_in_full_says(
    body: str, people: list[dict[str, Any]], source: str | None, kind: str
) -> None:
    template = compiled(body, html=kind == "html")
    for fields in people:
        given_variables = variables(fields, source)
        in_full = outcome(template.render_fully, given_variables)
        assert outcome(template.render, given_variables) == in_full


def test_people_with_the_same_fields_are_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    body = "{{ recipient.a }}{% if recipient.b is defined %}, {{ recipient.b }}{% endif %}"
    template = compiled(body)
    first = [template.render(variables({"a": "Ann", **more})) for more in ({}, {"b": "x"})]
    monkeypatch.delattr(template, "_template")
    assert template.render(variables({"a": "Ben"})) == (first[0][0], ["Ben"])
    assert template.render(variables({"a": "Cy", "b": "y"})) == (first[1][0], ["Cy", "y"])


def test_a_field_that_decides_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    template = compiled("{% if recipient.a == 'yes' %}member{% endif %}{{ recipient.b }}")
    assert template.render(variables({"a": "yes", "b": "x"}))[0][0] == "member"
    assert template.render(variables({"a": "no", "b": "x"}))[0][0] != "member"
    monkeypatch.delattr(template, "_template")
    assert template.render(variables({"a": "yes", "b": "z"}))[1] == ["z"]


def test_what_is_remembered_holds_no_printed_value() -> None:
    template = compiled("Dear {{ recipient.a }}")
    template.render(variables({"a": "Ann Other"}))
    pattern = template._shortcut._pattern((False, (True,), ()))
    assert "Ann" not in repr(pattern)
