"""Which role each command takes, in one table, for the command line and for scripts alike.

A command that is not here takes an officer at all controllers, and a test finds it.
"""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.context import Context
from sender.controllers.lookup import find_controller
from sender.operators.authority import may, require, require_somebody
from sender.operators.roles import EVERY_ROLE, Role
from sender.operators.standing import is_registered, standing
from sender.store.campaigns import Run, RunBody
from sender.store.controllers import Controller
from sender.store.requests import SubjectRequest
from sender.store.schedules import Schedule


class Nobody(Enum):
    """Commands that need no operator."""

    SERVICE = "service"
    """Runs unattended, or says how the installation is and names no person."""


class Anybody(Enum):
    """Commands for every operator, wherever their roles hold."""

    OPERATOR = "operator"


Access = frozenset[Role] | Nobody | Anybody

_DESK: Final = frozenset({Role.DATA, Role.OFFICER})
_OFFICER: Final = frozenset({Role.OFFICER})
_CAMPAIGNS: Final = frozenset({Role.PREPARE, Role.APPROVE, Role.LAUNCH})
_LAUNCH: Final = frozenset({Role.LAUNCH})

ACCESS: Final[dict[str, Access]] = {
    "alert": Anybody.OPERATOR,
    "campaign amend": frozenset({Role.PREPARE}),
    "campaign approve": frozenset({Role.APPROVE}),
    "campaign cancel": EVERY_ROLE,
    "campaign check": EVERY_ROLE,
    "campaign launch": _LAUNCH,
    "campaign pause": EVERY_ROLE,
    "campaign preview": EVERY_ROLE,
    "campaign report": Anybody.OPERATOR,
    "campaign resume": _LAUNCH,
    "campaign status": Anybody.OPERATOR,
    "campaign test": _CAMPAIGNS,
    "consent": _DESK,
    "consent expiring": _DESK | _CAMPAIGNS,
    "consent forecast": _DESK | _CAMPAIGNS,
    "contacts": _DESK,
    "contacts batch approve": frozenset({Role.APPROVE, Role.OFFICER}),
    "controller": _OFFICER,
    "controller list": Anybody.OPERATOR,
    "controller show": Anybody.OPERATOR,
    "controller test-address": _CAMPAIGNS | _OFFICER,
    "db check": Nobody.SERVICE,
    "db rotate-key": _OFFICER,
    "db upgrade": Nobody.SERVICE,
    "demo": Nobody.SERVICE,
    "doctor": Nobody.SERVICE,
    "evidence": _DESK,
    "explain": EVERY_ROLE,
    "form": _DESK,
    "form list": Anybody.OPERATOR,
    "inbound": Nobody.SERVICE,
    "inbox": _DESK,
    "notice": _DESK,
    "notice list": Anybody.OPERATOR,
    "operator": _OFFICER,
    "operator list": Anybody.OPERATOR,
    "purpose": _OFFICER,
    "purpose list": Anybody.OPERATOR,
    "reconcile": Nobody.SERVICE,
    "request": _DESK,
    "retention": _OFFICER,
    "schedule add": _LAUNCH,
    "schedule list": Anybody.OPERATOR,
    "schedule pause": EVERY_ROLE,
    "schedule remove": EVERY_ROLE,
    "schedule resume": _LAUNCH,
    "schedule tick": Nobody.SERVICE,
    "status": Nobody.SERVICE,
    "subject": _DESK,
    "suppress": _DESK,
    "suppress replay": _OFFICER,
    "web": Nobody.SERVICE,
    "worker": Nobody.SERVICE,
}
"""Command, or the beginning of several, and what it takes; the longest beginning rules."""

_IF_NOT_LISTED: Final = _OFFICER
_KEY_OF_FILE: Final = {
    **dict.fromkeys(
        ("campaign", "schedule", "explain", "evidence", "notice", "form"), "controller"
    ),
    "controller": "slug",
}
"""Where a file that a command takes names its controller."""
_NUMBERED: Final[tuple[tuple[str, type[Run | Schedule | SubjectRequest]], ...]] = (
    ("run", Run),
    ("run_id", Run),
    ("schedule", Schedule),
    ("schedule_id", Schedule),
    ("number", SubjectRequest),
)
_RUNS: Final = ("run", "run_id")
_STOPPING: Final = frozenset({"campaign pause", "campaign cancel"})
"""Whoever may stop a run may do so whoever else it speaks for: stopping is safe."""
_FILES: Final = ("campaign", "file", "path")
_MORE_SLUGS: Final = {"suppress passed-on add": ("to",)}
"""Parameters of one command that name further controllers."""


