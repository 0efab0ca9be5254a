"""`sender db check` finds every way in which somebody could have changed history."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, text

from sender.store.engine import Store
from tests.support.command_line import Answer, Desk

ANN, BO = "ann@example.org", "bo@example.org"


@pytest.fixture
def desk(desk: Desk) -> Desk:
    for address in (ANN, BO):
        desk.done(
            "consent", "record", address, "-c", "riverside", "--purpose", "campaign-news",
            "--notice", "sign-up-form", "--method", "paper", "--source", "form 7",
            "--at", "2026-01-05",
        )  # fmt: skip
        desk.done("consent", "withdraw", address, "-c", "riverside", "--all")
    return desk


@contextmanager
def tampering(store: Store, table: str) -> Iterator[Connection]:
    """Open the database as somebody does who takes the guards away first."""
    with store.engine.begin() as connection:
        if store.dialect == "postgresql":
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        else:
            for verb in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_{verb}"))
            connection.execute(text("PRAGMA defer_foreign_keys=ON"))
        yield connection


def faults(desk: Desk) -> list[tuple[str, str, str]]:
    answer: Answer = desk.sender("db", "check", "--json")
    document = answer.document
    assert answer.code == (0 if document["holds"] else 1)
    return [(one["table"], one["row"], one["problem"]) for one in document["faults"]]


def test_an_honest_history_holds(desk: Desk) -> None:
    assert faults(desk) == []
    answer = desk.done("db", "check")
    assert "Schema, key, hash chains and folds hold." in answer.out


def test_a_changed_event_is_named(desk: Desk, store: Store) -> None:
    with tampering(store, "consent_event") as connection:
        connection.execute(text("UPDATE consent_event SET source = 'x' WHERE seq = 2"))
    [(table, row, problem)] = faults(desk)
    assert (table, problem) == ("consent_event", "its columns were changed")
    assert row.startswith("chain ")
    assert ", row 2 (id " in row
    assert "consent_event" in desk.sender("db", "check").out


def test_a_removed_event_at_the_end_is_named(desk: Desk, store: Store) -> None:
    with tampering(store, "audit_event") as connection:
        connection.execute(
            text("DELETE FROM audit_event WHERE id = (SELECT max(id) FROM audit_event)")
        )
    [(table, _, problem)] = faults(desk)
    assert table == "audit_event"
    assert "should end at row" in problem


def test_a_state_that_its_events_do_not_amount_to_is_named(desk: Desk, store: Store) -> None:
    with tampering(store, "consent_state") as connection:
        connection.execute(text("UPDATE consent_state SET status = 'given'"))
    [(table, row, problem)] = faults(desk)
    assert (table, problem) == ("consent_state", "the row is not what its events amount to")
    assert row.startswith("key (")
    assert "example.org" not in row


@pytest.mark.parametrize("whose", ["min", "max"])
@pytest.mark.parametrize("table", ["consent_state", "block"])
def test_a_state_or_block_that_is_gone_is_named(
    desk: Desk, store: Store, table: str, whose: str
) -> None:
    with tampering(store, table) as connection:
        chosen = f"(SELECT {whose}(address_id) FROM {table})"
        connection.execute(text(f"DELETE FROM {table} WHERE address_id = {chosen}"))
    assert [(name, problem) for name, _, problem in faults(desk)] == [
        (table, "the events amount to a row that is missing")
    ]


def test_a_block_that_no_event_set_is_named(desk: Desk, store: Store) -> None:
    with tampering(store, "block") as connection:
        connection.execute(text("UPDATE block SET cause = 6, purpose_id = 1"))
    found = faults(desk)
    assert [name for name, _, _ in found] == ["block"]


def test_an_erased_payload_breaks_no_chain(desk: Desk, store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_payload"))
        connection.execute(text("DELETE FROM consent_payload"))
    assert faults(desk) == []
