"""`sender status`: workers, queues, rates, runs under way, lag, schedules, alerts."""

import sys
from typing import Annotated, Final

import typer

from sender.cli.common import JsonFlag, examples, opened
from sender.cli.output import Output

app = typer.Typer(add_completion=False)

_WATCH_EVERY_SECONDS: Final = 2.0
_WIPE: Final = "\x1b[H\x1b[2J\x1b[3J"
"""To the top, and clear screen and scrollback (ECMA-48; `clear` of ncurses sends the same)."""


@app.command(
    epilog=examples("sender status", "sender status --watch", "sender status --json | jq .parts")
)
def status(
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again.")] = False,
    json_output: JsonFlag = False,
) -> None:
    """Say who sends, what waits, how fast it goes, and what needs somebody."""
    from sender.campaigns.status import look  # noqa: PLC0415  # SQLAlchemy takes its time
    from sender.cli.status_views import parts_of  # noqa: PLC0415  # see above

    out = Output(as_json=json_output)
    with opened() as context:
        while True:
            found = look(context)
            if watch and not json_output and sys.stdout.isatty():
                sys.stdout.write(_WIPE)
            out.show(found.document, *parts_of(found))
            if not watch:
                return
            sys.stdout.flush()
            context.clock.sleep(_WATCH_EVERY_SECONDS)
