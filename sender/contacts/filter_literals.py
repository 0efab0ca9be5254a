"""The values that a filter may compare with: what TOML says, as one of the filter's literals."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Final

from sender.contacts.filter import (
    MOMENT_FIELDS,
    Comparison,
    Field,
    Literal,
    Operator,
    Subject,
    nearest,
)
from sender.vocabulary import ContactSource

MAX_TEXT: Final = 1_000
MAX_DIGITS: Final = 15
"""Decimal digits that a JSON number keeps in every database and in Python alike."""
FIRST_YEAR: Final = 1800
LAST_YEAR: Final = 2500
ORDER_MOMENTS: Final = "Use less_than, at_most, more_than or at_least with a date or time."

Key = tuple[str | int, ...]
"""Where something stands inside the `where`: keys of tables and 0-based places in lists."""


@dataclass(frozen=True, slots=True)
class FilterProblem:
    """One thing that is wrong in a filter."""

    key: Key
    problem: str
    remedy: str = ""


class Refusal(Exception):  # noqa: N818 - never leaves the parser, which collects the problems
    """One condition cannot be meant."""

    def __init__(self, key: Key, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = FilterProblem(key, problem, remedy)


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return a remedy for a mistyped name: the nearest known one, or all of them."""
    near = nearest(name, known)
    return f"Did you mean `{near}`?" if near else f"Known here: {', '.join(known)}."


def is_moment(subject: Subject) -> bool:
    """Tell whether the subject is a time rather than a JSON value or text."""
    return isinstance(subject, Field) and subject.name in MOMENT_FIELDS


def literal_for(subject: Subject, value: object, key: Key) -> Literal:
    """Return what to compare the subject's value with.

    Raises:
        Refusal: the value has a type that the subject never has.
    """
    if isinstance(subject, Field) and not isinstance(value, str):
        raise Refusal(key, f"The field `{subject.name}` is text.", "Put the value in quotes.")
    match value:
        case bool():
            return value
        case str():
            return _text(value, key)
        case int() | float():
            return _number(value, key)
        case date() if not isinstance(value, datetime):
            return value
    raise Refusal(
        key,
        "A value must be text, a number, true or false, or a date such as 2026-05-07.",
        "Attributes hold dates without a time.",
    )


def require_source(subject: Subject, value: object, key: Key) -> None:
    """Refuse to look for a source that no contact has.

    Raises:
        Refusal: the subject is the source, and the value none of its words.
    """
    if subject == Field("source") and value not in list(ContactSource):
        raise Refusal(key, f"A contact's source is one of {', '.join(ContactSource)}.")


def _text(value: str, key: Key) -> str:
    if len(value) > MAX_TEXT:
        raise Refusal(key, f"The text is longer than {MAX_TEXT} characters.")
    if "\0" in value:
        raise Refusal(key, "The text holds a NUL character.")
    return value


def _number(value: float, key: Key) -> Decimal:
    if isfinite(value) and abs(value) < 10**MAX_DIGITS and _digits(value) <= MAX_DIGITS:
        return Decimal(repr(value))
    raise Refusal(
        key,
        f"Numbers must be finite and have at most {MAX_DIGITS} digits.",
        "Keep longer ones, such as reference numbers, as text.",
    )


def _digits(number: float) -> int:
    digits = "".join(map(str, Decimal(repr(number)).as_tuple().digits))
    return len(digits.strip("0"))


def moment_comparison(subject: Subject, operator: Operator, value: object, key: Key) -> Comparison:
    """Return a comparison of a time with an offset date-time or with a whole day in UTC.

    Raises:
        Refusal: the value is no date, naive, or out of range, or the operator is `equals`.
    """
    if operator is Operator.EQUALS or not isinstance(value, date):
        raise Refusal(key, f"`{subject.name}` is a time.", ORDER_MOMENTS)
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise Refusal(key, f"The year must be {FIRST_YEAR} to {LAST_YEAR}.")
    if not isinstance(value, datetime):
        return _on_the_day(subject, operator, value)
    if value.tzinfo is None:
        raise Refusal(
            key, "The time has no offset from UTC.", f"Write {value.isoformat()}Z for UTC."
        )
    return Comparison(subject, operator, value.astimezone(UTC))


def _on_the_day(subject: Subject, operator: Operator, day: date) -> Comparison:
    """Compare with a whole day: `at_most` takes it in, `more_than` begins after it."""
    first = datetime.combine(day, time(), UTC)
    if operator is Operator.AT_MOST:
        return Comparison(subject, Operator.LESS_THAN, first + timedelta(days=1))
    if operator is Operator.MORE_THAN:
        return Comparison(subject, Operator.AT_LEAST, first + timedelta(days=1))
    return Comparison(subject, operator, first)
