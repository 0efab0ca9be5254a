"""`sender inbound`: take in what comes by mail."""

from pathlib import Path
from typing import Annotated

import typer

from sender.cli.common import JsonFlag, counted, examples, group, opened
from sender.cli.output import Facts, Listing, Output, mapping_rows

app = group("Take in what comes by mail.")


@app.callback()
def _inbound() -> None:
    """Keep this a group while it has one command."""


@app.command(
    epilog=examples(
        "sender inbound mailbox /var/mail/bounces",
        "sender inbound mailbox Maildir --keep --json",
    )
)
def mailbox(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A maildir: new, cur and tmp.")],
    *,
    keep: Annotated[
        bool,
        typer.Option("--keep/--move", help="Leave messages unseen, or move them to cur as seen."),
    ] = False,
    seen_too: Annotated[
        bool, typer.Option("--all", help="Also messages that somebody has seen.")
    ] = False,
    json_output: JsonFlag = False,
) -> None:
    """Read bounces, complaints and replies; exit 1 if a message could not be read.

    It is safe to repeat: a message that was taken in before changes nothing.
    """
    from sender.inbound.mailbox import read_mailbox  # noqa: PLC0415  # phonenumbers is large

    with opened() as context:
        found = read_mailbox(context, folder, keep=keep, seen_too=seen_too)
    people = Listing(["People's replies", "Messages"], mapping_rows(found.replies))
    machines = Listing(["Reports", "Events"], mapping_rows(found.events))
    stays = Listing(
        ["File", "Why it stays"], sorted(found.unread.items()), title="Could not be read"
    )
    counts = Facts([("Known before", counted(found.again, "message"))])
    shown = (counts, people, machines, stays) if found.unread else (counts, people, machines)
    document = {
        "events": dict(found.events),
        "replies": dict(found.replies),
        "again": found.again,
        "unread": found.unread,
    }
    Output(as_json=json_output).show(document, *shown)
    if found.unread:
        raise typer.Exit(1)
