"""Approval and revocation at the worst moment: what was revoked is never relied on."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sender.consent.checking import check_history
from sender.errors import RefusedError
from sender.imports import approval
from sender.imports.approval import look_at_batch, revoke_batch
from sender.store.engine import open_store
from sender.vocabulary import Reason
from tests.support.import_world import World, build_world

COLUMNS = (
    "email,first_name,consent_purpose,consent_channel,consent_notice,consent_at,consent_method,"
    "consent_source\n"
)


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    store = open_store(database_url)
    yield build_world(store, tmp_path)
    store.close()


def agreed(name: str, at: str = "2026-05-07 10:00") -> str:
    return f"{name}@example.org,{name.title()},campaign-news,email,web-form,{at},web-form,/join\n"


def bring_in(world: World, *names: str, approved: bool = False) -> int:
    report = world.bring_in(COLUMNS + "".join(map(agreed, names)), approved=approved)
    assert report.batch_id is not None
    return report.batch_id


def revoke(world: World, batch_id: int) -> int:
    return revoke_batch(
        world.store,
        world.clock,
        controller_id=world.controller_id(),
        batch_id=batch_id,
        operator="another",
        because="the form was pre-ticked",
    )


def require_sound(world: World) -> None:
    with world.store.read() as session:
        assert check_history(session, lambda _table: None).faults == ()


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=5)])
def test_a_revocation_is_obeyed_at_once_though_the_approvers_clock_was_fast(
    world: World, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    world.clock.at += ahead
    batch_id = bring_in(world, "ann", approved=True)
    world.clock.at -= ahead

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(approval, "refold", die)
        with pytest.raises(KeyboardInterrupt):
            revoke(world, batch_id)
    world.clock.sleep(10)
    assert world.refusal("ann@example.org") is Reason.INVALIDATED
    revoke(world, batch_id)
    require_sound(world)


def test_a_batch_revoked_while_it_is_written_counts_for_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chunks that come after the revocation are of no more use than those before it."""
    monkeypatch.setattr("sender.imports.contacts.ROWS_A_CHUNK", 1)
    done: list[int] = []

    def once(rows: int, _total: int) -> None:
        if rows == 1:
            done.append(revoke(world, 1))

    report = world.bring_in(
        COLUMNS + agreed("ann") + agreed("ben") + agreed("cat"), approved=False, progress=once
    )
    assert (report.batch_id, done) == (1, [1])
    for name in ("ann", "ben", "cat"):
        assert world.refusal(f"{name}@example.org") is Reason.INVALIDATED
    require_sound(world)


def test_a_file_that_was_revoked_is_not_approved_when_it_comes_again(world: World) -> None:
    revoke(world, bring_in(world, "ann", approved=True))
    again = bring_in(world, "ann")
    with pytest.raises(RefusedError, match="This very file"):
        world.approve(again)
    assert world.refusal("ann@example.org") is Reason.INVALIDATED
    require_sound(world)


def test_a_consent_that_was_taken_back_is_pointed_out_when_it_comes_again(world: World) -> None:
    revoke(world, bring_in(world, "ann", "ben", approved=True))
    changed = bring_in(world, "ben", "cat")
    with world.store.read() as session:
        view = look_at_batch(session, world.controller_id(), changed)
    assert (view.consents, len(view.warnings)) == (2, 1)
    assert view.warnings[0].startswith("1 consents were taken back before")
    assert world.refusal("ben@example.org") is Reason.INVALIDATED
    world.approve(changed)
    assert world.refusal("ann@example.org") is Reason.INVALIDATED
    assert world.refusal("ben@example.org") is None
    require_sound(world)


@pytest.mark.parametrize("number", [1, 19, 20, 21, 39, 59, 100])
def test_the_sample_reaches_from_the_first_row_to_the_last_part(world: World, number: int) -> None:
    names = [f"p{place:03d}" for place in range(number)]
    batch_id = bring_in(world, *names)
    with world.store.read() as session:
        seen = [one.address[:4] for one in look_at_batch(session, 1, batch_id).sample]
    places = [names.index(one) for one in seen]
    gaps = [after - before for before, after in zip(places, [*places[1:], number], strict=True)]
    assert len(seen) == min(20, number)
    assert (places[0], max(gaps)) == (0, -(-number // 20))
