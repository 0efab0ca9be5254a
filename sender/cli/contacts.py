"""`sender contacts`: bring people in, and find them."""

from pathlib import Path
from typing import Annotated

import typer

from sender.cli.batch import app as batch_app
from sender.cli.common import ControllerOption, JsonFlag, examples, group, opened, read_address
from sender.cli.contact_changes import add_to as add_changes_to
from sender.cli.contact_check import add_to
from sender.cli.imported import as_progress, read_country, read_storage, show_report
from sender.cli.output import Listing, Output
from sender.contacts.find import find_by_address, find_people
from sender.controllers.lookup import find_controller
from sender.imports.contacts import import_contacts
from sender.imports.csv_file import Encoding
from sender.imports.dates import DateOrder
from sender.imports.mapping import read_mapping
from sender.imports.reading import Reading

app = group("Bring people in, and find them.")
app.add_typer(batch_app, name="batch")
add_to(app)
add_changes_to(app)


@app.command(
    "import",
    epilog=examples(
        "sender contacts import people.csv --controller riverside --dry-run",
        "sender contacts import people.csv --controller riverside",
        "sender contacts import members.csv -c riverside --preset listmonk "
        "--map created_at=consent_at --map evidence.toml",
    ),
)
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, see docs/imports.md.")],
    *,
    controller: ControllerOption,
    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="FILE.toml|COLUMN=OURS", help="Which column of the file is which."
        ),
    ] = None,
    constants: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OURS=TEXT", help="What a column holds in every row."),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Whose export it is: listmonk, mailchimp, nationbuilder.")
    ] = "",
    encoding: Annotated[
        Encoding | None, typer.Option(help="Of its text, where it is neither UTF-8 nor UTF-16.")
    ] = None,
    dates: Annotated[
        DateOrder, typer.Option(help="Which of day and month stands first.")
    ] = DateOrder.ISO,
    country: Annotated[
        str, typer.Option(help="Of numbers without country code or first zero: GB.")
    ] = "",
    store_for: Annotated[
        str,
        typer.Option("--store", metavar="PURPOSE", help="Also take people without consent."),
    ] = "",
    retain_until: Annotated[
        str, typer.Option(metavar="DATE", help="Until when these are kept: 2027-05-07.")
    ] = "",
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
    reading = Reading(
        read_mapping(maps or (), constants or ()), preset, encoding, dates, read_country(country)
    )
    with opened() as context, output.progress("Importing") as advance:
        report = import_contacts(
            context.store,
            context.hasher,
            context.clock,
            controller_slug=controller,
            path=file,
            operator=context.operator,
            reading=reading,
            storage=read_storage(store_for, retain_until, context.clock.now().date()),
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
