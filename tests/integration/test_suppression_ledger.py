"""Blocks: set by anybody, released only by whom may, and by nothing older than they are."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.consent.checking import check_history
from sender.errors import RefusedError
from sender.store.audit import Chain
from sender.store.chain import SUPPRESSION_LEDGER
from sender.store.chain_check import verify
from sender.store.contacts import Contact
from sender.store.engine import Store
from sender.store.portable import CHUNK
from sender.store.suppressions import Block, SuppressionEvent, SuppressionPayload
from sender.suppression.ledger import BlockScope, Suppression, release, suppress
from sender.vocabulary import EVERY, EVERY_CHANNEL, BlockCause, SuppressionAct
from tests.support.factory import NOW, OPERATOR, add_batch, address_id_of, establish

HOUR = timedelta(hours=1)
BY_OPERATOR = [cause for cause in BlockCause if not cause.set_by_person]
BY_PERSON = [cause for cause in BlockCause if cause.set_by_person]


def act(scope: BlockScope, cause: BlockCause = BlockCause.OPT_OUT, **changed: Any) -> Suppression:
    usual = Suppression(
        scope=scope,
        cause=cause,
        occurred_at=NOW - HOUR,
        source="stop",
        by_person=cause.set_by_person,
        operator=OPERATOR,
    )
    return replace(usual, **changed)


def lifted(of: Suppression, **changed: Any) -> Suppression:
    """The same person's later act, with evidence in case an operator is meant."""
    usual = replace(of, occurred_at=of.occurred_at + HOUR / 2, personal={"evidence": "letter"})
    return replace(usual, **changed)


def blocks(session: Session) -> list[Block]:
    return list(session.scalars(select(Block).order_by(Block.cause)))


def events(session: Session) -> list[SuppressionEvent]:
    return list(session.scalars(select(SuppressionEvent).order_by(SuppressionEvent.id)))


def test_an_opt_out_needs_no_contact_delivery_or_campaign(store: Store) -> None:
    with store.write() as session:
        scope = BlockScope(address_id_of(session), controller_id=None)
        (event_id,) = suppress(session, [act(scope, personal={"body": "STOP"})], NOW)
        assert session.scalar(select(func.count()).select_from(Contact)) == 0
    with store.read() as session:
        (block,) = blocks(session)
        assert (block.controller_id, block.channel, block.purpose_id) == (EVERY, "*", EVERY)
        assert (block.event_id, block.set_at) == (event_id, NOW - HOUR)
        (event,) = events(session)
        assert (event.controller_id, event.purpose_id, event.recorded_at) == (None, None, NOW)
        assert session.scalars(select(SuppressionPayload.payload)).one() == {"body": "STOP"}


def test_a_second_stop_is_history_and_the_first_block_stays(store: Store) -> None:
    with store.write() as session:
        scope = BlockScope(address_id_of(session), controller_id=None)
        first, second = suppress(session, [act(scope), act(scope, occurred_at=NOW)], NOW)
        assert [event.id for event in events(session)] == [first, second]
        assert [block.event_id for block in blocks(session)] == [first]


def test_an_opt_out_of_the_future_is_taken_as_of_now(store: Store) -> None:
    """A provider's clock that is fast must not cost a no."""
    with store.write() as session:
        scope = BlockScope(address_id_of(session), controller_id=None)
        suppress(session, [act(scope, occurred_at=NOW + HOUR)], NOW)
        assert [block.set_at for block in blocks(session)] == [NOW]


def test_a_block_on_a_channel_that_there_is_not_is_no_block() -> None:
    with pytest.raises(ValueError, match="E-Mail"):
        BlockScope(1, controller_id=None, channel="E-Mail")


def test_more_acts_than_a_statement_holds(store: Store) -> None:
    with store.write() as session:
        address_id = address_id_of(session)
        acts = [act(BlockScope(address_id, controller_id=None))] * (CHUNK + 3)
        ids = suppress(session, acts, NOW)
        assert ids == sorted(set(ids))
        assert len(ids) == CHUNK + 3
        assert len(blocks(session)) == 1
        assert list(verify(session, SUPPRESSION_LEDGER)) == []
        assert session.scalar(select(func.count()).select_from(Chain)) == 2


