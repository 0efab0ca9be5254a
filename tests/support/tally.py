"""Count what the tests that destroy did, also over several test processes."""

from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

_NAME = "chaos"


class Tally(Counter[str]):
    """How often what was done, or came of it."""


def tally_of(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Yield a tally; what it counted travels with the test's last report.

    As a plain dict: a report goes from one test process to another, which takes nothing else.
    """
    tally = Tally()
    yield tally
    request.node.user_properties.append((_NAME, dict(tally)))


def total(reports: Iterable[object]) -> Counter[str]:
    """Add up the tallies of all tests that have ended."""
    summed: Counter[str] = Counter()
    for report in reports:
        if isinstance(report, pytest.TestReport) and report.when == "teardown":
            for name, tally in report.user_properties:
                if name == _NAME and isinstance(tally, dict):
                    summed.update(tally)
    return summed
