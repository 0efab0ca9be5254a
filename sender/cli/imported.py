"""How an import's outcome is shown, for people files and opt-out lists alike."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import phonenumbers
from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.cli.output import Advance, Facts, Listing, Output
from sender.controllers.lookup import find_controller
from sender.errors import UsageError
from sender.imports.counts import ImportReport, RejectedForm
from sender.imports.course import Progress
from sender.imports.reading import Storage
from sender.store.controllers import Controller


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
    output.show(_document(report, dry_run=dry_run), *_parts(report, dry_run=dry_run))


def show_reports(output: Output, reports: Mapping[str, ImportReport], *, dry_run: bool) -> None:
    """Print what an import did at each of some controllers; at one, as `show_report` does."""
    if len(reports) == 1:
        show_report(output, *reports.values(), dry_run=dry_run)
        return
    parts: list[str | Facts | Listing] = []
    for slug, report in reports.items():
        parts.extend([f"{slug}:", *_parts(report, dry_run=dry_run)])
    told = {slug: _document(report, dry_run=dry_run) for slug, report in reports.items()}
    output.show({"dry_run": dry_run, "controllers": told}, *parts)


def named_controllers(session: Session, slugs: Sequence[str], *, every: bool) -> list[str]:
    """Return the controllers that a command names, each once.

    Raises:
        UsageError: none is named, or some besides every one.
        NotFoundError: there is no such controller.
    """
    if bool(slugs) == every:
        raise UsageError(
            "Whose messages did they opt out of?",
            remedy="Say --controller SLUG (also repeatedly), or --all-controllers.",
        )
    if every:
        return list(session.scalars(select(Controller.slug).order_by(Controller.slug)))
    return [find_controller(session, slug).slug for slug in dict.fromkeys(slugs)]


def _document(report: ImportReport, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "batch": report.batch_id,
        "counts": report.counts.as_dict(),
        "rejects_file": report.rejects_path,
        "rejected_forms": report.groups,
    }


def _parts(report: ImportReport, *, dry_run: bool) -> list[str | Facts | Listing]:
    counts = report.counts.as_dict()
    head = "Nothing was written; this is what would be done:" if dry_run else "Done."
    shown = [
        (name.replace("_", " ").capitalize(), count)
        for name, count in counts.items()
        if count or name in {"rows", "rejected"}
    ]
    parts: list[str | Facts | Listing] = [head, Facts([("Batch", report.batch_id), *shown])]
    if report.rejects_path is not None:
        parts.append(f"What is wrong, row by row: {report.rejects_path}")
    if report.groups:
        parts.append(_forms(report.groups))
    if report.batch_id is not None and counts.get("consents_recorded"):
        parts.append(
            "Its consents count once they are approved: "
            f"sender contacts batch approve {report.batch_id}"
        )
    return parts


def read_country(text: str) -> str | None:
    """Return a country's code as phone numbers know it (ISO 3166-1), or None where none is named.

    Raises:
        UsageError: there is no such country.
    """
    if not text:
        return None
    country = text.upper()
    if country not in phonenumbers.SUPPORTED_REGIONS:
        raise UsageError(f"--country: {text!r} is no country.", remedy="Write GB, IE, FR …")
    return country


def read_storage(purpose: str, until: str, today: date) -> Storage | None:
    """Return what people without consent are kept for; None where they are not.

    Raises:
        UsageError: one of both is missing, or the date is none or past.
    """
    if not purpose and not until:
        return None
    remedy = "Say both: --store canvassing --retain-until 2027-05-07 (guidance ¶83)."
    if not purpose.strip() or not until:
        raise UsageError(
            "What people are kept for, and until when, belong together.", remedy=remedy
        )
    try:
        last_day = date.fromisoformat(until)
    except ValueError:
        raise UsageError(f"--retain-until: {until!r} is no date.", remedy=remedy) from None
    if last_day <= today:
        raise UsageError("--retain-until: the day is past.", remedy=remedy)
    if len(purpose) > _LONGEST_PURPOSE:
        raise UsageError(
            f"--store: longer than {_LONGEST_PURPOSE} characters.", remedy="Shorten it."
        )
    return Storage(purpose.strip(), last_day)


_LONGEST_PURPOSE = 100


def _forms(groups: Sequence[RejectedForm]) -> Listing:
    """Tell which forms the rows with problems name: each may be rescued by its wording."""
    rows = [(one.form, one.first_day, one.last_day, one.rows) for one in groups]
    return Listing(["Form of rows with problems", "From", "Until", "Rows"], rows)
