"""`sender form`: public forms by which people sign up, and confirm it."""

from pathlib import Path
from typing import Annotated

import typer

from sender.cli.common import ControllerOption, JsonFlag, counted, examples, group, opened
from sender.cli.output import Listing, Output
from sender.controllers.lookup import find_controller
from sender.errors import RefusedError
from sender.signup.forms import FormChange, add_form, find_form, list_forms
from sender.signup.open_form import open_form_of

app = group("Public forms by which people sign up, and confirm it.")


@app.command(epilog=examples("sender form add web-form.toml"))
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A form file (TOML).")],
    json_output: JsonFlag = False,
) -> None:
    """Open a form, or bring it to what its file says; an unchanged one is left alone."""
    with opened() as context, context.store.write() as session:
        change = add_form(session, file, operator=context.operator, now=context.clock.now())
    name = f"{change.slug}@{change.version}"
    Output(as_json=json_output).show(
        change,
        f"Form {name} recorded." if change.changed else f"Unchanged: {name} is in force.",
        *_not_sent(change),
    )


def _not_sent(change: FormChange) -> list[str]:
    if not change.not_sent:
        return []
    return [
        f"It is closed: {counted(change.not_sent, 'confirmation')} that waited will not go out."
    ]


@app.command("list", epilog=examples("sender form list --controller riverside"))
def list_(controller: ControllerOption, json_output: JsonFlag = False) -> None:
    """List a controller's forms: where they are, and what can be ticked there now."""
    with opened() as context, context.store.read() as session:
        found = list_forms(session, controller, context.clock.now())
    rows = [
        [one.form, one.notice, one.path, ", ".join(one.boxes), "open" if one.is_open else "closed"]
        for one in found
    ]
    columns = ["Form", "Notice", "Path", "Boxes now", "State"]
    Output(as_json=json_output).show({"forms": found}, Listing(columns, rows))


@app.command(epilog=examples("sender form snippet web --controller riverside"))
def snippet(
    form: Annotated[str, typer.Argument(help="The form, by its slug.")],
    controller: ControllerOption,
    json_output: JsonFlag = False,
) -> None:
    """Print the form as HTML for a page of your own; print it anew when the wording changes."""
    from sender.suppression.links import public_address  # noqa: PLC0415  # quick start of the others
    from sender.web.sign_up_view import snippet as html_of  # noqa: PLC0415  # FastAPI takes its time

    with opened() as context, context.store.read() as session:
        row = find_form(session, controller, form)
        owner = find_controller(session, controller)
        offered = open_form_of(session, owner, row, context.clock.now())
        if offered is None or not row.is_open:
            raise RefusedError(
                f"Form {form} of controller {controller} takes no sign-ups now.",
                remedy=f"See what it lacks: sender form list --controller {controller}",
            )
        address = f"{public_address(context.settings)}/s/{controller}/{form}"
        html = html_of(session, offered, address)
    Output(as_json=json_output).show({"html": html}, html.rstrip())
