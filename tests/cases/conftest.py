"""A desk for each case, on each database."""

from pathlib import Path

import pytest

from tests.support.case import Case
from tests.support.command_line import sit_down


@pytest.fixture
def case(
    tmp_path: Path,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Case:
    """Riverside Association, with one notice, before it brought anybody in."""
    desk = sit_down(tmp_path, database_url, capsys, monkeypatch)
    desk.set_up()
    return Case(desk)
