"""From the `where` of a campaign file to a filter, with everything that is wrong in it."""

import re
from collections.abc import Mapping
from typing import Final

from sender.contacts.filter import (
    FIELDS,
    AllOf,
    AnyOf,
    Attribute,
    Comparison,
    Field,
    Filter,
    Has,
    Leaf,
    Not,
    OneOf,
    Operator,
    StartsWith,
    Subject,
)
from sender.contacts.filter_literals import (
    ORDER_MOMENTS,
    FilterProblem,
    Key,
    Refusal,
    did_you_mean,
    is_moment,
    literal_for,
    moment_comparison,
    require_source,
)
from sender.errors import SenderError

MAX_DEPTH: Final = 12
"""Far below SQLite's expression depth of 1,000, far above what a person can read."""
MAX_CONDITIONS: Final = 200
MAX_VALUES: Final = 5_000
"""All values of all lists together; SQLite binds 32,766 values, PostgreSQL 65,535."""

ATTRIBUTE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ .:/-]{0,99}")
"""Plain ASCII: SQLite before 3.45 cannot look up escaped keys in JSON text."""

_COMBINATORS: Final = ("all", "any", "not")
_SUBJECTS: Final = ("field", "attribute")
_OPERATORS: Final = (*Operator, "in", "starts_with", "has")
_KNOWN: Final = (*_SUBJECTS, *_OPERATORS, *_COMBINATORS)
_EXAMPLE: Final = 'Write for example { attribute = "ward", equals = "Abbey" }.'


class FilterError(SenderError):
    """A filter cannot be meant.

    Attributes:
        problems: everything that is wrong, in the order of the filter.
    """

    def __init__(self, problems: tuple[FilterProblem, ...]) -> None:
        super().__init__(problems[0].problem, remedy=problems[0].remedy)
        self.problems = problems


def parse_filter(value: object) -> Filter:
    """Return the filter that a TOML value says.

    Raises:
        FilterError: it says nothing that can be meant; holds every problem, not only the first.
    """
    parser = _Parser()
    condition = parser.condition(value, (), 1)
    if condition is None or parser.problems:
        raise FilterError(tuple(parser.problems))
    return condition


