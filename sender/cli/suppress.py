"""`sender suppress`: who must not be written to."""

import csv
import os
import sys
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

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
from sender.cli.imported import as_progress, named_controllers, show_reports
from sender.cli.output import Listing, Output, plain
from sender.cli.passed_on import app as passed_on_app
from sender.cli.replayed import show_replay
from sender.consent import recording
from sender.consent.history import Subject, history_of
from sender.consent.purposes import find_purpose
from sender.controllers.lookup import current_version, find_controller
from sender.delivery.replay import Replay
from sender.errors import UsageError
from sender.imports.csv_file import Encoding
from sender.imports.hashed_list import Hashed
from sender.imports.opt_outs import import_opt_outs
from sender.spreadsheet import harmless
from sender.subjects.erase import erase_again
from sender.suppression.foreign_digests import HashAlgorithm, read_key
from sender.suppression.listing import Listed, list_blocks
from sender.vocabulary import Channel

app = group("Who must not be written to.")
app.add_typer(passed_on_app, name="passed-on")

AddressArgument = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="E-mail address or mobile number.")
]


class Received(StrEnum):
    """How a person's no reached an operator."""

    LETTER = "letter"
    PHONE = "phone"
    DOORSTEP = "doorstep"
    OTHER = "other"


@app.command(
    epilog=examples(
        "sender suppress add ann@example.org -c riverside --reason letter --received-on 2026-05-07",
        "sender suppress add +447911123456 -c riverside --reason phone "
        "--received-on 2026-05-07 --channel-only",
    )
)
def add(
    address: AddressArgument,
    *,
    controller: ControllerOption,
    reason: Annotated[Received, typer.Option(help="How the person told you.")],
    received_on: Annotated[str, typer.Option(help="When: 2026-05-07.")],
    channel_only: Annotated[
        bool, typer.Option("--channel-only", help="Only this address's channel.")
    ] = False,
    purpose: Annotated[str, typer.Option(help="Only this purpose, at this address.")] = "",
    json_output: JsonFlag = False,
) -> None:
    """Stop everything to a person, on every address, for good (guidance ¶56, ¶72)."""
    if channel_only and purpose:
        raise UsageError("Choose one.", remedy="--channel-only or --purpose.")
    channel, plain_address = read_address(address)
    subject = Subject(controller, channel, plain_address)
    with opened() as context, context.store.write() as session:
        owner = find_controller(session, controller)
        zone = ZoneInfo(current_version(session, owner.id).time_zone)
        act = recording.Act(
            read_time(received_on, zone, option="--received-on"),
            reason, reason, context.operator, context.clock.now(),
        )  # fmt: skip
        if channel_only or purpose:
            recording.block_channel(session, context.hasher, subject, act, purpose=purpose or None)
        else:
            recording.object_to_all(session, context.hasher, subject, act)
    scope = purpose or (f"channel {channel}" if channel_only else "everything")
    Output(as_json=json_output).show(
        {"suppressed": scope, "controller": controller},
        f"Recorded: {controller} sends nothing more there ({scope}).",
    )


@app.command(epilog=examples("sender suppress check ann@example.org -c riverside"))
def check(
    address: AddressArgument, controller: ControllerOption, json_output: JsonFlag = False
) -> None:
    """Say what keeps messages from an address; it need not be known."""
    channel, plain_address = read_address(address)
    with opened() as context, context.store.read() as session:
        found = history_of(session, context.hasher, Subject(controller, channel, plain_address))
    blocks = [
        {
            "cause": one.cause.name.lower(),
            "channel": one.channel,
            "purpose": one.purpose,
            "since": one.set_at,
            "everywhere": one.everywhere,
        }
        for one in found.blocks
    ]
    document = {"blocked": bool(blocks) or found.objected_at is not None, "blocks": blocks}
    Output(as_json=json_output).show(
        document,
        Listing(
            ["Cause", "Channel", "Purpose", "Since", "At all controllers"],
            [list(block.values()) for block in blocks],
            empty="No block is in force. That alone is no consent.",
        ),
    )


