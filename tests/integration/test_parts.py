"""Runs shared out in parts: planned side by side, sent by several dispatchers, nobody twice."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sender.campaigns.carrying import Carrier
from sender.campaigns.launch import Launch, prepare_launch
from sender.delivery import dispatch, parts, planning
from sender.delivery import sweep as sweeping
from sender.delivery.audience import ContactAudience
from sender.delivery.parts import claim, cover_pending, is_planned, let_go, outlook
from sender.delivery.planning import (
    TooManyRecipientsError,
    count_unplanned,
    plan,
    plan_next,
)
from sender.delivery.progress import Ending
from sender.delivery.recovery import SILENT_AFTER, recover, start_dispatcher
from sender.delivery.runs import cancel, get_run, pause
from sender.delivery.sweep import sweep
from sender.store.campaigns import Dispatcher, Run, RunPart
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.vocabulary import Channel, DeliveryState, Priority, Reason, RunState
from tests.fakes.ses import SesFake
from tests.support.campaign_folder import CREDENTIALS, Office, on_bulk_call, open_office, written_to
from tests.support.factory import OPERATOR

PEOPLE = 60


@pytest.fixture
def office(
    store: Store, tmp_path: Path, ses: SesFake, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(planning, "RANGE_SIZE", 20)
    monkeypatch.setattr(planning, "PART_SIZE", 6)
    monkeypatch.setattr(dispatch, "MOST_AT_ONCE", 4)
    with open_office(store, tmp_path, ses=ses, people=PEOPLE) as opened:
        yield opened


def confirmed(office: Office, **changed: Any) -> Launch:
    launch = prepare_launch(office.context, office.email(**changed))
    launch.confirm()
    return launch


def carry(office: Office, run_id: int, **how: Any) -> Ending:
    carrier = Carrier(office.context)
    try:
        return carrier.carry_on(run_id, **how)
    finally:
        carrier.close()


def parts_of(office: Office, run_id: int) -> list[RunPart]:
    with office.store.read() as session:
        query = select(RunPart).where(RunPart.run_id == run_id).order_by(RunPart.above)
        return list(session.scalars(query))


def audience(office: Office) -> ContactAudience:
    return ContactAudience(office.organisation.id, Channel.EMAIL)


def test_a_yes_plans_the_first_range_only_and_sending_plans_the_rest(
    office: Office, ses: SesFake
) -> None:
    launch = confirmed(office)
    with office.store.read() as session:
        run = get_run(session, launch.run_id)
        assert count_unplanned(session, run, audience(office)) == PEOPLE - 20
        assert not is_planned(session, run)
    seen: list[int] = []
    ses.on_request = lambda: seen.append(office.counts(launch.run_id).planned)
    assert launch.dispatch() is Ending.FINISHED
    launch.close()
    assert seen[0] == 20  # the first message went before the rest was planned
    assert office.counts(launch.run_id).by_state == {DeliveryState.ACCEPTED: PEOPLE}
    assert set(written_to(ses).values()) == {1}
    assert len(written_to(ses)) == PEOPLE


def test_parts_cover_the_audience_once_and_hold_few_people_each(office: Office) -> None:
    launch = confirmed(office)
    list(plan(office.store, office.context.clock, launch.run_id, audience(office)))
    launch.close()
    found = parts_of(office, launch.run_id)
    assert [one.above for one in found[1:]] == [one.through for one in found[:-1]]
    with office.store.read() as session:
        ids = sorted(session.scalars(select(Delivery.address_id)))
    held = [[key for key in ids if one.above < key <= one.through] for one in found]
    assert sorted(key for part in held for key in part) == ids
    assert {len(part) for part in held} <= {6, 2}


def test_two_plan_side_by_side(office: Office) -> None:
    launch = prepare_launch(office.context, office.email())
    both = Barrier(2)

    def plan_all(_: int) -> int:
        both.wait()
        clock = office.context.clock
        return sum(plan(office.store, clock, launch.run_id, audience(office)))

    with ThreadPoolExecutor(2) as pool:
        planned = sum(pool.map(plan_all, range(2)))
    launch.provider.close()
    assert planned == PEOPLE == office.deliveries()
    with office.store.read() as session:
        assert is_planned(session, get_run(session, launch.run_id))


def test_a_range_that_somebody_left_unplanned_is_planned_by_the_next(office: Office) -> None:
    launch = confirmed(office)
    with office.store.write() as session:
        run = get_run(session, launch.run_id, lock=True)
        assert run.plan_ends_at is not None
        session.add(RunPart(run_id=run.id, above=run.planned_through, through=run.plan_ends_at))
        run.planned_through = run.plan_ends_at
    assert launch.dispatch() is Ending.FINISHED
    launch.close()
    assert office.counts(launch.run_id).planned == PEOPLE


def test_several_dispatchers_send_one_run_and_nobody_gets_it_twice(
    office: Office, ses: SesFake
) -> None:
    launch = confirmed(office)
    launch.provider.close()
    inside = Barrier(4)
    enter = dispatch.Dispatcher._enter

    def enter_together(self: dispatch.Dispatcher) -> None:
        enter(self)
        inside.wait()  # who comes late finds the run finished, and is refused

    def work(_: int) -> Ending:
        return carry(office, launch.run_id)

    with pytest.MonkeyPatch.context() as patched, ThreadPoolExecutor(4) as pool:
        patched.setattr(dispatch.Dispatcher, "_enter", enter_together)
        endings = list(pool.map(work, range(4)))
    while office.run(launch.run_id).state is not RunState.FINISHED:
        assert carry(office, launch.run_id) in {Ending.FINISHED, Ending.WAITING}
    assert Ending.FINISHED in endings or Ending.WAITING in endings
    assert set(written_to(ses).values()) == {1}
    assert office.counts(launch.run_id).by_state == {DeliveryState.ACCEPTED: PEOPLE}
    assert all(part.done_at is not None for part in parts_of(office, launch.run_id))


def test_a_slice_that_is_over_hands_the_run_on(office: Office, ses: SesFake) -> None:
    launch = confirmed(office)
    launch.provider.close()
    now = office.context.clock.now()
    assert carry(office, launch.run_id, until=now) is Ending.HANDED_ON
    assert office.run(launch.run_id).state is RunState.RUNNING
    assert ses.messages == []
    assert carry(office, launch.run_id) is Ending.FINISHED


def test_a_worker_that_must_stop_leaves_the_rest_pending_and_the_run_running(
    office: Office, ses: SesFake
) -> None:
    launch = confirmed(office)
    launch.provider.close()
    asked = False

    def stop() -> None:
        nonlocal asked
        asked = True

    on_bulk_call(ses, 3, stop)
    ending = carry(office, launch.run_id, stopping=lambda: asked)
    assert ending is Ending.HANDED_ON
    counts = office.counts(launch.run_id)
    assert counts.by_state[DeliveryState.DISPATCHING] == counts.unknown == 0
    assert counts.handed_over == len(ses.messages) < PEOPLE
    assert office.run(launch.run_id).state is RunState.RUNNING
    assert all(part.dispatcher_id is None for part in parts_of(office, launch.run_id))


def test_the_sweep_frees_what_a_lost_dispatcher_held_and_doubts_what_it_had_marked(
    office: Office,
) -> None:
    launch = confirmed(office)
    launch.provider.close()
    clock = office.context.clock
    long_ago = clock.now() - SILENT_AFTER - timedelta(seconds=1)
    with office.store.write() as session:
        lost = start_dispatcher(session, launch.run_id, long_ago)
        part = claim(session, launch.run_id, lost, clock.now())
        assert part is not None
        session.execute(update(Dispatcher).values(place="elsewhere"))
        first = session.scalars(select(Delivery).order_by(Delivery.address_id)).first()
        assert first is not None
        first.state, first.dispatcher_id = DeliveryState.DISPATCHING, lost
    assert sweep(office.store, clock, OPERATOR) == [launch.run_id]
    assert office.counts(launch.run_id).unknown == 1
    assert all(one.dispatcher_id is None for one in parts_of(office, launch.run_id))
    assert carry(office, launch.run_id) is Ending.FINISHED
    counts = office.counts(launch.run_id)
    assert (counts.unknown, counts.handed_over) == (1, PEOPLE - 1)


def test_the_sweep_ends_a_test_whose_sender_was_lost(office: Office, ses: SesFake) -> None:
    launch = confirmed(office)
    launch.provider.close()
    clock = office.context.clock
    with office.store.write() as session:
        session.execute(update(Run).values(is_test=True))
    assert sweep(office.store, clock, OPERATOR) == []
    assert office.run(launch.run_id).state is RunState.READY  # its sender is about to begin
    with office.store.write() as session:
        lost = start_dispatcher(session, launch.run_id, clock.now())
        session.execute(update(Dispatcher).values(place="elsewhere"))
        get_run(session, launch.run_id).state = RunState.RUNNING
        first = session.scalars(select(Delivery).order_by(Delivery.address_id)).first()
        assert first is not None
        first.state, first.dispatcher_id = DeliveryState.DISPATCHING, lost
    assert sweep(office.store, clock, OPERATOR) == []
    assert office.run(launch.run_id).state is RunState.RUNNING
    with office.store.write() as session:
        session.execute(update(Dispatcher).values(heartbeat_at=clock.now() - SILENT_AFTER))
    assert sweep(office.store, clock, OPERATOR) == []
    assert office.run(launch.run_id).state is RunState.CANCELLED
    counts = office.counts(launch.run_id)
    assert (counts.unknown, counts.pending, ses.messages) == (1, 0, [])


def test_the_sweep_names_runs_that_have_work_and_urgent_ones_first(office: Office) -> None:
    slow = confirmed(office, name="slow")
    quick = confirmed(office, name="quick", priority="urgent")
    for launch in (slow, quick):
        launch.provider.close()
    unconfirmed = prepare_launch(office.context, office.email(name="asked"))
    clock = office.context.clock
    assert office.run(quick.run_id).priority is Priority.URGENT
    assert sweep(office.store, clock, OPERATOR) == [quick.run_id, slow.run_id]
    with office.store.write() as session:
        pause(session, slow.run_id, now=clock.now(), operator=OPERATOR)
        get_run(session, quick.run_id).deferred_until = clock.now() + timedelta(hours=1)
    assert sweep(office.store, clock, OPERATOR) == []
    unconfirmed.close()


def test_a_part_that_was_planned_by_a_clock_ahead_is_work_now(office: Office) -> None:
    launch = confirmed(office)
    launch.provider.close()
    ahead = office.context.clock.now() + timedelta(hours=3)
    with office.store.write() as session:
        session.execute(update(RunPart).values(planned_at=ahead))
    assert sweep(office.store, office.context.clock, OPERATOR) == [launch.run_id]


def test_a_run_that_breaks_the_sweep_holds_up_no_other(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = confirmed(office, name="broken")
    whole = confirmed(office, name="whole")
    for launch in (broken, whole):
        launch.provider.close()

    def breaking(session: Session, run_id: int, now: datetime) -> int:
        if run_id in ill:
            raise RuntimeError
        return recover(session, run_id, now)

    monkeypatch.setattr(sweeping, "recover", breaking)
    ill = {broken.run_id}
    assert sweep(office.store, office.context.clock, OPERATOR) == [whole.run_id]
    ill.add(whole.run_id)
    with pytest.raises(RuntimeError):
        sweep(office.store, office.context.clock, OPERATOR)


@pytest.mark.parametrize(
    ("act", "state", "end"),
    [(pause, RunState.PAUSING, RunState.PAUSED), (cancel, RunState.CANCELLING, RunState.CANCELLED)],
)
def test_the_sweep_settles_a_run_whose_dispatchers_are_gone(
    office: Office, act: Callable[..., RunState], state: RunState, end: RunState
) -> None:
    launch = confirmed(office)
    launch.provider.close()
    clock = office.context.clock
    with office.store.write() as session:
        start_dispatcher(session, launch.run_id, clock.now())
        session.execute(update(Dispatcher).values(place="elsewhere"))
    with office.store.write() as session:
        act(session, launch.run_id, now=clock.now(), operator=OPERATOR)
    assert office.run(launch.run_id).state is state
    with office.store.write() as session:
        session.execute(update(Dispatcher).values(heartbeat_at=clock.now() - SILENT_AFTER))
    assert sweep(office.store, clock, OPERATOR) == []
    assert office.run(launch.run_id).state is end


def test_people_who_came_back_to_pending_after_their_part_was_done_are_not_lost(
    office: Office, ses: SesFake
) -> None:
    launch = confirmed(office)
    launch.provider.close()
    list(plan(office.store, office.context.clock, launch.run_id, audience(office)))
    with office.store.write() as session:
        session.execute(update(RunPart).values(done_at=office.context.clock.now()))
        assert cover_pending(session, launch.run_id, office.context.clock.now())
        assert not cover_pending(session, launch.run_id, office.context.clock.now())
    assert carry(office, launch.run_id) is Ending.FINISHED
    assert len(written_to(ses)) == PEOPLE


def test_a_part_waits_until_the_first_of_its_people_may_be_written_to(office: Office) -> None:
    launch = confirmed(office)
    launch.provider.close()
    now = office.context.clock.now()
    later = now + timedelta(hours=3)
    with office.store.write() as session:
        session.execute(update(Delivery).values(not_before=later))
        mine = start_dispatcher(session, launch.run_id, now)
        part = claim(session, launch.run_id, mine, now)
        assert part is not None
        assert let_go(session, part, launch.run_id, mine, now) == later
        again = claim(session, launch.run_id, mine, now)
        assert again != part
        run = session.get_one(Run, launch.run_id)
        assert outlook(session, run).open_parts == len(parts_of(office, run.id))
    assert carry(office, launch.run_id) is Ending.WAITING


def test_more_people_than_allowed_are_never_planned(office: Office, ses: SesFake) -> None:
    launch = confirmed(office, max_recipients=PEOPLE)
    with office.store.write() as session:
        session.get_one(Run, launch.run_id).most_recipients = 45
    assert launch.dispatch() is Ending.STOPPED
    launch.close()
    run = office.run(launch.run_id)
    assert run.stopped_because is not None
    assert "more than max_recipients" in run.stopped_because
    assert office.counts(run.id).planned == 40
    assert len(ses.messages) <= 40
    with office.store.write() as session:
        get_run(session, run.id).state = RunState.RUNNING
    with pytest.raises(TooManyRecipientsError):
        plan_next(office.store, office.context.clock, run.id, audience(office))


def test_a_cancelled_run_is_planned_no_further(office: Office) -> None:
    launch = confirmed(office)
    launch.provider.close()
    with office.store.write() as session:
        now = office.context.clock.now()
        cancel(session, launch.run_id, now=now, operator=OPERATOR)
    assert plan_next(office.store, office.context.clock, launch.run_id, audience(office)) is None
    counts = office.counts(launch.run_id)
    assert counts.by_reason == {Reason.CANCELLED: counts.planned}


def test_the_size_of_parts_is_what_one_dispatcher_does_in_seconds() -> None:
    assert parts.PART_SIZE <= planning.RANGE_SIZE / 10
