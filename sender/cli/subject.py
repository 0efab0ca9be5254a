"""`sender subject`: what people may ask of their own data."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from sender.cli.common import JsonFlag, YesFlag, counted, examples, group, opened, read_address
from sender.cli.output import Listing, Output, json_ready
from sender.errors import UsageError
from sender.subjects import erase as erasing
from sender.subjects import export as exporting
from sender.subjects.export import Everything
from sender.subjects.page import page
from sender.subjects.whom import Asked

app = group("What people may ask of their own data: to see it, and to have it erased.")

AddressArgument = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="E-mail address or mobile number.")
]
OneController = Annotated[
    str | None, typer.Option("--controller", "-c", help="The controller, by its slug.")
]
AllControllers = Annotated[
    bool, typer.Option("--all-controllers", help="Every controller that there is.")
]


@app.command(
    epilog=examples(
        "sender subject export ann@example.org -c riverside --to ann.html",
        "sender subject export ann@example.org --all-controllers --json",
    )
)
def export(
    address: AddressArgument,
    *,
    controller: OneController = None,
    all_controllers: AllControllers = False,
    to: Annotated[
        Path | None, typer.Option(help="A new file for the person: .html or .json.")
    ] = None,
    json_output: JsonFlag = False,
) -> None:
    """Show everything that is held about a person (UK GDPR Art. 15); a file is yours alone."""
    asked = _asked(address, controller, everywhere=all_controllers)
    form = None if to is None else _form(to)
    with opened() as context:
        found = exporting.export(context, asked)
    output = Output(as_json=json_output)
    if to is not None and form is not None:
        _write(to, form(found))
        output.note(f"Written to {to}. Hand it over safely, and remove it.")
    output.show(found, _summary(found))


@app.command(
    epilog=examples(
        "sender subject erase ann@example.org -c riverside",
        "sender subject erase +447911123456 --all-controllers --yes",
    )
)
def erase(
    address: AddressArgument,
    *,
    controller: OneController = None,
    all_controllers: AllControllers = False,
    yes: YesFlag = False,
    json_output: JsonFlag = False,
) -> None:
    """Erase a person's data for good; the hashed no stays, so nothing is sent there again."""
    asked = _asked(address, controller, everywhere=all_controllers)
    output = Output(as_json=json_output)
    where = controller or "all controllers"
    with opened() as context:
        output.confirm(f"Erase this person at {where}, for good?", yes=yes)
        done = erasing.erase(context, asked)
    rows = [(one.controller, one.contacts, one.addresses, one.skipped) for one in done]
    output.show(
        {"erased": done},
        Listing(["Controller", "People erased", "Addresses blocked", "Messages stopped"], rows),
        "Files outside the database are yours to remove: import files, exports, backups.",
    )


def _asked(address: str, controller: str | None, *, everywhere: bool) -> Asked:
    asked = Asked(*read_address(address), controller)
    asked.require_scope(everywhere=everywhere)
    return asked


def _as_json(found: Everything) -> str:
    return json.dumps(found, default=json_ready, ensure_ascii=False, indent=2) + "\n"


_FORMS: Final[dict[str, Callable[[Everything], str]]] = {".html": page, ".json": _as_json}


def _form(to: Path) -> Callable[[Everything], str]:
    form = _FORMS.get(to.suffix.lower())
    if form is None:
        raise UsageError("--to takes .html or .json.", remedy="Name the file so.")
    if to.exists():
        raise UsageError(f"{to} is there already.", remedy="Choose a new name.")
    return form


def _write(to: Path, text: str) -> None:
    handle = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


def _summary(found: Everything) -> Listing:
    rows = [
        (held.controller, section.title, counted(len(section.rows), "row"))
        for held in found.controllers
        for section in held.sections
    ]
    return Listing(["Controller", "What", "Held"], rows, empty="Nothing is held.")
