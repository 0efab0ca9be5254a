"""Exports of other systems: which column is which, and what the person's state there says.

A state alone is no consent: notice, purpose, method and source come from the operator, and the time
from a column that says when the person acted. A no is taken from every column that can hold one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sender.errors import UsageError
from sender.imports.problem import Problem
from sender.vocabulary import Channel

Cells = Mapping[str, str]
"""A row's cells by the file's columns in lower case."""

_YES: Final = frozenset({"true", "t", "yes", "y", "1"})
_NO: Final = frozenset({"false", "f", "no", "n", "0"})


@dataclass(frozen=True, slots=True)
class Said:
    """What a state says.

    Attributes:
        opt_outs: the words of our column `opt_out`.
        at: when the person said no; as written, empty where it is not told.
        channels: on which channels the person is said to have agreed.
        problem: what could not be read; no consent is taken then.
    """

    opt_outs: tuple[str, ...] = ()
    at: str = ""
    channels: tuple[Channel, ...] = ()
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Preset:
    """One system's export.

    Attributes:
        name: of the system, as sources of opt-outs tell it.
        needed: columns without which the file is no such export, in lower case.
        columns: our column by the export's in lower case; all others are passed over.
        say: reads the state.
    """

    name: str
    needed: tuple[str, ...]
    columns: dict[str, str]
    say: Callable[[Cells], Said]


def find_preset(name: str) -> Preset:
    """Return a preset.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in PRESETS:
        raise UsageError(f"There is no preset {name}.", remedy=f"There are: {', '.join(PRESETS)}.")
    return PRESETS[name]


def _listmonk(cells: Cells) -> Said:
    """Read `status` (github.com/knadh/listmonk, cmd/subscribers.go, ExportSubscribers).

    Which lists somebody left does not stand in the export.
    """
    state = cells["status"].lower()
    if state == "enabled":
        return Said(channels=(Channel.EMAIL,))
    if state in {"blocklisted", "blacklisted", "unsubscribed"}:
        return Said(("email",), cells.get("updated_at", ""))
    if state == "disabled":
        return Said(("bounce:email",))
    return Said(("email",), problem=_unknown("status", "enabled, blocklisted or disabled"))


def _mailchimp(cells: Cells) -> Said:
    """Tell the three files of an export apart by the columns that only they have."""
    if "unsub_time" in cells or "unsub_reason" in cells:
        return Said(("email",), cells.get("unsub_time", ""))
    if "clean_time" in cells or "clean_campaign_id" in cells:
        return Said(("bounce:email",), cells.get("clean_time", ""))
    if cells.get("optin_time") or cells.get("confirm_time"):
        return Said(channels=(Channel.EMAIL,))
    return Said()  # in the audience, but not subscribed; or a file cut down to names


def _nationbuilder(cells: Cells) -> Said:
    """Read the opt-ins (Y/N), `do_not_contact`, `unsubscribed_at` and the marks of bad addresses.

    "N" is a no: the system writes it where somebody unsubscribed or did not agree.
    """
    try:
        marks = {name: _mark(cells, name) for name in _NATIONBUILDER_MARKS}
    except ValueError as error:
        return Said(_every(cells), problem=_unknown(str(error), "true or false, Y or N"))
    has_mobile = bool(cells.get("mobile_number"))
    left_at = cells.get("unsubscribed_at", "")
    told = {
        "all": marks["do_not_contact"] is True,
        "email": bool(left_at) or (bool(cells["email"]) and marks["email_opt_in"] is False),
        "sms": has_mobile and marks["mobile_opt_in"] is False,
        "bounce:email": bool(cells["email"]) and marks["email1_is_bad"] is True,
        "bounce:sms": has_mobile and marks["is_mobile_bad"] is True,
    }
    if marks["is_deceased"]:
        told |= {"bounce:email": bool(cells["email"]), "bounce:sms": has_mobile}
    opt_outs = tuple(word for word, is_told in told.items() if is_told)
    agreed = {Channel.EMAIL: "email_opt_in", Channel.SMS: "mobile_opt_in"}
    channels = tuple(channel for channel, name in agreed.items() if marks[name] is True)
    return Said(opt_outs, left_at, () if opt_outs else channels)


_NATIONBUILDER_MARKS: Final = (
    "email_opt_in",
    "mobile_opt_in",
    "do_not_contact",
    "email1_is_bad",
    "is_mobile_bad",
    "is_deceased",
)


def _mark(cells: Cells, name: str) -> bool | None:
    text = cells.get(name, "").lower()
    if text and text not in _YES | _NO:
        raise ValueError(name)
    return text in _YES if text else None


def _every(cells: Cells) -> tuple[str, ...]:
    """Return a no on each channel: a mark that cannot be read may be one."""
    return ("email", "sms") if cells.get("mobile_number") else ("email",)


def _unknown(column: str, known: str) -> Problem:
    return Problem(
        column,
        "This state is not known; it was taken as an opt-out.",
        f"Write {known}, or give the column's words a meaning in a mapping.",
    )


PRESETS: Final = {
    "listmonk": Preset(
        "listmonk",
        ("uuid", "email", "status"),
        {"uuid": "external_ref", "email": "email", "name": "attr.name"},
        _listmonk,
    ),
    "mailchimp": Preset(
        "Mailchimp",
        ("email address",),
        {
            "email address": "email",
            "first name": "first_name",
            "last name": "last_name",
            "optin_time": "consent_at",
        },
        _mailchimp,
    ),
    "nationbuilder": Preset(
        "NationBuilder",
        ("nationbuilder_id", "email", "email_opt_in", "do_not_contact"),
        {
            "nationbuilder_id": "external_ref",
            "prefix": "title",
            "first_name": "first_name",
            "last_name": "last_name",
            "email": "email",
            "mobile_number": "mobile",
            "primary_zip": "postcode",
        },
        _nationbuilder,
    ),
}
