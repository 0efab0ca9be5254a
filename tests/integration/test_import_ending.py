"""Whom nothing but a revoked import said to have agreed is not kept for ever."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from sender.consent.ledger import ConsentAct, record
from sender.contacts.addresses import ensure_address_ids
from sender.context import Context
from sender.evidence.retention import count_expired, erase_expired
from sender.imports import approval
from sender.imports.approval import find_batch, revoke_batch
from sender.imports.ending import KEPT_AFTER_REVOCATION, Ending, ending_of
from sender.settings import Settings
from sender.store.consents import Notice
from sender.store.contacts import Contact, ContactPoint
from sender.store.engine import open_store
from sender.vocabulary import Channel, ConsentKind, Reason
from tests.support.import_world import HASHER, KEPT, NOW, World, build_world

HEADER = (
    "external_ref,email,first_name,opt_out,consent_purpose,consent_channel,consent_notice,"
    "consent_at,consent_method,consent_source\n"
)
YES = "campaign-news,email,web-form,2026-05-07,web-form,/join"
LAST_DAY = (NOW + KEPT_AFTER_REVOCATION).date()
ANN, BEN = "ann@example.org", "ben@example.org"


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    store = open_store(database_url)
    yield build_world(store, tmp_path)
    store.close()


def row(name: str, no: str = "", yes: str = YES) -> str:
    return f"{name},{name}@example.org,{name.title()},{no},{yes or ',,,,,'}\n"


def bring(world: World, *rows: str, name: str = "people.csv", approved: bool = True) -> int:
    content = HEADER + "".join(rows)
    report = world.bring_in(content, name=name, storage=None, approved=approved)
    assert report.batch_id is not None
    return report.batch_id


def revoke(world: World, batch_id: int, controller: str = "acton") -> Ending:
    controller_id = world.controller_id(controller)
    revoke_batch(
        world.store,
        world.clock,
        controller_id=controller_id,
        batch_id=batch_id,
        operator="another",
        because="the form was pre-ticked",
    )
    with world.store.read() as session:
        return ending_of(session, find_batch(session, controller_id, batch_id))


def ends(world: World) -> dict[str | None, object]:
    found = world.all(select(Contact.external_ref, Contact.retain_until))
    return {reference: until for reference, until in found}  # noqa: C416  # rows are no pairs


def agrees_herself(world: World, address: str) -> None:
    with world.store.write() as session:
        address_id = ensure_address_ids(session, HASHER, Channel.EMAIL, [address])[address]
        act = ConsentAct(
            controller_id=world.controller_id(),
            purpose_id=world.purpose_id("campaign-news"),
            address_id=address_id,
            kind=ConsentKind.GIVEN,
            occurred_at=world.clock.now(),
            method="paper",
            source="box 7",
            operator="tester",
            notice_id=session.scalars(select(Notice.id).where(Notice.slug == "web-form")).first(),
        )
        record(session, [act], world.clock.now())


def context(world: World) -> Context:
    return Context(Settings(), world.store, HASHER, world.clock, "tester")


def due(world: World) -> dict[str, dict[str, int]]:
    return {one.name: dict(one.rows) for one in count_expired(context(world)) if one.rows}


@pytest.mark.parametrize("approved", [True, False])
def test_who_came_with_it_alone_goes_after_the_last_day(world: World, *, approved: bool) -> None:
    batch = bring(world, row("ann"), row("ben"), approved=approved)
    assert revoke(world, batch) == Ending(2, LAST_DAY)
    assert ends(world) == {"ann": LAST_DAY, "ben": LAST_DAY}
    world.clock.sleep(KEPT_AFTER_REVOCATION.total_seconds())
    assert due(world) == {}
    world.clock.sleep(timedelta(days=1).total_seconds())
    assert due(world) == {"people": {"acton": 2}}
    erase_expired(context(world))
    assert set(world.all(select(Contact.external_ref, Contact.first_name))) == {(None, None)}
    assert world.all(select(ContactPoint.address).where(ContactPoint.address.is_not(None))) == []


def test_who_agreed_otherwise_gets_no_end(world: World) -> None:
    agrees_herself(world, ANN)
    bring(world, row("ben"), name="sound.csv")
    bring(world, row("cat"), name="waits.csv", approved=False)
    world.bring_in("external_ref,email\ndi,di@example.org\n", name="kept.csv", storage=KEPT)
    batch = bring(world, *map(row, ("ann", "ben", "cat", "di", "eve")))
    assert revoke(world, batch) == Ending(1, LAST_DAY)
    assert ends(world) == {
        "ann": None,
        "ben": None,
        "cat": None,
        "di": KEPT.until,
        "eve": LAST_DAY,
    }


def test_who_agrees_before_the_last_day_stays(world: World) -> None:
    revoke(world, bring(world, row("ann")))
    bring(world, row("ann"), row("ben"), name="corrected.csv")
    world.clock.sleep(timedelta(days=99).total_seconds())
    assert due(world) == {}
    assert world.refusal(ANN) is None


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_batches_the_second_revocation_gives_the_end(world: World, first: int) -> None:
    yeses = [YES, YES.replace("05-07", "06-07")]
    batches = [bring(world, row("ann", yes=one), name="people.csv") for one in yeses]
    assert revoke(world, batches[first]).people == 0
    assert revoke(world, batches[1 - first]).people == 1


def test_of_whom_a_no_alone_is_kept_that_stays(world: World) -> None:
    batch = bring(world, row("ann", no="all"), row("ben"))
    assert revoke(world, batch).people == 1
    assert ends(world) == {"ann": None, "ben": LAST_DAY}


def test_the_noes_of_whoever_goes_stay(world: World) -> None:
    batch = bring(world, row("ann"), row("ann", no="email", yes=""))
    revoke(world, batch)
    world.clock.sleep(timedelta(days=99).total_seconds())
    erase_expired(context(world))
    bring(world, row("ann"), name="again.csv")
    assert world.refusal(ANN) is not None


def test_the_same_address_at_another_controller_is_another_person(world: World) -> None:
    batch = bring(world, row("ann"))
    world.bring_in(HEADER + row("ann"), controller="barnet", storage=None)
    revoke(world, batch)
    found = world.all(select(Contact.controller_id, Contact.retain_until))
    assert dict(found) == {world.controller_id(): LAST_DAY, world.controller_id("barnet"): None}


def test_said_again_it_changes_nothing_and_counts_the_same(world: World) -> None:
    batch = bring(world, row("ann"))
    revoke(world, batch)
    world.clock.sleep(timedelta(days=9).total_seconds())
    assert revoke(world, batch) == Ending(1, LAST_DAY)
    assert ends(world) == {"ann": LAST_DAY}


def test_it_reaches_everybody_chunk_by_chunk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approval, "_AT_ONCE", 1)
    lines = [row("ann"), row("ben"), row("ann").replace(ANN, "ann@example.com")]
    assert revoke(world, bring(world, *lines)).people == 2
    assert world.refusal(BEN) in {Reason.INVALIDATED, Reason.NO_CONSENT}
