"""Values of other databases keep what they say when they become JSON."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.delivery.json_values import UnfitValueError, json_value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        ("a\0b", "ab"),
        (7, 7),
        (2**53 + 1, "9007199254740993"),
        (1.5, 1.5),
        (float("nan"), None),
        (Decimal("12.00"), 12),
        (Decimal("12.30"), 12.3),
        (Decimal("0.1234567890123456789"), "0.1234567890123456789"),
        (Decimal("1E+30"), 1e30),
        (Decimal("Infinity"), None),
        (date(2026, 5, 7), "2026-05-07"),
        (datetime(2026, 5, 7, 9, tzinfo=UTC), "2026-05-07T09:00:00+00:00"),
        (time(9, 30), "09:30:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ([1, Decimal("1.5")], [1, 1.5]),
        ({"a": date(2026, 5, 7)}, {"a": "2026-05-07"}),
    ],
)
def test_value_as_json(value: Any, expected: Any) -> None:
    found = json_value(value)
    assert found == expected
    assert type(found) is type(expected)


def test_bytes_are_refused_without_being_shown() -> None:
    with pytest.raises(UnfitValueError) as caught:
        json_value(b"secret")
    assert "secret" not in str(caught.value)
    assert "bytes" in str(caught.value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_no_decimal_is_rounded(value: Decimal) -> None:
    assert Decimal(str(json.loads(json.dumps(json_value(value))))) == value
