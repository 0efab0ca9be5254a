"""The audience filter as SQL, with the meaning that `filter.matches` has, on both databases.

Nothing of a filter reaches the statement but bound values. No part is ever NULL, so `NOT` means
what it says, and a value is converted only inside a CASE that has looked at its type.
"""

from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Numeric,
    String,
    and_,
    case,
    false,
    func,
    literal,
    not_,
    or_,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from sender.contacts.filter import (
    COMPARE,
    ISO_DATE,
    ISO_DATE_LENGTH,
    MOMENT_FIELDS,
    AllOf,
    AnyOf,
    Attribute,
    Comparison,
    Field,
    Filter,
    Has,
    Leaf,
    Literal,
    Not,
    OneOf,
    Operator,
    StartsWith,
    literal_key,
)
from sender.store.contacts import Contact

_TEXT_KINDS = ("text", "string")
_NUMBER_KINDS = ("integer", "real", "number")
_NULL_KIND = "null"
# Names of JSON types: json_type's on SQLite, json_typeof's on PostgreSQL.


class _AttributeElement(FunctionElement[Any]):
    """An expression over (attributes, attribute name); each database spells it in its own way."""

    inherit_cache = True

    def __init__(self, contact: type[Contact], name: str) -> None:
        super().__init__(contact.attributes, literal(name, String))


class _Kind(_AttributeElement):
    """The JSON type of an attribute, `true` or `false` for booleans, NULL when it is missing."""

    type = String()
    inherit_cache = True


class _Text(_AttributeElement):
    """The text of an attribute that is text."""

    type = String()
    inherit_cache = True


class _Number(_AttributeElement):
    """The value of an attribute that is a number."""

    type = Numeric()
    inherit_cache = True


class _ByCodePoint(FunctionElement[Any]):
    """Text that is ordered by code point, whatever the database's locale."""

    type = String()
    inherit_cache = True


def _operands(element: _AttributeElement, compiler: SQLCompiler, how: Any) -> tuple[str, str]:
    attributes, name = (compiler.process(clause, **how) for clause in element.clauses)
    return attributes, name


@compiles(_Kind, "sqlite")
def _kind_on_sqlite(element: _Kind, compiler: SQLCompiler, **how: Any) -> str:
    attributes, name = _operands(element, compiler, how)
    return f"""json_type({attributes}, '$."' || {name} || '"')"""


@compiles(_Text, "sqlite")
@compiles(_Number, "sqlite")
def _value_on_sqlite(element: _Text | _Number, compiler: SQLCompiler, **how: Any) -> str:
    attributes, name = _operands(element, compiler, how)
    return f"""json_extract({attributes}, '$."' || {name} || '"')"""


@compiles(_Kind, "postgresql")
def _kind_on_postgresql(element: _Kind, compiler: SQLCompiler, **how: Any) -> str:
    attributes, name = _operands(element, compiler, how)
    kind = f"json_typeof({attributes} -> {name})"
    return f"CASE {kind} WHEN 'boolean' THEN {attributes} ->> {name} ELSE {kind} END"


@compiles(_Text, "postgresql")
def _text_on_postgresql(element: _Text, compiler: SQLCompiler, **how: Any) -> str:
    attributes, name = _operands(element, compiler, how)
    return f"({attributes} ->> {name})"


@compiles(_Number, "postgresql")
def _number_on_postgresql(element: _Number, compiler: SQLCompiler, **how: Any) -> str:
    attributes, name = _operands(element, compiler, how)
    return f"CAST({attributes} ->> {name} AS NUMERIC)"


@compiles(_ByCodePoint, "sqlite")
def _by_code_point_on_sqlite(element: _ByCodePoint, compiler: SQLCompiler, **how: Any) -> str:
    return f"({compiler.process(element.clauses, **how)} COLLATE BINARY)"


@compiles(_ByCodePoint, "postgresql")
def _by_code_point_on_postgresql(element: _ByCodePoint, compiler: SQLCompiler, **how: Any) -> str:
    return f'({compiler.process(element.clauses, **how)} COLLATE "C")'


def compile_filter(condition: Filter, contact: type[Contact] = Contact) -> ColumnElement[bool]:
    """Return the filter as a condition on `contact` (or an alias of it); never NULL.

    The statement it joins must itself be scoped to one controller.
    """
    match condition:
        case AllOf(parts):
            return and_(*(compile_filter(part, contact) for part in parts))
        case AnyOf(parts):
            return or_(*(compile_filter(part, contact) for part in parts))
        case Not(part):
            return not_(compile_filter(part, contact))
    if isinstance(condition.subject, Field):
        return _on_field(condition, condition.subject, contact)
    return _on_attribute(condition, condition.subject, contact)


def _on_field(leaf: Leaf, field: Field, contact: type[Contact]) -> ColumnElement[bool]:
    column: ColumnElement[Any] = getattr(contact, field.name)
    if isinstance(leaf, Has):
        return column.is_not(None) if leaf.present else column.is_(None)
    value = column if field.name in MOMENT_FIELDS else type_coerce(column, String)
    return and_(column.is_not(None), _holds(leaf, value))


def _on_attribute(leaf: Leaf, attribute: Attribute, contact: type[Contact]) -> ColumnElement[bool]:
    kind = _Kind(contact, attribute.name)
    if isinstance(leaf, Has):
        present = func.coalesce(kind, _NULL_KIND) != _NULL_KIND
        return present if leaf.present else not_(present)
    sample = _sample(leaf)
    if isinstance(sample, bool):
        return func.coalesce(kind, _NULL_KIND) == str(sample).lower()
    if isinstance(sample, Decimal):
        holds = _holds(leaf, _Number(contact, attribute.name))
        return _guarded(kind.in_(_NUMBER_KINDS), holds)
    text = _Text(contact, attribute.name)
    is_text = kind.in_(_TEXT_KINDS)
    if isinstance(sample, str):
        return _guarded(is_text, _holds(leaf, text))
    is_date = and_(func.length(text) == ISO_DATE_LENGTH, text.regexp_match(ISO_DATE))
    return _guarded(is_text, and_(is_date, _holds(leaf, text)))


def _sample(leaf: Comparison | OneOf | StartsWith) -> Literal:
    match leaf:
        case Comparison(value=value):
            return value
        case OneOf(values=values):
            return values[0]
        case StartsWith(prefix=prefix):
            return prefix


def _guarded(guard: ColumnElement[bool], then: ColumnElement[bool]) -> ColumnElement[bool]:
    return type_coerce(case((guard, then), else_=false()), Boolean)


def _holds(leaf: Comparison | OneOf | StartsWith, value: ColumnElement[Any]) -> ColumnElement[bool]:
    match leaf:
        case Comparison(operator=Operator.EQUALS, value=wanted):
            return value == literal_key(wanted)
        case Comparison(operator=how, value=wanted):
            ordered = _ByCodePoint(value) if isinstance(value.type, String) else value
            condition: ColumnElement[bool] = COMPARE[how](ordered, literal_key(wanted))
            return condition
        case OneOf(values=wanted_values):
            return value.in_([literal_key(wanted) for wanted in wanted_values])
        case StartsWith(prefix=prefix):
            # Not LIKE: it folds case on SQLite and gives % and _ a meaning of their own.
            return func.substr(value, 1, len(prefix)) == prefix
