"""`sender doctor`: look whether this installation can work."""

import sys
from typing import Annotated

import typer

from sender.campaigns.doctor import examine
from sender.campaigns.findings import Health
from sender.cli.common import JsonFlag, current_settings, examples, group
from sender.cli.output import Output
from sender.clock import SystemClock

app = group("Look whether this installation can work.")

MARKS = {Health.WELL: "ok", Health.ATTENTION: "!!", Health.BROKEN: "XX"}


@app.command(epilog=examples("sender doctor", "sender doctor --providers"))
def doctor(
    providers: Annotated[
        bool, typer.Option("--providers", help="Ask each provider what its account allows.")
    ] = False,
    json_output: JsonFlag = False,
) -> None:
    """Look at settings, key, database, clock and provider accounts; exit 1 if one is broken."""
    output = Output(as_json=json_output)
    found = []
    for one in examine(current_settings(), SystemClock(), ask_providers=providers):
        found.append(one)
        if not json_output:
            sys.stdout.write(f"{MARKS[one.health]}  {one.what}: {one.detail}\n")
            sys.stdout.write(f"      {one.remedy}\n" if one.remedy else "")
    broken = any(one.health is Health.BROKEN for one in found)
    if json_output:
        output.show({"healthy": not broken, "findings": found})
    if broken:
        raise typer.Exit(1)
