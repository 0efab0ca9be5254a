"""Erase what is past its time, by every rule, or say how much that would be."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from sender.context import Context
from sender.evidence.names import Names, load_names
from sender.evidence.retention_rules import Due, Rule, retention_rules
from sender.store import audit_trail

AT_ONCE: Final = 5_000
"""Rows a transaction: the write lock of SQLite stays short."""
NOBODYS: Final = "-"
"""Stands for rows that belong to no one controller."""


@dataclass(frozen=True, slots=True)
class RuleCount:
    """What one rule finds: rows past their time, by controller."""

    name: str
    what: str
    kept: str
    rows: Mapping[str, int]

    @property
    def total(self) -> int:
        """Return the rows of all controllers."""
        return sum(self.rows.values())


def count_expired(context: Context) -> list[RuleCount]:
    """Return what is past its time by each rule, and change nothing."""
    now = context.clock.now()
    with context.store.read() as session:
        names = load_names(session)
        return [
            _counted(rule, _count(session, names, rule, now))
            for rule in retention_rules(context.settings)
        ]


def erase_expired(context: Context) -> list[RuleCount]:
    """Erase what is past its time by each rule, in short transactions, each with its audit row."""
    now = context.clock.now()
    return [
        _counted(rule, _apply(context, rule, now)) for rule in retention_rules(context.settings)
    ]


def _counted(rule: Rule, rows: Mapping[str, int]) -> RuleCount:
    return RuleCount(rule.name, rule.what, rule.kept, dict(sorted(rows.items())))


def _count(session: Session, names: Names, rule: Rule, now: datetime) -> dict[str, int]:
    query = count_by_controller(rule.due(session, now))
    return {_slug(names, row_id): number for row_id, number in session.execute(query)}


def count_by_controller(due: Due) -> Select[Any]:
    """Return the query of how many rows are due, by the id of their controller.

    The sum keeps SQLite from reading a whole table in the order of its controllers only to spare
    itself the grouping.
    """
    rows = due.subquery()
    whose = (rows.c.controller_id + 0).label("whose")
    return select(whose, func.count()).group_by(whose)


def _apply(context: Context, rule: Rule, now: datetime) -> Counter[str]:
    erased: Counter[str] = Counter()
    above = 0
    while True:
        with context.store.write() as session:
            rows = _next_rows(session, rule, now, above)
            if not rows:
                return erased
            names = load_names(session)
            rule.erase(session, list(rows), now)
            some = Counter(_slug(names, controller_id) for controller_id in rows.values())
            _record(context, session, rule, some, now)
        erased += some
        above = max(rows)


def _next_rows(session: Session, rule: Rule, now: datetime, above: int) -> dict[int, int | None]:
    due = rule.due(session, now).subquery()
    query = (
        select(due.c.row_id, due.c.controller_id)
        .where(due.c.row_id > above)
        .order_by(due.c.row_id)
        .limit(AT_ONCE)
    )
    return {row.row_id: row.controller_id for row in session.execute(query)}


def _record(
    context: Context, session: Session, rule: Rule, some: Counter[str], now: datetime
) -> None:
    audit_trail.record(
        session,
        now=now,
        operator=context.operator,
        action="retention.apply",
        details={"rule": rule.name, "rows": dict(sorted(some.items()))},
    )


def _slug(names: Names, controller_id: int | None) -> str:
    return NOBODYS if controller_id is None else names.controllers[controller_id]
