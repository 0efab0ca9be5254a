"""One daily quota for all processes."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, event, select

from sender.delivery.quota import QUOTA_NEARLY_USED, Quota
from sender.errors import ProviderError
from sender.providers.base import Capacity
from sender.store.campaigns import AccountQuota
from sender.store.engine import Store
from sender.store.inbound import Alert
from sender.vocabulary import ProviderName
from tests.support.claimants import SimulatedClock
from tests.support.factory import add_account

MINUTE = 61.0


def capacity(left: int | None, allowed: int | None = None) -> Capacity:
    return Capacity(
        rate_per_second=10.0, remaining_today=left, sandbox=False, sending_enabled=True, detail="",
        daily_quota=allowed,
    )  # fmt: skip


class Provider:
    """What the provider would say; it learns what was sent only when a test says so."""

    def __init__(self, left: int | None, allowed: int | None = None) -> None:
        self.left = left
        self.allowed = allowed
        self.asked = 0
        self.silent = False

    def __call__(self) -> Capacity:
        self.asked += 1
        if self.silent:
            raise ProviderError("The provider cannot be reached.")
        return capacity(self.left, self.allowed)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def account_id(store: Store) -> int:
    with store.write() as session:
        return add_account(session, ProviderName.SES).id


Open = Callable[[Provider], Quota]


@pytest.fixture
def open_quota(store: Store, clock: SimulatedClock, account_id: int) -> Open:
    return lambda provider: Quota(store, clock, account_id, provider)


def alerts(store: Store) -> list[tuple[str, int]]:
    with store.read() as session:
        rows = session.scalars(select(Alert).where(Alert.kind == QUOTA_NEARLY_USED))
        return [(row.subject, row.times) for row in rows]


def test_two_processes_never_take_more_than_was_counted(open_quota: Open) -> None:
    provider = Provider(100)
    one, two = open_quota(provider), open_quota(provider)
    assert [one.take(40), two.take(40), one.take(40), two.take(40)] == [40, 40, 20, 0]
    assert provider.asked == 1


def test_two_that_count_for_the_first_time_at_once_share_one_count(open_quota: Open) -> None:
    provider = Provider(100)
    both_asked = threading.Barrier(2)

    def count() -> Capacity:
        both_asked.wait(timeout=30)
        return provider()

    def take_all(quota: Quota) -> int:
        return quota.take(60) + quota.take(60)

    quotas = [open_quota(provider), open_quota(provider)]
    for quota in quotas:
        quota.count = count
    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(take_all, quotas)) == 100


def test_many_threads_take_exactly_what_there_is(open_quota: Open) -> None:
    quotas = [open_quota(Provider(500)) for _ in range(4)]
    quotas[0].take(1)

    def take_all(quota: Quota) -> int:
        return sum(quota.take(7) for _ in range(25))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(take_all, quotas)) == 499


def test_what_is_given_back_can_be_taken_again(open_quota: Open) -> None:
    quota = open_quota(Provider(50))
    assert quota.take(50) == 50
    quota.give_back(20)
    assert [quota.take(50), quota.take(50)] == [20, 0]


def test_it_is_counted_anew_after_a_minute_by_one_of_all(
    open_quota: Open, clock: SimulatedClock
) -> None:
    provider = Provider(1_000)
    one, two = open_quota(provider), open_quota(provider)
    one.take(10)
    clock.seconds += MINUTE
    provider.left = 300  # somebody else uses the account too
    for quota in (one, two, one):
        quota.take(10)
    assert provider.asked == 2
    assert sum(one.take(100) for _ in range(5)) == 300 - 10 - 30


def test_the_others_go_on_with_what_is_known_while_one_counts(
    open_quota: Open, clock: SimulatedClock
) -> None:
    slow, other = Provider(1_000), Provider(1_000)
    quota, while_counting = open_quota(slow), open_quota(other)
    quota.take(10)
    clock.seconds += MINUTE
    taken: list[int] = []

    def count() -> Capacity:
        taken.append(while_counting.take(50))
        return slow()

    quota.count = count
    assert quota.take(10) == 10
    assert taken == [50]
    assert other.asked == 0


def test_messages_on_their_way_are_not_counted_as_left(
    open_quota: Open, clock: SimulatedClock
) -> None:
    provider = Provider(100)
    quota = open_quota(provider)
    quota.take(60)
    clock.seconds += MINUTE  # the provider has none of the 60 yet
    assert [quota.take(50), quota.take(50)] == [40, 0]


def test_what_is_used_up_is_counted_anew_a_minute_later(
    open_quota: Open, clock: SimulatedClock
) -> None:
    provider = Provider(50)
    quota = open_quota(provider)
    assert quota.take(1) == 1
    clock.seconds += 50
    assert quota.take(60) == 49
    clock.seconds += 50  # the count is older than that, but some may be on their way
    assert quota.take(1) == 0
    assert provider.asked == 1
    clock.seconds += 20
    assert quota.take(60) == 50  # yesterday's messages have dropped out of the provider's count
    assert provider.asked == 2


def test_no_quota_costs_no_write_and_no_second_look(
    open_quota: Open, clock: SimulatedClock, store: Store
) -> None:
    provider = Provider(None)
    quota = open_quota(provider)
    assert quota.take(1_000_000) == 1_000_000
    statements: list[str] = []
    listener = lambda *arguments: statements.append(arguments[2])  # noqa: E731 - removed below
    event.listen(store.engine, "before_cursor_execute", listener)
    clock.seconds += 59
    assert quota.take(1_000_000) == 1_000_000
    quota.give_back(1_000_000)
    event.remove(store.engine, "before_cursor_execute", listener)
    assert statements == []
    clock.seconds += MINUTE
    provider.left = 5
    assert quota.take(10) == 5


def test_a_provider_that_does_not_tell_leaves_what_is_known(
    open_quota: Open, clock: SimulatedClock
) -> None:
    provider = Provider(100)
    quota = open_quota(provider)
    quota.take(30)
    provider.silent = True
    clock.seconds += MINUTE
    assert [quota.take(60), quota.take(60)] == [60, 10]


def test_nothing_goes_before_the_provider_ever_told(open_quota: Open) -> None:
    provider = Provider(100)
    provider.silent = True
    with pytest.raises(ProviderError):
        open_quota(provider).take(1)


def test_operators_are_told_once_a_day_when_less_than_a_tenth_is_left(
    open_quota: Open, clock: SimulatedClock, store: Store, account_id: int
) -> None:
    one, two = open_quota(Provider(1_000, 1_000)), open_quota(Provider(1_000, 1_000))
    assert one.take(900) == 900
    assert alerts(store) == []
    assert two.take(1) == 1
    (told,) = alerts(store)
    assert told[1] == 1
    one.give_back(100)
    assert [one.take(100), two.take(60), one.take(39)] == [100, 60, 39]
    assert alerts(store) == [told]
    clock.seconds += timedelta(days=1).total_seconds()
    two.take(950)
    assert alerts(store) == [(told[0], 2)]


def test_an_account_of_unknown_size_raises_no_alert(open_quota: Open, store: Store) -> None:
    assert open_quota(Provider(10)).take(10) == 10
    assert alerts(store) == []


def test_the_rate_that_the_provider_tells_is_kept_for_people_to_look_at(
    open_quota: Open, store: Store, clock: SimulatedClock
) -> None:
    rates = iter([14.0, 20.0])
    provider = Provider(None)
    quota = open_quota(provider)
    quota.count = lambda: replace(provider(), rate_per_second=next(rates))
    for told in (14.0, 20.0):
        quota.take(1)
        with store.read() as session:
            assert session.scalars(select(AccountQuota.rate_per_second)).one() == told
        clock.sleep(MINUTE)


def test_a_clock_set_back_has_it_counted_anew(open_quota: Open, clock: SimulatedClock) -> None:
    provider = Provider(100)
    quota = open_quota(provider)
    quota.take(10)
    clock.seconds -= 10 * MINUTE
    assert quota.take(10) == 10
    assert provider.asked == 2


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "send", "give back", "wait"]),
        st.integers(0, 2),
        st.integers(1, 60),
    ),
    max_size=40,
)


@pytest.mark.parametrize("dialect", ["sqlite"])
@given(quota=st.integers(0, 200), steps=STEPS)
def test_what_was_taken_always_fits_the_provider(
    store: Store, account_id: int, quota: int, steps: list[tuple[str, int, int]]
) -> None:
    """Whatever was taken and not given back is at most what the provider lets through.

    It counts what was sent at once; between taking and sending less than a minute passes.
    """
    with store.write() as session:
        session.execute(delete(AccountQuota))
    clock, provider = SimulatedClock(), Provider(quota)
    workers = [Quota(store, clock, account_id, provider) for _ in range(3)]
    held, sent = [0, 0, 0], 0
    for what, worker, number in steps:
        if what == "take":
            held[worker] += workers[worker].take(number)
        elif what == "give back":
            back = min(number, held[worker])
            workers[worker].give_back(back)
            held[worker] -= back
        elif what == "send":
            sent, held[worker] = sent + held[worker], 0
            provider.left = quota - sent
        else:
            sent, held = sent + sum(held), [0, 0, 0]
            provider.left = quota - sent
            clock.seconds += number + 1
        assert sent + sum(held) <= quota
