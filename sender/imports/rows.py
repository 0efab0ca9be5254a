"""One row of a contacts file as it was read, before anything is looked up."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sender.imports.consent_cells import ConsentCells, read_consent
from sender.imports.context import ImportContext
from sender.imports.csv_file import CsvFile, Record
from sender.imports.layout import ADDRESS_COLUMNS, REJECT_PREFIX, Layout, layout_of
from sender.imports.opt_out_cells import OptOut, read_opt_outs
from sender.imports.person_cells import read_addresses, read_attributes, read_fields
from sender.imports.problem import Problem
from sender.imports.reading import Reading
from sender.imports.shape import Shape, shape_of
from sender.imports.values import JsonValue
from sender.spreadsheet import unmarked
from sender.vocabulary import Channel


@dataclass(slots=True)
class Row:
    """What a row says, and what is wrong with it.

    Attributes:
        record: the row as it stands in the file.
        fields: columns of `contact` that are filled in.
        attributes: attributes that are filled in.
        addresses: normalised addresses by channel.
        form: the notice of the consent that it tells of, as written.
        day: when that was given, as written, without the time.
        consents: the consents that it tells of, one for each channel, if that is sound.
        opt_outs: taken even from a row that is refused.
        problems: everything that is wrong.
        is_refused: whether the person is not taken from this row.
    """

    record: Record
    form: str = ""
    day: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, JsonValue] = field(default_factory=dict)
    addresses: dict[Channel, str] = field(default_factory=dict)
    consents: Sequence[ConsentCells] = ()
    opt_outs: list[OptOut] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    is_refused: bool = False

    @property
    def external_ref(self) -> str | None:
        """The person's reference in the organisation's own records."""
        ref: str | None = self.fields.get("external_ref")
        return ref

    def is_misread(self, channel: Channel) -> bool:
        """Whether the row holds an address on the channel that cannot be meant."""
        return any(ADDRESS_COLUMNS.get(one.column) is channel for one in self.problems)

    def refuse(self, problem: Problem) -> None:
        """Note why the person is not taken from this row."""
        self.problems.append(problem)
        self.is_refused = True


@dataclass(frozen=True, slots=True)
class Form:
    """How the rows of one file are read.

    Attributes:
        shape: how they become rows with our columns.
        layout: where our columns stand then.
        width: how many cells a row of the file has.
        is_rejects_file: whether it is a rejects file of ours, whose cells are marked.
        country: where numbers without a country code or first zero are; None refuses them.
    """

    shape: Shape
    layout: Layout
    width: int
    is_rejects_file: bool
    country: str | None

    def column(self, ours: str) -> str:
        """Return the name that the file has for a column of ours."""
        return self.shape.written.get(ours, ours)


def form_of(file: CsvFile, reading: Reading) -> Form:
    """Return how the file is read.

    Raises:
        FileError: a column is unknown, stands for two or is needed and not there.
        UsageError: there is no such preset.
    """
    shape = shape_of(file, reading)
    layout = layout_of(replace(file, header=shape.header))
    is_rejects_file = any(name.lower().startswith(REJECT_PREFIX) for name in file.header)
    return Form(shape, layout, len(file.header), is_rejects_file, reading.country)


def read_row(record: Record, form: Form, context: ImportContext, now: datetime) -> Row:
    """Read one record. A wrong cell about the person refuses the row, but never its opt-outs.

    An address that cannot be meant is left out, and the row is refused only if nothing else tells
    who it is about. Beside an opt-out that cannot be read, no consent is taken.
    """
    row = Row(record)
    if not _has_right_width(row, form.width):
        return row
    cells = [unmarked(cell) for cell in record.cells] if form.is_rejects_file else record.cells
    ours, unread = form.shape.read(cells)
    record, layout = Record(record.line, ours), form.layout
    row.form = layout.cell(record, "consent_notice")
    row.day = layout.cell(record, "consent_at")[:10]
    row.problems.extend(unread)
    row.fields = read_fields(record, layout, row.problems)
    row.attributes = read_attributes(record, layout, row.problems)
    row.is_refused = bool(row.problems)
    row.addresses = read_addresses(record, layout, form.country, row.problems)
    row.opt_outs, wrong = read_opt_outs(record, layout, context, now)
    row.problems.extend(wrong)
    consent = read_consent(record, layout, context, now)
    if isinstance(consent, Problem):
        row.problems.append(consent)
    elif consent and any(problem.column == "opt_out" for problem in wrong):
        row.problems.append(_DOUBTFUL)
    else:
        row.consents = consent
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


def _has_right_width(row: Row, wanted: int) -> bool:
    found = len(row.record.cells)
    if found == wanted:
        return True
    remedy = "Put cells that hold the separator or line breaks in quotes."
    row.refuse(Problem("", f"The row has {found} cells, the header {wanted}.", remedy))
    return False
