"""`sender retention`: what is kept for how long, and erasing what is past its time."""

from typing import Annotated

import typer

from sender.cli.common import JsonFlag, examples, group, opened
from sender.cli.output import Listing, Output

app = group("What is kept for how long.")


@app.callback()
def _group() -> None:
    """Keep `apply` a command of its own."""


@app.command(
    epilog=examples("sender retention apply --dry-run", "sender retention apply --json"),
)
def apply(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be erased.")
    ] = False,
    json_output: JsonFlag = False,
) -> None:
    """Erase personal details that are past their time; the acts and blocks stay."""
    from sender.evidence.retention import (  # noqa: PLC0415  # heavy rooms, lazily
        count_expired,
        erase_expired,
    )

    with opened() as context:
        counts = count_expired(context) if dry_run else erase_expired(context)
    document = {
        "dry_run": dry_run,
        "rules": [
            {"rule": one.name, "what": one.what, "kept": one.kept, "rows": one.rows}
            for one in counts
        ],
    }
    done = "Would be erased" if dry_run else "Erased"
    rows: list[list[object]] = [
        [one.what, one.kept, slug, number]
        for one in counts
        for slug, number in (one.rows or {"": 0}).items()
    ]
    Output(as_json=json_output).show(
        document, Listing(["What", "Kept for", "Controller", done], rows)
    )
