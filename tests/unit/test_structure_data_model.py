"""docs/data-model.md speaks of every table, state and guard that there is."""

from pathlib import Path

import pytest

from sender.store.append_only import APPEND_ONLY, NEVER_DELETED
from sender.store.tables import metadata
from sender.vocabulary import DeliveryState, RunState

PAGE = (Path(__file__).parents[2] / "docs" / "data-model.md").read_text(encoding="utf-8")
ROWS = [line.split("|") for line in PAGE.splitlines() if line.startswith("| `")]
GUARDS = {
    name.strip(" `"): guard.strip()
    for _, names, _, guard, *_ in (row for row in ROWS if len(row) > 4)
    for name in names.split(",")
}


def test_it_lists_every_table_and_no_other() -> None:
    assert set(GUARDS) == set(metadata.tables)


@pytest.mark.parametrize("table", sorted(metadata.tables))
def test_it_states_each_guard(table: str) -> None:
    guard = GUARDS[table]
    assert guard.startswith("append-only") == (table in APPEND_ONLY)
    assert guard.startswith("stay") == (table in NEVER_DELETED)


@pytest.mark.parametrize("state", [*DeliveryState, *RunState])
def test_its_diagrams_show_every_state(state: str) -> None:
    assert f"--> {state}" in PAGE
