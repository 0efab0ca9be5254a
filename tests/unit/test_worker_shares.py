"""How workers' slots are shared out among runs."""

from hypothesis import given
from hypothesis import strategies as st

from sender.jobs.sending import MOST_AT_ONCE, share
from sender.vocabulary import Priority

slot_counts = st.integers(min_value=0, max_value=1_000)
run_counts = st.integers(min_value=1, max_value=1_000)
priorities = st.sampled_from([None, Priority.NORMAL, Priority.URGENT])


@given(slot_counts, run_counts, priorities)
def test_every_run_has_a_share_and_none_more_than_there_are_slots(
    slots: int, runs: int, priority: Priority | None
) -> None:
    given_share = share(slots, runs, priority)
    assert 1 <= given_share <= min(max(slots, 1), MOST_AT_ONCE)


@given(slot_counts, st.integers(min_value=2, max_value=1_000))
def test_a_run_beside_others_never_has_all_slots(slots: int, runs: int) -> None:
    assert slots < 2 or share(slots, runs, Priority.NORMAL) < slots


@given(slot_counts, run_counts)
def test_an_urgent_run_may_have_all(slots: int, runs: int) -> None:
    assert share(slots, runs, Priority.URGENT) == share(slots, 1, Priority.NORMAL)
