"""The fast way (certified skeletons) says and writes the same as the full check of each message."""

import html
from urllib.parse import quote

import jinja2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sender.rendering.email_renderer import EmailRenderer
from sender.rendering.markup import prepare
from sender.rendering.plaintext import to_plain_text
from sender.rendering.profile import Recipient
from sender.rendering.refusal import MessageRefused, Rule
from sender.rendering.values import one_line
from tests.unit.rendering_samples import CHARITY, OPT_OUT_URL, email_renderer, person

FOOT = (
    "<p>{{ controller.name }}, {{ controller.postal_address }}</p>"
    '<p><a href="{{ opt_out_url }}">Unsubscribe</a></p>'
)
HOSTILE = [
    "", " ", "Ann", "<script>alert(1)</script>", "{{ 7*7 }}", "{", "}}", "{%", "a\r\nBcc: x@y.z",
    "\x00\x07", "\u202egnp.exe", "\ue000", "\uf8fe", "\uf8ff", "\U000f0000", "https://evil.org/u",
    "javascript:alert(1)", "Friends of Owls", "9 Barn Lane, Otley LS21 9ZZ", "Unsubscribe", "here",
    "subscribe", "opt out", "click here", '" onclick="x', "' x='", "-->", "</p><!--", "</style>",
    "&amp;", "&lt;", "a&b", "Zoë", "e\u0301" * 9, "日本",
    "👩‍👩‍👧", "x" * 2000, "a  b", "\xa0", "\u200b",
    OPT_OUT_URL, "%7B%7B", "#", "\ud800",
]  # fmt: skip
VALUES = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40))

# Each fragment as authors write it for us, and for plain Jinja, where links are encoded by hand.
FRAGMENTS = [
    ("<p>Dear {{ recipient.a | default('friend') }},</p>",) * 2,
    ("<p><b>{{ recipient.b | default('x') }}</b>{{ recipient.a | default('y') }}</p>",) * 2,
    ("{% if recipient.a is defined %}<h2>{{ recipient.a }}</h2>{% else %}<hr>{% endif %}",) * 2,
    ("{% for i in range(3) %}<p>{{ i }}: {{ recipient.b | default('-') }}</p>{% endfor %}",) * 2,
    ("<p title=\"{{ recipient.a | default('t') }}\">x</p>",) * 2,
    (
        "<a href=\"https://a.org/?q={{ recipient.a | default('q') }}&r=1\">more</a>",
        "<a href=\"https://a.org/?q={{ recipient.a | default('q') | q }}&r=1\">more</a>",
    ),
    ('<p>Un{{ recipient.a | default("") }}, <a href="https://a.org/x">here</a></p>',) * 2,
    ('<p><a href="https://a.org/x">Un{{ recipient.b | default("") }}</a></p>',) * 2,
    ("<p>{ {{ recipient.a | default('f') }} }</p>",) * 2,
    ("<style>.x{color:#222}@media (max-width:9px){.x{color:#333}}</style><p class='x'>q</p>",) * 2,
    ("<p>{{ recipient.a | default('u') | upper }} {{ recipient.b | default('v') | length }}</p>",)
    * 2,
    ('<div style="display:none">{{ recipient.b | default("h") }}</div>',) * 2,
    ('<img src="https://a.org/i.png" alt="{{ recipient.a | default(\'alt\') }}">',) * 2,
    ("<div hidden>", "<div hidden>"),
    ("<table><tr><td>{{ recipient.a | default('c') }}</td><td>2</td></tr></table>",) * 2,
]
BODIES = st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=4)


