"""What an import did, in numbers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Each row is created, merged, unchanged or rejected; acts are counted beside.

    Attributes:
        rows: records of the file.
        created: rows that brought somebody new, or a no that is kept alone.
        merged: rows that added something to somebody known.
        unchanged: rows that told nothing new.
        rejected: rows whose person was not taken.
        problems: lines of the rejects file; a row that was taken can have some.
        consents_recorded: consents that are new.
        consents_unchanged: consents that were on record already.
        opt_outs_recorded: opt-outs that are new; an opt-out of several addresses counts once.
        opt_outs_unchanged: opt-outs that were in force already.
        objections_carried: addresses blocked because their person had objected before.
        noes_alone: rows of somebody of whom no more is kept than what their no needs.
        hashes_matched: opt-outs that came as hashes and were found to be of addresses held already.
    """

    rows: int = 0
    created: int = 0
    merged: int = 0
    unchanged: int = 0
    rejected: int = 0
    problems: int = 0
    consents_recorded: int = 0
    consents_unchanged: int = 0
    opt_outs_recorded: int = 0
    opt_outs_unchanged: int = 0
    objections_carried: int = 0
    noes_alone: int = 0
    hashes_matched: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the numbers by name, for the batch and for `--json`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class RejectedForm:
    """Rows with problems that name one form.

    The wording of that form, once it is added as a notice, may rescue exactly these.

    Attributes:
        form: the notice, as the rows name it.
        first_day: the earliest day of their consents, as written.
        last_day: the latest.
        rows: how many.
    """

    form: str
    first_day: str
    last_day: str
    rows: int


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or would do.

    Attributes:
        batch_id: the batch that the rows came in; None after a dry run, which leaves none.
        counts: what became of the rows.
        rejects_path: the rejects file; None where nothing was wrong.
        groups: rejected rows that tell of a consent, by the form that they name.
    """

    batch_id: int | None
    counts: Counts
    rejects_path: Path | None
    groups: Sequence[RejectedForm] = ()


def counts_of(tally: Counter[str]) -> Counts:
    """Return a tally as counts; its keys are the names of the counts."""
    return Counts(**tally)
