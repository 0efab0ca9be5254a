"""A changed address: the old one ends, each no follows at once, a yes once it is confirmed."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.consent.checking import Fault, check_history
from sender.consent.history import Subject
from sender.consent.ledger import ConsentAct, record
from sender.consent.objection import Objection, record_objection
from sender.context import Context
from sender.errors import NotFoundError, RefusedError
from sender.evidence.gather import gather
from sender.evidence.page import evidence_page
from sender.imports.approval import revoke_batch
from sender.store.audit import AuditEvent
from sender.store.consents import ConsentEvent, ConsentPayload, ConsentState
from sender.store.contact_changes import AddressMove
from sender.store.contacts import Contact, ContactPoint
from sender.store.deliveries import Reply
from sender.store.engine import Store
from sender.store.keys import register_key
from sender.store.suppressions import Block, SuppressionEvent
from sender.subjects import move, move_code
from sender.subjects.erase import erase
from sender.subjects.export import export
from sender.subjects.move import LEFT, NewAddress, Told, tell_of_move
from sender.subjects.move_confirm import GivenBack, confirm_move
from sender.subjects.noes import REFUSALS
from sender.subjects.whom import Asked
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.vocabulary import (
    EVERY,
    EVERY_CHANNEL,
    BlockCause,
    Channel,
    ConsentFlaw,
    ConsentKind,
    ContactSource,
)
from tests.support.factory import (
    HASHER,
    NOW,
    OPERATOR,
    Organisation,
    add_batch,
    add_contact,
    add_freeze,
    add_point,
    add_purpose,
    address_id_of,
    block,
    establish,
    new_address,
    record_consent,
)
from tests.support.histories import Barrier, Somebody, two_bodies
from tests.support.histories import World as Histories
from tests.support.one_person import (
    CHANNELS,
    KNOWN_PEOPLE,
    LATER,
    HandClock,
    agreed,
    allowed,
    context_of,
    hold,
    hold_in_force,
    noes,
)

DAY = timedelta(days=1)
OLD, NEW = "ann@example.org", "ann@example.com"


@dataclass
class World:
    """Riverside, and Ann, who agreed at her old address."""

    context: Context
    party: Organisation
    contact: Contact
    old_id: int
    new_id: int
    yes: int

    @property
    def store(self) -> Store:
        return self.context.store

    @property
    def clock(self) -> HandClock:
        clock = self.context.clock
        assert isinstance(clock, HandClock)
        return clock

    def tell(self, new: str = NEW, old: str = OLD) -> Told:
        return tell_of_move(self.context, NewAddress("riverside", Channel.EMAIL, old, new))

    def confirm(self, code: str | None = None, address: str = NEW) -> tuple[str, ...]:
        given_back = code or self.codes()[-1]
        return confirm_move(
            self.context, GivenBack("riverside", Channel.EMAIL, address, given_back, "phone")
        )

    def codes(self) -> list[str]:
        """Read the codes from the messages that lie in the outbox, in order."""
        files = sorted(
            self.context.settings.outbox.rglob("-*.eml"), key=lambda path: path.stat().st_mtime_ns
        )
        found = [re.search(r"your code is ([0-9A-Z]{8})", path.read_text()) for path in files]
        return [match[1] for match in found if match]

    def may_write(self) -> list[bool]:
        with self.store.read() as session:
            found = {one for one, _ in allowed(session, [self.old_id, self.new_id])}
        return [one in found for one in (self.old_id, self.new_id)]

    def faults(self) -> tuple[Fault, ...]:
        with self.store.read() as session:
            return check_history(session, lambda _: None).faults


@pytest.fixture
def world(store: Store, tmp_path: Path) -> World:
    with store.write() as session:
        register_key(session, HASHER, NOW)
        party = establish(session)
        contact = add_contact(session, party.controller, first_name="Ann")
        point = add_point(session, contact, OLD)
        yes = record_consent(session, party, point.address_id)
        new_id = address_id_of(session, NEW)
    return World(context_of(store, tmp_path), party, contact, point.address_id, new_id, yes)


def test_nothing_goes_to_either_address_before_the_new_one_is_confirmed(world: World) -> None:
    assert world.may_write() == [True, False]
    told = world.tell()
    assert (told.waiting, told.no_code_because) == (("campaign-news",), "")
    assert world.may_write() == [False, False]
    with world.store.read() as session:
        (left,) = session.scalars(select(SuppressionEvent))
        assert (left.source, left.cause, left.by_person) == (LEFT, BlockCause.INVALID, False)
        assert session.scalars(select(ContactPoint.address)).all() == [OLD]


def test_the_code_brings_the_consent_with_what_it_rests_on(world: World) -> None:
    world.tell()
    [code] = world.codes()
    assert world.confirm(f" {code.lower()} ") == ("campaign-news",)
    assert world.may_write() == [False, True]
    with world.store.read() as session:
        old = session.get_one(ConsentEvent, world.yes)
        moved = session.scalars(select(ConsentEvent).order_by(ConsentEvent.id.desc())).first()
        assert moved is not None
        assert (moved.address_id, moved.occurred_at) == (world.new_id, old.occurred_at)
        assert (moved.kind, moved.notice_id) == (ConsentKind.GIVEN, old.notice_id)
        assert moved.method == "address-move"
        assert moved.source == f"event {old.id}; new address confirmed 2026-05-07 by phone"
        payload = session.get_one(ConsentPayload, moved.id).payload
        assert payload["rests_on_event"] == old.id
        assert payload["code_given_back_by"] == "phone"
        points = session.scalars(select(ContactPoint).order_by(ContactPoint.id)).all()
        assert [(one.contact_id, one.address) for one in points] == [
            (world.contact.id, OLD),
            (world.contact.id, NEW),
        ]
        actions = session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)).all()
        assert actions[-2:] == ["contacts.move", "contacts.move_confirmed"]
    assert world.faults() == ()


def test_it_does_not_make_the_consent_any_fresher(world: World) -> None:
    with world.store.write() as session:
        add_freeze(session, world.party.controller, NOW)
    world.tell()
    world.confirm()
    assert world.may_write() == [False, False]


def test_it_falls_with_the_import_that_it_came_with(world: World) -> None:
    with world.store.write() as session:
        purpose = add_purpose(session, world.party.controller, "fundraising")
        batch = add_batch(session, world.party.controller)
        record_consent(session, world.party, world.old_id, purpose=purpose, batch=batch)
    world.tell()
    assert world.confirm() == ("campaign-news", "fundraising")
    revoke_batch(
        world.store,
        world.clock,
        controller_id=world.party.id,
        batch_id=batch.id,
        operator=OPERATOR,
        because="pre-ticked",
    )
    with world.store.read() as session:
        assert allowed(session, [world.new_id]) == {(world.new_id, world.party.purpose.id)}


def test_a_wrong_code_counts_and_five_spoil_it(world: World) -> None:
    world.tell()
    for left in (4, 3, 2, 1, 0):
        with pytest.raises(RefusedError) as refused:
            world.confirm("WRONG234")
        assert refused.value.remedy == f"Tries left: {left}."
    with pytest.raises(RefusedError, match="no longer"):
        world.confirm()
    assert world.may_write() == [False, False]
    world.clock.current += DAY
    assert world.tell().no_code_because == ""
    world.confirm()
    assert world.may_write() == [False, True]


def test_a_code_lasts_a_week_and_one_goes_out_a_day(world: World) -> None:
    world.tell()
    assert "within the last day" in world.tell().no_code_because
    assert len(world.codes()) == 1
    world.clock.current += timedelta(days=7, seconds=1)
    with pytest.raises(RefusedError, match="no longer"):
        world.confirm()
    world.tell()
    world.confirm()
    with pytest.raises(NotFoundError, match="No code"):
        world.confirm()
    with pytest.raises(RefusedError, match="was confirmed on"):
        world.tell()


def test_another_new_address_takes_the_place_of_one_that_nobody_confirmed(world: World) -> None:
    world.tell("stranger@example.com")
    [stray] = world.codes()
    world.tell()
    with pytest.raises(NotFoundError, match="No code"):
        world.confirm(stray, "stranger@example.com")
    assert world.confirm() == ("campaign-news",)
    with world.store.read() as session:
        assert "stranger@example.com" not in session.scalars(select(ContactPoint.address)).all()


def test_an_objection_follows_at_once_and_no_code_goes_out(world: World) -> None:
    with world.store.write() as session:
        record_objection(
            session, Objection(world.party.id, world.old_id, NOW - DAY, "letter", "olive"), NOW
        )
    told = world.tell()
    assert told.objected
    assert told.no_code_because
    assert world.codes() == []
    with world.store.read() as session:
        block_there = session.scalars(select(Block).where(Block.address_id == world.new_id)).one()
        assert (block_there.cause, block_there.channel) == (BlockCause.OBJECTION, EVERY_CHANNEL)
        assert block_there.set_at == NOW - DAY


def test_an_opt_out_follows_at_once_with_the_time_of_the_act(world: World) -> None:
    with world.store.write() as session:
        event_id = block(session, world.old_id, controller=world.party.controller, channel="email")
    assert (world.tell().blocks, world.codes()) == (1, [])
    with world.store.read() as session:
        there = session.scalars(
            select(SuppressionEvent).where(SuppressionEvent.address_id == world.new_id)
        ).one()
        assert (there.cause, there.occurred_at) == (BlockCause.OPT_OUT, NOW)
        assert there.source == f"address-move: event {event_id}"


@pytest.mark.parametrize("confirmed", [False, True])
def test_an_opt_out_at_the_old_address_afterwards_holds_for_the_new_one(
    world: World, *, confirmed: bool
) -> None:
    """By a link in an old message, say, or with the next import."""
    world.tell()
    if confirmed:
        world.confirm()
    act = Suppression(
        BlockScope(world.old_id, world.party.id, "email"),
        BlockCause.OPT_OUT,
        LATER,
        "one-click",
        by_person=True,
        operator="page",
    )
    with world.store.write() as session:
        assert len(suppress(session, [act], LATER)) == 1
    if not confirmed:
        world.confirm()
    assert world.may_write() == [False, False]
    with world.store.read() as session:
        there = session.scalars(select(Block).where(Block.address_id == world.new_id))
        assert BlockCause.OPT_OUT in {one.cause for one in there}


def test_a_withdrawal_at_the_old_address_afterwards_holds_for_the_new_one(world: World) -> None:
    world.tell()
    world.confirm()
    no = ConsentAct(
        controller_id=world.party.id,
        purpose_id=world.party.purpose.id,
        address_id=world.old_id,
        kind=ConsentKind.WITHDRAWN,
        occurred_at=LATER,
        method="letter",
        source="letter",
        operator="olive",
    )
    with world.store.write() as session:
        assert len(record(session, [no], LATER)) == 1
    assert world.may_write() == [False, False]


def test_a_block_at_all_controllers_follows_only_where_the_move_was_told(world: World) -> None:
    with world.store.write() as session:
        other = establish(session, "hillside")
        record_consent(session, other, world.new_id)
        add_point(session, add_contact(session, other.controller), NEW)
    world.tell()
    with world.store.write() as session:
        block(session, world.old_id, cause=BlockCause.OPT_OUT)
    with world.store.read() as session:
        there = session.scalars(select(Block).where(Block.address_id == world.new_id)).all()
        assert [one.controller_id for one in there] == [world.party.id]
        assert allowed(session, [world.new_id]) == {(world.new_id, other.purpose.id)}


@pytest.mark.parametrize("cause", [BlockCause.OPT_OUT, BlockCause.COMPLAINT, BlockCause.OBJECTION])
def test_a_block_at_all_controllers_from_before_follows_too(
    world: World, cause: BlockCause
) -> None:
    with world.store.write() as session:
        block(session, world.old_id, cause=cause)
    told = world.tell()
    assert (told.blocks, told.objected) == (
        (0, True) if cause == BlockCause.OBJECTION else (1, False)
    )
    with world.store.read() as session:
        there = session.scalars(select(Block).where(Block.address_id == world.new_id)).all()
        assert [(one.controller_id, one.cause) for one in there] == [(world.party.id, cause)]


def test_a_refusal_of_one_purpose_follows_too(world: World) -> None:
    with world.store.write() as session:
        purpose = add_purpose(session, world.party.controller, "fundraising")
        record_consent(session, world.party, world.new_id, purpose=purpose)
        record_consent(
            session, world.party, world.old_id, purpose=purpose, kind=ConsentKind.WITHDRAWN
        )
    assert world.tell().refusals == 1
    assert world.confirm() == ("campaign-news",)
    with world.store.read() as session:
        assert allowed(session, [world.new_id]) == {(world.new_id, world.party.purpose.id)}


def test_each_cause_follows_by_itself(world: World) -> None:
    """Of one scope: a new act of theirs may lift their unsubscribe, and leave the complaint."""
    with world.store.write() as session:
        for cause in (BlockCause.OPT_OUT, BlockCause.COMPLAINT):
            block(session, world.old_id, cause=cause, controller=world.party.controller)
        block(session, world.new_id, controller=world.party.controller)
    assert world.tell().blocks == 1
    with world.store.read() as session:
        there = session.scalars(select(Block.cause).where(Block.address_id == world.new_id))
        assert {*there} == {BlockCause.OPT_OUT, BlockCause.COMPLAINT}


def test_a_yes_of_whoever_has_the_old_address_since_does_not_follow(world: World) -> None:
    world.tell()
    world.clock.current += DAY
    moment = world.clock.now()
    with world.store.write() as session:
        fundraising = add_purpose(session, world.party.controller, "fundraising")
        record_consent(
            session, world.party, world.old_id, purpose=fundraising, occurred_at=moment, now=moment
        )
    assert world.confirm() == ("campaign-news",)
    with world.store.read() as session:
        assert allowed(session, [world.new_id]) == {(world.new_id, world.party.purpose.id)}


def test_a_no_said_at_the_new_address_is_not_overruled(world: World) -> None:
    with world.store.write() as session:
        record_consent(
            session,
            world.party,
            world.new_id,
            kind=ConsentKind.WITHDRAWN,
            occurred_at=NOW - 900 * DAY,
        )
    told = world.tell()
    assert (told.waiting, told.no_code_because) == ((), "No consent waits for it.")
    assert world.may_write() == [False, False]


def test_one_may_move_on_and_come_back(world: World) -> None:
    world.tell()
    world.confirm()
    world.clock.current += DAY
    world.tell(OLD, NEW)
    assert world.may_write() == [False, False]
    world.confirm(address=OLD)
    assert world.may_write() == [True, False]
    with world.store.write() as session:
        block(session, world.old_id, controller=world.party.controller, now=LATER + 2 * DAY)
    assert world.may_write() == [False, False]
    assert world.faults() == ()


def test_an_address_that_bounced_too_is_not_freed_by_coming_back(world: World) -> None:
    world.tell()
    world.confirm()
    with world.store.write() as session:
        block(
            session,
            world.old_id,
            cause=BlockCause.INVALID,
            controller=world.party.controller,
            channel="email",
        )
    world.clock.current += DAY
    assert world.tell(OLD, NEW).no_code_because
    assert world.may_write() == [False, False]


def test_an_address_that_is_no_contacts_may_move_too(world: World) -> None:
    """Where people lie in another database, the ledgers know addresses only."""
    old, new = new_address(), new_address()
    with world.store.write() as session:
        record_consent(session, world.party, address_id_of(session, old))
    world.tell(new, old)
    assert world.confirm(address=new) == ("campaign-news",)
    with world.store.read() as session:
        assert session.scalar(select(func.count()).select_from(ContactPoint)) == 1


def test_what_cannot_be_moved_is_refused_and_changes_nothing(world: World) -> None:
    with world.store.write() as session:
        add_point(session, add_contact(session, world.party.controller), "ben@example.org")
        held = add_point(session, add_contact(session, world.party.controller), "eve@example.org")
        block(session, held.address_id, cause=BlockCause.HOLD, controller=world.party.controller)
    for old, new, error, words in (
        (OLD, OLD, RefusedError, "same"),
        ("nobody@example.org", NEW, NotFoundError, "knows nothing"),
        (OLD, "ben@example.org", RefusedError, "another contact"),
        ("eve@example.org", NEW, RefusedError, "waits"),
    ):
        with pytest.raises(error, match=words):
            world.tell(new, old)
    request = NewAddress("riverside", Channel.EMAIL, OLD, NEW, request_id=77)
    with pytest.raises(NotFoundError, match="request"):
        tell_of_move(world.context, request)
    with world.store.read() as session:
        assert session.scalars(select(AddressMove)).all() == []
        assert session.scalars(select(Reply)).all() == []
    assert world.may_write() == [True, False]


def test_after_an_erasure_nothing_follows(world: World) -> None:
    world.tell()
    erase(world.context, Asked(Channel.EMAIL, OLD, "riverside"))
    with pytest.raises(RefusedError, match="erased"):
        world.confirm()
    assert world.may_write() == [False, False]


def test_evidence_and_export_tell_of_the_move(world: World) -> None:
    world.tell()
    with world.store.read() as session:
        unproven = gather(session, HASHER, Subject("riverside", Channel.EMAIL, NEW), LATER)
    assert unproven.consents == ()  # nobody has shown yet that it is Ann's
    assert not any(
        section.table == "contact"
        for held in export(world.context, Asked(Channel.EMAIL, NEW, "riverside")).controllers
        for section in held.sections
    )
    world.confirm()
    with world.store.read() as session:
        evidence = gather(session, HASHER, Subject("riverside", Channel.EMAIL, NEW), LATER)
    methods = [(one.event == world.yes, one.method) for one in evidence.consents]
    assert methods == [(True, "web-form"), (False, "address-move")]
    (sentence,) = evidence.changes
    said, confirmed = sentence.split("; ")
    assert said == "On 7 May 2026 this was said to be the person's new address"
    assert confirmed == "confirmed on 7 May 2026 by the code that went to the new one."
    assert confirmed in evidence_page(evidence)
    for address in (OLD, NEW):
        (held,) = export(world.context, Asked(Channel.EMAIL, address, "riverside")).controllers
        tables = {section.table: section.rows for section in held.sections}
        assert len(tables["contact_point"]) == 2
        assert len(tables["address_move"]) == 1
        assert len(tables["consent_event"]) == 2


@pytest.fixture
def generated(store: Store) -> Histories:
    """Two controllers, for the histories of all examples."""
    with store.write() as session:
        return two_bodies(session)


def _plain(session: Session, address_id: int) -> str:
    query = select(ContactPoint.address).where(ContactPoint.address_id == address_id)
    return session.scalars(query).first() or ""


def _agreed(session: Session, controller_id: int, address_id: int) -> set[int]:
    """Return the purposes that have a sound yes at the address."""
    state = ConsentState
    query = select(state.purpose_id).where(
        state.controller_id == controller_id,
        state.address_id == address_id,
        state.status.in_((ConsentKind.GIVEN, ConsentKind.RECONFIRMED)),
        state.flaw == ConsentFlaw.NONE,
    )
    return set(session.scalars(query))


_KNOWN = Somebody(
    known_at=(True, False),
    source=ContactSource.DIRECT,
    objected=False,
    erased=False,
    has_other_point=True,
    acts=(),
    barriers=(),
)
_THEIR_CAUSES = [cause for cause in BlockCause if cause.set_by_person]
_SAID_NO = st.builds(
    Barrier,
    cause=st.sampled_from(_THEIR_CAUSES),
    controller=st.sampled_from([None, 0, 0, 1]),
    channel=st.sampled_from([EVERY_CHANNEL, EVERY_CHANNEL, *[one.value for one in Channel]]),
    purpose=st.sampled_from([None, 0, 1]),
    on_other_point=st.just(value=False),
    released=st.just(value=False),
)
_SAID_THRICE = _SAID_NO.map(lambda no: [replace(no, cause=cause) for cause in _THEIR_CAUSES])
_REFUSAL = st.builds(
    replace,
    st.just(agreed(_KNOWN).acts[0]),
    about=st.sampled_from([(0, 0), (0, 1)]),
    kind=st.sampled_from(REFUSALS),
)
_LEAVING = st.builds(
    lambda refusals, noes: replace(
        agreed(_KNOWN), acts=[*agreed(_KNOWN).acts, *refusals], barriers=noes
    ),
    st.lists(_REFUSAL, max_size=1),
    st.lists(_SAID_NO, min_size=1, max_size=3) | st.just([]) | _SAID_THRICE,
)
"""People who may be written to but for what they said: their new address would gain without it."""
_ARRIVING = st.sampled_from(
    [
        replace(_KNOWN, acts=agreed(_KNOWN).acts[first:last])
        for first, last in ((0, 0), (0, 1), (2, 3))
    ]
)
"""Of what nobody said no: with a yes of its own to one purpose, or none; another can follow."""
_OFTEN = st.integers(0, 3).map(bool)


def _set_by_person(
    session: Session, controller_id: int, address_id: int, channel: Channel
) -> dict[tuple[str, int, BlockCause], datetime]:
    """Return what the person set there, each with its time, the earliest where it was set twice."""
    query = select(Block).where(
        Block.address_id == address_id,
        Block.controller_id.in_((EVERY, controller_id)),
        Block.channel.in_((EVERY_CHANNEL, channel.value)),
    )
    found: dict[tuple[str, int, BlockCause], datetime] = {}
    for one in session.scalars(query.order_by(Block.set_at.desc())):
        if one.cause.set_by_person:
            found[one.channel, one.purpose_id, one.cause] = one.set_at
    return found


@settings(max_examples=25)
@given(
    channel=CHANNELS,
    person=_OFTEN.flatmap(lambda often: _LEAVING if often else KNOWN_PEOPLE),
    newcomer=_OFTEN.flatmap(lambda often: _ARRIVING if often else KNOWN_PEOPLE),
)
def test_a_move_lets_nobody_be_written_to_who_could_not_be(
    store: Store,
    generated: Histories,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    channel: Channel,
    person: Somebody,
    newcomer: Somebody,
) -> None:
    monkeypatch.setattr(move_code, "PER_CONTROLLER_A_DAY", 1_000_000)
    monkeypatch.setattr(move, "new_code", lambda: "CODE2345")
    context = context_of(store, tmp_path)
    newcomer = replace(newcomer, known_at=(False, True))
    with store.write() as session:
        old, new = hold(session, generated, channel, [person, newcomer])
        plain = {one: _plain(session, one) for one in (old.address_id, new.address_id)}
    body, purposes = generated.bodies[0], generated.purposes[0]
    ids = [old.address_id, new.address_id]
    with store.read() as session:
        before = allowed(session, ids)
        said = noes(session, body.id, [old.address_id], purposes)
        # Of the new address too: it has a yes of its own there, and only the address was lacking.
        sound = {purpose_id for one in ids for purpose_id in _agreed(session, body.id, one)}
        waits = hold_in_force(session, body.id, [old.address_id])
        left, had = (_set_by_person(session, body.id, one, channel) for one in ids)
    ends = NewAddress(body.controller.slug, channel, plain[old.address_id], plain[new.address_id])
    if waits:
        with pytest.raises(RefusedError, match="waits"):
            tell_of_move(context, ends)
        return
    told = tell_of_move(context, ends)
    with store.read() as session:
        at_once = allowed(session, ids)
        there = _set_by_person(session, body.id, new.address_id, channel)
    assert at_once <= before
    assert {**left, **had}.items() <= there.items()
    if not told.no_code_because:
        given_back = GivenBack(ends.controller, channel, ends.new, "CODE2345", "phone")
        confirm_move(context, given_back)
    with store.read() as session:
        after = allowed(session, ids)
    gained = after - before
    assert gained <= {(new.address_id, purpose_id) for purpose_id in sound}
    for purpose_id in purposes:
        assert (old.address_id, purpose_id) not in after
        if (channel, purpose_id) in said:
            assert (new.address_id, purpose_id) not in after
