"""Many values as one parameter, so that a statement is the same however many there are.

PostgreSQL then plans it once instead of for each batch, and no driver has to bind hundreds of
values. The ids are a table to join with, which on both databases leads to one look into an index
for each.
"""

import json
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    LargeBinary,
    any_,
    bindparam,
    column,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute, Session


def given_ids(dialect: str, name: str) -> ColumnElement[int]:
    """Return the column of ids that is given under this name when the statement runs.

    Args:
        dialect: `sqlite` or `postgresql`.
        name: of the parameter; its value is made by `id_list`.
    """
    if dialect == "sqlite":
        rows = func.json_each(bindparam(name)).table_valued(column("value", Integer))
        return rows.alias(name).c.value
    wanted = bindparam(name, type_=ARRAY(BigInteger))
    return func.unnest(wanted).table_valued(column("id", BigInteger)).render_derived(name).c.id


def is_given(dialect: str, name: str, of: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether a column is among the ids that are given under this name when the statement runs."""
    if dialect == "sqlite":
        return of.in_(select(given_ids(dialect, name)))
    return of == any_(bindparam(name, type_=ARRAY(BigInteger)))


def id_list(dialect: str, ids: Iterable[int]) -> Any:
    """Return the value of the parameter of `given_ids`."""
    return json.dumps(list(ids)) if dialect == "sqlite" else list(ids)


def among(
    session: Session, of: InstrumentedAttribute[Any], values: Collection[Any]
) -> ColumnElement[bool]:
    """Whether a column of numbers, text or bytes has one of these values.

    JSON holds no bytes, so on SQLite those are listed one by one. PostgreSQL joins them as a table:
    compared with an array, a plan that was kept would look through all of it for each row.
    """
    if session.get_bind().dialect.name == "postgresql":
        return of.in_(select(func.unnest(literal(list(values), ARRAY(of.type)))))
    if isinstance(of.type, LargeBinary):
        return of.in_(values)
    rows = func.json_each(literal(json.dumps(list(values)))).table_valued(column("value", of.type))
    return of.in_(select(rows.c.value))
