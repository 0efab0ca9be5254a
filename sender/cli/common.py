"""What all commands share: options, the opened installation, values read from a command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer
from typer._click.globals import get_current_context  # not to be had elsewhere

from sender.errors import UsageError
from sender.settings import Settings, load_settings
from sender.vocabulary import Channel

if TYPE_CHECKING:
    from sender.context import Context
    from sender.operators.permissions import Call

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]
ControllerOption = Annotated[
    str, typer.Option("--controller", "-c", help="The controller, by its slug.")
]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

_operator: ContextVar[str] = ContextVar("operator", default="")


def group(help_text: str) -> typer.Typer:
    """Return a Typer for one group of commands."""
    return typer.Typer(help=help_text, no_args_is_help=True, add_completion=False)


def examples(*lines: str) -> str:
    """Return the epilogue of a command's help: how it is called."""
    return "Examples:\n\n" + "\n\n".join(f"  {line}" for line in lines)


def set_operator(name: str) -> None:
    """Let the audit trail name this operator instead of `SENDER_OPERATOR`."""
    _operator.set(name)


def current_settings() -> Settings:
    """Read the environment; `--operator` goes before `SENDER_OPERATOR`."""
    settings = load_settings()
    name = _operator.get()
    return settings.model_copy(update={"operator": name}) if name else settings


@contextmanager
def opened() -> Iterator["Context"]:
    """Open the installation of the environment, as every command does that works on data.

    Raises:
        KeyRefusedError: the key is missing, short, or not this database's.
        DatabaseError: the database is not set up, of another version, or its clock is off.
        NotAllowedError: operators are registered, and who acts may not call this command.
    """
    from sender.context import open_context  # noqa: PLC0415  # SQLAlchemy takes its time

    with open_context(current_settings()) as context:
        yield proved(context)


def proved(context: "Context") -> "Context":
    """Return the context of whoever acts, who may call this command.

    Raises:
        NotAllowedError: operators are registered, and who acts may not.
    """
    from sender.operators.authentication import authenticated  # noqa: PLC0415  # see `opened`
    from sender.operators.permissions import require_access  # noqa: PLC0415  # see `opened`

    acting = authenticated(context)
    require_access(acting, _called())
    return acting


def _called() -> "Call":
    from sender.operators.permissions import Call  # noqa: PLC0415  # see `opened`

    called = get_current_context(silent=True)
    if called is None:
        return Call("", {})
    return Call(called.command_path.partition(" ")[2], called.params)


def read_address(raw: str) -> tuple[Channel, str]:
    """Return the channel and the one spelling of an address given on a command line.

    Raises:
        AddressRefusedError: it can be neither an e-mail address nor a mobile number.
    """
    from sender.contacts.normalise import normalise  # noqa: PLC0415  # phonenumbers is large

    channel = Channel.EMAIL if "@" in raw else Channel.SMS
    return channel, normalise(channel, raw)


def read_time(text: str, zone: ZoneInfo, *, option: str) -> datetime:
    """Return a moment from `2026-05-07` or `2026-05-07T18:30` (local) or with an offset.

    Args:
        text: as given.
        zone: of a time without an offset; a date alone is its first moment there.
        option: the option, for the message.

    Raises:
        UsageError: it is no ISO 8601 date or time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option}: {text!r} is not a date or time.",
            remedy="Write 2026-05-07, or 2026-05-07T18:30, or 2026-05-07T18:30+01:00.",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def counted(number: int, one: str, many: str = "") -> str:
    """Return `1 person` or `2,000 people`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def no_extra(values: dict[str, Any]) -> dict[str, Any]:
    """Return the document without its empty values."""
    return {name: value for name, value in values.items() if value not in (None, "", [])}
