import email
from dataclasses import replace
from datetime import UTC, datetime
from email.errors import MessageError
from email.policy import SMTP
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sender.rendering.mime import to_mime, to_wire
from tests.unit.rendering_samples import OPT_OUT_URL, PARTY, email_renderer, person

DATE = datetime(2026, 5, 7, 9, 30, tzinfo=UTC)


def test_the_message_survives_the_wire() -> None:
    renderer = email_renderer("<p>Zoë 👋</p>", profile=PARTY, layout=True)
    message = renderer.render(person({"first_name": "Zoë"}))
    wire = to_mime(message, message_id="<1.x@leeds-north.org>", date=DATE).as_bytes()
    parsed = email.message_from_bytes(wire, policy=SMTP)
    assert [part.get_content_type() for part in parsed.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    plain, html = parsed.iter_parts()
    assert plain.get_content().replace("\r\n", "\n") == message.text
    assert html.get_content().replace("\r\n", "\n").rstrip("\n") == message.html.rstrip("\n")
    assert parsed["Subject"] == "News for Zoë"
    assert parsed["Message-ID"] == "<1.x@leeds-north.org>"
    assert parsed["Date"].datetime == DATE
    assert parsed["From"].addresses[0].display_name == "Leeds North News"
    assert parsed["Reply-To"] == "reply@leeds-north.org"


def test_the_one_click_headers_are_literal_lines() -> None:
    message = email_renderer("<p>x</p>", profile=PARTY, layout=True).render(person())
    lines = to_mime(message, message_id="1@x.org", date=DATE).as_bytes().split(b"\r\n")
    assert f"List-Unsubscribe: <{OPT_OUT_URL}>".encode() in lines
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in lines
    assert sum(line.startswith(b"MIME-Version") for line in lines) == 1
    assert max(len(line) for line in lines) <= 998


def test_long_opt_out_links_are_not_encoded() -> None:
    long = "https://out.leeds-north.org/o/" + "x" * 120
    renderer = email_renderer("<p>x</p>", profile=PARTY, layout=True)
    message = renderer.render(replace(person(), opt_out_url=long))
    wire = to_mime(message, message_id="1@x.org", date=DATE).as_bytes()
    assert f"List-Unsubscribe: <{long}>\r\n".encode() in wire


LINES = st.text(
    st.one_of(
        st.sampled_from('=?." ,;<>@()\\\t£é👋\u2028_-'), st.characters(exclude_categories=["Cs"])
    ),
    max_size=120,
)
ASCII = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=300)
LABEL = st.text("abcXYZ019-_.+'!=", min_size=1, max_size=12)
ADDRESSES = st.builds("{}@{}".format, LABEL, st.one_of(LABEL, st.just("example.org")))
BODIES = st.lists(st.one_of(LINES, ASCII, st.sampled_from(["", ".", "--=_sender", "x" * 200])))
NAMES = st.sampled_from([
    "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Feedback-ID", "X-Other", "Subject",
])  # fmt: skip


def as_library(**mail: Any) -> bytes | type[Exception]:
    try:
        return to_mime(**mail).as_bytes()
    except (ValueError, MessageError, IndexError) as error:
        return type(error)


def as_ours(**mail: Any) -> bytes | type[Exception]:
    try:
        return to_wire(**mail)
    except (ValueError, MessageError, IndexError) as error:
        return type(error)


PARTS = BODIES.map("\n".join)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "subject": st.one_of(LINES, ASCII),
        "to_address": ADDRESSES,
        "from_name": st.one_of(LINES, ASCII),
        "from_address": ADDRESSES,
        "reply_to": st.one_of(st.none(), ADDRESSES),
        "text": PARTS,
        "html": PARTS,
        "headers": st.lists(st.tuples(NAMES, st.one_of(ASCII, LINES)), max_size=5).map(tuple),
    },
)
MOMENTS = st.datetimes(timezones=st.just(UTC))


@settings(max_examples=100, deadline=None)
@given(CHANGES, st.one_of(ADDRESSES, ASCII), MOMENTS)
@example({"subject": "x" * 900}, "<1@x>", DATE)
@example({"subject": "x" * 901, "text": ""}, "1.1@x.org", DATE)
@example({"subject": "x" * 1200, "text": "x"}, "1.1@x.org", DATE)
@example({"subject": "x " * 600 + "x", "html": "\n"}, "a b@c", DATE)
@example({"subject": "=?utf-8?q?x?=", "html": "é" * 40}, "a@b", DATE)
@example({"subject": " x ", "text": "=" * 80 + "\r\n\x85 \n"}, "a", DATE)
@example({"to_address": "a..b@b.c", "from_name": ""}, "a@b", DATE)
@example({"to_address": ".a@b", "from_name": "Zoë £"}, "a..b@c", DATE)
@example({"to_address": "a" * 999 + "@b", "from_name": '"x" <y@z>'}, "a" * 999 + "@b", DATE)
@example({"headers": (("Subject", "again"),)}, "a@b", DATE)
@example({"headers": (("List-Id", "a"), ("List-Id", "b"))}, "a@b", DATE)
@example({"headers": (("List-Id", "a\nBcc: b@c"),)}, "a@b", DATE)
def test_the_quick_way_writes_what_the_library_writes(
    changes: dict[str, Any], message_id: str, date: datetime
) -> None:
    made = email_renderer("<p>x</p>", profile=PARTY, layout=True).render(person())
    mail = {"message": replace(made, **changes), "message_id": message_id, "date": date}
    assert as_ours(**mail) == as_library(**mail)


def test_a_usual_message_does_not_need_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    message = email_renderer("<p>x</p>", profile=PARTY, layout=True).render(person())
    first = to_wire(message, message_id="1@x.org", date=DATE)
    monkeypatch.delattr("sender.rendering.mime.EmailMessage")
    another = replace(message, to_address="ben@mail.org", subject="News for Ben")
    wire = to_wire(another, message_id="2@x.org", date=DATE)
    assert wire.count(b"\r\n") == first.count(b"\r\n")
