"""A row of a chunk and whom it is about."""

from collections.abc import Sequence
from dataclasses import dataclass

from sender.imports.people import Person
from sender.imports.rows import Row
from sender.vocabulary import Channel


@dataclass(slots=True, eq=False)
class Placed:
    """A row and whom it is about.

    Attributes:
        row: as it was read.
        address_ids: of its addresses.
        person: whom it was merged into; None where it is refused.
        subjects: everybody whom its opt-outs count for, also where it is refused.
        is_new: whether it brought the person.
        is_changed: whether it told anything new.
        is_heard: whether a no or a yes of it is on record, be it new or not.
    """

    row: Row
    address_ids: dict[Channel, int]
    person: Person | None
    subjects: list[Person]
    is_new: bool = False
    is_changed: bool = False
    is_heard: bool = False

    @property
    def outcome(self) -> str:
        """Under which count the row goes; a no that is kept alone counts like its person."""
        if self.person is None or not (self.person.is_kept or self.is_heard):
            return "rejected"
        if self.is_new and (self.person.is_kept or self.is_changed):
            return "created"
        return "merged" if self.is_changed else "unchanged"

    @property
    def is_no_alone(self) -> bool:
        """Whether no more is kept of the person than their no."""
        return self.person is not None and self.person.is_bare and self.outcome != "rejected"


def subjects_of(address_ids: dict[Channel, int], matched: list[Person]) -> list[Person]:
    """Return whom the opt-outs of a refused row count for: its addresses and their owners.

    An address that conflicts is somebody of its own; a row without one names only its owners.
    """
    addresses = {row_id: channel for channel, row_id in address_ids.items()}
    if len(matched) == 1 and matched[0].is_erased:
        matched[0].points.update(addresses)  # still the same person: an objection has to reach them
        return matched
    return [*matched, Person(points=addresses)] if addresses else matched


def addresses_of(people: Sequence[Person], channel: Channel | None) -> list[int]:
    """Return the ids of their addresses on a channel, or on all where it is None."""
    found = {
        row_id
        for person in people
        for row_id, other in person.points.items()
        if channel in {None, other}
    }
    return sorted(found)