class _Parser:
    """Collects the problems of all conditions."""

    def __init__(self) -> None:
        self.problems: list[FilterProblem] = []
        self._conditions = 0
        self._values = 0

    def condition(self, value: object, key: Key, depth: int) -> Filter | None:
        """Parse one table; None when it was refused."""
        try:
            return self._condition(value, key, depth)
        except Refusal as refusal:
            self.problems.append(refusal.problem)
            return None

    def _condition(self, value: object, key: Key, depth: int) -> Filter | None:
        if not isinstance(value, Mapping):
            raise Refusal(key, "A condition must be a table.", _EXAMPLE)
        self._conditions += 1
        if depth > MAX_DEPTH:
            raise Refusal(key, f"Conditions are nested more than {MAX_DEPTH} deep.")
        if self._conditions > MAX_CONDITIONS:
            self._refuse_once_there_are_too_many(key)
            return None
        combinators = [name for name in _COMBINATORS if name in value]
        if not combinators:
            return self._leaf(value, key)
        if len(value) > 1:
            raise Refusal(
                key,
                f"`{combinators[0]}` must stand alone in its table.",
                "Put the conditions into one list: { all = [ { … }, { … } ] }.",
            )
        return self._combination(combinators[0], value[combinators[0]], key, depth)

    def _refuse_once_there_are_too_many(self, key: Key) -> None:
        if self._conditions == MAX_CONDITIONS + 1:
            raise Refusal(
                key,
                f"There are more than {MAX_CONDITIONS} conditions.",
                "Use `in` with a list, or mark the people with an attribute.",
            )

    def _combination(self, name: str, value: object, key: Key, depth: int) -> Filter | None:
        key = (*key, name)
        if name == "not":
            part = self.condition(value, key, depth + 1)
            return None if part is None else Not(part)
        if not isinstance(value, list) or not value:
            raise Refusal(key, f"`{name}` must be a list of conditions, at least one.", _EXAMPLE)
        parts = [self.condition(part, (*key, place), depth + 1) for place, part in enumerate(value)]
        sound = tuple(part for part in parts if part is not None)
        return AllOf(sound) if name == "all" else AnyOf(sound)

    def _leaf(self, table: Mapping[str, object], key: Key) -> Leaf:
        if any(name not in _KNOWN for name in table):
            self._refuse_unknown(table, key)
        subject = _subject(table, key)
        operators = [name for name in _OPERATORS if name in table]
        if len(operators) != 1:
            raise Refusal(
                key,
                f"A condition needs one of {', '.join(_OPERATORS)}; this has {len(operators)}.",
                "Join several conditions on one value with { all = [ … ] }.",
            )
        return self._operation(subject, operators[0], table[operators[0]], (*key, operators[0]))

    def _refuse_unknown(self, table: Mapping[str, object], key: Key) -> None:
        *others, last = [
            Refusal((*key, name), f"`{name}` is unknown in a condition.", _instead_of(name))
            for name in table
            if name not in _KNOWN
        ]
        self.problems.extend(refusal.problem for refusal in others)
        raise last

    def _operation(self, subject: Subject, operator: str, value: object, key: Key) -> Leaf:
        if operator == "has":
            if not isinstance(value, bool):
                raise Refusal(key, "`has` must be true or false.")
            return Has(subject, value)
        if operator == "starts_with":
            return _starts_with(subject, value, key)
        if operator == "in":
            return self._one_of(subject, value, key)
        return _comparison(subject, Operator(operator), value, key)

    def _one_of(self, subject: Subject, value: object, key: Key) -> OneOf:
        if is_moment(subject):
            raise Refusal(key, f"`{subject.name}` is a time.", ORDER_MOMENTS)
        if not isinstance(value, list) or not value:
            raise Refusal(key, "`in` must be a list of values, at least one.")
        self._values += len(value)
        if self._values > MAX_VALUES:
            raise Refusal(
                key,
                f"All lists together have more than {MAX_VALUES} values.",
                "Mark the people with an attribute instead.",
            )
        literals = tuple(
            literal_for(subject, item, (*key, place)) for place, item in enumerate(value)
        )
        for place, item in enumerate(value):
            require_source(subject, item, (*key, place))
        if len({type(literal) for literal in literals}) > 1 or isinstance(literals[0], bool):
            raise Refusal(key, "The values of `in` must all be text, all numbers or all dates.")
        return OneOf(subject, literals)


def _instead_of(name: str) -> str:
    if name == "not_equals":
        return (
            'Write { not = { attribute = "ward", equals = "Abbey" } }, which also takes in '
            "people without the value."
        )
    return did_you_mean(name, _KNOWN)


def _subject(table: Mapping[str, object], key: Key) -> Subject:
    named = [name for name in _SUBJECTS if name in table]
    if len(named) != 1:
        raise Refusal(key, "A condition needs either `field` or `attribute`.", _EXAMPLE)
    name, key = table[named[0]], (*key, named[0])
    if named[0] == "attribute":
        return _attribute(name, key)
    if not isinstance(name, str) or name not in FIELDS:
        raise Refusal(
            key,
            f"`{name}` is not a field of contacts.",
            did_you_mean(str(name), FIELDS) + " A controller's own data are attributes.",
        )
    return Field(name)


def _attribute(name: object, key: Key) -> Attribute:
    if not isinstance(name, str) or not ATTRIBUTE_NAME.fullmatch(name):
        raise Refusal(
            key,
            "An attribute's name must be at most 100 letters A to Z, digits, spaces or _ . : / -.",
            _EXAMPLE,
        )
    return Attribute(name)


def _starts_with(subject: Subject, value: object, key: Key) -> StartsWith:
    if is_moment(subject):
        raise Refusal(key, f"`{subject.name}` is a time.", ORDER_MOMENTS)
    if not isinstance(value, str) or not value:
        raise Refusal(key, "`starts_with` must be text, and not empty.")
    literal_for(subject, value, key)
    return StartsWith(subject, value)


def _comparison(subject: Subject, operator: Operator, value: object, key: Key) -> Comparison:
    if is_moment(subject):
        return moment_comparison(subject, operator, value, key)
    literal = literal_for(subject, value, key)
    if operator is Operator.EQUALS:
        require_source(subject, value, key)
    elif isinstance(literal, bool):
        raise Refusal(key, f"`{operator}` has no meaning for true and false.")
    return Comparison(subject, operator, literal)
