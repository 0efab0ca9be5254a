"""The audience filter as a frozen tree, and its meaning for one contact, without a database.

A comparison looks only at values of the same kind as what is compared with; a missing, null or
other-typed value makes it false, and `Not` of it true. `filter_sql` compiles the same meaning.
"""

import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from math import isfinite
from typing import Any, Final

TEXT_FIELDS: Final = (
    "first_name",
    "last_name",
    "title",
    "postcode",
    "locale",
    "time_zone",
    "source",
)
MOMENT_FIELDS: Final = ("created_at",)
FIELDS: Final = TEXT_FIELDS + MOMENT_FIELDS
"""Contact fields that a filter may name."""

ISO_DATE: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
"""How attributes, which are JSON, hold a date; text of another shape never equals a date."""
ISO_DATE_LENGTH: Final = 10

Literal = str | bool | Decimal | date
"""Text, yes or no, a number, a date (attributes), or an aware date-time in UTC (created_at)."""


class Operator(StrEnum):
    """How a value stands to a literal. Text is ordered by code point, upper case before lower."""

    EQUALS = "equals"
    LESS_THAN = "less_than"
    AT_MOST = "at_most"
    MORE_THAN = "more_than"
    AT_LEAST = "at_least"


COMPARE: Final[Mapping[Operator, Callable[[Any, Any], Any]]] = {
    Operator.EQUALS: operator.eq,
    Operator.LESS_THAN: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.MORE_THAN: operator.gt,
    Operator.AT_LEAST: operator.ge,
}
"""The operators on Python values and on SQL expressions alike."""


@dataclass(frozen=True, slots=True)
class Field:
    """One of FIELDS."""

    name: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """A controller's own attribute of its contacts, by name."""

    name: str


Subject = Field | Attribute


@dataclass(frozen=True, slots=True)
class Comparison:
    """The subject's value is of the literal's kind and stands to it as the operator says."""

    subject: Subject
    operator: Operator
    value: Literal


@dataclass(frozen=True, slots=True)
class OneOf:
    """The subject's value equals one of the literals, which are all of one kind."""

    subject: Subject
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class StartsWith:
    """The subject's value is text that begins with the prefix, case included."""

    subject: Subject
    prefix: str


@dataclass(frozen=True, slots=True)
class Has:
    """The subject is present and not null, or, with `present` false, is not."""

    subject: Subject
    present: bool


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold; true also for those without the value that it asks for."""

    part: "Filter"


Leaf = Comparison | OneOf | StartsWith | Has
Filter = Leaf | AllOf | AnyOf | Not


def matches(
    condition: Filter, fields: Mapping[str, object], attributes: Mapping[str, object]
) -> bool:
    """Tell whether a contact with these fields and attributes (JSON values) is in the audience."""
    match condition:
        case AllOf(parts):
            return all(matches(part, fields, attributes) for part in parts)
        case AnyOf(parts):
            return any(matches(part, fields, attributes) for part in parts)
        case Not(part):
            return not matches(part, fields, attributes)
    values = fields if isinstance(condition.subject, Field) else attributes
    return _leaf_holds(condition, values.get(condition.subject.name))


def _leaf_holds(leaf: Leaf, value: object) -> bool:
    match leaf:
        case Has(present=present):
            return (value is not None) == present
        case StartsWith(prefix=prefix):
            return isinstance(value, str) and value.startswith(prefix)
        case OneOf(values=literals):
            return any(_stands(value, Operator.EQUALS, literal) for literal in literals)
        case Comparison(operator=how, value=literal):
            return _stands(value, how, literal)


def _stands(value: object, how: Operator, literal: Literal) -> bool:
    comparable = _of_kind(value, literal)
    return comparable is not None and bool(COMPARE[how](comparable, literal_key(literal)))


def literal_key(literal: Literal) -> object:
    """Return what the literal is compared as: a date as its ISO text, all others as they are."""
    if isinstance(literal, date) and not isinstance(literal, datetime):
        return literal.isoformat()
    return literal


def _of_kind(value: object, literal: Literal) -> object | None:
    if isinstance(literal, Decimal):
        return _number(value)
    if isinstance(literal, date) and not isinstance(literal, datetime):
        return value if isinstance(value, str) and is_iso_date(value) else None
    kind = next(kind for kind in (bool, str, datetime) if isinstance(literal, kind))
    return value if isinstance(value, kind) else None


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return Decimal(repr(value))


def is_iso_date(text: str) -> bool:
    """Tell whether text has the shape of a date, such as 2026-05-07."""
    return len(text) == ISO_DATE_LENGTH and re.match(ISO_DATE, text) is not None


def attribute_names(condition: Filter) -> set[str]:
    """Return the attributes that the filter asks for."""
    return {leaf.subject.name for leaf in _leaves(condition) if isinstance(leaf.subject, Attribute)}


def _leaves(condition: Filter) -> Iterator[Leaf]:
    match condition:
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _leaves(part)
        case Not(part):
            yield from _leaves(part)
        case leaf:
            yield leaf


def unknown_attributes(condition: Filter, known: Collection[str]) -> list[tuple[str, str | None]]:
    """Return the attributes that the controller does not have, each with the nearest it has."""
    unknown = sorted(attribute_names(condition) - set(known))
    return [(name, nearest(name, known)) for name in unknown]


def nearest(name: str, names: Collection[str]) -> str | None:
    """Return the name most like a mistyped one, or None if none is like it."""
    folded = {candidate.casefold(): candidate for candidate in names}
    found = get_close_matches(name.casefold(), folded, n=1)
    return folded[found[0]] if found else None
