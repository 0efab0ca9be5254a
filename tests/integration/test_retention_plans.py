"""What is past its time is found by indexes: no large table is read from end to end twice.

On SQLite the plan does not depend on what the tables hold. PostgreSQL reads small tables whole,
whatever indexes they have, so there it is asked to avoid that where it can.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import ClauseElement, Executable, Select, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session

from sender.evidence.retention import count_by_controller
from sender.evidence.retention_rules import retention_rules
from sender.settings import Settings
from sender.store.engine import Store
from sender.store.tables import metadata
from tests.support.every_table import fill
from tests.support.factory import NOW, add_retention, establish

BY_MESSAGE = {"delivery", "delivery_reliance", "contact", "inbound_notification"}
"""Tables that grow with each message or person, or are found by their dates: never read whole."""

_WHOLE = {
    "sqlite": re.compile(r"^SCAN (\w+)(?! USING INDEX ix_)"),
    "postgresql": re.compile(r"Seq Scan on (\w+)"),
}


@pytest.fixture
def session(store: Store) -> Iterator[Session]:
    with store.write() as writing:
        fill(writing)
        # Two periods, so that the limit is no one value.
        add_retention(writing, establish(writing, "hilltop").controller, 9)
    with store.read() as reading:
        if store.dialect == "postgresql":
            reading.execute(text("SET LOCAL enable_seqscan = off"))
        yield reading


def queries(session: Session) -> Iterator[tuple[str, Select[Any]]]:
    """Yield what a dry run asks, by rule."""
    for rule in retention_rules(Settings()):
        yield rule.name, count_by_controller(rule.due(session, NOW))


class Plan(Executable, ClauseElement):
    """The database's plan for a query, instead of its rows."""

    inherit_cache = False

    def __init__(self, query: Select[Any]) -> None:
        self.query = query


@compiles(Plan)
def _explain(plan: Plan, compiler: Any, **options: Any) -> str:
    words = "EXPLAIN QUERY PLAN" if compiler.dialect.name == "sqlite" else "EXPLAIN"
    return f"{words} {compiler.process(plan.query, **options)}"


def read_whole(session: Session, query: Select[Any]) -> list[str]:
    """Return the tables that the plan of a query reads from end to end."""
    pattern = _WHOLE[session.get_bind().dialect.name]
    return [match[1] for line in plan_of(session, query) if (match := pattern.search(line))]


def plan_of(session: Session, query: Select[Any]) -> list[str]:
    """Return the lines of a plan."""
    lines = [str(row[-1]) for row in session.execute(Plan(query))]
    assert lines
    return lines


def test_no_rule_reads_the_messages_or_the_people_whole(session: Session) -> None:
    found = {name: read_whole(session, query) for name, query in queries(session)}
    assert {name: set(tables) & BY_MESSAGE for name, tables in found.items()} == {
        name: set() for name in found
    }


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_all_rules_together_read_no_table_whole_twice(session: Session) -> None:
    times = Counter(table for _, query in queries(session) for table in read_whole(session, query))
    large = set(metadata.tables) - {"subject_request", "subject_request_delivery", "run"}
    assert {table: n for table, n in times.items() if n > 1 and table in large} == {}


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_whether_somebody_agreed_is_looked_up_by_their_addresses(session: Session) -> None:
    plan = plan_of(session, dict(queries(session))["people"])
    [states] = [line for line in plan if "consent_state" in line]
    assert "(address_id=?)" in states
