"""How an import's outcome is shown, for people files and opt-out lists alike."""

from typing import Any

from sender.cli.output import Advance, Facts, Output
from sender.imports.contacts import Progress
from sender.imports.counts import ImportReport


def as_progress(advance: Advance) -> Progress:
    """Return what an import calls after each chunk, moving the bar by what is new."""
    done = 0

    def move(rows: int, total: int) -> None:
        nonlocal done
        advance(rows - done, total)
        done = rows

    return move


def show_report(output: Output, report: ImportReport, *, dry_run: bool) -> None:
    """Print what the import did, or would do."""
    counts = report.counts.as_dict()
    document: dict[str, Any] = {
        "dry_run": dry_run,
        "batch": report.batch_id,
        "counts": counts,
        "rejects_file": report.rejects_path,
    }
    head = "Nothing was written; this is what would be done:" if dry_run else "Done."
    shown = [
        (name.replace("_", " ").capitalize(), count)
        for name, count in counts.items()
        if count or name in {"rows", "rejected"}
    ]
    parts: list[str | Facts] = [head, Facts([("Batch", report.batch_id), *shown])]
    if report.rejects_path is not None:
        parts.append(f"What is wrong, row by row: {report.rejects_path}")
    if report.batch_id is not None and counts.get("consents_recorded"):
        parts.append(
            "Its consents count once they are approved: "
            f"sender contacts batch approve {report.batch_id}"
        )
    output.show(document, *parts)
