"""What came in a file counts once somebody has approved it, and until it is found to be bad."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, literal, select, true, update
from sqlalchemy.orm import Session

from sender.consent.checking import check_history
from sender.consent.eligibility import People, any_of, decisions
from sender.consent.ledger import ConsentAct, Key, record, refold
from sender.consent.person import load_person
from sender.consent.policy import decide
from sender.consent.scopes import load_scope
from sender.errors import NotFoundError, RefusedError
from sender.imports import approval
from sender.imports.approval import BatchView, approve_batch, look_at_batch, revoke_batch
from sender.store.audit import AuditEvent
from sender.store.consents import ConsentState, Notice
from sender.store.contacts import ContactPoint, ImportBatch
from sender.store.engine import open_store
from sender.vocabulary import Channel, ConsentKind, Reason
from tests.support.import_world import World, build_world

COLUMNS = (
    "email,first_name,consent_purpose,consent_channel,consent_notice,consent_at,consent_method,"
    "consent_source\n"
)
ANN = "ann@example.org"


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    store = open_store(database_url)
    yield build_world(store, tmp_path)
    store.close()


def agreed(name: str, at: str = "2026-05-07 10:00") -> str:
    return f"{name}@example.org,{name.title()},campaign-news,email,web-form,{at},web-form,/join\n"


def bring_in(world: World, rows: str = "", *, approved: bool = False) -> int:
    report = world.bring_in(COLUMNS + (rows or agreed("ann")), approved=approved)
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


def look(world: World, batch_id: int) -> BatchView:
    with world.store.read() as session:
        return look_at_batch(session, world.controller_id(), batch_id)


def refusal(world: World, raw: str = ANN) -> Reason | None:
    """Return why not, as the pure policy and the SQL say alike."""
    address_id, controller_id = world.address_id(raw), world.controller_id()
    purpose_id, channel = world.purpose_id("campaign-news"), Channel.EMAIL
    with world.store.read() as session:
        person = load_person(
            session,
            address_id=address_id,
            controller_id=controller_id,
            channel=channel,
            purpose_id=purpose_id,
        )
        scope = load_scope(
            session,
            controller_id=controller_id,
            channel=channel,
            purpose_id=purpose_id,
            at=world.clock.now(),
            instigates=False,
        )
        rows = select(
            ContactPoint.address_id.label("key"),
            ContactPoint.address_id,
            literal(True).label("has_address"),
            ContactPoint.contact_id,
        ).where(ContactPoint.address_id == address_id, true())
        people = People(rows.subquery("people"), any_of([address_id]))
        [row] = session.execute(decisions(people, [scope])).mappings()
    decision = decide(person, scope)
    assert decision.refusal == row["reason"]
    return decision.refusal


def require_sound(world: World) -> None:
    with world.store.read() as session:
        assert check_history(session, lambda _table: None).faults == ()


def test_a_yes_from_a_file_counts_once_it_is_approved(world: World) -> None:
    batch_id = bring_in(world)
    assert refusal(world) is Reason.NO_CONSENT
    require_sound(world)
    assert world.approve(batch_id) == 1
    assert refusal(world) is None
    require_sound(world)


def test_a_no_from_a_file_counts_at_once(world: World) -> None:
    world.bring_in("email,opt_out\nann@example.org,all\n", approved=False)
    assert refusal(world) is Reason.OBJECTED


def test_what_waits_does_not_touch_a_yes_that_the_person_gave(world: World) -> None:
    world.bring_in("email,first_name\nann@example.org,Ann\n")
    give(world, "2026-01-07")
    before = world.all(select(ConsentState.__table__))
    batch_id = bring_in(world)
    assert refusal(world) is None
    assert world.all(select(ConsentState.__table__)) == before
    world.approve(batch_id)
    revoke(world, batch_id)
    assert world.all(select(ConsentState.__table__)) == before
    require_sound(world)


def give(world: World, day: str) -> None:
    with world.store.write() as session:
        notice_id = session.scalars(select(Notice.id).where(Notice.slug == "web-form")).first()
        act = ConsentAct(
            controller_id=world.controller_id(),
            purpose_id=world.purpose_id("campaign-news"),
            address_id=world.address_id(ANN),
            kind=ConsentKind.GIVEN,
            occurred_at=world.clock.now().fromisoformat(f"{day}T10:00:00+00:00"),
            method="web-form",
            source="/join",
            operator="tester",
            notice_id=notice_id,
        )
        record(session, [act], world.clock.now())


def test_a_revoked_batch_never_counts_again_and_its_noes_stay(world: World) -> None:
    rows = agreed("ann") + agreed("ben")
    batch_id = bring_in(world, rows, approved=True)
    world.opt_out("email\nben@example.org\n")
    assert revoke(world, batch_id) == 2
    assert refusal(world) is Reason.INVALIDATED
    assert refusal(world, "ben@example.org") is Reason.SUPPRESSED
    require_sound(world)
    with pytest.raises(RefusedError, match="revoked"):
        world.approve(batch_id)


def test_a_batch_may_be_revoked_that_nobody_approved(world: World) -> None:
    batch_id = bring_in(world)
    revoke(world, batch_id)
    assert refusal(world) is Reason.INVALIDATED
    require_sound(world)


def test_a_new_yes_of_the_person_counts_after_a_revocation(world: World) -> None:
    revoke(world, bring_in(world, approved=True))
    give(world, "2026-11-20")
    assert refusal(world) is None


def test_a_revocation_is_obeyed_before_all_states_are_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = bring_in(world, approved=True)
    world.clock.sleep(60)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(approval, "refold", die)
        with pytest.raises(KeyboardInterrupt):
            revoke(world, batch_id)
    assert refusal(world) is Reason.INVALIDATED
    with world.store.read() as session:
        faults = check_history(session, lambda _table: None).faults
    assert "import_batch" in {fault.table for fault in faults}
    assert revoke(world, batch_id) == 1
    assert refusal(world) is Reason.INVALIDATED
    require_sound(world)


def test_an_approval_that_was_cut_short_is_carried_through_when_it_is_said_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval, "_AT_ONCE", 1)
    batch_id = bring_in(world, agreed("ann") + agreed("ben") + agreed("cat"))
    done: list[int] = []

    def once(session: Session, keys: Sequence[Key]) -> None:
        if done:
            raise KeyboardInterrupt
        done.append(1)
        refold(session, keys)

    with monkeypatch.context() as broken:
        broken.setattr(approval, "refold", once)
        with pytest.raises(KeyboardInterrupt):
            world.approve(batch_id)
    assert world.all(select(func.count()).select_from(ConsentState)) == [(1,)]
    assert world.approve(batch_id) == 3
    assert world.all(select(func.count()).select_from(ConsentState)) == [(3,)]
    [approvals] = world.all(
        select(func.count()).where(AuditEvent.action == "contacts.batch.approve")
    )
    assert approvals == (1,)
    require_sound(world)


def test_who_brought_a_file_in_may_not_approve_it_where_another_is_asked_for(world: World) -> None:
    batch_id = bring_in(world)
    for by_another in (True, False):
        approving = {
            "controller_id": world.controller_id(),
            "batch_id": batch_id,
            "operator": "tester",
            "by_another": by_another,
        }
        if by_another:
            with pytest.raises(RefusedError, match="somebody else"):
                approve_batch(world.store, world.clock, **approving)  # type: ignore[arg-type]  # of several types
        else:
            assert approve_batch(world.store, world.clock, **approving) == 1  # type: ignore[arg-type]  # as above


def test_a_file_that_was_not_brought_in_whole_is_not_approved(world: World) -> None:
    batch_id = bring_in(world)
    with world.store.write() as session:
        session.execute(update(ImportBatch).values(finished_at=None))
    with pytest.raises(RefusedError, match="whole"):
        world.approve(batch_id)


def test_another_controllers_batch_is_none(world: World) -> None:
    batch_id = bring_in(world)
    with pytest.raises(NotFoundError, match="no import batch"):
        world.approve(batch_id, "barnet")


def test_a_sample_is_spread_over_the_file(world: World) -> None:
    names = [f"p{number:03}" for number in range(100)]
    minutes = (f"2026-05-07 {number // 60:02}:{number % 60:02}" for number in range(100))
    rows = "".join(agreed(name, at) for name, at in zip(names, minutes, strict=True))
    view = look(world, bring_in(world, rows))
    assert (view.consents, len(view.sample)) == (100, 20)
    assert [one.name for one in view.sample[:2]] == ["P000", "P005"]
    assert view.sample[0].notice == "web-form@2"
    assert view.warnings == []


def test_equal_times_are_odd(world: World) -> None:
    rows = "".join(agreed(f"p{number}") for number in range(30))
    [warning] = look(world, bring_in(world, rows)).warnings
    assert "30 of 30 consents bear the same time, 2026-05-07" in warning


def test_consents_for_nothing_and_very_old_ones_are_odd(world: World) -> None:
    rows = agreed("ann").replace("web-form", "bought", 1) + agreed("ben", "2022-05-07 10:00")
    first, second = look(world, bring_in(world, rows)).warnings
    assert "1 consents count for nothing: third party." in first
    assert "three years" in second
