"""`sender suppress passed-on`: objections that other bodies should hear of, or should not."""

from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from sender.cli.common import (
    ControllerOption,
    JsonFlag,
    examples,
    group,
    opened,
    read_address,
    read_time,
)
from sender.cli.output import Listing, Output
from sender.controllers.lookup import current_version, find_controller
from sender.subjects.passed_on import Answer, list_passed_on, record_answer

app = group("Objections that other bodies should hear of, or should not (guidance ¶74).")


class Said(StrEnum):
    """A person's answer."""

    YES = "yes"
    NO = "no"


@app.command("list", epilog=examples("sender suppress passed-on list -c riverside"))
def list_(controller: ControllerOption, json_output: JsonFlag = False) -> None:
    """List what people answered, at this controller or about it."""
    with opened() as context, context.store.read() as session:
        found = list_passed_on(session, controller)
    rows = [
        (one.told, one.other, one.passed_on, one.answered_at, one.source, one.holds)
        for one in found
    ]
    columns = ["Objected to", "Asked about", "Passed on", "Answered", "How", "Holds there"]
    Output(as_json=json_output).show(
        {"passed_on": found}, Listing(columns, rows, empty="Nobody was asked.")
    )


@app.command(
    epilog=examples(
        "sender suppress passed-on add ann@example.org -c riverside --to national-party "
        "--answer yes --answered-on 2026-05-07"
    )
)
def add(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="E-mail address or number.")],
    *,
    controller: ControllerOption,
    to: Annotated[str, typer.Option(help="The other body; one of the controller's relatives.")],
    answer: Annotated[Said, typer.Option(help="What the person said.")],
    answered_on: Annotated[str, typer.Option(help="When they did: 2026-05-07.")],
    source: Annotated[str, typer.Option(help="How they did.")] = "letter",
    json_output: JsonFlag = False,
) -> None:
    """Record whether another body should hear of an objection; a yes objects there too."""
    channel, plain_address = read_address(address)
    with opened() as context:
        with context.store.read() as session:
            owner = find_controller(session, controller)
            zone = ZoneInfo(current_version(session, owner.id).time_zone)
        at = read_time(answered_on, zone, option="--answered-on")
        passed_on = answer is Said.YES
        said = Answer(channel, plain_address, controller, to, passed_on, at, source)
        record_answer(context, said)
    Output(as_json=json_output).show(
        {"controller": controller, "to": to, "passed_on": passed_on},
        f"Recorded: {to} sends nothing more there."
        if passed_on
        else f"Recorded: {to} is not told.",
    )
