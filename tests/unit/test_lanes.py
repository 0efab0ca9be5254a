"""Whose turn it is to look: when every call of the batch before has begun, and a lane is free."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Event

import pytest

from sender.delivery.lanes import Lanes
from sender.providers.base import BatchResult

NEVER: Callable[[], bool] = lambda: False  # noqa: E731  # reads as a value


class Watch:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def opened() -> Iterator[list[Lanes]]:
    made: list[Lanes] = []
    yield made
    for lanes in made:
        lanes.close()


def open_lanes(opened: list[Lanes], width: int, watch: Watch | None = None) -> Lanes:
    opened.append(Lanes(width, watch or Watch()))
    return opened[-1]


def has_turn(lanes: Lanes) -> bool:
    """Whether somebody who asks once gets the turn."""
    asked = iter([False])
    return lanes.take_turn(lambda: next(asked, True))


def test_the_turn_passes_when_a_lane_is_free_again(opened: list[Lanes]) -> None:
    lanes = open_lanes(opened, 2)
    begun, go_on = [Event(), Event()], [Event(), Event()]

    def call(place: int) -> Callable[[], BatchResult]:
        def made() -> BatchResult:
            begun[place].set()
            go_on[place].wait()
            return BatchResult(())

        return made

    assert lanes.take_turn(NEVER)
    first, second = lanes.start([call(0), call(1)])
    for one in begun:
        one.wait()
    assert not has_turn(lanes)  # both lanes are busy
    go_on[0].set()
    first.result()
    assert lanes.take_turn(NEVER)
    go_on[1].set()
    second.result()
    lanes.pass_turn()


def test_no_turn_while_a_call_has_not_begun(opened: list[Lanes]) -> None:
    lanes = open_lanes(opened, 1)
    go_on = Event()

    def held() -> BatchResult:
        go_on.wait()
        return BatchResult(())

    assert lanes.take_turn(NEVER)
    calls = lanes.start([held, lambda: BatchResult(())])
    assert not has_turn(lanes)
    go_on.set()
    for one in calls:
        one.result()
    assert lanes.take_turn(NEVER)
    lanes.pass_turn()


def test_a_call_that_raises_frees_its_lane(opened: list[Lanes]) -> None:
    lanes = open_lanes(opened, 1)

    def broken() -> BatchResult:
        raise ZeroDivisionError

    assert lanes.take_turn(NEVER)
    (call,) = lanes.start([broken])
    assert isinstance(call.exception(), ZeroDivisionError)
    assert lanes.take_turn(NEVER)
    lanes.pass_turn()


def test_nobody_waits_for_a_turn_who_is_to_stop(opened: list[Lanes]) -> None:
    lanes = open_lanes(opened, 1)
    assert lanes.take_turn(NEVER)
    assert not lanes.take_turn(lambda: True)
    lanes.pass_turn()


def test_how_many_calls_begin_in_time_follows_how_long_they_take(opened: list[Lanes]) -> None:
    watch = Watch()
    lanes = open_lanes(opened, 2, watch)

    def lasting(seconds: float) -> Callable[[], BatchResult]:
        def call() -> BatchResult:
            watch.seconds += seconds
            return BatchResult((), calls=1)

        return call

    within = timedelta(milliseconds=400)
    assert lanes.calls_within(within) == 8  # a tenth of a second each, until it is known better
    for _ in range(40):
        assert lanes.take_turn(NEVER)
        lanes.start([lasting(0.02)])[0].result()
    assert lanes.calls_within(within) in {36, 38, 40}
    for _ in range(40):
        assert lanes.take_turn(NEVER)
        lanes.start([lasting(30.0)])[0].result()
    assert lanes.calls_within(within) == 2