class TestRelease:
    @pytest.mark.parametrize("cause", BY_PERSON)
    def test_no_operator_lifts_what_a_person_set(self, store: Store, cause: BlockCause) -> None:
        with store.write() as session:
            one = act(BlockScope(address_id_of(session), controller_id=None), cause)
            suppress(session, [one], NOW)
            with pytest.raises(RefusedError, match="person's own"):
                release(session, lifted(one, by_person=False), NOW)
            assert len(blocks(session)) == 1
            assert len(events(session)) == 1

    @pytest.mark.parametrize("cause", BlockCause)
    def test_a_later_act_of_the_person_lifts_it(self, store: Store, cause: BlockCause) -> None:
        with store.write() as session:
            one = act(BlockScope(address_id_of(session), controller_id=None), cause)
            suppress(session, [one], NOW)
            event_id = release(session, lifted(one, by_person=True), NOW)
            assert blocks(session) == []
            assert events(session)[-1].id == event_id
            assert events(session)[-1].act is SuppressionAct.RELEASE

    @pytest.mark.parametrize("cause", BY_OPERATOR)
    def test_an_operator_lifts_the_rest_with_evidence(
        self, store: Store, cause: BlockCause
    ) -> None:
        with store.write() as session:
            one = act(BlockScope(address_id_of(session), controller_id=None), cause)
            suppress(session, [one], NOW)
            with pytest.raises(RefusedError, match="evidence"):
                release(session, lifted(one, personal=None), NOW)
            assert len(blocks(session)) == 1
            release(session, lifted(one), NOW)
            assert blocks(session) == []

    @pytest.mark.parametrize("cause", BlockCause)
    def test_an_import_lifts_nothing(self, store: Store, cause: BlockCause) -> None:
        with store.write() as session:
            batch = add_batch(session, establish(session).controller)
            one = act(BlockScope(address_id_of(session), controller_id=None), cause)
            suppress(session, [one], NOW)
            with pytest.raises(RefusedError, match="import"):
                release(session, lifted(one, by_person=True, batch_id=batch.id), NOW)
            assert len(blocks(session)) == 1

    def test_only_the_block_of_its_scope_and_cause_is_lifted(self, store: Store) -> None:
        with store.write() as session:
            body = establish(session)
            address_id = address_id_of(session)
            narrow = BlockScope(address_id, body.id, "email", body.purpose.id)
            wider = [
                BlockScope(address_id, body.id, "email"),
                BlockScope(address_id, body.id, EVERY_CHANNEL, body.purpose.id),
                BlockScope(address_id, None, "email", body.purpose.id),
                BlockScope(address_id, None),
            ]
            others = [act(scope) for scope in wider] + [act(narrow, BlockCause.COMPLAINT)]
            suppress(session, [act(narrow), *others], NOW)
            release(session, lifted(act(narrow)), NOW)
            assert len(blocks(session)) == len(others)
            assert narrow not in [_scope(block) for block in blocks(session) if block.cause == 3]

    @pytest.mark.parametrize("later", [timedelta(0), HOUR / 4])
    def test_a_start_that_a_newer_stop_overtook_lifts_nothing(
        self, store: Store, later: timedelta
    ) -> None:
        """Texts arrive out of order: STOP, STOP, and then a START from in between."""
        with store.write() as session:
            one = act(BlockScope(address_id_of(session), controller_id=None))
            start = lifted(one)
            suppress(session, [one, replace(one, occurred_at=start.occurred_at + later)], NOW)
            with pytest.raises(RefusedError, match="set again"):
                release(session, start, NOW)
            assert len(blocks(session)) == 1

    def test_a_stop_of_the_same_moment_wins(self, store: Store) -> None:
        with store.write() as session:
            one = act(BlockScope(address_id_of(session), controller_id=None))
            suppress(session, [one], NOW)
            with pytest.raises(RefusedError, match="set again"):
                release(session, replace(one, by_person=True), NOW)

    def test_a_release_of_the_future_is_refused(self, store: Store) -> None:
        with store.write() as session:
            one = act(BlockScope(address_id_of(session), controller_id=None))
            suppress(session, [one], NOW)
            with pytest.raises(RefusedError, match="future"):
                release(session, replace(one, occurred_at=NOW + HOUR), NOW)

    def test_a_stop_after_a_release_blocks_again(self, store: Store) -> None:
        with store.write() as session:
            one = act(BlockScope(address_id_of(session), controller_id=None))
            suppress(session, [one], NOW)
            release(session, lifted(one), NOW)
            suppress(session, [replace(one, occurred_at=NOW)], NOW)
            assert [block.set_at for block in blocks(session)] == [NOW]


def _scope(block: Block) -> BlockScope:
    return BlockScope(
        block.address_id, block.controller_id or None, block.channel, block.purpose_id or None
    )


STEPS = st.tuples(
    st.sampled_from(["set", "release"]),
    st.sampled_from([BlockCause.OPT_OUT, BlockCause.BOUNCE]),
    st.booleans(),
    st.integers(0, 4),
)


@settings(max_examples=25)
@given(st.lists(STEPS, max_size=8))
def test_the_blocks_in_force_are_the_fold_of_the_events(
    store: Store, steps: list[tuple[str, BlockCause, bool, int]]
) -> None:
    with store.write() as session:
        address_id = address_id_of(session)
        newest: dict[tuple[BlockCause, str], datetime] = {}
        in_force: set[tuple[BlockCause, str]] = set()
        for step, cause, everywhere, hours in steps:
            channel = EVERY_CHANNEL if everywhere else "email"
            at = NOW - 5 * HOUR + hours * HOUR
            one = act(BlockScope(address_id, None, channel), cause, occurred_at=at)
            key = (cause, channel)
            if step == "set":
                suppress(session, [one], NOW)
                newest[key] = max(newest.get(key, at), at)
                in_force.add(key)
            elif at > newest.get(key, at - HOUR):
                release(session, replace(one, by_person=True), NOW)
                in_force.discard(key)
            else:
                with pytest.raises(RefusedError, match="set again"):
                    release(session, replace(one, by_person=True), NOW)
        mine = select(Block).where(Block.address_id == address_id)
        assert {(block.cause, block.channel) for block in session.scalars(mine)} == in_force
    with store.read() as session:
        assert check_history(session, lambda _: None).faults == ()
