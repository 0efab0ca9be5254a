"""`sender contacts`: bring people in, and find them."""

from pathlib import Path
from typing import Annotated

import typer

from sender.cli.batch import app as batch_app
from sender.cli.common import ControllerOption, JsonFlag, examples, group, opened, read_address
from sender.cli.contact_check import add_to
from sender.cli.imported import as_progress, show_report
from sender.cli.output import Listing, Output
from sender.contacts.find import find_by_address, find_people
from sender.controllers.lookup import find_controller
from sender.imports.contacts import import_contacts

app = group("Bring people in, and find them.")
app.add_typer(batch_app, name="batch")
add_to(app)


@app.command(
    "import",
    epilog=examples(
        "sender contacts import people.csv --controller riverside --dry-run",
        "sender contacts import people.csv --controller riverside",
    ),
)
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, see docs/imports.md.")],
    controller: ControllerOption,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    rejects: Annotated[
        Path | None, typer.Option(help="Where to write what is wrong; beside FILE by default.")
    ] = None,
    json_output: JsonFlag = False,
) -> None:
    """Bring in people, their consent and their opt-outs. An import never lifts a no."""
    output = Output(as_json=json_output)
    with opened() as context, output.progress("Importing") as advance:
        report = import_contacts(
            context.store,
            context.hasher,
            context.clock,
            controller_slug=controller,
            path=file,
            operator=context.operator,
            dry_run=dry_run,
            rejects_path=rejects,
            progress=as_progress(advance),
        )
    show_report(output, report, dry_run=dry_run)


@app.command(
    epilog=examples(
        "sender contacts find Okafor -c riverside",
        'sender contacts find "RV1 1AA" -c riverside',
        "sender contacts find ann@example.org -c riverside",
    )
)
def find(
    text: Annotated[str, typer.Argument(help="Name, reference, postcode or address.")],
    controller: ControllerOption,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
    json_output: JsonFlag = False,
) -> None:
    """Find people of one controller."""
    with opened() as context, context.store.read() as session:
        owner = find_controller(session, controller)
        if "@" in text or text.startswith("+"):
            found = find_by_address(session, context.hasher, owner.id, *read_address(text))
        else:
            found = find_people(session, owner.id, text, limit=limit)
    rows = [
        (one.external_ref, one.name, one.postcode, one.addresses, one.source, one.objected_at)
        for one in found
    ]
    columns = ["Reference", "Name", "Postcode", "Addresses", "Source", "Objected"]
    Output(as_json=json_output).show(
        {"contacts": found}, Listing(columns, rows, empty="Nobody found.")
    )
