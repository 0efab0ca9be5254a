"""What could make it send wrongly, or lose somebody: each way that was found once stays closed."""

import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from sender.consent.eligibility import People, any_of, decisions
from sender.consent.scopes import load_scope
from sender.delivery.runs import get_run
from sender.store.campaigns import CampaignVersion, Run
from sender.store.consents import ConsentState
from sender.store.contacts import ContactPoint
from sender.store.deliveries import Delivery
from sender.store.engine import Store, open_store
from sender.vocabulary import BlockCause, Channel, Reason
from tests.fakes.ses import SesFake
from tests.support.dispatch_world import World, build_world
from tests.support.factory import (
    add_freeze,
    add_run,
    block,
)
from tests.support.import_world import World as ImportWorld
from tests.support.import_world import build_world as build_import_world

Build = Callable[[int], World]

CONSENT = "consent_purpose,consent_channel,consent_notice,consent_at,consent_method,consent_source"
YES = "campaign-news,email,web-form,2026-05-07,web-form,https://acton.example/join"


@pytest.fixture
def fake() -> Iterator[SesFake]:
    with SesFake() as running:
        yield running


@pytest.fixture
def build(store: Store, fake: SesFake) -> Build:
    def make(people: int) -> World:
        return build_world(store, fake, people=people)

    return make


@pytest.fixture
def imports(database_url: str, tmp_path: Path) -> Iterator[ImportWorld]:
    store = open_store(database_url)
    yield build_import_world(store, tmp_path)
    store.close()


# Imports


@pytest.mark.parametrize("cell", ["yes", "unsubscribed", "purpose:typo", "email,yes"])
def test_no_yes_is_taken_from_a_row_whose_no_cannot_be_read(
    imports: ImportWorld, cell: str
) -> None:
    imports.bring_in(f'email,opt_out,{CONSENT}\njo@example.org,"{cell}",{YES}\n')
    assert imports.all(select(ConsentState.status)) == []


def test_a_yes_beside_an_empty_no_is_taken(imports: ImportWorld) -> None:
    imports.bring_in(f"email,opt_out,{CONSENT}\njo@example.org,,{YES}\n")
    assert len(imports.all(select(ConsentState.status))) == 1


def test_a_no_to_a_purpose_without_an_address_is_told_to_be_lost(imports: ImportWorld) -> None:
    report = imports.bring_in("external_ref,opt_out\nA1,purpose:fundraising\n")
    assert report.rejects_path is not None
    assert (report.counts.opt_outs_recorded, report.counts.opt_outs_unchanged) == (0, 0)


def test_a_no_of_nobody_does_not_count_as_recorded(imports: ImportWorld) -> None:
    report = imports.bring_in("email,opt_out\n,all\n")
    assert (report.counts.rejected, report.counts.opt_outs_recorded) == (1, 0)


# Words that this program does not know, as a newer one would write them


def _reason(session: Session, world: World) -> Reason | None:
    point = world.points[0]
    scope = load_scope(
        session,
        controller_id=world.organisation.id,
        channel=Channel.EMAIL,
        purpose_id=world.organisation.purpose.id,
        at=world.clock.now(),
    )
    people = select(
        ContactPoint.id.label("key"),
        ContactPoint.address_id,
        ContactPoint.address.is_not(None).label("has_address"),
        ContactPoint.contact_id,
    ).where(ContactPoint.id == point.id)
    query = decisions(People(people.subquery("people"), any_of([point.address_id])), [scope])
    reason: Reason | None = session.execute(query).mappings().one()["reason"]
    return reason


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE consent_state SET status = 'doubted'",
        "UPDATE consent_state SET flaw = 'coerced'",
    ],
)
def test_a_state_that_this_program_does_not_know_is_no_consent(build: Build, change: str) -> None:
    world = build(1)
    with world.store.write() as session:
        assert _reason(session, world) is None
        session.execute(text(change))
        assert _reason(session, world) is not None


def test_a_block_that_this_program_does_not_know_blocks(build: Build) -> None:
    world = build(1)
    with world.store.write() as session:
        block_unknown(session, world)
        assert _reason(session, world) is not None


def block_unknown(session: Session, world: World) -> None:
    block(session, world.points[0].address_id, cause=BlockCause.HOLD, now=world.clock.now())
    session.execute(text("UPDATE block SET cause = 99"))


# The last look, whatever was looked at before it


def test_each_last_look_asks_for_its_own_time_and_limits(build: Build, fake: SesFake) -> None:
    first = build(3)
    first.plan()
    first.dispatch()
    with first.store.write() as session:
        earlier = get_run(session, first.run_id)
        version = session.get_one(CampaignVersion, earlier.version_id)
        run = add_run(session, first.organisation, version, fresh_within_months=None)
    second = replace(first, run_id=run.id)
    assert second.plan().pending == 3
    stale, ended, sent = (point.address_id for point in first.points)
    long_ago, soon = first.clock.now() - timedelta(days=100), timedelta(seconds=1)
    with first.store.write() as session:
        session.execute(update(Run).where(Run.id == run.id).values(fresh_within_months=3))
        for address_id, values in (
            (stale, {"last_affirmative_at": long_ago}),
            (ended, {"ends_at": first.clock.now() - soon}),
        ):
            change = update(ConsentState).where(ConsentState.address_id == address_id)
            session.execute(change.values(**values))
    second.dispatch()
    assert second.counts().by_reason == {Reason.STALE: 1, Reason.ENDED: 1}
    with first.store.read() as session:
        last = session.scalars(
            select(Delivery.id).where(Delivery.run_id == run.id, Delivery.address_id == sent)
        ).one()
    assert fake.delivery_ids[3:] == [last]


def test_a_freeze_after_a_look_of_before_is_seen(build: Build) -> None:
    world = build(200)
    world.plan()

    def freeze(_answer: object) -> None:
        with world.store.write() as session:
            add_freeze(session, world.organisation.controller, world.clock.now())
        provider.after = lambda _later: None

    with world.provider() as provider:
        provider.after = freeze
        world.dispatcher(provider).run()
    counts = world.counts()
    assert counts.by_reason[Reason.CONTROLLER_FROZEN] > 0
    assert counts.by_reason[Reason.CONTROLLER_FROZEN] + len(world.fake.messages) == 200


# Quiet


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO contact_point (address) VALUES (:value)",
        "INSERT INTO contact_point (created_at) VALUES (:value)",
    ],
)
def test_a_failing_statement_does_not_tell_its_values(store: Store, statement: str) -> None:
    with pytest.raises(DBAPIError) as failure, store.write() as session:
        session.execute(text(statement), {"value": "jo@example.org"})
    told = "".join(traceback.format_exception(failure.value))
    assert "jo@example.org" not in told.replace('{"value": "jo@example.org"}', "")
