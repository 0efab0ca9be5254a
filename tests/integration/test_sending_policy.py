"""The controller file's sending hours, frequency caps and brake, and what is kept of them."""

import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from sender.controllers.brake_thresholds import BrakeThresholds
from sender.controllers.file import ControllerFile, read_controller_file
from sender.controllers.lookup import find_controller
from sender.controllers.registry import Change, add_controller, update_controller
from sender.controllers.sending_policy import (
    DEFAULT_MINUTES,
    FrequencyCap,
    SendingPolicy,
    WindowMinutes,
    load_policy,
)
from sender.controllers.sending_policy_file import BrakeEntry
from sender.store.audit import AuditEvent
from sender.store.controllers import SendingPolicy as SendingPolicyRow
from sender.store.engine import Store
from sender.toml.source import FileErrors
from tests.support.command_line import CONTROLLER_FILE
from tests.support.factory import NOW, OPERATOR

POLICY = """
[window]
from = "08:00"
to = "21:30"

[[frequency_cap]]
messages = 2
days = 7
across_channels = true

[[frequency_cap]]
messages = 1
days = 1

[brake]
hard_bounce_percent = 3
complaint_percent = 0.05
"""
FIRST_LINE = CONTROLLER_FILE.count("\n") + 1


def read(folder: Path, more: str = "") -> tuple[ControllerFile, Path]:
    path = folder / "riverside.toml"
    path.write_text(CONTROLLER_FILE + more, encoding="utf-8")
    return read_controller_file(path), path


def add(store: Store, folder: Path, more: str = "") -> Change:
    with store.write() as session:
        return add_controller(session, *read(folder, more), operator=OPERATOR, now=NOW)


def update(store: Store, folder: Path, more: str) -> Change:
    later = NOW + timedelta(days=1)
    with store.write() as session:
        return update_controller(session, *read(folder, more), operator=OPERATOR, now=later)


def policy(store: Store) -> SendingPolicy:
    with store.read() as session:
        return load_policy(session, find_controller(session, "riverside").id)


def rows(store: Store) -> int:
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(SendingPolicyRow)) or 0


def test_a_controller_that_says_nothing_has_the_defaults(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path)
    assert policy(store) == SendingPolicy(DEFAULT_MINUTES, (), BrakeThresholds())
    assert str(policy(store).window) == "09:00 to 20:00"
    assert rows(store) == 0


def test_what_the_file_says_holds_and_the_rest_is_default(store: Store, tmp_path: Path) -> None:
    change = add(store, tmp_path, POLICY)
    found = policy(store)
    assert found.window == WindowMinutes(8 * 60, 21 * 60 + 30)
    assert found.caps == (FrequencyCap(2, 7, True), FrequencyCap(1, 1, False))
    assert found.brake == BrakeThresholds(hard_bounce_percent=3, complaint_percent=0.05)
    assert "Sending hours: 08:00 to 21:30." in change.done
    assert (
        "Frequency caps: at most 2 in 7 days over all channels; at most 1 in 1 day on each channel."
        in change.done
    )


def test_a_row_is_added_only_on_a_change_and_kept(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, POLICY)
    assert update(store, tmp_path, POLICY).done == ()
    assert rows(store) == 1
    change = update(store, tmp_path, POLICY.replace("21:30", "21:00"))
    assert change.done == ("Sending hours: 08:00 to 21:00.",)
    assert rows(store) == 2
    with store.read() as session:
        first, second = session.scalars(select(SendingPolicyRow).order_by(SendingPolicyRow.id))
    assert (first.recorded_at, second.recorded_at) == (NOW, NOW + timedelta(days=1))
    assert first.window == {"opens": 480, "closes": 1290}


def test_what_the_file_no_longer_says_falls_back_to_the_default_and_is_told(
    store: Store, tmp_path: Path
) -> None:
    add(store, tmp_path, POLICY)
    change = update(store, tmp_path, "")
    assert policy(store) == SendingPolicy()
    assert change.done[:2] == ("Sending hours: 09:00 to 20:00.", "Frequency caps: none.")
    assert rows(store) == 2


