import email
from dataclasses import replace
from datetime import UTC, datetime
from email.policy import SMTP

from sender.rendering.mime import to_mime
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
