"""One row of a list of opt-outs, whether it has addresses or hashes of them."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from sender.imports.address_list import ListLayout, cell
from sender.imports.csv_file import Record
from sender.imports.opt_out_cells import OptOut, read_source, read_time
from sender.imports.problem import Problem
from sender.vocabulary import Channel


@dataclass(slots=True)
class ListRow:
    """What a row says.

    Attributes:
        record: as it stands in the list.
        opt_out: when it was said, and where that is from.
        addresses: normalised, with their channel.
        digests: hashes of addresses, in a list of hashes.
        problems: everything that is wrong.
    """

    record: Record
    opt_out: OptOut
    addresses: list[tuple[Channel, str]] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def tally(self, fresh: int) -> Counter[str]:
        """Return what became of it, of whose opt-outs so many are new."""
        told = len(self.addresses) + len(self.digests)
        refused = bool(self.problems) and not told
        outcome = "created" if fresh else "rejected" if refused else "unchanged"
        return Counter(
            {
                outcome: 1,
                "problems": len(self.problems),
                "opt_outs_recorded": fresh,
                "opt_outs_unchanged": told - fresh,
            }
        )


def row_of(record: Record, layout: ListLayout, zone: tzinfo, now: datetime) -> ListRow:
    """Return a row with when and where it was said, and nobody whom it is about yet."""
    problems: list[Problem] = []
    told, at = read_time(cell(record, layout.time_place), zone, now, problems)
    source = read_source(cell(record, layout.source_place), problems)
    return ListRow(record, OptOut(at, told, source), problems=problems)
