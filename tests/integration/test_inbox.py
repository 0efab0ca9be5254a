"""The inbox: doubtful replies wait, decisions lift holds only, words go when their time is up."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.checking import check_history
from sender.contacts.addresses import find_address_ids
from sender.errors import NotFoundError, RefusedError
from sender.inbound.inbox import InboxEntry, Wanted, count_messages, is_open, list_messages
from sender.inbound.inbox_decisions import Decided, Decision, decide
from sender.inbound.replies import take_reply
from sender.inbound.retention import Erased, erase_expired
from sender.store.audit import AuditEvent
from sender.store.contacts import Contact
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.inbound import InboxMessage
from sender.store.suppressions import Block, SuppressionPayload
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.vocabulary import BlockCause, Channel, DeliveryState, ReplyMeaning
from tests.support.factory import (
    HASHER,
    NOW,
    OPERATOR,
    Organisation,
    add_batch,
    add_campaign,
    add_contact,
    add_delivery,
    add_point,
    add_run,
    address_id_of,
    new_address,
)
from tests.support.reply_desk import (
    NUMBER_OF_A,
    NUMBER_OF_B,
    PERSON,
    SHARED,
    ReplyDesk,
    open_desk,
    texted,
)
from tests.support.waiting import Rival

SMS = Channel.SMS
DOUBTFUL = "not interested"


@pytest.fixture
def desk(store: Store) -> ReplyDesk:
    return open_desk(store)


def settle(
    desk: ReplyDesk,
    decision: Decision,
    *ids: int,
    body: Organisation | None = None,
    now: datetime | None = None,
) -> Decided:
    desk.now += timedelta(minutes=1)
    wanted = ids or [row.id for row in desk.inbox()]
    with desk.store.write() as session:
        return decide(
            session,
            (body or desk.a).id,
            wanted,
            decision,
            operator="olive",
            now=now or desk.now,
        )


def listed(desk: ReplyDesk, body: Organisation | None = None, **wanted: object) -> list[InboxEntry]:
    with desk.store.read() as session:
        chosen = Wanted(**wanted)  # type: ignore[arg-type]  # fields by name
        return list_messages(session, (body or desk.a).id, chosen)


class TestListing:
    def test_only_what_is_open_is_listed_the_longest_waiting_first(self, desk: ReplyDesk) -> None:
        for body in (DOUBTFUL, "STOP", "enough", "Yes I'll vote"):
            desk.text(body)
        assert [one.body for one in listed(desk)] == [DOUBTFUL, "enough"]
        first = listed(desk)[0]
        assert (first.is_open, first.rule, first.channel) == (True, "not-interested", SMS)

    def test_all_of_them_are_listed_with_what_became_of_them(self, desk: ReplyDesk) -> None:
        for body in (DOUBTFUL, "STOP", "enough", "Yes I'll vote"):
            desk.text(body)
        settle(desk, Decision.NOT_A_STOP, desk.inbox()[2].id)
        found = listed(desk, everything=True)
        assert [one.body for one in found] == [DOUBTFUL, "Yes I'll vote", "enough", "STOP"]
        assert (found[2].decided_as, found[2].decided_by) == (ReplyMeaning.OTHER, "olive")

    def test_a_limit_leaves_some_out_and_the_count_says_so(self, desk: ReplyDesk) -> None:
        for _ in range(3):
            desk.text(DOUBTFUL)
        assert len(listed(desk, limit=2)) == 2
        with desk.store.read() as session:
            assert count_messages(session, desk.a.id, Wanted(limit=2)) == 3

    def test_a_rule_chooses(self, desk: ReplyDesk) -> None:
        desk.text(DOUBTFUL)
        desk.text("enough")
        [rule] = {one.rule for one in listed(desk) if one.body == "enough"}
        assert [one.body for one in listed(desk, rule=rule)] == ["enough"]
        assert listed(desk, rule="never-heard-of") == []

    def test_nobody_elses_messages_are_seen(self, desk: ReplyDesk) -> None:
        desk.text(DOUBTFUL, NUMBER_OF_B)
        assert listed(desk, everything=True) == []
        assert len(listed(desk, desk.b)) == 1

    def test_an_address_is_plain_only_where_the_controller_knows_it(self, desk: ReplyDesk) -> None:
        with desk.store.write() as session:
            add_point(session, add_contact(session, desk.b.controller), PERSON, channel=SMS)
        desk.text(DOUBTFUL, SHARED)
        [at_a], [at_b] = listed(desk), listed(desk, desk.b)
        assert (at_a.address, at_b.address) == ("", PERSON)
        assert at_a.key_hash == HASHER.hash(SMS, PERSON).hex()


class TestDecisions:
    def test_a_stop_opts_out_and_ends_the_hold(self, desk: ReplyDesk) -> None:
        desk.text(DOUBTFUL)
        written = desk.now
        assert settle(desk, Decision.STOP) == Decided(1, 1, released=1, still_held=0)
        assert desk.blocks() == desk.opted_out(desk.a)
        held, stopped, released = desk.events()
        assert (stopped.source, stopped.by_person, stopped.occurred_at) == (
            "stop:inbox", True, written,
        )  # fmt: skip
        assert (released.by_person, released.cause) == (False, BlockCause.HOLD)
        assert (held.operator, stopped.operator, released.operator) == ("sender", "olive", "olive")
        with desk.store.read() as session:
            evidence = session.get_one(SuppressionPayload, released.id).payload
        assert evidence == {"inbox_messages": [desk.inbox()[0].id], "decided": "stop"}

    def test_a_start_after_it_is_the_persons_own(self, desk: ReplyDesk) -> None:
        desk.text(DOUBTFUL)
        settle(desk, Decision.STOP)
        desk.text("START")
        assert desk.blocks() == set()

    def test_no_stop_ends_the_hold_and_nothing_else(self, desk: ReplyDesk) -> None:
        desk.text("please remove me")
        desk.text(DOUBTFUL)
        settle(desk, Decision.NOT_A_STOP, desk.inbox()[1].id)
        assert desk.blocks() == desk.opted_out(desk.a)

    def test_an_objection_stops_every_address_of_the_person(self, desk: ReplyDesk) -> None:
        with desk.store.write() as session:
            contact = add_contact(session, desk.a.controller)
            add_point(session, contact, PERSON, channel=SMS)
            add_point(session, contact, "ann@example.org")
        desk.text(DOUBTFUL)
        written = desk.now
        settle(desk, Decision.OBJECTION)
        assert desk.blocks() == {(desk.a.id, "*", BlockCause.OBJECTION)}
        assert len([one for one in desk.events() if one.cause is BlockCause.OBJECTION]) == 2
        with desk.store.read() as session:
            assert session.scalars(select(Contact.objected_at)).all() == [written]

    def test_each_decision_is_in_the_audit_trail(self, desk: ReplyDesk) -> None:
        desk.text(DOUBTFUL)
        desk.text("enough")
        settle(desk, Decision.OBJECTION)
        with desk.store.read() as session:
            rows = session.scalars(
                select(AuditEvent).where(AuditEvent.action == "inbox.decide")
            ).all()
        assert [(row.operator, row.controller_id, row.details) for row in rows] == [
            ("olive", desk.a.id, {"message": one.id, "decided": "objection"})
            for one in desk.inbox()
        ]

    def test_the_hold_stays_while_another_message_waits(self, desk: ReplyDesk) -> None:
        desk.text(DOUBTFUL)
        desk.text("enough")
        first, second = (one.id for one in desk.inbox())
        assert settle(desk, Decision.NOT_A_STOP, first).still_held == 1
        assert desk.blocks() == desk.held(desk.a)
        assert settle(desk, Decision.NOT_A_STOP, second).released == 1
        assert desk.blocks() == set()

    def test_a_hold_that_something_else_set_stays(self, desk: ReplyDesk) -> None:
        desk.text(DOUBTFUL)
        with desk.store.write() as session:
            act = Suppression(
                scope=BlockScope(address_id_of(session, PERSON, SMS), desk.a.id, "sms"),
                cause=BlockCause.HOLD,
                occurred_at=desk.now,
                source="under-age",
                by_person=False,
                operator=OPERATOR,
            )
            suppress(session, [act], desk.now)
        assert settle(desk, Decision.NOT_A_STOP).still_held == 1
        assert desk.blocks() == desk.held(desk.a)

    def test_a_hold_set_at_the_moment_of_the_decision_stays(self, desk: ReplyDesk) -> None:
        desk.text(DOUBTFUL)
        assert settle(desk, Decision.STOP, now=desk.now).still_held == 1
        assert desk.blocks() == desk.held(desk.a) | desk.opted_out(desk.a)

    def test_another_controllers_hold_is_its_own(self, desk: ReplyDesk) -> None:
        desk.text(DOUBTFUL, SHARED)
        settle(desk, Decision.NOT_A_STOP, desk.inbox()[0].id)
        assert desk.blocks() == desk.held(desk.b)

    def test_another_controllers_message_cannot_be_decided(self, desk: ReplyDesk) -> None:
        desk.text(DOUBTFUL)
        desk.text(DOUBTFUL, NUMBER_OF_B)
        with pytest.raises(NotFoundError, match="no message"):
            settle(desk, Decision.STOP)
        assert desk.blocks() == desk.held(desk.a, desk.b)
        assert {one.decided_at for one in desk.inbox()} == {None}

    @pytest.mark.parametrize("body", ["please remove me", "START", "Yes I'll vote"])
    def test_what_never_was_in_doubt_is_not_made_no_stop(self, desk: ReplyDesk, body: str) -> None:
        desk.text(body)
        before = desk.blocks()
        with pytest.raises(RefusedError, match="not open"):
            settle(desk, Decision.NOT_A_STOP)
        assert desk.blocks() == before

    def test_a_stop_by_decision_is_not_taken_back_by_one(self, desk: ReplyDesk) -> None:
        desk.text(DOUBTFUL)
        settle(desk, Decision.STOP)
        with pytest.raises(RefusedError, match="not open"):
            settle(desk, Decision.NOT_A_STOP)
        assert desk.blocks() == desk.opted_out(desk.a)

    def test_what_was_passed_over_can_be_made_a_stop(self, desk: ReplyDesk) -> None:
        desk.text("Yes I'll vote")
        desk.text(DOUBTFUL)
        settle(desk, Decision.NOT_A_STOP, desk.inbox()[1].id)
        settle(desk, Decision.STOP)
        assert desk.blocks() == desk.opted_out(desk.a)

    def test_the_message_that_was_answered_learns_of_the_stop(self, desk: ReplyDesk) -> None:
        with desk.store.write() as session:
            _, version = add_campaign(session, desk.a.controller)
            point = add_point(session, add_contact(session, desk.a.controller), PERSON, channel=SMS)
            run = add_run(session, desk.a, version, channel=SMS)
            delivery = add_delivery(
                session, run, point, state=DeliveryState.ACCEPTED, dispatched_at=NOW
            )
        desk.text(DOUBTFUL)
        written = desk.now
        settle(desk, Decision.STOP)
        with desk.store.read() as session:
            assert session.get_one(Delivery, delivery.id).opted_out_at == written

    def test_many_are_decided_at_once(self, desk: ReplyDesk) -> None:
        for number in range(20):
            desk.text(DOUBTFUL, sender=f"+4479110{number // 2:05}")
        assert settle(desk, Decision.STOP) == Decided(20, 10, released=10, still_held=0)
        with desk.store.read() as session:
            assert check_history(session, lambda _: None).faults == ()

    @pytest.mark.parametrize("dialect", ["postgresql"])
    def test_a_doubt_that_arrives_during_the_decision_keeps_the_hold(self, desk: ReplyDesk) -> None:
        desk.text(DOUBTFUL)
        [message] = desk.inbox()
        decided_at = desk.now + timedelta(minutes=1)
        later = desk.now + timedelta(minutes=2)

        def doubt() -> None:
            with desk.store.write() as session:
                take_reply(session, desk.context, texted("enough"), later)

        rival = Rival(desk.store, doubt)
        with desk.store.write() as session:
            decide(
                session, desk.a.id, [message.id], Decision.NOT_A_STOP,
                operator="olive", now=decided_at,
            )  # fmt: skip
            rival.start()
        rival.finish()
        assert desk.blocks() == desk.held(desk.a)

    @pytest.mark.parametrize("dialect", ["postgresql"])
    def test_a_decision_waits_for_a_doubt_that_is_being_taken_in(self, desk: ReplyDesk) -> None:
        desk.text(DOUBTFUL)
        [message] = desk.inbox()
        arrived, decided = desk.now + timedelta(minutes=1), desk.now + timedelta(minutes=2)
        late = Rival(desk.store, lambda: settle(desk, Decision.NOT_A_STOP, message.id, now=decided))
        with desk.store.write() as session:
            take_reply(session, desk.context, texted("enough"), arrived)
            late.start()
        late.finish()
        assert desk.blocks() == desk.held(desk.a)

    @pytest.mark.parametrize("dialect", ["postgresql"])
    def test_of_two_operators_the_second_is_told(self, desk: ReplyDesk) -> None:
        desk.text(DOUBTFUL)
        [message] = desk.inbox()
        late = Rival(desk.store, lambda: settle(desk, Decision.NOT_A_STOP, message.id))
        with desk.store.write() as session:
            decide(
                session, desk.a.id, [message.id], Decision.STOP,
                operator="otto", now=desk.now + timedelta(minutes=1),
            )  # fmt: skip
            late.start()
        with pytest.raises(RefusedError, match="not open"):
            late.finish()
        assert desk.blocks() == desk.opted_out(desk.a)


class TestRetention:
    def test_words_and_payloads_go_when_their_time_is_up(self, store: Store) -> None:
        desk = open_desk(store, inbox_retention_days=30, event_retention_days=10)
        for body in ("STOP", DOUBTFUL, "enough", "Yes I'll vote"):
            desk.text(body)
        settle(desk, Decision.NOT_A_STOP, desk.inbox()[1].id)
        assert erase(desk, 9) == Erased(0, 0)
        assert erase(desk, 11) == Erased(0, 4)
        assert erase(desk, 31) == Erased(3, 0)
        assert [one.body for one in desk.inbox()] == [None, None, "enough", None]
        assert [told.payload for told in desk.notifications()] == [None] * 4
        assert desk.blocks() == desk.opted_out(desk.a) | desk.held(desk.a)

    def test_what_waits_keeps_its_words_until_it_is_decided(self, desk: ReplyDesk) -> None:
        desk.text(DOUBTFUL)
        erase(desk, 3650)
        assert [one.body for one in listed(desk)] == [DOUBTFUL]
        settle(desk, Decision.STOP)
        erase(desk, 3650)
        assert [one.body for one in listed(desk, everything=True)] == [None]

    def test_erased_words_can_still_be_decided_on(self, desk: ReplyDesk) -> None:
        desk.text("Yes I'll vote")
        erase(desk, 3650)
        settle(desk, Decision.STOP)
        assert desk.blocks() == desk.opted_out(desk.a)

    def test_a_long_backlog_is_told(self) -> None:
        assert Erased(5_000, 0).is_all is False
        assert Erased(4_999, 12).is_all is True

    def test_an_erased_notification_is_still_known(self, desk: ReplyDesk) -> None:
        reply = texted("STOP")
        desk.take(reply)
        erase(desk, 3650)
        assert desk.take(reply).again is True


def erase(desk: ReplyDesk, days: int) -> Erased:
    with desk.store.write() as session:
        return erase_expired(session, desk.now + timedelta(days=days))


# One person, two controllers, any order of acts.

TEXTS = ["STOP", "please remove me", "START", "start please", DOUBTFUL, "Yes I'll vote"]
NUMBERS = [NUMBER_OF_A, NUMBER_OF_B, SHARED]
ELSEWHERE = ["page", "import", "letter", "provider:21610"]
ACTS = st.one_of(
    st.tuples(st.just("text"), st.sampled_from(TEXTS), st.sampled_from(NUMBERS)),
    st.tuples(st.just("set"), st.sampled_from(ELSEWHERE), st.sampled_from(NUMBERS[:2])),
    st.tuples(st.just("decide"), st.sampled_from(list(Decision)), st.sampled_from(NUMBERS[:2])),
)


class Model:
    """What the rules say in a few words: the opt-outs of one controller and their sources."""

    def __init__(self) -> None:
        self.sources: set[str] = set()
        self.doubts = 0
        self.objected = False

    def text(self, body: str) -> None:
        if body in TEXTS[:2]:
            self.sources.add("stop")
        if body in TEXTS[2:4] and self.sources <= {"stop", "provider:21610"}:
            self.sources.clear()
        self.doubts += body == DOUBTFUL

    def settled(self, decision: Decision) -> None:
        if self.doubts and decision is Decision.STOP:
            self.sources.add("stop")
        self.objected |= bool(self.doubts) and decision is Decision.OBJECTION
        self.doubts = 0

    def blocks(self) -> set[BlockCause]:
        found = {BlockCause.OPT_OUT} if self.sources else set()
        found |= {BlockCause.HOLD} if self.doubts else set()
        return found | ({BlockCause.OBJECTION} if self.objected else set())


class History:
    """The acts of one new person, done in earnest and in the model."""

    def __init__(self, desk: ReplyDesk) -> None:
        self.desk = desk
        self.sender = new_address(SMS)
        self.models = {desk.a.id: Model(), desk.b.id: Model()}

    def add(self, how: str, what: str, number: str) -> None:
        meant = {NUMBER_OF_A: [self.desk.a], NUMBER_OF_B: [self.desk.b]}
        bodies = meant.get(number, [self.desk.a, self.desk.b])
        if how == "text":
            self.desk.text(what, number, sender=self.sender)
        for body in bodies:
            model = self.models[body.id]
            if how == "text":
                model.text(what)
            elif how == "set":
                self._set(body, what)
                model.sources.add(what)
            else:
                self._decide(body, Decision(what))
                model.settled(Decision(what))

    def causes(self, body: Organisation) -> set[BlockCause]:
        with self.desk.store.read() as session:
            blocks = session.scalars(
                select(Block).where(
                    Block.address_id == self._address_id(session), Block.controller_id == body.id
                )
            )
            return {row.cause for row in blocks}

    def _address_id(self, session: Session) -> int:
        known = find_address_ids(session, HASHER, SMS, [self.sender])
        return known.get(self.sender, 0)

    def _set(self, body: Organisation, source: str) -> None:
        self.desk.now += timedelta(minutes=1)
        with self.desk.store.write() as session:
            batch = add_batch(session, body.controller) if source == "import" else None
            act = Suppression(
                scope=BlockScope(address_id_of(session, self.sender, SMS), body.id, "sms"),
                cause=BlockCause.OPT_OUT,
                occurred_at=self.desk.now,
                source=source,
                by_person=True,
                operator=OPERATOR,
                batch_id=batch.id if batch else None,
            )
            suppress(session, [act], self.desk.now)

    def _decide(self, body: Organisation, decision: Decision) -> None:
        with self.desk.store.read() as session:
            waiting = session.scalars(
                select(InboxMessage.id).where(
                    is_open(),
                    InboxMessage.controller_id == body.id,
                    InboxMessage.address_id == self._address_id(session),
                )
            ).all()
        if waiting:
            settle(self.desk, decision, *waiting, body=body)


@settings(max_examples=40)
@given(acts=st.lists(ACTS, max_size=12))
def test_no_start_lifts_anything_but_a_stops_own(
    desk: ReplyDesk, acts: list[tuple[str, str, str]]
) -> None:
    history = History(desk)
    for act in acts:
        history.add(*act)
        for body in (desk.a, desk.b):
            assert history.causes(body) == history.models[body.id].blocks()


@settings(max_examples=20)
@given(acts=st.lists(ACTS, max_size=8))
def test_after_a_last_stop_the_address_is_blocked(
    desk: ReplyDesk, acts: list[tuple[str, str, str]]
) -> None:
    history = History(desk)
    for act in [*acts, ("text", "STOP", SHARED)]:
        history.add(*act)
    for body in (desk.a, desk.b):
        assert BlockCause.OPT_OUT in history.causes(body)