def plain_jinja(source: str, fields: dict[str, str]) -> str:
    """Render with no holes at all: the oracle."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: one_line(value) if type(value) is str else value,
    )
    environment.filters["q"] = lambda value: quote(one_line(str(value)), safe="")
    return environment.from_string(source).render(
        recipient=fields,
        controller={"name": CHARITY.name, "postal_address": CHARITY.postal_address},
        opt_out_url=OPT_OUT_URL,
    )


def verdict(renderer: EmailRenderer, recipient: Recipient) -> tuple[str, str, str]:
    try:
        message = renderer.render(recipient)
    except MessageRefused as refusal:
        return refusal.code, "", ""
    return "", message.html, message.text


def full_verdict(
    renderer: EmailRenderer, source: str, recipient: Recipient
) -> tuple[str, str, str]:
    fields = {name: str(value) for name, value in recipient.fields.items()}
    try:
        markup = prepare(plain_jinja(source, fields))
        text = to_plain_text(markup.tree)
        renderer.check_fully(markup.html, text, recipient)
    except MessageRefused as refusal:
        return refusal.code, "", ""
    return "", markup.html, text


def as_serialised(text: str) -> str:
    """Undo what may differ: `<` and `>` need no escape inside a quoted attribute."""
    return html.unescape(text)


@settings(max_examples=400, deadline=None)
@given(BODIES, VALUES, VALUES)
@example([FRAGMENTS[6]], "subscribe", "")
@example([FRAGMENTS[7]], "", "subscribe")
@example([FRAGMENTS[8]], "{", "")
@example([FRAGMENTS[8]], "x", "")
@example([FRAGMENTS[5]], '"><script>', "")
@example([FRAGMENTS[0]], "{{ 7*7 }}", "")
def test_the_fast_way_equals_the_full_check(
    fragments: list[tuple[str, str]], first: str, second: str
) -> None:
    ours = "".join(fragment[0] for fragment in fragments) + FOOT
    plain = "".join(fragment[1] for fragment in fragments) + FOOT
    fields = {name: value for name, value in (("a", first), ("b", second)) if value.strip()}
    renderer, recipient = email_renderer(ours), person(fields)
    fast = verdict(renderer, recipient)
    again = verdict(renderer, recipient)
    full = full_verdict(renderer, plain, recipient)
    assert fast == again
    assert bool(fast[0]) == bool(full[0])  # where two rules are broken, either may be named first
    assert as_serialised(fast[1]) == as_serialised(full[1])
    assert fast[2] == full[2]


@settings(max_examples=150, deadline=None)
@given(st.lists(VALUES, min_size=2, max_size=2))
def test_values_never_stand_in_for_identity(values: list[str]) -> None:
    source = "<p>{{ recipient.a | default('x') }} {{ recipient.b | default('y') }}</p>"
    renderer = email_renderer(source + FOOT.partition("</p>")[2])
    with pytest.raises(MessageRefused) as refusal:
        renderer.render(person({"a": values[0], "b": values[1]}))
    assert refusal.value.rule is Rule.IDENTITY_MISSING


@settings(max_examples=200, deadline=None)
@given(VALUES, VALUES)
def test_a_value_writes_neither_markup_nor_header_lines(first: str, second: str) -> None:
    renderer = email_renderer(
        "<p>{{ recipient.a | default('x') }}</p>" + FOOT,
        subject="{{ recipient.b | default('Hi') }} and {{ recipient.a | default('you') }}",
    )
    recipient = person({"a": first, "b": second})
    code, _, _ = verdict(renderer, recipient)
    assert code in {"", Rule.BRACES, Rule.HEADER}
    if code:
        return
    message = renderer.render(recipient)
    assert "<script" not in message.html
    assert message.html.count("<a ") == 1
    assert message.subject.isprintable() or not message.subject.isascii()
    assert len(message.subject.splitlines()) == 1
    assert not {"\r", "\n", "\x00"} & set(message.subject)


def test_a_refused_skeleton_is_refused_for_everybody() -> None:
    renderer = email_renderer("<p>{{ recipient.a | default('x') }}</p>")
    for name in ("Ann", "Ben", "Ann"):
        with pytest.raises(MessageRefused):
            renderer.render(person({"a": name}))
    assert renderer._certify_html.cache_info().misses == 1


def test_one_skeleton_serves_many_people() -> None:
    renderer = email_renderer("<p>{{ recipient.a | default('x') }}</p>" + FOOT)
    messages = {renderer.render(person({"a": f"Name {n}"})).html for n in range(50)}
    assert len(messages) == 50
    assert renderer._certify_html.cache_info().misses == 1