@runtime_checkable
class _NamesController(Protocol):
    """What says by itself whose it is: a campaign that was read, or the subject of an act."""

    @property
    def controller(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Call:
    """A command as it was called, or a function of the API that does the same.

    Attributes:
        command: without `sender`, e.g. `campaign launch`.
        values: what was given, by the name of the parameter.
    """

    command: str
    values: Mapping[str, Any]


def row_of(command: str) -> str | None:
    """Return the row of the table that rules a command; None: none does."""
    words = command.split()
    beginnings = (" ".join(words[:number]) for number in range(len(words), 0, -1))
    return next((one for one in beginnings if one in ACCESS), None)


def access_of(command: str) -> Access:
    """Return what a command takes."""
    row = row_of(command)
    return _IF_NOT_LISTED if row is None else ACCESS[row]


def require_access(context: Context, call: Call) -> None:
    """Require that whoever acts may call this command for the controllers that it is about.

    Those are also the bodies on whose behalf a campaign speaks. A command that names no controller
    takes the role at all of them.

    Raises:
        NotAllowedError: they may not.
        NotFoundError: it names a controller that is not there.
    """
    access = access_of(call.command)
    if isinstance(access, Nobody) or not _is_asked_for(context):
        return
    if isinstance(access, Anybody):
        require_somebody(context)
        return
    if context.operator_id is None:
        require(context, access)  # says what is missing before any file is read
    with context.store.read() as session:
        named = _controllers(session, call)
    wanted: list[int | None] = [*named] or [None]
    for controller_id in wanted:
        require(context, access, controller_id)


def another_may(session: Session, command: str, controller_id: int, name: str) -> bool:
    """Whether there is an operator besides the named one who may call this command there."""
    access = access_of(command)
    if not isinstance(access, frozenset):
        return False
    others = (one for one in standing(session) if one.name != name)
    return any(may(one, access, controller_id) for one in others)


def _is_asked_for(context: Context) -> bool:
    with context.store.read() as session:
        return is_registered(session)


def _controllers(session: Session, call: Call) -> Collection[int]:
    """Return the controllers that a command names; none: it is about all of them."""
    values = call.values
    if call.command.startswith("operator") or values.get("all_controllers"):
        return ()
    if call.command == "controller add":
        return ()
    ids = {find_controller(session, slug).id for slug in _slugs(call)}
    ids.update(session.scalars(select(Controller.id).where(Controller.slug.in_(_spoken_for(call)))))
    if call.command not in _STOPPING:
        own = [values[name] for name in _RUNS if isinstance(values.get(name), int)]
        bodies = select(RunBody.controller_id).where(RunBody.run_id.in_(own))
        ids.update(session.scalars(bodies))
    for name, table in _NUMBERED:
        if isinstance(values.get(name), int):
            whose = select(table.controller_id).where(table.id == values[name])
            found = session.scalar(whose)
            if found is None:
                return ()
            ids.add(found)
    return ids


def _spoken_for(call: Call) -> list[str]:
    """Return the bodies on whose behalf a campaign speaks too, by their own consents (¶26)."""
    named = [getattr(one, "on_behalf_of", ()) for one in call.values.values()]
    named.append(_named_in_file(call, "on_behalf_of") or ())
    return [slug for slugs in named if isinstance(slugs, list | tuple) for slug in slugs]


def _slugs(call: Call) -> list[str]:
    slugs: list[str] = []
    for name in ("controller", "controllers", "slug", *_MORE_SLUGS.get(call.command, ())):
        given = call.values.get(name) or ()
        slugs += [given] if isinstance(given, str) else given
    slugs += [one.controller for one in call.values.values() if isinstance(one, _NamesController)]
    named = _named_in_file(call, _KEY_OF_FILE.get(call.command.split()[0]))
    return [*slugs, named] if isinstance(named, str) else slugs


def _named_in_file(call: Call, key: str | None) -> Any:
    """Return what the file that a command takes says under a key; None where it takes none."""
    file = next((call.values[name] for name in _FILES if call.values.get(name)), None)
    if key is None or call.command.split()[0] not in _KEY_OF_FILE or not isinstance(file, Path):
        return None
    return _read(file).get(key)


def _read(file: Path) -> dict[str, Any]:
    """Return what a file says; nothing where it cannot be read, which the command will tell."""
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
