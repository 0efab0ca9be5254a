"""Many ids as one parameter, so that a statement is the same however many there are.

PostgreSQL then plans it once instead of for each batch, and no driver has to bind hundreds of
values. The ids are a table to join with, which on both databases leads to one look into an index
for each.
"""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, any_, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY


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
