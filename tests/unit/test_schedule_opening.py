"""Which audience differs too much from the last one."""

import pytest

from sender.campaigns.schedule_opening import is_unusual


@pytest.mark.parametrize(
    ("people", "last", "percent", "unusual"),
    [
        (100, 100, 50, False),
        (150, 100, 50, False),
        (151, 100, 50, True),
        (50, 100, 50, False),
        (49, 100, 50, True),
        (0, 19, 50, False),
        (30, 0, 50, False),
        (31, 0, 50, True),
        (10_000, 5, 50, True),
        (0, 10_000, 50, True),
        (200, 100, 100, False),
        (0, 10_000, 100, False),
    ],
)
def test_what_is_unusual(people: int, last: int, percent: int, *, unusual: bool) -> None:
    assert is_unusual(people, last, percent) is unusual
