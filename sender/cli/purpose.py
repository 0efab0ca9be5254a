"""`sender purpose`: what a controller asks people to agree to, and when that is over."""

from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from sender.cli.common import (
    ControllerOption,
    JsonFlag,
    YesFlag,
    examples,
    group,
    opened,
    read_time,
)
from sender.cli.output import Listing, Output, plain
from sender.consent.closing import close_purpose, list_purposes
from sender.consent.purposes import find_purpose
from sender.controllers.lookup import current_version, find_controller

app = group("What a controller asks people to agree to, and when that is over.")


@app.command("list", epilog=examples("sender purpose list -c riverside"))
def list_(controller: ControllerOption, json_output: JsonFlag = False) -> None:
    """List a controller's purposes."""
    with opened() as context, context.store.read() as session:
        found = list_purposes(session, controller)
    rows = [(one.purpose, one.title, one.agreed, one.closes_at) for one in found]
    Output(as_json=json_output).show(
        {"purposes": found}, Listing(["Purpose", "Title", "Said yes", "Closed from"], rows)
    )


@app.command(
    epilog=examples(
        'sender purpose close local-issue:school-closure -c riverside --reason "It stays open"',
        "sender purpose close local-issue:bypass -c riverside --on 2026-09-01 --reason Decided",
    )
)
def close(
    purpose: Annotated[str, typer.Argument(metavar="PURPOSE", help="By its slug.")],
    *,
    controller: ControllerOption,
    reason: Annotated[str, typer.Option(help="Why; kept for good.")],
    on: Annotated[str, typer.Option(help="From when on: 2026-09-01; now by default.")] = "",
    yes: YesFlag = False,
    json_output: JsonFlag = False,
) -> None:
    """End a purpose: no consent to it counts any more. It cannot be undone (guidance ¶52-53)."""
    output = Output(as_json=json_output)
    with opened() as context:
        with context.store.read() as session:
            owner = find_controller(session, controller)
            find_purpose(session, owner, purpose)
            zone = ZoneInfo(current_version(session, owner.id).time_zone)
        output.confirm(f"Close {purpose} of {controller}, for good?", yes=yes)
        now = context.clock.now()
        with context.store.write() as session:
            moment = close_purpose(
                session,
                controller,
                purpose,
                at=read_time(on, zone, option="--on") if on else now,
                reason=reason,
                operator=context.operator,
                now=now,
            )
    output.show(
        {"controller": controller, "purpose": purpose, "closes_at": moment},
        f"{purpose} of {controller} is over from {plain(moment)} on: no consent to it counts.",
    )
