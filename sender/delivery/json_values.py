"""Values of other databases as JSON: what a template shows is what the database held; pure."""

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import Any, Final
from uuid import UUID

_EXACT_INTEGERS: Final = 2**53
"""Beyond it JSON readers round (RFC 8259, section 6)."""
_EXACT_DIGITS: Final = 15
"""Decimal digits that a float always keeps."""


class UnfitValueError(Exception):
    """A value that JSON and templates cannot hold; says what kind it is, never what it says."""


def json_value(value: Any) -> Any:  # noqa: PLR0911  # one line for each kind of value
    """Return the value as JSON holds it.

    Text, whole numbers, true and false, and null stay. Dates and times become ISO 8601 text, a
    time with its offset if it has one. Numbers that a float would round, and UUIDs, become text;
    infinities and not-a-number become null, lists and mappings are converted throughout.

    Raises:
        UnfitValueError: the value is of another kind, such as bytes.
    """
    match value:
        case None | bool():
            return value
        case str():
            return value.replace("\0", "")
        case int():
            return value if abs(value) <= _EXACT_INTEGERS else str(value)
        case float():
            return value if isfinite(value) else None
        case Decimal():
            return _number(value)
        case datetime() | date() | time():
            return value.isoformat()
        case UUID():
            return str(value)
        case list() | tuple():
            return [json_value(item) for item in value]
        case Mapping():
            return {str(name): json_value(item) for name, item in value.items()}
    raise UnfitValueError(f"values of the type {type(value).__name__}")


def _number(value: Decimal) -> int | float | str | None:
    if not value.is_finite():
        return None
    if value == value.to_integral_value() and abs(value) <= _EXACT_INTEGERS:
        return int(value)
    if len(value.normalize().as_tuple().digits) <= _EXACT_DIGITS:
        return float(value)
    return format(value, "f")
