"""So many sign-ups a day from one client address, and a bounded memory of them."""

from datetime import timedelta

from sender.web.sign_up_limits import DAY, DailyCount
from tests.fakes.outgoing import ManualClock


def test_so_many_and_no_more_until_a_day_has_passed() -> None:
    clock = ManualClock()
    count = DailyCount(clock, most=3)
    assert [count.take("a") for _ in range(4)] == [True, True, True, False]
    assert count.take("b")
    clock.seconds += (DAY - timedelta(seconds=1)).total_seconds()
    assert not count.take("a")
    clock.seconds += 1
    assert count.take("a")


def test_the_longest_unseen_is_forgotten_first() -> None:
    count = DailyCount(ManualClock(), most=1, clients=2)
    assert [count.take(client) for client in "abc"] == [True] * 3
    assert count.take("a")
    assert not count.take("c")
