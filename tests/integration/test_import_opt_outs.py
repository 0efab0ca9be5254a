"""Lists of opt-outs from another system: taken whatever else stands in them, kept by hash only."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from sender.errors import FileError, NotFoundError, UsageError
from sender.imports import opt_outs
from sender.imports.counts import ImportReport
from sender.imports.csv_file import Encoding
from sender.imports.hashed_list import Hashed
from sender.imports.opt_outs import IMPORTED
from sender.store.addresses import Address
from sender.store.audit import AuditEvent
from sender.store.contacts import Contact, ContactPoint, ImportBatch
from sender.store.controllers import OptOutDeclaration
from sender.store.engine import open_store
from sender.store.suppressions import Block, SuppressionEvent
from sender.suppression.foreign_digests import HashAlgorithm
from sender.suppression.ledger import BlockScope, Suppression, release
from sender.vocabulary import BlockCause, Channel, Reason
from tests.support.import_world import HASHER, NOW, PURPOSES, World, build_world


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    store = open_store(database_url)
    yield build_world(store, tmp_path)
    store.close()


def blocked(world: World) -> set[tuple[int, str]]:
    return set(world.all(select(Block.address_id, Block.channel)))


@pytest.mark.parametrize(
    "content",
    [
        "email,mobile\njo@example.org,07400 123456\n",
        "Email Address;Name;Phone Number\nJO@example.org;Jo;+447400123456\n",
        "address\njo@example.org\n07400123456\n",
        "jo@example.org\n07400123456\n",
        "\ufeffjo@example.org\r\n\r\n+44 7400 123456",
    ],
)
def test_addresses_are_blocked_on_their_channel_for_all_purposes(
    world: World, content: str
) -> None:
    report = world.opt_out(content)
    assert blocked(world) == {
        (world.address_id("jo@example.org"), "email"),
        (world.address_id("07400123456"), "sms"),
    }
    assert set(world.all(select(Block.cause, Block.purpose_id))) == {(BlockCause.OPT_OUT, 0)}
    assert report.counts.opt_outs_recorded == 2
    assert report.rejects_path is None


def test_list_of_an_older_windows_program_is_read_where_that_is_said(world: World) -> None:
    path = world.write("opt-outs.csv", "")
    path.write_bytes("email,name\njo@example.org,Løvé\n".encode("cp1252"))
    with pytest.raises(FileError, match="not UTF-8") as caught:
        bring_in(world, path)
    assert "--encoding windows-1252" in caught.value.remedy
    assert bring_in(world, path, Encoding.WINDOWS_1252).counts.opt_outs_recorded == 1
    assert blocked(world) == {(world.address_id("jo@example.org"), "email")}


def bring_in(world: World, path: Path, encoding: Encoding | None = None) -> ImportReport:
    return opt_outs.import_opt_outs(
        world.store,
        HASHER,
        world.clock,
        controller_slug="acton",
        path=path,
        operator="tester",
        encoding=encoding,
    )


def test_unknown_people_are_kept_by_hash_only(world: World) -> None:
    world.opt_out("jo@example.org\n")
    assert world.all(select(Contact.id)) == []
    assert world.all(select(ContactPoint.id)) == []
    assert world.all(select(func.count()).select_from(Address)) == [(1,)]


def test_same_list_again_adds_no_event(world: World) -> None:
    content = "email,opt_out_at\njo@example.org,2024-05-07\nmo@example.org,\njo@example.org,\n"
    first = world.opt_out(content)
    world.clock.sleep(86_400)
    again = world.opt_out(content)
    assert (first.counts.opt_outs_recorded, first.counts.opt_outs_unchanged) == (2, 1)
    assert (again.counts.opt_outs_recorded, again.counts.opt_outs_unchanged) == (0, 3)
    assert world.all(select(func.count()).select_from(SuppressionEvent)) == [(2,)]


def test_time_and_source_are_kept(world: World) -> None:
    world.opt_out("email,opt_out_at,opt_out_source\njo@example.org,2024-05-07T09:00Z,Mailer\n")
    told = world.all(
        select(SuppressionEvent.occurred_at, SuppressionEvent.source, SuppressionEvent.by_person)
    )
    assert told == [(datetime(2024, 5, 7, 9, tzinfo=UTC), "import: Mailer", True)]


def test_unreadable_time_does_not_lose_the_opt_out(world: World) -> None:
    report = world.opt_out("email,opt_out_at\njo@example.org,03/04/2025\n")
    assert world.all(select(Block.set_at)) == [(NOW,)]
    assert report.counts.problems == 1


def test_only_one_channel_is_taken_when_asked(world: World) -> None:
    report = world.opt_out("email,mobile\njo@example.org,07400123456\n", channel=Channel.SMS)
    assert blocked(world) == {(world.address_id("07400123456"), "sms")}
    assert report.counts.problems == 0


def test_wrong_addresses_are_told_and_the_others_taken(world: World) -> None:
    report = world.opt_out("email\nnope\njo@example.org\n", rejects_path=world.folder / "r.csv")
    assert (report.counts.rejected, report.counts.created) == (1, 1)
    assert report.rejects_path is not None
    assert "2,email," in report.rejects_path.read_text()


def test_dry_run_tells_the_same_and_leaves_nothing(world: World) -> None:
    content = "jo@example.org\nmo@example.org\njo@example.org\n"
    rehearsed = world.opt_out(content, dry_run=True)
    assert blocked(world) == set()
    assert world.all(select(OptOutDeclaration.id)) == []
    assert world.opt_out(content).counts == rehearsed.counts


def test_it_is_on_record_that_the_old_opt_outs_were_imported(world: World) -> None:
    world.opt_out("email\nann@example.org\nnope\n")
    assert world.all(select(OptOutDeclaration.id)) == []
    world.opt_out("jo@example.org\n")
    assert world.all(select(OptOutDeclaration.controller_id, OptOutDeclaration.statement)) == [
        (world.controller_id(), IMPORTED)
    ]
    actions = [action for (action,) in world.all(select(AuditEvent.action))]
    assert actions.count("suppress.import.finish") == 2


def test_opt_outs_of_one_controller_are_not_anothers(world: World) -> None:
    world.opt_out("jo@example.org\n", controller="barnet")
    assert world.all(select(Block.controller_id)) == [(world.controller_id("barnet"),)]


@pytest.mark.parametrize("content", ["name\nJo\n", "a,b\njo@example.org,x\n", ""])
def test_file_without_addresses_is_refused(world: World, content: str) -> None:
    with pytest.raises(FileError):
        world.opt_out(content)


class TestOnePurpose:
    """A list of people who left one kind of messages, and no more than that."""

    LIST = "email,mobile\njo@example.org,07400123456\n"

    def blocks(self, world: World, address: str = "jo@example.org") -> set[tuple[str, int]]:
        query = select(Block.channel, Block.purpose_id).where(
            Block.address_id == world.address_id(address), Block.cause == BlockCause.OPT_OUT
        )
        return set(world.all(query))

    def agree(self, world: World) -> None:
        for purpose in PURPOSES:
            world.bring_in(
                "email,consent_purpose,consent_channel,consent_notice,consent_at,consent_method,"
                "consent_source\n"
                f"jo@example.org,{purpose},email,web-form,2026-05-07,web-form,/join\n",
                name=f"{purpose}.csv",
            )

    def test_it_blocks_that_purpose_alone(self, world: World) -> None:
        self.agree(world)
        report = world.opt_out(self.LIST, purpose="fundraising")
        assert self.blocks(world) == {("email", world.purpose_id("fundraising"))}
        assert self.blocks(world, "07400123456") == {("sms", world.purpose_id("fundraising"))}
        assert report.counts.opt_outs_recorded == 2
        assert world.refusal("jo@example.org", "fundraising") is Reason.SUPPRESSED
        assert world.refusal("jo@example.org") is None

    def test_repeated_it_changes_nothing(self, world: World) -> None:
        for content in (self.LIST, "email,opt_out_at\njo@example.org,2024-05-07\n"):
            world.opt_out(content, purpose="fundraising")
            before = world.all(select(func.count()).select_from(SuppressionEvent))
            again = world.opt_out(content, purpose="fundraising")
            assert again.counts.opt_outs_recorded == 0
            assert world.all(select(func.count()).select_from(SuppressionEvent)) == before

    @pytest.mark.parametrize("purpose_first", [True, False])
    def test_a_wider_no_stands_beside_it(self, world: World, *, purpose_first: bool) -> None:
        """Whoever lifts the wider one must find the narrower one still there."""
        for purpose in ("fundraising", None) if purpose_first else (None, "fundraising"):
            report = world.opt_out("jo@example.org\n", purpose=purpose)
            assert report.counts.opt_outs_recorded == 1
        assert self.blocks(world) == {("email", 0), ("email", world.purpose_id("fundraising"))}

    def test_one_that_the_person_lifted_is_not_set_again(self, world: World) -> None:
        content = "email,opt_out_at\njo@example.org,2024-05-07\n"
        world.opt_out(content, purpose="fundraising")
        scope = BlockScope(
            world.address_id("jo@example.org"),
            world.controller_id(),
            "email",
            world.purpose_id("fundraising"),
        )
        with world.store.write() as session:
            act = Suppression(scope, BlockCause.OPT_OUT, NOW, "page", by_person=True, operator="t")
            release(session, act, NOW)
        assert world.opt_out(content, purpose="fundraising").counts.opt_outs_unchanged == 1
        assert self.blocks(world) == set()
        assert world.opt_out(content, purpose="campaign-news").counts.opt_outs_recorded == 1
        assert world.opt_out(content).counts.opt_outs_recorded == 1

    def test_it_says_nothing_of_the_other_opt_outs(self, world: World) -> None:
        world.opt_out(self.LIST, purpose="fundraising")
        assert world.all(select(OptOutDeclaration.id)) == []

    def test_a_purpose_that_is_not_there_stops_nothing_by_halves(self, world: World) -> None:
        with pytest.raises(NotFoundError) as refused:
            world.opt_out(self.LIST, purpose="fund-raising")
        assert refused.value.remedy == "Did you mean fundraising?"
        assert world.all(select(ImportBatch.id)) == []

    def test_one_that_died_is_not_taken_up_by_an_import_of_another_purpose(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(opt_outs, "ROWS_A_CHUNK", 1)
        content = "jo@example.org\nmo@example.org\n"

        def die(done: int, _rows: int) -> None:
            raise KeyboardInterrupt(done)

        with pytest.raises(KeyboardInterrupt):
            world.opt_out(content, purpose="fundraising", progress=die)
        assert world.opt_out(content).counts.opt_outs_recorded == 2
        assert self.blocks(world) == {("email", 0), ("email", world.purpose_id("fundraising"))}
        whole = world.opt_out(content, purpose="fundraising")
        assert (whole.counts.rows, whole.counts.opt_outs_recorded) == (2, 2)
        batches = world.all(select(ImportBatch.rows_done).order_by(ImportBatch.id))
        assert batches == [(2,), (2,)]

    def test_hashes_are_refused(self, world: World) -> None:
        with pytest.raises(UsageError, match="cannot be for one purpose"):
            world.opt_out("0" * 64, purpose="fundraising", hashed=Hashed(HashAlgorithm.SHA256))
        assert world.all(select(ImportBatch.id)) == []
