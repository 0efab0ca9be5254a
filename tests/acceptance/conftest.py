"""Fixtures of the tests that use the program as people do."""

import pytest

from sender.delivery import dispatch


@pytest.fixture(autouse=True)
def one_call_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a last look be for one provider call; put back what `one_call_at_a_time` sets."""
    monkeypatch.setattr(dispatch, "MOST_AT_ONCE", 50)
    monkeypatch.setattr(dispatch, "UNDER_WAY", dispatch.UNDER_WAY)
