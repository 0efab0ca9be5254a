"""Commands of schedules: approve a campaign file, look what goes out when, and tick."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sender.cli.common import JsonFlag, YesFlag, counted, examples, group, no_extra, opened
from sender.cli.output import Facts, Listing, Output, Part
from sender.errors import RefusedError

if TYPE_CHECKING:
    from sender.campaigns.schedule_desk import Approval
    from sender.campaigns.schedule_listing import NextOccurrence, ScheduleLine
    from sender.campaigns.scheduling import TickReport
    from sender.context import Context

app = group("Campaigns that go out by themselves.")

ScheduleArgument = Annotated[int, typer.Argument(help="The schedule's number.", metavar="ID")]

_SAME = ("", "", "", "")
"""Stands below what a schedule is called, beside its further occurrences."""
_INTERRUPTED = 130
"""128 + SIGINT, as shells count."""


@app.command(epilog=examples("sender schedule add weekly.toml"))
def add(
    file: Annotated[Path, typer.Argument(help="The campaign file.", metavar="FILE")],
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Check a file with a [schedule], ask, and let exactly this text go out at its times.

    Adding a changed file again approves its new text, and lifts a hold.
    """
    from sender.campaigns.schedule_desk import look_over  # noqa: PLC0415  # heavy rooms, lazily

    out = Output(as_json=as_json)
    with opened() as context:
        approval = look_over(context, file)
        if not as_json:
            out.show({}, *_approval_parts(approval))
        out.confirm("Let this text go out by itself at its times?", yes=yes)
        schedule_id = approval.approve()
    document = {
        "schedule": schedule_id,
        "campaign": approval.definition.name,
        "sha256": approval.definition.files.content_hash,
        "next": [_next_document(one) for one in approval.next],
        "warnings": list(approval.report.warnings),
    }
    out.show(document, f"Approved as schedule {schedule_id}.")


