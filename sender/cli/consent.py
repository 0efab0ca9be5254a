"""`sender consent`: what people agreed to, and when they no longer do."""

import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from sqlalchemy.orm import Session

from sender.cli.common import (
    ControllerOption,
    JsonFlag,
    counted,
    examples,
    group,
    opened,
    read_address,
    read_time,
)
from sender.cli.output import Facts, Listing, Output, mapping_rows
from sender.consent import recording
from sender.consent.expiring import MOST_DAYS, read_days, write_csv
from sender.consent.expiring import expiring as find_expiring
from sender.consent.forecast import MOST_MONTHS, Forecast
from sender.consent.forecast import forecast as find_forecast
from sender.consent.history import Subject, history_of
from sender.context import Context
from sender.controllers.lookup import current_version, find_controller
from sender.errors import UsageError
from sender.vocabulary import Channel

app = group("What people agreed to, and when they no longer do.")

AddressArgument = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="E-mail address or mobile number.")
]
AtOption = Annotated[
    str, typer.Option("--at", help="When the person acted: 2026-05-07, or with a time.")
]
MethodOption = Annotated[str, typer.Option(help="How: paper, phone, letter, doorstep, web-form …")]
SourceOption = Annotated[str, typer.Option(help="Where the evidence is: form 1204, box 7 …")]


@app.command(
    epilog=examples(
        "sender consent record ann@example.org -c riverside --purpose campaign-news "
        '--notice sign-up-form@1 --method paper --source "form 1204" --at 2026-05-07',
    )
)
def record(
    address: AddressArgument,
    *,
    controller: ControllerOption,
    purpose: Annotated[str, typer.Option(help="To what, by its slug.")],
    notice: Annotated[str, typer.Option(help="The wording that was seen: slug or slug@version.")],
    method: MethodOption,
    source: SourceOption,
    at: AtOption,
    until: Annotated[str, typer.Option(help="When it ends, if the person limited it.")] = "",
    json_output: JsonFlag = False,
) -> None:
    """Record a person's yes. It lifts no opt-out: that takes the person's own new act."""
    subject = _subject(controller, address)
    with opened() as context, context.store.write() as session:
        zone = _zone(session, controller)
        blocks = recording.give(
            session,
            context.hasher,
            subject,
            recording.Act(
                read_time(at, zone, option="--at"), method, source, context.operator,
                context.clock.now(),
            ),
            purpose=purpose,
            notice=notice,
            until=read_time(until, zone, option="--until") if until else None,
        )  # fmt: skip
    names = [cause.name.lower() for cause in blocks]
    lines = [f"Recorded: a yes to {purpose} of {controller} by {subject.channel}."]
    if names:
        lines.append(f"Still nothing is sent there, because of: {', '.join(names)}.")
    Output(as_json=json_output).show({"recorded": True, "still_blocked_by": names}, *lines)


@app.command(
    epilog=examples(
        "sender consent withdraw ann@example.org -c riverside --purpose campaign-news",
        "sender consent withdraw ann@example.org -c riverside --channel",
        "sender consent withdraw ann@example.org -c riverside --all",
    )
)
def withdraw(
    address: AddressArgument,
    *,
    controller: ControllerOption,
    purpose: Annotated[str, typer.Option(help="Withdraw consent to this purpose only.")] = "",
    channel: Annotated[bool, typer.Option("--channel", help="Opt out of the channel.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Object to all marketing, on every address.")
    ] = False,
    method: MethodOption = "operator",
    source: SourceOption = "operator",
    at: AtOption = "",
    json_output: JsonFlag = False,
) -> None:
    """Record a person's no: to one purpose, to one channel, or to everything."""
    if sum((bool(purpose), channel, everything)) != 1:
        raise UsageError("Say what the person withdrew.", remedy="--purpose P, --channel or --all.")
    subject = _subject(controller, address)
    with opened() as context, context.store.write() as session:
        act = _act(context, session, controller, at=at, method=method, source=source)
        if purpose:
            recording.withdraw_purpose(session, context.hasher, subject, act, purpose=purpose)
        elif channel:
            recording.block_channel(session, context.hasher, subject, act)
        else:
            recording.object_to_all(session, context.hasher, subject, act)
    what = purpose or ("everything" if everything else f"channel {subject.channel}")
    Output(as_json=json_output).show(
        {"withdrawn": what, "controller": controller}, f"Recorded: a no to {what} of {controller}."
    )


@app.command(epilog=examples("sender consent history ann@example.org -c riverside"))
def history(
    address: AddressArgument, controller: ControllerOption, json_output: JsonFlag = False
) -> None:
    """Show every act on record about an address, and what keeps messages back now."""
    subject = _subject(controller, address)
    with opened() as context, context.store.read() as session:
        found = history_of(session, context.hasher, subject)
    blocks = [
        {
            "cause": block.cause.name.lower(),
            "channel": block.channel,
            "purpose": block.purpose,
            "set_at": block.set_at,
            "everywhere": block.everywhere,
        }
        for block in found.blocks
    ]
    document = {"objected_at": found.objected_at, "events": found.entries, "blocks": blocks}
    events = [
        (one.occurred_at, one.what, one.about, one.method, one.source, one.notice, one.operator)
        for one in found.entries
    ]
    parts: list[Facts | Listing] = [
        Listing(
            ["When", "Act", "About", "How", "Source", "Notice", "Operator"],
            events,
            empty="Nothing is on record about this address at this controller.",
        ),
    ]
    if found.objected_at:
        parts.insert(0, Facts([("Objected to everything", found.objected_at)]))
    if blocks:
        columns = ["Cause", "Channel", "Purpose", "Since", "At all controllers"]
        rows = [list(block.values()) for block in blocks]
        parts.append(Listing(columns, rows, title="Blocks in force"))
    Output(as_json=json_output).show(document, *parts)


