"""Whose turn it is: windows, shares, urgency and crashes, in simulated time."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sender.delivery.turns import (
    LONGEST_WAIT,
    SLOWEST,
    Claim,
    believable,
    decide,
    share_left,
    wants,
)
from tests.support.claimants import (
    Claimant,
    PlainRate,
    Sent,
    SimulatedClock,
    busiest,
    quietest,
    simulate,
    total,
)

WINDOW = 10.0
NOW = 1_800_000_000.0


@dataclass(frozen=True)
class Wanting:
    """A run that wants the rate, with some threads."""

    who: str
    weight: int = 1
    urgent: bool = False
    threads: int = 4
    messages: int = 50
    sending: float = 0.05
    begins: float = 0.0
    dies: float = float("inf")


def run(rate: float, seconds: float, *wanting: Wanting) -> list[Sent]:
    clock = SimulatedClock()
    shared = PlainRate(clock, rate)
    claimants = [
        Claimant(
            one.who, shared.asker(one.who, one.weight, urgent=one.urgent), one.messages,
            one.sending, one.begins, one.dies,
        )
        for one in wanting
        for _ in range(one.threads)
    ]  # fmt: skip
    return simulate(clock, claimants, seconds)


def part_of(sent: list[Sent], who: str, begin: float, end: float) -> float:
    return total(sent, begin, end, who) / total(sent, begin, end)


ANY_RUN = st.builds(
    Wanting,
    who=st.sampled_from("abcd"),
    weight=st.integers(1, 20),
    urgent=st.booleans(),
    threads=st.integers(1, 6),
    messages=st.integers(1, 50),
    sending=st.floats(0, 3),
    begins=st.floats(0, 20),
    dies=st.one_of(st.just(float("inf")), st.floats(0, 40)),
)
ANY_RUNS = st.lists(ANY_RUN, min_size=1, max_size=4, unique_by=lambda one: one.who)


@given(rate=st.floats(5, 500), runs=ANY_RUNS)
def test_no_window_holds_more_than_the_rate_and_one_turn(rate: float, runs: list[Wanting]) -> None:
    sent = run(rate, 30, *runs)
    if sent:
        assert busiest(sent, WINDOW) <= WINDOW * rate + max(entry.messages for entry in sent)


BUSY_RUN = st.builds(
    Wanting,
    who=st.sampled_from("abc"),
    weight=st.integers(1, 5),
    urgent=st.booleans(),
    threads=st.integers(4, 8),
    messages=st.just(10),
    sending=st.floats(0, 0.08),
)


@settings(max_examples=40)
@given(
    rate=st.sampled_from([20.0, 50.0, 100.0]),
    runs=st.lists(BUSY_RUN, min_size=1, max_size=3, unique_by=lambda one: one.who),
)
def test_no_window_holds_less_than_the_rate_and_one_turn_while_all_have_work(
    rate: float, runs: list[Wanting]
) -> None:
    sent = run(rate, 25, *runs)
    assert quietest(sent, WINDOW, 1, 24) >= WINDOW * rate - 10


@settings(max_examples=20)
@given(weights=st.lists(st.integers(1, 5), min_size=2, max_size=4), bulk=st.booleans())
@example(weights=[1, 3], bulk=True)
@example(weights=[1, 3], bulk=False)
def test_runs_that_have_work_share_by_weight(weights: list[int], bulk: bool) -> None:  # noqa: FBT001 - drawn
    messages, rate = (50, 200) if bulk else (10, 100)
    runs = [
        Wanting(str(number), weight, messages=messages) for number, weight in enumerate(weights)
    ]
    sent = run(rate, 60, *runs)
    for one in runs:
        fair = one.weight / sum(weights) * rate * 55
        assert abs(total(sent, 4, 59, one.who) - fair) <= 2 * messages + fair / 50


@pytest.mark.parametrize("threads", [1, 2, 16])
def test_how_many_threads_ask_buys_no_share(threads: int) -> None:
    sent = run(200, 60, Wanting("few", threads=threads), Wanting("many", threads=16))
    assert 0.45 <= part_of(sent, "few", 5, 60) <= 0.55


def test_what_a_slow_run_leaves_is_not_wasted() -> None:
    sent = run(200, 60, Wanting("slow", threads=1, sending=1.5), Wanting("quick"))
    assert quietest(sent, WINDOW, 1, 59) >= 1_950


def test_a_run_that_was_slow_does_not_shut_the_others_out_afterwards() -> None:
    sent = run(
        200, 60, Wanting("slow", threads=1, sending=1.9, dies=30), Wanting("quick"),
        Wanting("other", begins=30),
    )  # fmt: skip
    assert total(sent, 31, 36, "quick") >= 400


def test_an_urgent_run_goes_first_and_alone() -> None:
    sent = run(200, 60, Wanting("normal", 9), Wanting("urgent", urgent=True, begins=20, dies=40))
    assert total(sent, 20, 21, "urgent") > 0
    assert total(sent, 21, 40, "normal") == 0
    assert total(sent, 21, 40, "urgent") >= 19 * 200 - 50
    assert total(sent, 42, 52, "normal") >= 1_950


def test_urgent_runs_share_by_weight_among_themselves() -> None:
    sent = run(
        200, 60, Wanting("one", 1, urgent=True), Wanting("three", 3, urgent=True), Wanting("none")
    )
    assert 0.73 <= part_of(sent, "three", 2, 60) <= 0.77
    assert total(sent, 2, 60, "none") == 0


def test_what_an_urgent_run_leaves_goes_to_the_others_and_to_each_of_them() -> None:
    urgent = Wanting("urgent", urgent=True, threads=1, sending=0.6)
    sent = run(200, 60, urgent, Wanting("one", 1), Wanting("three", 3))
    assert quietest(sent, WINDOW, 1, 59) >= 1_950
    assert part_of(sent, "one", 2, 60) > 0.1
    assert part_of(sent, "three", 2, 60) > 0.2


def test_a_dead_process_loses_what_it_had_reserved_and_no_more() -> None:
    sent = run(200, 60, Wanting("dead", dies=30), Wanting("alive"))
    assert quietest(sent, WINDOW, 1, 59) >= 2_000 - 50 - 150
    assert total(sent, 32, 59) == total(sent, 32, 59, "alive") >= 27 * 200 - 50


def test_a_new_run_waits_behind_less_than_a_second() -> None:
    sent = run(20, 30, Wanting("old", 20, threads=8, messages=10), Wanting("new", begins=10))
    assert min(entry.at for entry in sent if entry.who == "new") <= 11


def test_a_very_slow_rate_is_asked_for_again_within_a_second() -> None:
    decision = decide(NOW + 40, 20, NOW, None, [])
    assert not decision.turn.granted
    assert decision.turn.wait == LONGEST_WAIT
    assert decision.arrival_at == NOW + 40


@given(ahead=st.floats(0, 5), seconds=st.floats(0.001, 0.5))
def test_no_turn_begins_more_than_half_a_second_ahead(ahead: float, seconds: float) -> None:
    decision = decide(NOW + ahead, seconds, NOW, None, [])
    assert decision.turn.wait <= LONGEST_WAIT
    if decision.turn.granted:
        assert decision.turn.wait <= timedelta(seconds=0.5)


def test_a_run_counts_for_two_seconds_after_it_asked() -> None:
    claim = Claim(1, urgent=False, wanted_at=NOW, arrival_at=NOW)
    assert wants(claim, NOW + 1.9)
    assert not wants(claim, NOW + 2.1)


def test_throttling_is_forgotten_with_time() -> None:
    assert share_left(None, None, NOW) == 1
    assert share_left(0.5, NOW, NOW) == 0.5
    assert share_left(0.5, NOW, NOW + 1) == pytest.approx(0.525)
    assert share_left(SLOWEST, NOW, NOW + 61) < 1
    assert share_left(SLOWEST, NOW, NOW + 62) == 1
    assert share_left(SLOWEST, NOW, NOW + 1e9) == 1


@given(since=st.floats(0, 100), later=st.floats(0, 100), slowed_to=st.floats(SLOWEST, 1))
def test_the_rate_only_rises_until_the_next_throttling(
    since: float, later: float, slowed_to: float
) -> None:
    before, after = (share_left(slowed_to, NOW, NOW + at) for at in (since, since + later))
    assert slowed_to <= before <= after <= 1


def test_a_clock_that_was_wrong_by_years_slows_nothing_down() -> None:
    years = 1e8
    assert share_left(SLOWEST, NOW + years, NOW) == 1
    assert believable(NOW + years, 200, NOW) == NOW
    assert believable(NOW - years, 200, NOW) == NOW - years


@given(rate=st.floats(0.05, 1_000))
def test_what_was_rightly_reserved_is_believed(rate: float) -> None:
    turn = max(0.5, 1 / rate) / SLOWEST
    assert believable(NOW + 0.5 + turn, rate, NOW) == NOW + 0.5 + turn
