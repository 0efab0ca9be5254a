"""Fixtures of the tests that destroy: processes to be killed, and chance that can be repeated."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from sender.delivery import dispatch
from tests.support.campaign_folder import CREDENTIALS
from tests.support.chaos_world import PEOPLE, ChaosWorld, chaos_world
from tests.support.nursery import Nurse, nursery
from tests.support.tally import Tally, tally_of, total

SEED = int(os.environ.get("CHAOS_SEED", str(random.randrange(10**6))))


@pytest.fixture(autouse=True)
def usual_work_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back what `Office.one_call_at_a_time` sets in this process."""
    monkeypatch.setattr(dispatch, "UNDER_WAY", dispatch.UNDER_WAY)


@pytest.fixture(scope="session")
def nurse() -> Iterator[Nurse]:
    """Starts `sender` processes."""
    with nursery() as one:
        yield one


@pytest.fixture
def people() -> int:
    """How many people the world holds; a test file says otherwise with a fixture of its own."""
    return PEOPLE


@pytest.fixture
def world(
    nurse: Nurse, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, people: int
) -> Iterator[ChaosWorld]:
    """An office whose launches run in processes of their own, and the fake that they send to."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with chaos_world(nurse, database_url, tmp_path, people=people) as opened:
        yield opened


@pytest.fixture
def chance() -> random.Random:
    """Chance, the same again with the same CHAOS_SEED."""
    print(f"CHAOS_SEED={SEED}")  # noqa: T201  # pytest shows it when the test fails
    return random.Random(SEED)


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Counts what this test did; the sum of all is shown at the end."""
    yield from tally_of(request)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was done."""
    counts = total(report for reports in terminalreporter.stats.values() for report in reports)
    if counts:
        terminalreporter.section(f"chaos, CHAOS_SEED={SEED}")
    for what, number in sorted(counts.items()):
        terminalreporter.line(f"{number:>9,}  {what}")