@app.command(
    epilog=examples(
        "sender consent expiring -c riverside --within 60d",
        "sender consent expiring -c riverside --within 60d --csv > ask-again.csv",
    )
)
def expiring(
    controller: ControllerOption,
    *,
    within: Annotated[str, typer.Option(help="Within how long: 60d, 8w, or 90 for days.")] = "90d",
    days: Annotated[
        int | None, typer.Option(min=1, max=MOST_DAYS, help="The same, as a number of days.")
    ] = None,
    counts_only: Annotated[bool, typer.Option("--counts", help="Numbers only, no people.")] = False,
    csv_output: Annotated[bool, typer.Option("--csv", help="Print the people as CSV.")] = False,
    json_output: JsonFlag = False,
) -> None:
    """List the people whose yes soon is too old to rely on: ask them again before, not after."""
    if csv_output and (json_output or counts_only):
        raise UsageError("--csv prints people alone.", remedy="Leave --json and --counts out.")
    time = timedelta(days=days) if days is not None else _within(within)
    with opened() as context, context.store.read() as session:
        found = find_expiring(session, controller, now=context.clock.now(), within=time)
    if csv_output:
        write_csv(sys.stdout, found)
        return
    counts = Counter(f"{one.purpose} by {one.channel}" for one in found)
    people = [] if counts_only else found
    document = {"days": time.days, "total": len(found), "counts": counts, "people": people}
    parts: list[str | Listing] = [
        f"{counted(len(found), 'consent')} of {controller} end within {counted(time.days, 'day')}."
    ]
    if counts:
        parts.append(Listing(["Purpose", "People"], mapping_rows(counts)))
    if people:
        columns = ["Person", "Address", "Purpose", "Last yes", "Until", "Because"]
        rows = [
            (one.contact, one.address, one.purpose, one.last_yes_at, one.until, one.because)
            for one in people
        ]
        parts.append(Listing(columns, rows))
    Output(as_json=json_output).show(document, *parts)


@app.command(
    epilog=examples(
        "sender consent forecast -c riverside",
        "sender consent forecast -c riverside --purpose campaign-news --channel email --months 12",
    )
)
def forecast(
    controller: ControllerOption,
    *,
    purpose: Annotated[str, typer.Option(help="Only this purpose, by its slug.")] = "",
    channel: Annotated[Channel | None, typer.Option(help="Only this channel.")] = None,
    months: Annotated[int, typer.Option(min=1, max=MOST_MONTHS, help="How many months.")] = 24,
    json_output: JsonFlag = False,
) -> None:
    """Say how many people can still be written to at each month's end if nobody reconfirms."""
    with opened() as context, context.store.read() as session:
        now = context.clock.now()
        found = find_forecast(
            session, controller, now=now, months=months, purpose=purpose or None, channel=channel
        )
    document = {"controller": controller, "at": now, "forecasts": found}
    Output(as_json=json_output).show(document, *_forecast_parts(controller, found))


def _forecast_parts(controller: str, found: Sequence[Forecast]) -> list[str | Listing]:
    reached = [one for one in found if one.now]
    if not reached:
        return [f"Nobody can be written to by {controller} now."]
    columns = ["At the end of", *[f"{one.purpose} by {one.channel}" for one in reached]]
    rows: list[list[object]] = [["now", *[one.now for one in reached]]]
    rows += [
        [month.month, *[one.months[place].contactable for one in reached]]
        for place, month in enumerate(reached[0].months)
    ]
    return [Listing(columns, rows)]


def _within(text: str) -> timedelta:
    """Read `--within`.

    Raises:
        UsageError: it is no number of days or weeks, or out of range.
    """
    found = read_days(text)
    if found is None:
        raise UsageError(
            f"--within: {text!r} is not a time from 1 to {MOST_DAYS:,} days.",
            remedy="Write a number of days or weeks: 60d or 8w.",
        )
    return found


def _subject(controller: str, address: str) -> Subject:
    channel, plain = read_address(address)
    return Subject(controller, channel, plain)


def _zone(session: Session, controller: str) -> ZoneInfo:
    return ZoneInfo(current_version(session, find_controller(session, controller).id).time_zone)


def _act(
    context: Context, session: Session, controller: str, *, at: str, method: str, source: str
) -> recording.Act:
    now: datetime = context.clock.now()
    acted = read_time(at, _zone(session, controller), option="--at") if at else now
    return recording.Act(acted, method, source, context.operator, now)
