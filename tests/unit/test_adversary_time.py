"""Clocks that run on while a machine sleeps; answers that leave a message's fate open."""

import time

import pytest

from sender.clock import SystemClock
from sender.providers.outcome import Meaning
from sender.providers.ses.outcomes import call_outcome
from sender.providers.twilio.outcomes import error_outcome


def test_a_deadline_passes_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.clock_gettime
    slept = {getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC): 3_600.0}
    clock = SystemClock()
    before = clock.monotonic()
    monkeypatch.setattr(time, "clock_gettime", lambda which: real(which) + slept.get(which, 0.0))
    assert clock.monotonic() - before >= 3_600.0


def test_a_time_out_told_from_the_other_side_may_have_been_taken() -> None:
    assert call_outcome("", "", 408).meaning is Meaning.UNKNOWN
    assert error_outcome(None, 408).meaning is Meaning.UNKNOWN
