"""Noes, releases, backups, restores and replays in any order: whoever said no is blocked."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import select

from sender.store.engine import Store
from sender.store.suppressions import Block
from sender.suppression.ledger import BlockScope, release, suppress
from sender.vocabulary import (
    BlockCause,
)
from tests.support.backups import Backup, backup_of, journal_at
from tests.support.factory import (
    NOW,
    address_id_of,
)
from tests.support.journal_desk import Desk, later


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Desk:
    return Desk(store, tmp_path / "opt-outs.journal")


@pytest.fixture
def backup(desk: Desk) -> Iterator[Backup]:
    with backup_of(desk.store) as taken:
        yield taken


PEOPLE = ("ann@example.org", "ben@example.org")
PERSONS = (BlockCause.OPT_OUT, BlockCause.COMPLAINT)
OPERATORS = (BlockCause.BOUNCE, BlockCause.HOLD)
Key = tuple[str, BlockCause, str]


@st.composite
def _acts(draw: st.DrawFn) -> tuple[str, Key | None]:
    what = draw(
        st.sampled_from(["set", "set", "late", "release", "release", "backup", "restore", "replay"])
    )
    if what not in {"set", "late", "release"}:
        return what, None
    person, cause = draw(st.sampled_from(PEOPLE)), draw(st.sampled_from((*PERSONS, *OPERATORS)))
    return what, (person, cause, draw(st.sampled_from(["email", "*"])))


@pytest.fixture
def pristine(desk: Desk) -> Iterator[Backup]:
    with backup_of(desk.store) as taken:
        yield taken


@given(acts=st.lists(_acts(), max_size=25))
@examples(max_examples=20)
def test_whatever_was_acknowledged_and_not_taken_back_is_blocked_in_the_end(
    desk: Desk, backup: Backup, pristine: Backup, acts: list[tuple[str, Key | None]]
) -> None:
    """Any order of noes, releases, backups, restores and replays."""
    pristine.restore()
    backup.take()
    desk.path.unlink(missing_ok=True)
    assert desk.store.journal is not None
    desk.store.journal = journal_at(desk.path)
    expected: set[Key] = set()
    set_ever: set[Key] = set()
    for what, key in acts:
        if key is not None:
            (expected.discard if what == "release" else expected.add)(key)
            set_ever |= set() if what == "release" else {key}
            _do(desk, what, key)
        elif what == "replay":
            desk.replay()
        else:
            backup.take() if what == "backup" else backup.restore()
    if desk.is_behind():
        desk.replay()
    found = _blocks(desk)
    assert expected <= found <= set_ever
    assert {key for key in found if key[1] in PERSONS} == {
        key for key in expected if key[1] in PERSONS
    }


def _do(desk: Desk, what: str, key: Key) -> None:
    person, cause, channel = key
    at = later()
    by_person = cause in PERSONS
    with desk.store.write() as session:
        address_id = address_id_of(session, person)
        scope = BlockScope(address_id, desk.organisation.id, channel)
        personal = None if by_person else {"evidence": "it works again"}
        act = desk.act(
            address_id, at, scope=scope, cause=cause, by_person=by_person, personal=personal
        )
        if what == "late":  # told now, and older than all that was told before
            suppress(session, [replace(act, occurred_at=NOW)], at)
        elif what == "set":
            suppress(session, [act], at)
        else:
            release(session, act, at)


def _blocks(desk: Desk) -> set[Key]:
    with desk.store.write() as session:
        names = {address_id_of(session, person): person for person in PEOPLE}
        rows = session.scalars(select(Block)).all()
    return {(names[row.address_id], row.cause, row.channel) for row in rows}