@app.command("list", epilog=examples("sender schedule list", "sender schedule list -c riverside"))
def list_(
    controller: Annotated[
        str | None, typer.Option("--controller", "-c", help="Only this controller's.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that are over or were removed.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Say when campaigns go out next, and how many people each would reach today."""
    from sender.campaigns.schedule_listing import list_schedules  # noqa: PLC0415  # see `add`

    with opened() as context:
        lines = list_schedules(context, controller, ended=everything)
    rows = [row for line in lines for row in _rows(line)]
    Output(as_json=as_json).show(
        [line.document for line in lines],
        Listing(
            ["ID", "Campaign", "Controller", "State", "Goes out", "People today"],
            rows,
            empty="Nothing goes out by itself.",
        ),
        *[f"Schedule {line.schedule_id}: {line.because}" for line in lines if line.because],
    )


@app.command(epilog=examples("sender schedule pause 3"))
def pause(schedule: ScheduleArgument, as_json: JsonFlag = False) -> None:
    """Let nothing of a schedule go out until it is resumed; runs that have begun go on."""
    from sender.campaigns.schedule_desk import pause_schedule  # noqa: PLC0415  # see `add`

    _change(pause_schedule, schedule, as_json=as_json)


@app.command(epilog=examples("sender schedule resume 3"))
def resume(schedule: ScheduleArgument, as_json: JsonFlag = False) -> None:
    """Let a schedule that was paused or held go on, from its next time."""
    from sender.campaigns.schedule_desk import resume_schedule  # noqa: PLC0415  # see `add`

    _change(resume_schedule, schedule, as_json=as_json)


@app.command(epilog=examples("sender schedule remove 3 --yes"))
def remove(schedule: ScheduleArgument, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """End a schedule for good; its history stays, and runs that have begun go on."""
    from sender.campaigns.schedule_desk import remove_schedule  # noqa: PLC0415  # see `add`

    Output(as_json=as_json).confirm(f"Remove schedule {schedule} for good?", yes=yes)
    _change(remove_schedule, schedule, as_json=as_json)


@app.command(epilog=examples("sender schedule tick"))
def tick(as_json: JsonFlag = False) -> None:
    """Launch what fell due, send whatever has work, and tell operators; for cron and timers.

    Where workers are at work, they send and tell.
    """
    from sender.campaigns.scheduling import tick as look  # noqa: PLC0415  # see `add`

    with opened() as context, _stop_asked() as stopping:
        report = look(context, dispatch=True, stopping=stopping)
        _tell_operators(context)
        interrupted = stopping()
    failures = _failures(report)
    document = {**_tick_document(report), "problems": failures}
    Output(as_json=as_json).show(document, _tick_facts(report))
    if failures and as_json:  # said in the document: a second one would make it unreadable
        raise typer.Exit(1)
    if failures:
        raise RefusedError("; ".join(failures), remedy="See: sender schedule list")
    if interrupted:
        raise typer.Exit(_INTERRUPTED)


@contextmanager
def _stop_asked() -> Iterator[Callable[[], bool]]:
    """Let SIGTERM and Ctrl-C end the sending after the calls that have begun.

    What is left goes on at the next tick. A second signal ends the process at once, like a kill.
    """
    asked = Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            os._exit(_INTERRUPTED)
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell_operators(context: "Context") -> None:
    from sender.alerts.notify import notify_operators  # noqa: PLC0415  # see `add`
    from sender.campaigns.watching import has_workers  # noqa: PLC0415  # see `add`

    if not has_workers(context):
        notify_operators(context)


def _change(act: Any, schedule: int, *, as_json: bool) -> None:
    with opened() as context:
        state = act(context, schedule)
    Output(as_json=as_json).show(
        {"schedule": schedule, "state": state}, f"Schedule {schedule} is {state.value}."
    )


def _approval_parts(approval: "Approval") -> list[Part]:
    definition = approval.definition
    return [
        Facts([("Campaign", f"{definition.name} ({definition.controller})")]),
        Listing(["Goes out", "People today"], [_cells(one) for one in approval.next]),
        *[f"Warning: {warning}" for warning in approval.report.warnings],
    ]


def _rows(line: "ScheduleLine") -> list[list[object]]:
    named = (line.schedule_id, line.campaign, line.controller, line.state)
    ahead = [_cells(one) for one in line.next] or [("", None)]
    return [[*(named if place == 0 else _SAME), *one] for place, one in enumerate(ahead)]


def _cells(one: "NextOccurrence") -> tuple[str, int | None]:
    return _local(one.due_at), one.people


def _local(moment: datetime) -> str:
    """Return a moment on the clock that its schedule is read on."""
    return f"{moment:%a %Y-%m-%d %H:%M} {moment.tzname()}"


def _next_document(one: "NextOccurrence") -> dict[str, Any]:
    return no_extra({"due_at": one.due_at, "day": one.day, "people": one.people})


def _tick_document(report: "TickReport") -> dict[str, Any]:
    sent = report.sent
    return {
        "launched": report.launched,
        "skipped": report.skipped,
        "held": report.held,
        "failed": report.failed,
        "sent": None if sent is None else {str(run): one for run, one in sent.endings.items()},
        "not_sent": {} if sent is None else {str(run): why for run, why in sent.failed.items()},
    }


def _tick_facts(report: "TickReport") -> Facts:
    sent = {} if report.sent is None else report.sent.endings
    return Facts(
        [
            ("Launched", report.launched),
            ("Skipped", report.skipped),
            ("Held", ", ".join(map(str, report.held))),
            *[(f"Run {run}", ending.value) for run, ending in sent.items()],
        ]
    )


def _failures(report: "TickReport") -> list[str]:
    failed = [f"Schedule {one} could not be launched" for one in report.failed]
    if report.sent is not None:
        failed += [f"Run {run}: {why}" for run, why in report.sent.failed.items()]
    if report.held:
        failed.append(f"{counted(len(report.held), 'schedule')} held: sender schedule list")
    return failed
