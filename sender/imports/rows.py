"""One row of a contacts file as it was read, before anything is looked up."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sender.imports.consent_cells import ConsentCells, read_consent
from sender.imports.context import ImportContext
from sender.imports.csv_file import Record
from sender.imports.layout import Layout
from sender.imports.opt_out_cells import OptOut, read_opt_outs
from sender.imports.person_cells import read_addresses, read_attributes, read_fields
from sender.imports.problem import Problem
from sender.imports.values import JsonValue
from sender.vocabulary import Channel

_NEUTRAL = ("'=", "'+", "'-", "'@", "'\t", "'\r")


@dataclass(slots=True)
class Row:
    """What a row says, and what is wrong with it.

    Attributes:
        record: the row as it stands in the file.
        fields: columns of `contact` that are filled in.
        attributes: attributes that are filled in.
        addresses: normalised addresses by channel.
        consent: the consent that it tells of, if that is sound.
        opt_outs: taken even from a row that is refused.
        problems: everything that is wrong.
        is_refused: whether the person is not taken from this row.
    """

    record: Record
    fields: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, JsonValue] = field(default_factory=dict)
    addresses: dict[Channel, str] = field(default_factory=dict)
    consent: ConsentCells | None = None
    opt_outs: list[OptOut] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    is_refused: bool = False

    @property
    def external_ref(self) -> str | None:
        """The person's reference in the organisation's own records."""
        ref: str | None = self.fields.get("external_ref")
        return ref

    def refuse(self, problem: Problem) -> None:
        """Note why the person is not taken from this row."""
        self.problems.append(problem)
        self.is_refused = True


def read_row(record: Record, layout: Layout, context: ImportContext, now: datetime) -> Row:
    """Read one record. A wrong cell about the person refuses the row, but never its opt-outs.

    An address that cannot be meant is left out, and the row is refused only if nothing else tells
    who it is about. Beside an opt-out that cannot be read, no consent is taken.
    """
    row = Row(record)
    if not _has_right_width(row, layout):
        return row
    if layout.is_rejects_file:
        record = Record(record.line, [_original(cell) for cell in record.cells])
    row.fields = read_fields(record, layout, row.problems)
    row.attributes = read_attributes(record, layout, row.problems)
    row.is_refused = bool(row.problems)
    row.addresses = read_addresses(record, layout, row.problems)
    row.opt_outs, wrong = read_opt_outs(record, layout, context, now)
    row.problems.extend(wrong)
    consent = read_consent(record, layout, context, now)
    if isinstance(consent, Problem):
        row.problems.append(consent)
    elif consent is not None and any(problem.column == "opt_out" for problem in wrong):
        row.problems.append(_DOUBTFUL)
    else:
        row.consent = consent
    if not row.addresses and row.external_ref is None:
        row.refuse(_NOBODY)
    return row


_DOUBTFUL = Problem(
    "consent_purpose",
    "The consent was not taken, because the row also tells of an opt-out that cannot be read.",
    "Correct opt_out, or empty it if the person never opted out.",
)
_NOBODY = Problem(
    "", "Nothing tells who this row is about.", "Fill in email, mobile or external_ref."
)


def _has_right_width(row: Row, layout: Layout) -> bool:
    found, wanted = len(row.record.cells), len(layout.header)
    if found == wanted:
        return True
    remedy = "Put cells that hold the separator or line breaks in quotes."
    row.refuse(Problem("", f"The row has {found} cells, the header {wanted}.", remedy))
    return False


def _original(cell: str) -> str:
    return cell[1:] if cell.startswith(_NEUTRAL) else cell
