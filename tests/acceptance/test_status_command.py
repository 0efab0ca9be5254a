"""`sender status` as an operator types it, on both databases."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from sender.cli import status as status_command
from sender.cli import terminal
from sender.cli.output import Output
from sender.cli.status_views import span
from sender.clock import SystemClock
from sender.context import open_context
from sender.jobs.queue import Queue
from sender.settings import load_settings
from sender.store.alert_book import raise_alert
from tests.support.command_line import Desk, sit_down
from tests.support.status_world import fill_floor


@pytest.fixture
def desk(
    tmp_path: Path,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    desk = sit_down(tmp_path, database_url, capsys, monkeypatch)
    desk.done("db", "upgrade")
    return desk


def fill(*, alerts: int = 1) -> None:
    with open_context(load_settings()) as context:
        fill_floor(context)
        with context.store.write() as session:
            for number in range(alerts):
                now = context.clock.now()
                raise_alert(session, "run.paused", f"run {number} of national/library", now=now)


def test_an_idle_installation_says_so(desk: Desk, dialect: str) -> None:
    said = desk.done("status").out
    assert "No run is under way." in said
    assert "0 messages a minute" in said
    if dialect == "sqlite":
        assert "whoever launches sends" in said
        assert "Queues" not in said
    else:
        assert "sender worker" in said
        assert [queue for queue in Queue if queue not in said] == []


def test_the_answer_tells_all_that_is_under_way(desk: Desk, dialect: str) -> None:
    fill()
    said = re.sub(" +", " ", desk.done("status").out)
    assert "riverside/spring-appeal running, planning 8 1,400" in said
    assert "Run 3: hard bounces: 60 or more" in said
    assert "Parts: 1 in hand, 1 ready (oldest: 1 min), 0 for later, 1 not planned yet." in said
    assert "(slowed to" in said
    assert "4,321 of 50,000" in said
    assert "Schedule 2 is held: The file was changed." in said
    assert "run.paused run 0 of national/library" in said
    if dialect == "postgresql":
        assert "worker-1.example.org 4711 2 h 0 min" in said
        assert "LOST" in said
        assert re.search(r"send 1 0 \d+ s", said)


def test_many_alerts_are_cut_short_and_counted(desk: Desk) -> None:
    fill(alerts=13)
    said = desk.done("status").out
    assert "13 alerts" in said
    assert "And 3 more: sender alert list" in said


def test_scripts_get_one_document(desk: Desk) -> None:
    fill()
    document = desk.read("status")
    assert {"at", "database", "workers", "queues", "accounts", "runs", "parts"} < set(document)
    assert document["runs"][0]["sent"] == 1_400
    assert document["parts"]["in_hand"] == 1


def test_watching_looks_again_until_it_is_interrupted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []

    def nap(_clock: SystemClock, seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(SystemClock, "sleep", nap)
    answer = desk.sender("status", "--watch")
    assert answer.code == 130
    assert answer.out.count("No run is under way.") == 3
    assert naps == [status_command._WATCH_EVERY_SECONDS] * 3
    assert "\x1b" not in answer.out


@pytest.mark.parametrize("width", [80, 140])
def test_it_fits_a_terminal(desk: Desk, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fill()
    consoles: list[Console] = []

    def console(**options: object) -> Console:
        consoles.append(Console(width=width, force_terminal=True, record=True, highlight=False))
        return consoles[-1]

    monkeypatch.setattr(terminal, "Console", console)
    monkeypatch.setattr(Output, "show", show_on_a_terminal)
    desk.done("status")
    lines = "".join(one.export_text() for one in consoles).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    whole = "\n".join(lines)
    assert "Sends runs" in whole or "sqlite" in load_settings().database_url
    assert [
        word for word in ("Pending", "A minute", "Quota left", "Next") if word not in whole
    ] == []


def show_on_a_terminal(_output: Output, _document: object, *parts: object) -> None:
    for part in parts:
        terminal.draw(part)  # type: ignore[arg-type]  # each is a part


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (3_599, "59 min"), (7_260, "2 h 1 min"),
     (90_000, "1 d 1 h")],
)  # fmt: skip
def test_durations_are_said_in_their_largest_units(seconds: float, said: str) -> None:
    assert span(timedelta(seconds=seconds)) == said
