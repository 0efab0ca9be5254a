"""`sender notice`: the wordings that people saw when they agreed."""

from pathlib import Path
from typing import Annotated

import typer

from sender.cli.common import ControllerOption, JsonFlag, examples, group, opened
from sender.cli.output import Listing, Output
from sender.consent.notices import add_notice, list_notices
from sender.controllers.lookup import find_controller

app = group("The wordings that people saw when they agreed.")


@app.command(epilog=examples("sender notice add sign-up-form.toml"))
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A notice file (TOML).")],
    json_output: JsonFlag = False,
) -> None:
    """Record a wording, or a new version of it; an unchanged one is left alone."""
    with opened() as context, context.store.write() as session:
        change = add_notice(session, file, operator=context.operator, now=context.clock.now())
    name = f"{change.slug}@{change.version}"
    Output(as_json=json_output).show(
        change,
        f"Notice {name} recorded." if change.changed else f"Unchanged: {name} is in force.",
    )


@app.command("list", epilog=examples("sender notice list --controller riverside"))
def list_(controller: ControllerOption, json_output: JsonFlag = False) -> None:
    """List every version of a controller's wordings."""
    with opened() as context, context.store.read() as session:
        owner = find_controller(session, controller)
        found = [
            {
                "notice": f"{row.slug}@{row.version}",
                "channels": row.channels,
                "purposes": row.purposes,
                "controllers": row.controllers,
                "shown_from": row.shown_from,
                "shown_until": row.shown_until,
                "pre_ticked": row.pre_ticked,
                "bundled": row.bundled,
                "screenshot": row.screenshot,
                "screenshot_sha256": row.screenshot_sha256,
                "signed_off_by": row.signed_off_by,
                "wording": row.wording,
            }
            for row in list_notices(session, owner.id)
        ]
    shown = [[*list(one.values())[:6], _flaws(one["pre_ticked"], one["bundled"])] for one in found]
    columns = ["Notice", "Channels", "Purposes", "Names", "Shown from", "Until", "Flaw"]
    Output(as_json=json_output).show({"notices": found}, Listing(columns, shown))


def _flaws(pre_ticked: object, bundled: object) -> str:
    found = (("ticked beforehand", pre_ticked), ("bundled", bundled))
    return ", ".join(name for name, applies in found if applies)
