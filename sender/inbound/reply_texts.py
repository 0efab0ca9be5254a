"""The fixed texts that answer a person's own act: who we are and how to stop, no marketing.

The words around the names are GSM 03.38 and leave room in one part for a name of 60 characters.
"""

from collections.abc import Sequence
from typing import Final

from sender.store.controllers import ControllerVersion

LONGEST: Final = 1600
"""Characters that a text message may have (Twilio, "Messages resource", Body)."""

_STOPPED: Final = (
    "{names}: you are opted out and will get no more texts from us. To undo this, text START."
)
_STARTED: Final = (
    "{names}: you will get our texts again if you have agreed to them. Text STOP to opt out."
)
_WAY_OUT: Final = "Text STOP to opt out."


def stop_confirmation(bodies: Sequence[ControllerVersion]) -> str:
    """Return what confirms a STOP to these controllers."""
    return _named(_STOPPED, bodies)


def start_confirmation(bodies: Sequence[ControllerVersion]) -> str:
    """Return what confirms that a STOP to these controllers was undone."""
    return _named(_STARTED, bodies)


def identity(bodies: Sequence[ControllerVersion]) -> str:
    """Return who writes: name, postal address and contact details, shorter if they are many."""
    told = ""
    for described in (_in_full, _by_name_and_contact, _by_name):
        told = " ".join([*[described(body) for body in bodies], _WAY_OUT])
        if len(told) <= LONGEST:
            return told
    return _shortened(told[: -len(_WAY_OUT)], LONGEST - len(_WAY_OUT) - 1) + f" {_WAY_OUT}"


def _named(text: str, bodies: Sequence[ControllerVersion]) -> str:
    names = [_one_line(body.name) for body in bodies]
    together = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    room = LONGEST - len(text) + len("{names}")
    return text.format(names=_shortened(together, room))


def _shortened(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 3].rstrip() + "..."


def _in_full(body: ControllerVersion) -> str:
    return f"{_one_line(body.name)}, {_one_line(body.postal_address)}. {_contact(body)}."


def _by_name_and_contact(body: ControllerVersion) -> str:
    return f"{_one_line(body.name)}, {_contact(body)}."


def _by_name(body: ControllerVersion) -> str:
    return f"{_one_line(body.name)}."


def _contact(body: ControllerVersion) -> str:
    return ", ".join(part for part in (body.contact_email, body.contact_phone) if part)


def _one_line(text: str) -> str:
    return " ".join(text.split())
