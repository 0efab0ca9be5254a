"""No cell that is written here runs in a spreadsheet, and each is read as it was."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.spreadsheet import harmless, unmarked

ROOT = Path(__file__).parents[2] / "sender"


@pytest.mark.parametrize(
    "first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"]
)
def test_no_cell_begins_like_a_formula(first: str) -> None:
    assert harmless(f"{first}1+1") == f"'{first}1+1"


@given(st.text(max_size=5).filter(lambda text: not text.startswith("'")))
def test_what_was_marked_is_read_as_it_was(cell: str) -> None:
    assert unmarked(harmless(cell)) == cell


def test_every_writer_of_a_csv_file_uses_it() -> None:
    """The demo's files are made of names that this program invented."""
    writers = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if re.search(r"csv\.(Dict)?[wW]riter\(", path.read_text(encoding="utf-8"))
    }
    using = {name for name in writers if "harmless(" in (ROOT / name).read_text(encoding="utf-8")}
    assert writers - using == {"demo/people.py"}
