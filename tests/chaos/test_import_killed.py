"""Imports that are killed, again and again, at any statement: no row is lost, none comes twice."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from sender.store.chain import LEDGERS
from sender.store.chain_check import verify
from sender.store.consents import ConsentEvent
from sender.store.contacts import Contact, ContactPoint, ImportBatch
from sender.store.engine import Store, open_store
from sender.store.keys import register_key
from sender.store.suppressions import Block, SuppressionEvent
from tests.support.campaign_folder import environment
from tests.support.factory import HASHER, NOW, establish
from tests.support.nursery import Nurse

ROWS = 4_500
"""More than two chunks."""
STATEMENTS = 60
"""About as many as an import of so many rows makes."""
DEATHS = 3
TABLES = (Contact, ContactPoint, ConsentEvent, SuppressionEvent, Block)

PEOPLE = ("contacts", "import", "people.csv", "-c", "riverside", "--json")
OPT_OUTS = ("suppress", "import", "opt-outs.csv", "-c", "riverside", "--json")


def write_files(folder: Path) -> None:
    agreed = "campaign-news,email,sign-up-form,2026-01-07,web-form,/join"
    addresses = [
        "nobody at all" if number % 50 == 0 else f"person{number % 4_000}@example.org"
        for number in range(ROWS)
    ]
    rows = [
        f"R{number},{address},{agreed},{'' if number % 9 else 'all'}"
        for number, address in enumerate(addresses)
    ]
    header = (
        "external_ref,email,consent_purpose,consent_channel,consent_notice,consent_at,"
        "consent_method,consent_source,opt_out"
    )
    (folder / "people.csv").write_text("\n".join([header, *rows]))
    noes = ["nope" if number % 70 == 0 else f"person{number}@example.org" for number in range(ROWS)]
    (folder / "opt-outs.csv").write_text("\n".join(["email", *noes]))


def set_up(url: str) -> Store:
    store = open_store(url)
    with store.write() as session:
        register_key(session, HASHER, NOW)
        establish(session)
    return store


def rows_of(store: Store) -> Counter[str]:
    with store.read() as session:
        return Counter(
            {
                table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0
                for table in TABLES
            }
        )


def rejected_lines(folder: Path, name: str) -> list[str]:
    return (folder / f"{name}.rejects.csv").read_text().splitlines()


@pytest.mark.parametrize("command", [PEOPLE, OPT_OUTS], ids=["people", "opt-outs"])
def test_an_import_that_is_killed_again_and_again_ends_like_one_that_was_not(
    nurse: Nurse, database_url: str, tmp_path: Path, command: tuple[str, ...]
) -> None:
    write_files(tmp_path)
    store = set_up(database_url)
    environ = environment(tmp_path, database_url)
    rehearsed = nurse.start([*command, "--dry-run"], environ, tmp_path)
    assert rehearsed.wait() == 0, rehearsed.complaints()
    expected = json.loads(rehearsed.answer())["counts"]
    name = command[2].removesuffix(".csv")
    wrong = rejected_lines(tmp_path, name)
    (tmp_path / f"{name}.rejects.csv").unlink()
    moments = random.Random(f"{command[0]} {store.dialect}")  # the same each time
    for _ in range(DEATHS):
        moment = moments.choice(["before", "after"])
        armed = f"sqlalchemy.orm:Session.execute:{moments.randrange(1, STATEMENTS)}:{moment}"
        child = nurse.start(command, environ | {"CHAOS_KILL": armed}, tmp_path)
        assert child.wait() in {-9, 0}, child.complaints()
    last = nurse.start(command, environ, tmp_path)
    assert last.wait() == 0, last.complaints()
    finished = finished_batches(store)
    assert finished[0] == expected
    assert rejected_lines(tmp_path, name) == wrong
    assert_sound(store, expected)
    store.close()


def finished_batches(store: Store) -> list[dict[str, Any]]:
    query = select(ImportBatch.counts).where(ImportBatch.finished_at.is_not(None))
    with store.read() as session:
        return list(session.scalars(query.order_by(ImportBatch.id)))


def assert_sound(store: Store, expected: dict[str, int]) -> None:
    found = rows_of(store)
    assert found["contact"] == expected["created"] * bool(found["contact"])
    with store.read() as session:
        assert [each for ledger in LEDGERS for each in verify(session, ledger)] == []
        twice = (
            select(ConsentEvent.address_id)
            .group_by(
                ConsentEvent.address_id, ConsentEvent.kind, ConsentEvent.occurred_at,
                ConsentEvent.purpose_id,
            )
            .having(func.count() > 1)
        )  # fmt: skip
        assert session.scalars(twice).all() == []
        again = (
            select(SuppressionEvent.address_id)
            .group_by(SuppressionEvent.address_id, SuppressionEvent.channel, SuppressionEvent.cause)
            .having(func.count() > 1)
        )
        assert session.scalars(again).all() == []
