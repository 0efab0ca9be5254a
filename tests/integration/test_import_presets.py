"""Exports of other systems: a state alone is no consent, and no opt-out in them is lost."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from sender.errors import FileError, UsageError
from sender.imports.contacts import import_contacts
from sender.imports.counts import ImportReport
from sender.imports.mapping import read_mapping
from sender.imports.reading import Reading
from sender.store.consents import ConsentEvent
from sender.store.contacts import Contact, ContactPoint
from sender.store.engine import open_store
from sender.store.suppressions import Block, SuppressionEvent
from sender.vocabulary import BlockCause
from tests.support.import_world import HASHER, World, build_world

DATA = Path(__file__).parents[1] / "data" / "imports"
EVIDENCE = (
    "consent_purpose=campaign-news",
    "consent_notice=web-form",
    "consent_method=web-form",
    "consent_source=https://acton.example/join",
)


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    store = open_store(database_url)
    yield build_world(store, tmp_path)
    store.close()


def bring_in(
    world: World,
    name: str,
    preset: str,
    *maps: str,
    constants: tuple[str, ...] = EVIDENCE,
) -> ImportReport:
    return import_contacts(
        world.store,
        HASHER,
        world.clock,
        controller_slug="acton",
        path=DATA / name,
        operator="tester",
        reading=Reading(read_mapping(maps, constants), preset),
        rejects_path=world.folder / f"{name}.rejects.csv",
    )


def blocks(world: World) -> set[tuple[str, str, BlockCause]]:
    names = {}
    for path in DATA.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                for cell in (row.get("email"), row.get("Email Address"), row.get("mobile_number")):
                    if cell:
                        names[cell] = True
    found = world.all(select(Block.address_id, Block.channel, Block.cause))
    known = {}
    for name in names:
        try:
            known[world.address_id(name)] = name
        except KeyError:
            continue  # of a file that was not brought in
    return {(known[address], channel, cause) for address, channel, cause in found}


def consents(world: World) -> list[str]:
    query = (
        select(ContactPoint.address)
        .join(ConsentEvent, ConsentEvent.address_id == ContactPoint.address_id)
        .order_by(ContactPoint.address)
    )
    return [address for (address,) in world.all(query)]


def problems(report: ImportReport) -> list[tuple[str, str]]:
    assert report.rejects_path is not None
    with report.rejects_path.open(encoding="utf-8", newline="") as file:
        return [(row["reject.line"], row["reject.column"]) for row in csv.DictReader(file)]


def test_listmonk(world: World) -> None:
    report = bring_in(world, "listmonk.csv", "listmonk", "created_at=consent_at")
    assert consents(world) == ["ann@example.org"]
    assert blocks(world) == {
        ("bob@example.org", "email", BlockCause.OPT_OUT),
        ("cyd@example.org", "email", BlockCause.BOUNCE),
        ("dee@example.org", "email", BlockCause.OPT_OUT),
        ("eve@example.org", "email", BlockCause.OPT_OUT),
    }
    assert problems(report) == [("4", ""), ("6", "status")]
    counts = report.counts
    assert (counts.created, counts.rejected, counts.rows) == (3, 2, 5)


def test_mailchimp(world: World) -> None:
    subscribed = bring_in(world, "mailchimp-subscribed.csv", "mailchimp")
    assert consents(world) == ["ann@example.org"]
    assert problems(subscribed) == [("3", "OPTIN_TIME"), ("3", "")]
    bring_in(world, "mailchimp-unsubscribed.csv", "mailchimp")
    bring_in(world, "mailchimp-cleaned.csv", "mailchimp")
    assert consents(world) == ["ann@example.org"]
    assert blocks(world) == {
        ("cyd@example.org", "email", BlockCause.OPT_OUT),
        ("dee@example.org", "email", BlockCause.BOUNCE),
    }


def test_nationbuilder(world: World) -> None:
    report = bring_in(world, "nationbuilder.csv", "nationbuilder", "created_at=consent_at")
    assert consents(world) == ["+447400123451", "ann@example.org"]
    assert blocks(world) == {
        ("07400 123452", "sms", BlockCause.OPT_OUT),
        ("cyd@example.org", "*", BlockCause.OBJECTION),
        ("dee@example.org", "email", BlockCause.OPT_OUT),
        ("eve@example.org", "email", BlockCause.BOUNCE),
        ("07400 123455", "sms", BlockCause.BOUNCE),
        ("fay@example.org", "email", BlockCause.OPT_OUT),
        ("07400 123456", "sms", BlockCause.OPT_OUT),
    }
    assert ("7", "email_opt_in") in problems(report)


@pytest.mark.parametrize("name", ["listmonk", "nationbuilder"])
def test_a_state_without_evidence_is_no_consent_and_nobody_is_stored(
    world: World, name: str
) -> None:
    bring_in(world, f"{name}.csv", name, constants=())
    assert consents(world) == []
    assert "ann@example.org" not in {
        address for (address,) in world.all(select(ContactPoint.address))
    }


def test_the_same_export_again_changes_nothing(world: World) -> None:
    bring_in(world, "nationbuilder.csv", "nationbuilder", "created_at=consent_at")
    before = [world.all(select(one.id)) for one in (Contact, ConsentEvent, SuppressionEvent)]
    again = bring_in(world, "nationbuilder.csv", "nationbuilder", "created_at=consent_at")
    assert before == [
        world.all(select(one.id)) for one in (Contact, ConsentEvent, SuppressionEvent)
    ]
    assert again.counts.opt_outs_recorded == again.counts.consents_recorded == 0


def test_a_bounce_is_no_act_of_the_person(world: World) -> None:
    bring_in(world, "mailchimp-cleaned.csv", "mailchimp")
    assert world.all(select(SuppressionEvent.by_person)) == [(False,)]
    assert world.all(select(Contact.id)) == []


def test_a_file_of_another_system_is_refused(world: World) -> None:
    with pytest.raises(FileError, match="nationbuilder_id"):
        bring_in(world, "listmonk.csv", "nationbuilder")
    with pytest.raises(UsageError, match="no preset"):
        bring_in(world, "listmonk.csv", "listmunk")
    assert world.all(select(Contact.id)) == []


def test_a_no_for_every_row_leaves_no_yes_beside_it(world: World) -> None:
    constants = (*EVIDENCE, "opt_out=email")
    bring_in(world, "listmonk.csv", "listmonk", "created_at=consent_at", constants=constants)
    assert consents(world) == []
    assert ("ann@example.org", "email", BlockCause.OPT_OUT) in blocks(world)
