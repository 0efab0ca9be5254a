"""One rate for all processes: through the database, on each in turn."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, select

from sender.clock import SystemClock
from sender.delivery.pace import Pace
from sender.delivery.pace_rows import RateRows, Seen
from sender.delivery.turns import MOST_RESERVED_SECONDS, Decision
from sender.store.campaigns import RateClaim, RateLimit
from sender.store.engine import Store
from tests.support.claimants import (
    Claimant,
    Sent,
    SimulatedClock,
    busiest,
    quietest,
    simulate,
    total,
)
from tests.support.factory import NOW, add_campaign, add_run, establish

ACCOUNT = "account:1"
WINDOW = 10.0

OpenPace = Callable[..., Pace]


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def runs(store: Store) -> list[int]:
    with store.write() as session:
        organisation = establish(session)
        _, version = add_campaign(session, organisation.controller)
        return [add_run(session, organisation, version).id for _ in range(3)]


@pytest.fixture
def open_pace(store: Store, clock: SimulatedClock) -> OpenPace:
    def open_it(rate: float = 100.0, run_id: int | None = None, **more: Any) -> Pace:
        return Pace(store, clock, ACCOUNT, rate, run_id, **{"own_clock": True, **more})

    return open_it


def row(store: Store) -> RateLimit:
    with store.read() as session:
        return session.get_one(RateLimit, ACCOUNT)


def claimed(store: Store) -> list[int]:
    with store.read() as session:
        return list(session.scalars(select(RateClaim.run_id).order_by(RateClaim.run_id)))


def seconds(wait: timedelta) -> float:
    return round(wait.total_seconds(), 4)


@pytest.mark.parametrize(
    ("rate", "limit", "in_one_call", "most"),
    [
        (200, 50, True, 50),
        (40, 50, True, 20),
        (1_000, 50, True, 50),
        (0.2, 50, True, 1),
        (100, 50, False, 10),
        (100, 5, False, 5),
        (5, 50, False, 1),
    ],
)
@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_turn_is_half_a_second_of_one_call_or_a_tenth_of_many(
    open_pace: OpenPace,
    rate: float,
    limit: int,
    in_one_call: bool,  # noqa: FBT001 - a table's column
    most: int,
) -> None:
    assert open_pace(rate).most_at_once(limit, in_one_call=in_one_call) == most


def test_turns_follow_one_another_whoever_asks(open_pace: OpenPace) -> None:
    one, two = open_pace(), open_pace()
    waits = [pace.reserve(10).wait for pace in (one, two, one)]
    assert [seconds(wait) for wait in waits] == [0, 0.1, 0.2]
    third = two.reserve(10)
    assert not third.granted
    assert seconds(third.wait) == 0.1


def test_time_without_work_is_not_saved_up(open_pace: OpenPace, clock: SimulatedClock) -> None:
    pace = open_pace()
    pace.reserve(10)
    clock.seconds += 60
    assert [seconds(pace.reserve(10).wait) for _ in range(2)] == [0, 0.1]


def test_accounts_do_not_wait_for_each_other(open_pace: OpenPace) -> None:
    one, other = open_pace(), open_pace()
    other.name, other._rows = "account:2", replace(other._rows, account="account:2")
    assert [one.reserve(50).wait, other.reserve(50).wait] == [timedelta(0), timedelta(0)]


def crowd(open_pace: OpenPace, who: str, processes: int = 4, **more: Any) -> list[Claimant]:
    """Four processes with two threads each that work for one run."""
    rate, messages = more.pop("rate"), more.pop("messages")
    times = {name: more.pop(name) for name in ("begins", "dies") if name in more}
    paces = [open_pace(rate, **more) for _ in range(processes)]
    return [
        Claimant(who, pace.reserve, messages, sending=0.05, **times)
        for pace in paces
        for _ in range(2)
    ]


@pytest.mark.parametrize(("rate", "messages"), [(20, 10), (200, 50), (100, 10)])
def test_any_ten_seconds_of_four_processes_hold_the_rate(
    open_pace: OpenPace, clock: SimulatedClock, runs: list[int], rate: int, messages: int
) -> None:
    claimants = crowd(open_pace, "run", rate=rate, messages=messages, run_id=runs[0])
    sent = simulate(clock, claimants, 25)
    allowed = rate * WINDOW
    assert busiest(sent, WINDOW) <= allowed + messages
    assert quietest(sent, WINDOW, 1, 24) >= allowed - messages


def shared(
    open_pace: OpenPace, clock: SimulatedClock, *terms: tuple[int, dict[str, Any]]
) -> list[Sent]:
    claimants = [
        claimant
        for number, (run_id, more) in enumerate(terms)
        for claimant in crowd(
            open_pace, str(number), 2, rate=200, messages=50, run_id=run_id, **more
        )
    ]
    return simulate(clock, claimants, 25)


def test_two_runs_share_by_weight(
    open_pace: OpenPace, clock: SimulatedClock, runs: list[int]
) -> None:
    sent = shared(open_pace, clock, (runs[0], {"weight": 1}), (runs[1], {"weight": 3}))
    assert abs(total(sent, 3, 23, "0") - 1_000) <= 50
    assert abs(total(sent, 3, 23, "1") - 3_000) <= 50


def test_an_urgent_run_goes_before_the_others_and_leaves_them_the_rest(
    open_pace: OpenPace, clock: SimulatedClock, runs: list[int]
) -> None:
    urgent = {"urgent": True, "begins": 8.0, "dies": 16.0}
    sent = shared(open_pace, clock, (runs[0], {"weight": 9}), (runs[1], urgent))
    assert total(sent, 9, 16, "0") == 0
    assert total(sent, 18, 24, "0") >= 6 * 200 - 50
    assert quietest(sent, WINDOW, 1, 24) >= 2_000 - 50 - 150


def test_the_share_of_processes_that_died_goes_to_the_others(
    open_pace: OpenPace, clock: SimulatedClock, runs: list[int]
) -> None:
    sent = shared(open_pace, clock, (runs[0], {}), (runs[1], {"dies": 8.0}))
    assert total(sent, 9, 24, "0") >= 15 * 200 - 50
    assert quietest(sent, WINDOW, 1, 24) >= 2_000 - 50 - 150


@pytest.mark.parametrize("dialect", ["sqlite"])
@settings(max_examples=15)
@given(
    terms=st.lists(
        st.fixed_dictionaries(
            {"weight": st.integers(1, 5), "urgent": st.booleans()},
            optional={"dies": st.floats(0, 12), "begins": st.floats(0, 12)},
        ),
        min_size=1,
        max_size=3,
    )
)
def test_no_ten_seconds_hold_more_whoever_comes_and_dies(
    store: Store, runs: list[int], terms: list[dict[str, Any]]
) -> None:
    with store.write() as session:
        session.execute(delete(RateClaim))
        session.execute(delete(RateLimit))
    clock = SimulatedClock()

    def open_here(rate: float, run_id: int, **more: Any) -> Pace:
        return Pace(store, clock, ACCOUNT, rate, run_id, **more)

    sent = shared(open_here, clock, *zip(runs, terms, strict=False))
    assert not sent or busiest(sent, WINDOW) <= 2_050


def test_reservations_at_the_same_moment_lose_nothing(
    store: Store, open_pace: OpenPace, runs: list[int]
) -> None:
    paces = [open_pace(1_000_000, run_id=run_id) for run_id in runs[:2] for _ in range(2)]

    def reserve_often(pace: Pace) -> int:
        return sum(pace.reserve(1).granted for _ in range(25))

    with ThreadPoolExecutor(4) as pool:
        granted = sum(pool.map(reserve_often, paces))
    assert granted > 25
    moved = row(store).arrival_at_seconds - NOW.timestamp()
    assert moved == pytest.approx(granted / 1_000_000, abs=5e-6)


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_a_process_that_freezes_between_looking_and_writing_holds_nobody_up(
    open_pace: OpenPace, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen, other = open_pace(), open_pace()
    turns = []
    real = RateRows.move

    def freeze(rows: RateRows, connection: Any, seen: Seen, decision: Decision) -> bool:
        monkeypatch.setattr(RateRows, "move", real)
        turns.append(other.reserve(10))
        return real(rows, connection, seen, decision)

    monkeypatch.setattr(RateRows, "move", freeze)
    turns.append(frozen.reserve(10))
    assert [(turn.granted, seconds(turn.wait)) for turn in turns] == [(True, 0), (True, 0.1)]


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_machines_whose_clocks_differ_share_the_clock_of_postgresql(
    store: Store, runs: list[int]
) -> None:
    class Wrong(SystemClock):
        def __init__(self, by: timedelta) -> None:
            self.by = by

        def now(self) -> datetime:
            return super().now() + self.by

    hour = timedelta(hours=1)
    clocks = [Wrong(-hour), Wrong(hour), Wrong(timedelta(0))]
    paces = [Pace(store, clock, ACCOUNT, 0.01, runs[0]) for clock in clocks]
    turns = [pace.reserve(1) for pace in paces]
    assert [turn.granted for turn in turns] == [True, False, False]
    assert turns[0].wait == timedelta(0)


def test_a_clock_that_was_hours_fast_stops_nobody_for_long(
    open_pace: OpenPace, clock: SimulatedClock
) -> None:
    clock.seconds += 3_600
    open_pace().reserve(10)
    clock.seconds -= 3_600
    pace = open_pace()
    assert [seconds(pace.reserve(10).wait) for _ in range(2)] == [0, 0.1]


def test_a_thread_that_is_told_to_wait_tells_the_others_of_its_process(
    store: Store, open_pace: OpenPace, clock: SimulatedClock
) -> None:
    pace = open_pace()
    while (told := pace.reserve(10)).granted:
        pass
    statements: list[str] = []
    listener = lambda *arguments: statements.append(arguments[2])  # noqa: E731 - removed below
    event.listen(store.engine, "before_cursor_execute", listener)
    assert pace.reserve(10) == told
    event.remove(store.engine, "before_cursor_execute", listener)
    assert statements == []
    clock.seconds += told.wait.total_seconds() + 1e-5
    assert pace.reserve(10).granted


def test_a_clock_that_is_set_back_does_not_prolong_a_wait(
    open_pace: OpenPace, clock: SimulatedClock
) -> None:
    pace = open_pace()
    while pace.reserve(10).granted:
        pass
    clock.seconds -= 3_600
    assert pace.reserve(10).granted


def test_throttling_halves_the_rate_of_all_processes_once_a_second(
    open_pace: OpenPace, clock: SimulatedClock
) -> None:
    one, two = open_pace(), open_pace()
    one.slow_down()
    two.slow_down()  # the answer to a call that was on its way
    assert [pace.current_rate_per_second for pace in (one, two)] == [50, 50]
    assert [seconds(two.reserve(5).wait) for _ in range(2)] == [0, 0.1]
    clock.seconds += 1
    two.slow_down()
    one.reserve(1)
    assert one.current_rate_per_second == pytest.approx(26.25)
    assert one.most_at_once(50, in_one_call=True) == int(26.25 * MOST_RESERVED_SECONDS)


def test_throttling_leaves_a_twentieth_and_recovers_without_a_write(
    store: Store, open_pace: OpenPace, clock: SimulatedClock
) -> None:
    pace = open_pace()
    for _ in range(20):
        pace.slow_down()
        clock.seconds += 1
    written = row(store).slowed_to
    assert written == 0.05
    clock.seconds += 30
    pace.reserve(1)
    assert 0.2 < pace.current_rate_per_second / 100 < 0.25
    clock.seconds += 60
    pace.reserve(1)
    assert pace.current_rate_per_second == 100
    assert row(store).slowed_to == written


def test_a_test_message_takes_part_in_no_sharing(
    store: Store, open_pace: OpenPace, runs: list[int]
) -> None:
    open_pace(run_id=runs[0], urgent=True).reserve(10)
    normal = open_pace(run_id=runs[1]).reserve(1)
    test = open_pace().reserve(1)
    assert (normal.granted, test.granted) == (False, True)
    assert claimed(store) == runs[:2]


def test_terms_that_change_hold_from_the_next_turn(
    store: Store, open_pace: OpenPace, clock: SimulatedClock, runs: list[int]
) -> None:
    open_pace(run_id=runs[0], weight=1).reserve(1)
    clock.seconds += 1
    open_pace(run_id=runs[0], weight=7, urgent=True).reserve(1)
    with store.read() as session:
        claim = session.get_one(RateClaim, (ACCOUNT, runs[0]))
        assert (claim.weight, claim.urgent) == (7, True)


def test_a_run_that_was_long_silent_is_forgotten_and_may_come_back(
    store: Store, open_pace: OpenPace, clock: SimulatedClock, runs: list[int]
) -> None:
    silent = open_pace(run_id=runs[0])
    silent.reserve(1)
    clock.seconds += 3_600
    open_pace(run_id=runs[1]).reserve(1)
    assert claimed(store) == [runs[1]]
    clock.seconds += 1
    assert silent.reserve(1).granted
    assert claimed(store) == runs[:2]
