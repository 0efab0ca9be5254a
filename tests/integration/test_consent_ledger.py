"""The consent ledger: what it takes, what it refuses, and that no writer loses another's no."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.consent.checking import check_history
from sender.consent.ledger import ConsentAct, record, refold
from sender.errors import RefusedError
from sender.store.audit import Chain
from sender.store.consents import ConsentEvent, ConsentPayload, ConsentState
from sender.store.engine import Store
from sender.store.portable import CHUNK
from sender.vocabulary import ConsentFlaw, ConsentKind
from tests.support.factory import (
    NOW,
    OPERATOR,
    Organisation,
    add_batch,
    add_purpose,
    address_id_of,
    establish,
    record_consent,
)
from tests.support.waiting import Rival

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def state_of(session: Session, body: Organisation, address_id: int) -> ConsentState:
    found = session.get(
        ConsentState, (body.id, body.purpose.id, address_id), populate_existing=True
    )
    assert found is not None
    return found


def test_an_event_and_its_state_are_written_together(store: Store) -> None:
    with store.write() as session:
        body = establish(session)
        address_id = address_id_of(session)
        event_id = record_consent(
            session,
            body,
            address_id,
            occurred_at=NOW - DAY,
            ends_at=NOW + DAY,
            evidence={"ip": "192.0.2.1"},
        )
    with store.read() as session:
        event = session.get_one(ConsentEvent, event_id)
        assert (event.occurred_at, event.recorded_at) == (NOW - DAY, NOW)
        assert (event.notice_id, event.lawful_basis) == (body.notice.id, "consent")
        state = state_of(session, body, address_id)
        assert (state.status, state.event_id) == (ConsentKind.GIVEN, event_id)
        assert (state.last_affirmative_at, state.ends_at) == (NOW - DAY, NOW + DAY)
        assert state.notice_shown_from == body.notice.shown_from
        assert session.scalars(select(ConsentPayload.payload)).one() == {"ip": "192.0.2.1"}


@pytest.mark.parametrize("kind", [ConsentKind.GIVEN, ConsentKind.RECONFIRMED])
def test_a_yes_without_its_wording_is_refused(store: Store, kind: ConsentKind) -> None:
    with store.write() as session:
        body = establish(session)
        act = _act(body, address_id_of(session), kind)
        with pytest.raises(RefusedError, match="wording"):
            record(session, [act], NOW)


@pytest.mark.parametrize(
    "kind", [ConsentKind.GIVEN, ConsentKind.RECONFIRMED, ConsentKind.REQUESTED]
)
def test_a_yes_of_the_future_is_refused(store: Store, kind: ConsentKind) -> None:
    with store.write() as session:
        body = establish(session)
        address_id = address_id_of(session)
        with pytest.raises(RefusedError, match="future"):
            record_consent(session, body, address_id, kind=kind, occurred_at=NOW + TICK)
        record_consent(session, body, address_id, kind=kind, occurred_at=NOW)


@pytest.mark.parametrize("kind", [kind for kind in ConsentKind if kind.is_negative])
def test_a_no_of_the_future_is_taken_as_of_now(store: Store, kind: ConsentKind) -> None:
    """A fast clock at a provider must not cost a no."""
    with store.write() as session:
        body = establish(session)
        address_id = address_id_of(session)
        record_consent(session, body, address_id, occurred_at=NOW)
        event_id = record_consent(session, body, address_id, kind=kind, occurred_at=NOW + DAY)
        assert session.get_one(ConsentEvent, event_id).occurred_at == NOW
        assert state_of(session, body, address_id).status is kind


def test_one_refused_act_takes_the_others_along(store: Store) -> None:
    with store.write() as session:
        body = establish(session)
        address_id = address_id_of(session)
        good = _act(body, address_id, ConsentKind.WITHDRAWN)
        with pytest.raises(RefusedError):
            record(session, [good, _act(body, address_id, ConsentKind.GIVEN)], NOW)
        assert session.scalar(select(func.count()).select_from(ConsentEvent)) == 0


def test_a_purpose_withdrawn_leaves_the_others(store: Store) -> None:
    with store.write() as session:
        body = establish(session)
        other = add_purpose(session, body.controller, "fundraising")
        address_id = address_id_of(session)
        record_consent(session, body, address_id)
        record_consent(session, body, address_id, purpose=other)
        record_consent(session, body, address_id, kind=ConsentKind.WITHDRAWN, occurred_at=NOW)
        statuses = dict(session.execute(select(ConsentState.purpose_id, ConsentState.status)).all())
        assert statuses == {
            body.purpose.id: ConsentKind.WITHDRAWN,
            other.id: ConsentKind.GIVEN,
        }


def test_an_import_lifts_no_recorded_no(store: Store) -> None:
    with store.write() as session:
        body = establish(session)
        batch = add_batch(session, body.controller)
        address_id = address_id_of(session)
        record_consent(
            session, body, address_id, kind=ConsentKind.WITHDRAWN, occurred_at=NOW - 9 * DAY
        )
        record_consent(session, body, address_id, occurred_at=NOW, batch=batch)
        assert state_of(session, body, address_id).status is ConsentKind.WITHDRAWN
        genuine = record_consent(session, body, address_id, occurred_at=NOW - DAY)
        assert state_of(session, body, address_id).event_id == genuine


def test_an_address_may_come_twice_in_one_batch_and_in_more_than_a_statement_holds(
    store: Store,
) -> None:
    with store.write() as session:
        body = establish(session)
        first, second = address_id_of(session), address_id_of(session)
        acts = [_act(body, first, ConsentKind.WITHDRAWN)] * CHUNK
        acts += [_act(body, one, ConsentKind.REFUSED, NOW) for one in (second, first)]
        ids = record(session, acts, NOW)
        assert len(ids) == CHUNK + 2
        assert ids == sorted(ids)
        assert state_of(session, body, first).event_id == ids[-1]
        assert state_of(session, body, second).event_id == ids[-2]
        assert session.scalar(select(func.count()).select_from(Chain)) == 2


def test_times_of_other_zones_are_compared_as_moments(store: Store) -> None:
    """09:00 in London is before 09:30 in London, however its zone writes it."""
    ahead = timezone(timedelta(hours=9))
    with store.write() as session:
        body = establish(session)
        address_id = address_id_of(session)
        yes = (NOW - DAY).astimezone(ahead)
        record_consent(session, body, address_id, occurred_at=yes)
        no = NOW - DAY + TICK
        record_consent(session, body, address_id, kind=ConsentKind.WITHDRAWN, occurred_at=no)
        state = state_of(session, body, address_id)
        assert (state.status, state.last_affirmative_at) == (ConsentKind.WITHDRAWN, NOW - DAY)


def test_a_time_without_a_zone_reaches_no_ledger(store: Store) -> None:
    with store.write() as session:
        body = establish(session)
        naive = datetime(2026, 5, 1)  # noqa: DTZ001 - what is refused
        act = _act(body, address_id_of(session), ConsentKind.WITHDRAWN, naive)
        with pytest.raises((TypeError, ValueError)):
            record(session, [act], NOW)


def test_folding_again_changes_nothing(store: Store) -> None:
    with store.write() as session:
        body = establish(session)
        address_id = address_id_of(session)
        record_consent(session, body, address_id, ends_at=NOW + DAY, flaw=ConsentFlaw.CASEWORK)
        record_consent(session, body, address_id, occurred_at=NOW - DAY)
        before = _columns(state_of(session, body, address_id))
        refold(session, [(body.id, body.purpose.id, address_id)])
        assert _columns(state_of(session, body, address_id)) == before


KINDS = st.lists(
    st.tuples(st.sampled_from(ConsentKind), st.integers(0, 3), st.booleans()), max_size=6
)


@settings(max_examples=15)
@given(KINDS)
def test_the_states_are_the_fold_of_the_events(
    store: Store, history: list[tuple[ConsentKind, int, bool]]
) -> None:
    with store.write() as session:
        body = establish(session, f"body-{address_id_of(session)}")
        batch = add_batch(session, body.controller)
        address_id = address_id_of(session)
        for kind, days, imported in history:
            at = NOW - days * DAY
            source = batch if imported else None
            record_consent(session, body, address_id, kind=kind, occurred_at=at, batch=source)
    with store.read() as session:
        assert check_history(session, lambda _: None).faults == ()


@pytest.mark.parametrize("dialect", ["postgresql"])
class TestWritersAtOnce:
    """Two sessions fold one address: each sees what the other recorded, or waits for it."""

    @pytest.mark.parametrize("yes_is_first", [True, False])
    def test_the_fold_never_loses_the_no(
        self,
        store: Store,
        yes_is_first: bool,  # noqa: FBT001 - parametrised
    ) -> None:
        with store.write() as session:
            body = establish(session)
            address_id = address_id_of(session)
        kinds = [ConsentKind.GIVEN, ConsentKind.WITHDRAWN]
        first, second = kinds if yes_is_first else reversed(kinds)

        def record_second() -> None:
            with store.write() as session:
                record_consent(session, body, address_id, kind=second, occurred_at=NOW)

        rival = Rival(store, record_second)
        with store.write() as session:
            record_consent(session, body, address_id, kind=first, occurred_at=NOW)
            rival.start()
        rival.finish()
        with store.read() as session:
            assert state_of(session, body, address_id).status is ConsentKind.WITHDRAWN
            assert check_history(session, lambda _: None).faults == ()

    def test_a_no_that_is_taken_back_leaves_the_yes(self, store: Store) -> None:
        with store.write() as session:
            body = establish(session)
            address_id = address_id_of(session)

        def say_yes() -> None:
            with store.write() as session:
                record_consent(session, body, address_id, occurred_at=NOW)

        rival = Rival(store, say_yes)
        with store.write() as session:
            record_consent(session, body, address_id, kind=ConsentKind.WITHDRAWN, occurred_at=NOW)
            rival.start()
            session.rollback()
        rival.finish()
        with store.read() as session:
            assert state_of(session, body, address_id).status is ConsentKind.GIVEN

    def test_an_import_waits_for_the_no_before_it(self, store: Store) -> None:
        """The import's yes is later by its date, but was recorded after the no: it must see it."""
        with store.write() as session:
            body = establish(session)
            batch = add_batch(session, body.controller)
            address_id = address_id_of(session)

        def bring_in() -> None:
            with store.write() as session:
                record_consent(session, body, address_id, occurred_at=NOW, batch=batch)

        rival = Rival(store, bring_in)
        with store.write() as session:
            no = NOW - 30 * DAY
            record_consent(session, body, address_id, kind=ConsentKind.WITHDRAWN, occurred_at=no)
            rival.start()
        rival.finish()
        with store.read() as session:
            assert state_of(session, body, address_id).status is ConsentKind.WITHDRAWN

    def test_two_large_batches_in_opposite_order_don_t_wait_for_each_other_forever(
        self, store: Store
    ) -> None:
        """Locks are taken in the order of ids over the whole batch, not statement by statement."""
        with store.write() as session:
            body = establish(session)
            low, high = address_id_of(session), address_id_of(session)
        many = [_act(body, low, ConsentKind.WITHDRAWN)] * CHUNK
        upwards = [*many, _act(body, high, ConsentKind.WITHDRAWN)]
        downwards = [_act(body, high, ConsentKind.WITHDRAWN)] * CHUNK
        downwards.append(_act(body, low, ConsentKind.WITHDRAWN))

        def record_downwards() -> None:
            with store.write() as session:
                record(session, downwards, NOW)

        rival = Rival(store, record_downwards)
        with store.write() as session:
            record(session, upwards[:1], NOW)
            rival.start()
            record(session, upwards, NOW)
        rival.finish()
        with store.read() as session:
            assert check_history(session, lambda _: None).faults == ()


def _act(
    body: Organisation, address_id: int, kind: ConsentKind, at: datetime = NOW - DAY
) -> ConsentAct:
    return ConsentAct(
        controller_id=body.id,
        purpose_id=body.purpose.id,
        address_id=address_id,
        kind=kind,
        occurred_at=at,
        method="letter",
        source="letter 7",
        operator=OPERATOR,
    )


def _columns(state: ConsentState) -> dict[str, object]:
    return {column.key: getattr(state, column.key) for column in ConsentState.__table__.columns}
