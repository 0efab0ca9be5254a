"""What is made for SES in quicker ways than the library's means the same."""

import json
from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from sender.providers.ses.request import bulk_entry, make_entry, template_data
from sender.rendering.message import RenderedEmail
from tests.fakes.outgoing import email

TEXTS = st.one_of(
    st.text(alphabet='"\\\n\r\t\x00\x1f\x7f\u2028éa 👋{}', max_size=40), st.text(max_size=40)
)
ASCII = st.text(alphabet=[chr(code) for code in range(0x20, 0x7F)], min_size=1, max_size=60)


@given(TEXTS, TEXTS, TEXTS)
@example('"', '"\n"\\\n', "\x00")
@example('"', '"\n"\\\n', "\\n")
def test_the_template_data_hold_all_parts(subject: str, html: str, text: str) -> None:
    message = email(1).message
    assert isinstance(message, RenderedEmail)
    data = template_data(replace(message, subject=subject, html=html, text=text))
    assert json.loads(data) == {"subject": subject, "html": html, "text": text}


@given(TEXTS, st.lists(ASCII, max_size=15), st.integers(1, 2**62))
@example("\\" * 3000, ['"' * 60] * 15, 2**62)
@example("\n\x7f", [], 1)
def test_no_entry_takes_more_room_than_it_says(html: str, values: list[str], number: int) -> None:
    headers = tuple((f"X-{place}", value) for place, value in enumerate(values))
    entry = make_entry(0, email(number, html=html, headers=headers))
    assert len(json.dumps(bulk_entry(entry))) <= entry.size
