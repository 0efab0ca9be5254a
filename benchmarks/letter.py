"""The messages of all benchmarks, rendered by plain Jinja; `our_letter` renders them by ours.

The e-mail: 8 KB of HTML, 1 KB of text, 8 personal values. Plain Jinja renders the same layout,
body, text and subject; it neither inlines styles nor checks, which here leaves the HTML as long.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jinja2

from sender.resources import resource_folder

VALUES = {
    "title": "Dr", "first_name": "Aisha", "last_name": "O'Brien", "postcode": "RV1 2AB",
    "ward": "St Anne's", "polling_station": "Friends' Hall", "branch": "Riverside", "member": "yes",
}  # fmt: skip
ATTRIBUTES = {name: VALUES[name] for name in ("ward", "polling_station", "branch", "member")}
CONTACT = {
    **{name: value for name, value in VALUES.items() if name not in ATTRIBUTES},
    "attributes": ATTRIBUTES,
}
"""The same values as columns of a contact."""

SUBJECT = "News for {{ recipient.ward }}"
_GREETING = "Dear {{ recipient.title }} {{ recipient.first_name }} {{ recipient.last_name }}"
_NEWS = "The reading room keeps its hours, and the children's hour comes back. "
_ENDING = (
    "You vote at {{ recipient.polling_station }}; your branch is {{ recipient.branch }}; "
    "member: {{ recipient.member }}."
)
BODY = (
    "<h1>News for {{ recipient.ward }}</h1>"
    f"<p>{_GREETING} ({{{{ recipient.postcode }}}}),</p>{f'<p>{_NEWS}</p>' * 30}<p>{_ENDING}</p>\n"
)
TEXT = (
    "News for {{ recipient.ward }}\n\n"
    f"{_GREETING} ({{{{ recipient.postcode }}}}),\n\n{_NEWS * 10}\n\n{_ENDING}\n\n"
    "{{ controller.name }}, {{ controller.postal_address }}\n"
    "{% if controller.needs_imprint %}Promoted by {{ controller.promoter_name }}, "
    "{{ controller.promoter_address }}.\n{% endif %}Unsubscribe: {{ opt_out_url }}\n"
)
SMS = (
    "{{ sender_name }}: Dear {{ recipient.title }} {{ recipient.last_name }}, polls in "
    "{{ recipient.ward }} close at 10pm. You vote at {{ recipient.polling_station }}. "
    "Reply STOP to opt out"
)
LAYOUT = "layouts/standard.html"
IDENTITY: dict[str, Any] = {
    "name": "Riverside Association", "postal_address": "1 High Street, Riverside RV1 1AA",
    "contact_email": "office@riverside.org.uk",
    "privacy_notice_url": "https://riverside.org.uk/privacy",
    "promoter_name": "Pat Promoter", "promoter_address": "2 High Street, Riverside RV1 1AA",
}  # fmt: skip
_CONSTANTS = {
    "controller": {
        **IDENTITY, "needs_imprint": True,
        "on_behalf_of": [],
    },
    "campaign": {"name": "benchmark"},
    "sender_name": "Riverside",
}  # fmt: skip

PlainMail = tuple[str, str, str]
"""Subject, HTML and text."""


class Person(NamedTuple):
    """Who is written to: the address, what the templates know, and a link as long as a real one."""

    address: str
    fields: dict[str, Any]
    opt_out_url: str


def person(number: int, *, sms: bool = False) -> Person:
    """Return the `number`-th person."""
    address = f"+447{100_000_000 + number}" if sms else f"p{number}@example.org"
    link = f"https://out.riverside.org.uk/u/{number:043d}"
    return Person(address, {**VALUES, "first_name": f"Aisha{number}"}, link)


def plain_email() -> Callable[[Mapping[str, Any], str], PlainMail]:
    """Return what renders the e-mail for somebody's values and link, by plain Jinja."""
    body = f'{{% extends "{LAYOUT}" %}}{{% block content %}}{BODY}{{% endblock %}}'
    sources = {LAYOUT: layout(), "body.html": body, "body.txt": TEXT, "subject": SUBJECT}
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(sources), autoescape=lambda name: str(name).endswith(".html")
    )
    templates = [environment.get_template(name) for name in ("subject", "body.html", "body.txt")]

    def render(values: Mapping[str, Any], opt_out_url: str) -> PlainMail:
        context = {**_CONSTANTS, "recipient": values, "opt_out_url": opt_out_url}
        subject, html, text = (template.render(context) for template in templates)
        return subject, html, text

    return render


def plain_sms() -> Callable[[Mapping[str, Any]], str]:
    """Return what renders the text message for somebody's values, by plain Jinja."""
    template = jinja2.Environment(autoescape=False).from_string(SMS)
    return lambda values: template.render({**_CONSTANTS, "recipient": values})


def layout() -> str:
    """Return the standard layout's source."""
    path = resource_folder("templates") / "layouts" / "standard.html"
    return path.read_text(encoding="utf-8")
