"""Which of day and month stands first is told, never guessed."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.imports.dates import DateOrder, iso_text


@pytest.mark.parametrize(
    ("written", "order", "meant"),
    [
        ("03/04/2026", DateOrder.DMY, "2026-04-03"),
        ("03/04/2026", DateOrder.MDY, "2026-03-04"),
        ("3.4.2026 9:05", DateOrder.DMY, "2026-04-03 09:05"),
        ("03-04-2026 18:30:15", DateOrder.DMY, "2026-04-03 18:30:15"),
        ("03/04/2026 12:05 AM", DateOrder.MDY, "2026-03-04 00:05"),
        ("03/04/2026, 12:05 pm", DateOrder.MDY, "2026-03-04 12:05"),
        (
            "2025-03-04 10:20:30.123456789 +0000 UTC",
            DateOrder.ISO,
            "2025-03-04T10:20:30.123456+0000",
        ),
    ],
)
def test_what_is_said_to_be_meant_is_read(written: str, order: DateOrder, meant: str) -> None:
    assert iso_text(written, order) == meant


@pytest.mark.parametrize(
    ("written", "order"),
    [
        ("03/04/2026", DateOrder.ISO),
        ("46115", DateOrder.DMY),
        ("03/04/26", DateOrder.DMY),
        ("3/4-2026", DateOrder.DMY),
        ("yesterday", DateOrder.MDY),
        ("2026-04-03", DateOrder.DMY),
    ],
)
def test_what_is_of_no_known_form_is_left_to_be_refused(written: str, order: DateOrder) -> None:
    assert iso_text(written, order) == written


@given(st.dates(), st.sampled_from("/.-"))
def test_every_day_is_itself_again(day: date, mark: str) -> None:
    parts = [f"{day.day}", f"{day.month:02}", f"{day.year:04}"]
    assert iso_text(mark.join(parts), DateOrder.DMY) == day.isoformat()
    american = mark.join([parts[1], parts[0], parts[2]])
    assert iso_text(american, DateOrder.MDY) == day.isoformat()
