"""What of a row is kept: all of it where there is a reason to, else what the person's no needs.

Somebody's details are held for a purpose (guidance ¶83). A yes that the same row does not take back
is one, and so is what `--store` names. Of somebody new without either, of whom a row tells a no,
only what makes the no hold is kept: the addresses by their keyed hash, which of them are one
person's, and the reference by which later rows name that person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sender.imports.consent_cells import flaw_of, not_stored
from sender.imports.problem import Problem
from sender.imports.rows import Row
from sender.imports.values import JsonValue
from sender.vocabulary import Channel, ConsentFlaw, ContactSource


@dataclass(frozen=True, slots=True)
class Told:
    """What is taken of a row about its person.

    Attributes:
        fields: columns of `contact`.
        attributes: the controller's own data.
        plain: addresses that are kept in plain; others by their hash alone.
    """

    fields: Mapping[str, Any]
    attributes: Mapping[str, JsonValue] = field(default_factory=dict)
    plain: Mapping[Channel, str] = field(default_factory=dict)


def everything(row: Row, *, is_stored: bool) -> Told:
    """Return all that a row tells.

    An address whose own row refuses its channel is of no use in plain, unless `--store` says that
    people are kept for something else.
    """
    plain = {
        channel: address
        for channel, address in row.addresses.items()
        if is_stored or not _refuses(row, channel)
    }
    return Told(row.fields, row.attributes, plain)


def no_alone(row: Row) -> Told:
    """Return what a no needs: by which reference later rows mean the same person."""
    ref = row.external_ref
    return Told({} if ref is None else {"external_ref": ref})


def has_living_yes(row: Row, slug: str) -> bool:
    """Whether a row tells of a sound consent for an address in it, which it does not take back.

    A no of the person in the same row weighs more than its yes, whatever their dates: the import
    records it first.
    """
    return any(
        flaw is ConsentFlaw.NONE
        and consent.channel in row.addresses
        and not _refuses(row, consent.channel, consent.purpose_id)
        for flaw, consent in zip(_flaws(row, slug), row.consents, strict=True)
    )


def tells_no(row: Row) -> bool:
    """Whether a row tells of a no of the person's own; a bounce is none."""
    return any(one.cause.set_by_person for one in row.opt_outs)


def without_basis(row: Row, slug: str) -> Problem:
    """Return why a row's person is not stored: it tells neither of a living yes nor of a no."""
    return not_stored(_flaws(row, slug))


def _flaws(row: Row, slug: str) -> Sequence[ConsentFlaw]:
    source: ContactSource = row.fields.get("source") or ContactSource.DIRECT
    return [flaw_of(one, slug, source) for one in row.consents]


def _refuses(row: Row, channel: Channel, purpose_id: int | None = None) -> bool:
    """Whether the person says no to the channel, to the purpose if one is asked, or to all."""
    return any(
        one.cause.set_by_person
        and (
            one.is_objection
            or one.channel is channel
            or (purpose_id is not None and one.purpose_id == purpose_id)
        )
        for one in row.opt_outs
    )