@app.command(
    "import",
    epilog=examples(
        "sender suppress import old-opt-outs.csv --controller riverside",
        "sender suppress import old-opt-outs.csv -c riverside -c hillside",
        "sender suppress import old-opt-outs.csv --all-controllers",
        "sender suppress import no-appeals.csv -c riverside --purpose fundraising",
        "sender suppress import hashes.csv -c riverside --hash sha256",
        "sender suppress import hashes.csv -c riverside --hash hmac-sha256 "
        "--hash-key-env OLD_SYSTEM_KEY",
    ),
)
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, or one address a line.")],
    *,
    controllers: Annotated[
        list[str] | None,
        typer.Option("--controller", "-c", metavar="SLUG", help="Whose; may be said repeatedly."),
    ] = None,
    all_controllers: Annotated[
        bool, typer.Option("--all-controllers", help="Each controller that there is now.")
    ] = False,
    encoding: Annotated[
        Encoding | None, typer.Option(help="Of its text, where it is neither UTF-8 nor UTF-16.")
    ] = None,
    channel: Annotated[Channel | None, typer.Option(help="Only addresses of this channel.")] = None,
    purpose: Annotated[
        str, typer.Option(metavar="SLUG", help="They opted out of this purpose alone.")
    ] = "",
    algorithm: Annotated[
        HashAlgorithm | None,
        typer.Option("--hash", help="It has hashes of addresses; how they were made."),
    ] = None,
    hash_key_env: Annotated[
        str,
        typer.Option(metavar="NAME", help="The environment variable with the key of the hashes."),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    rejects: Annotated[
        Path | None, typer.Option(help="Where to write what is wrong; beside FILE by default.")
    ] = None,
    json_output: JsonFlag = False,
) -> None:
    """Bring in the opt-outs of another system; each address is blocked on its channel."""
    output = Output(as_json=json_output)
    hashed = _hashed(algorithm, hash_key_env)
    if hashed is not None and purpose:
        raise UsageError(
            "A list of hashes cannot be for one purpose.",
            remedy="Leave --purpose out: that stops more, never less.",
        )
    with opened() as context, output.progress("Importing") as advance:
        with context.store.read() as session:
            owners = named_controllers(session, controllers or (), every=all_controllers)
            for owner in owners if purpose else ():
                find_purpose(session, find_controller(session, owner), purpose)
        reports = {
            owner: import_opt_outs(
                context.store,
                context.hasher,
                context.clock,
                controller_slug=owner,
                path=file,
                operator=context.operator,
                encoding=encoding,
                channel=channel,
                purpose=purpose or None,
                hashed=hashed,
                dry_run=dry_run,
                rejects_path=rejects,
                progress=as_progress(advance),
            )
            for owner in owners
        }
    show_reports(output, reports, dry_run=dry_run)


@app.command(
    epilog=examples("sender suppress export -c riverside --to blocks.csv"),
)
def export(
    controller: ControllerOption,
    to: Annotated[Path | None, typer.Option(help="A new CSV file; stdout by default.")] = None,
    json_output: JsonFlag = False,
) -> None:
    """Write every block in force as CSV; addresses that are not held in plain by their hash."""
    output = Output(as_json=json_output)
    with opened() as context, context.store.read() as session:
        owner = find_controller(session, controller)
        rows = (_row(one) for one in list_blocks(session, owner.id))
        if to is None and json_output:
            output.show({"blocks": list(rows)})
            return
        count = _write(rows, to)
    if to is not None:
        output.show({"blocks": count, "file": to}, f"{counted(count, 'block')} written to {to}.")


@app.command(
    epilog=examples(
        "sender suppress replay",
        "sender suppress replay web-1.journal web-2.journal --dry-run",
    )
)
def replay(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Other machines' journals, beside this one's."),
    ] = None,
    *,
    without: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A journal that is gone for good.")
    ] = None,
    nobody_was_sent: Annotated[
        bool,
        typer.Option("--nobody-was-sent", help="Vouch that nothing went out after the backup."),
    ] = False,
    block_everywhere: Annotated[
        bool,
        typer.Option(
            "--block-everywhere", help="Opt-outs from a controller that is gone hold at all."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    json_output: JsonFlag = False,
) -> None:
    """Bring a restored backup's database to what the journals say; open runs wait for a resume."""
    output = Output(as_json=json_output)
    with opened() as context, output.progress("Replaying") as advance:
        done = Replay(
            context.store,
            context.clock,
            context.operator,
            files=files or (),
            without=without or (),
            block_everywhere=block_everywhere,
            nobody_was_sent=nobody_was_sent,
            erase_again=partial(erase_again, hasher=context.hasher),
        ).run(dry_run=dry_run, progress=advance)
    show_replay(output, done, dry_run=dry_run)


def _hashed(algorithm: HashAlgorithm | None, variable: str) -> Hashed | None:
    if algorithm is None:
        if variable:
            raise UsageError("A key is for hashes.", remedy="Say --hash hmac-sha256 too.")
        return None
    return Hashed(algorithm, read_key(variable, os.environ) if variable else None)


def _row(one: Listed) -> dict[str, Any]:
    return {**asdict(one), "cause": one.cause.name.lower(), "set_at": one.set_at.isoformat()}


def _write(rows: Any, to: Path | None) -> int:
    if to is None:
        return _write_rows(rows, sys.stdout)
    try:
        with to.open("x", encoding="utf-8", newline="") as file:
            return _write_rows(rows, file)
    except FileExistsError:
        raise UsageError(f"{to} is there already.", remedy="Choose a new name.") from None


def _write_rows(rows: Any, file: Any) -> int:
    names = list(Listed.__dataclass_fields__)
    writer = csv.writer(file)
    writer.writerow(names)
    count = 0
    for row in rows:
        writer.writerow([harmless(plain(row[name])) for name in names])
        count += 1
    return count
