"""What the text of a cell means."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.imports.problem import CellRefusedError
from sender.imports.values import (
    boolean_value,
    date_value,
    line_of_text,
    moment,
    number_value,
    word,
)
from sender.vocabulary import ContactSource

LONDON = ZoneInfo("Europe/London")


def test_whole_day_lasts_from_local_midnight_to_the_next() -> None:
    day = moment("2025-03-30", LONDON)  # the day is 23 hours long
    assert day.earliest == datetime(2025, 3, 30, 0, tzinfo=UTC)
    assert day.latest == datetime(2025, 3, 30, 22, 59, 59, 999_999, tzinfo=UTC)


def test_hour_that_comes_twice_is_the_first() -> None:
    assert moment("2024-10-27 01:30", LONDON).earliest == datetime(2024, 10, 27, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "03/04/2025",
        "3 April 2025",
        "2025-4-3",
        "20250403",
        "2025-02-30",
        "2025-04-03 25:00",
        "",
        "now",
        "2025-04-03T09",
        "٢٠٢٥-04-03",
        "2025-04-03 09:00 BST",
        "45750",
        "9999-12-31",
    ],
)
def test_text_that_is_no_certain_time_is_refused(text: str) -> None:
    with pytest.raises(CellRefusedError) as caught:
        moment(text, LONDON)
    assert "2026-05-07" in caught.value.remedy


@given(st.integers(-(2**32), 2**33))
def test_times_with_offset_are_read_exactly(seconds: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    told = moment(at.isoformat(), LONDON)
    assert told.earliest == told.latest == at


@pytest.mark.parametrize(
    ("text", "number"), [("41", 41), ("-1.50", -1.5), ("+7", 7), ("12.0", 12), ("007", 7)]
)
def test_numbers(text: str, number: float) -> None:
    assert number_value(text) == number
    assert type(number_value(text)) is type(number)


@pytest.mark.parametrize("text", ["1,200", "1e3", "x", "inf", "1234567890123456", "٤"])
def test_text_that_is_no_exact_number_is_refused(text: str) -> None:
    with pytest.raises(CellRefusedError):
        number_value(text)


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_whole_numbers_are_kept_exactly(number: int) -> None:
    assert number_value(str(number)) == number


def test_yes_and_no() -> None:
    assert [boolean_value(text) for text in ("TRUE", "yes", "y", "1")] == [True] * 4
    assert [boolean_value(text) for text in ("False", "NO", "n", "0")] == [False] * 4
    with pytest.raises(CellRefusedError):
        boolean_value("maybe")


def test_dates() -> None:
    assert date_value("2024-02-29") == "2024-02-29"
    for text in ("2025-02-29", "29/02/2024"):
        with pytest.raises(CellRefusedError):
            date_value(text)


@pytest.mark.parametrize("text", ["two\nlines", "a\rb", "a\x00b", "a\u2028b", "x" * 11])
def test_text_that_could_break_a_header_or_a_column_is_refused(text: str) -> None:
    with pytest.raises(CellRefusedError):
        line_of_text(text, 10)


def test_mistyped_word_comes_with_the_nearest() -> None:
    assert word("Casework", ContactSource) is ContactSource.CASEWORK
    with pytest.raises(CellRefusedError) as caught:
        word("casewrok", ContactSource)
    assert caught.value.remedy == "Did you mean casework?"
