"""A list of hashes that died before its last step keeps its people from being written to."""

import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from sqlalchemy import select

from sender.delivery import uncompared
from sender.delivery.progress import Ending
from sender.errors import KeyRefusedError
from sender.imports.counts import ImportReport
from sender.imports.hashed_list import Hashed, HashedList
from sender.imports.opt_outs import import_opt_outs
from sender.store.contacts import ImportBatch
from sender.store.engine import Store
from sender.store.keys import AddressHasher, add_keys, register_key
from sender.store.suppressions import Block, SuppressionEvent
from sender.suppression.foreign_digests import HashAlgorithm, read_key
from sender.vocabulary import DeliveryState, Reason
from tests.fakes.ses import SesFake
from tests.support.dispatch_world import World, build_world
from tests.support.factory import HASHER, OPERATOR

KEY, VARIABLE = "a key of the old system", "OLD_SYSTEM_KEY"
SHA256 = Hashed(HashAlgorithm.SHA256)
KEYED = Hashed(HashAlgorithm.HMAC_SHA256, read_key(VARIABLE, {VARIABLE: KEY}))


class PowerCutError(Exception):
    """The process is gone."""


@pytest.fixture
def world(store: Store, ses: SesFake) -> World:
    made = build_world(store, ses, people=4)
    with store.write() as session:
        register_key(session, HASHER, made.clock.now())
    made.plan()
    return made


@pytest.fixture
def dies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every import of hashes dies once its rows are in, before they are compared."""

    def die(*_: object) -> NoReturn:
        raise PowerCutError

    with monkeypatch.context() as patched:
        patched.setattr(HashedList, "conclude", die)
        yield


def digest(hashed: Hashed, address: str) -> str:
    if hashed.key is not None:
        return hmac.new(KEY.encode(), address.encode(), "sha256").hexdigest()
    return hashlib.sha256(address.encode()).hexdigest()


def bring_in(world: World, folder: Path, *numbers: int, hashed: Hashed = SHA256) -> ImportReport:
    path = folder / "hashes.csv"
    listed = [world.points[number].address or "" for number in numbers]
    path.write_text("".join(f"{digest(hashed, one)}\n" for one in listed))
    return import_opt_outs(
        world.store, HASHER, world.clock, controller_slug="riverside", path=path,
        operator=OPERATOR, hashed=hashed,
    )  # fmt: skip


def die_with(world: World, folder: Path, *numbers: int, hashed: Hashed = SHA256) -> None:
    with pytest.raises(PowerCutError):
        bring_in(world, folder, *numbers, hashed=hashed)


def column(world: World, query: Any) -> list[Any]:
    with world.store.read() as session:
        return list(session.scalars(query))


@pytest.mark.usefixtures("dies")
def test_nobody_on_a_list_that_died_before_it_was_compared_is_written_to(
    world: World, tmp_path: Path
) -> None:
    die_with(world, tmp_path, 1, 3)
    assert column(world, select(ImportBatch.finished_at)) == [None]
    assert column(world, select(Block.address_id)) == []
    assert world.dispatch() is Ending.FINISHED
    listed = {world.points[number].address_id for number in (1, 3)}
    assert len(world.fake.messages) == 2
    assert world.counts().by_reason == {Reason.SUPPRESSED: 2}
    assert set(column(world, select(Block.address_id))) == listed


def test_the_same_list_brought_in_again_sets_no_block_twice(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.delattr(HashedList, "conclude")
        with pytest.raises(AttributeError):
            bring_in(world, tmp_path, 1, 3)
    world.dispatch()
    assert len(world.fake.messages) == 2
    assert bring_in(world, tmp_path, 1, 3).counts.hashes_matched == 2
    assert len(column(world, select(SuppressionEvent.id))) == 2


def test_once_a_list_was_compared_nothing_is_looked_up_any_more(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    bring_in(world, tmp_path, 0, hashed=KEYED)
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(uncompared, "match", lambda *_: pytest.fail("there is nothing to find"))
    assert world.dispatch() is Ending.FINISHED
    assert world.counts().by_state == {DeliveryState.ACCEPTED: 3, DeliveryState.SKIPPED: 1}


@pytest.mark.usefixtures("dies")
def test_without_the_key_of_such_a_list_nobody_is_written_to(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    die_with(world, tmp_path, 0, hashed=KEYED)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(KeyRefusedError, match=VARIABLE):
        world.dispatch()
    assert world.fake.messages == []
    assert world.counts().by_state == {DeliveryState.PENDING: 4}


@pytest.mark.usefixtures("dies")
def test_a_process_that_missed_a_rotation_compares_nothing_and_sends_nothing(
    world: World, tmp_path: Path
) -> None:
    die_with(world, tmp_path, 0)
    newer = AddressHasher(bytes([9]) * 32, bytes(range(32)))
    with world.store.write() as session:
        add_keys(session, newer.fingerprints[-1:], world.clock.now())
    with pytest.raises(KeyRefusedError):
        world.dispatch()
    assert world.fake.messages == []