def test_a_default_that_is_said_is_kept_as_said(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path)
    change = update(store, tmp_path, '[window]\nfrom = "09:00"\nto = "20:00"\n')
    assert len(change.done) == 1
    assert policy(store) == SendingPolicy()
    assert rows(store) == 1


def test_each_change_has_its_operator_in_the_audit_trail(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path)
    update(store, tmp_path, POLICY)
    with store.read() as session:
        last = session.scalars(select(AuditEvent).order_by(AuditEvent.id.desc()).limit(1)).one()
    assert (last.action, last.operator) == ("controller.update", OPERATOR)
    assert "Sending hours: 08:00 to 21:30." in last.details["done"]


def test_each_controller_has_its_own(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, POLICY)
    with store.read() as session:
        assert load_policy(session, 10_000) == SendingPolicy()


def test_the_whole_day_may_be_said(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, '[window]\nfrom = 00:00:00\nto = "24:00"\n')
    assert policy(store).window == WindowMinutes(0, 1440)


@pytest.mark.parametrize(
    ("more", "line", "key", "words"),
    [
        ('[window]\nfrom = "09:00"', 0, "window.to", "is missing"),
        ('[window]\nfrom = "9:00"\nto = "20:00"', 1, "window.from", "must be a time"),
        ('[window]\nfrom = "20:00"\nto = "09:00"', 2, "window.to", "later than `from`"),
        ('[window]\nfrom = "09:00"\nto = "25:00"', 2, "window.to", "00:00 to 24:00"),
        ('[window]\nfrom = "09:00"\nto = 20', 2, "window.to", "must be a time"),
        ('[window]\nfrom = "09:00"\nto = "20:00"\nfro = 1', 3, "window.fro", "Did you mean from"),
        ("[[frequency_cap]]\nmessages = 2", 0, "frequency_cap[1].days", "is missing"),
        ("[[frequency_cap]]\nmessages = 0\ndays = 7", 1, "frequency_cap[1].messages", "at least 1"),
        ("[[frequency_cap]]\nmessages = 2\ndays = 400", 2, "frequency_cap[1].days", "at most 366"),
        (
            '[[frequency_cap]]\nmessages = 2\ndays = 7\nacross_channels = "yes"',
            3,
            "frequency_cap[1].across_channels",
            "true or false",
        ),
        ("[[frequency_cap]]\nmessages = 2\ndays = 7\n" * 2, 0, "frequency_cap", "7 days twice"),
        (
            "".join(f"[[frequency_cap]]\nmessages = 2\ndays = {n}\n" for n in range(1, 7)),
            0,
            "frequency_cap",
            "more than 5",
        ),
        ("[brake]\nhard_bounce_percent = 50", 1, "brake.hard_bounce_percent", "at most 10"),
        ("[brake]\ncomplaint_percent = 0", 1, "brake.complaint_percent", "at least 0.01"),
        ("[brake]\ncomplaint_percent = nan", 1, "brake.complaint_percent", "finite"),
        ("[brake]\nleast_accepted = 10", 1, "brake.least_accepted", "at least 50"),
        ("[brake]\nsilence_minutes = 1_000", 1, "brake.silence_minutes", "at most 240"),
        ("[brake]\nopt_outs = 1", 1, "brake.opt_outs", "not a key"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(
    tmp_path: Path, more: str, line: int, key: str, words: str
) -> None:
    with pytest.raises(FileErrors) as caught:
        read(tmp_path, more)
    (error,) = caught.value.errors
    assert (error.key, error.line) == (key, FIRST_LINE + line)
    assert re.search(words, str(error)), str(error)


def test_every_threshold_can_be_set() -> None:
    assert set(BrakeEntry.model_fields) == {one.name for one in fields(BrakeThresholds)}


def test_every_default_lies_within_the_bounds() -> None:
    defaults = BrakeThresholds()
    BrakeEntry(**{one.name: getattr(defaults, one.name) for one in fields(BrakeThresholds)})
