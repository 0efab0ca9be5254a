"""`sender contacts check`: addresses to doubt, and people held twice."""

from collections.abc import Iterable
from typing import Annotated

import typer

from sender.cli.common import ControllerOption, JsonFlag, counted, examples, opened
from sender.cli.output import Listing, Output
from sender.contacts.examination import Examined, examine
from sender.contacts.hygiene import EXPLAINED
from sender.controllers.lookup import find_controller


def add_to(app: typer.Typer) -> None:
    """Add the command to `sender contacts`."""
    app.command(epilog=examples("sender contacts check -c riverside"))(check)


def check(
    controller: ControllerOption,
    limit: Annotated[int, typer.Option(min=0, max=100_000, help="How many are listed.")] = 100,
    json_output: JsonFlag = False,
) -> None:
    """Look for office mailboxes, throw-away addresses, bad numbers and people held twice."""
    with opened() as context, context.store.read() as session:
        owner = find_controller(session, controller)
        found = examine(session, owner.id, most=limit)
    document = {
        "addresses": found.addresses,
        "flags": found.counts,
        "doubtful": found.doubtful,
        "twin_groups": found.groups,
        "twins": found.twins,
    }
    Output(as_json=json_output).show(document, *_parts(controller, found))


def _parts(controller: str, found: Examined) -> Iterable[str | Listing]:
    looked_at = counted(found.addresses, "address", "addresses")
    groups = counted(found.groups, "name is", "names are")
    yield f"Looked at {looked_at} of {controller}; {groups} held more than once at one postcode."
    if found.counts:
        rows = [(flag, people, EXPLAINED[flag]) for flag, people in found.counts.most_common()]
        yield Listing(["Flag", "Addresses", "What it means"], rows)
    if found.doubtful:
        people = [
            (one.contact_id, one.external_ref, one.address, one.flags) for one in found.doubtful
        ]
        yield Listing(["Contact", "Reference", "Address", "Flags"], people)
    if found.twins:
        pairs = [
            (one.contact_ids, [ref or "-" for ref in one.external_refs]) for one in found.twins
        ]
        yield Listing(["Contacts", "References"], pairs, title="Perhaps one person each")
