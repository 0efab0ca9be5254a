"""Each function of the API takes the role that the command of the same act takes."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, Final, ParamSpec, TypeVar

from sender.operators.permissions import Call, require_access

P = ParamSpec("P")
R = TypeVar("R")

_COMMANDS: Final[dict[Callable[..., Any], str]] = {}


def acts_as(command: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function be called by whoever may call the command, for the same controllers.

    The function takes a `context`, and names its controllers as the command does: by `controller`,
    `run_id`, `schedule_id`, a campaign that was read, or the `path` of its file.

    Raises (the function, before it does anything):
        NotAllowedError: whoever acts may not call it.
        NotFoundError: it names a controller that is not there.
    """

    def take(function: Callable[P, R]) -> Callable[P, R]:
        names = signature(function)

        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            given = names.bind(*args, **kwargs).arguments
            require_access(given["context"], Call(command, given))
            return function(*args, **kwargs)

        _COMMANDS[guarded] = command
        return guarded

    return take


def command_of(function: Callable[..., Any]) -> str | None:
    """Return the command that a function acts as; None where it acts as none."""
    return _COMMANDS.get(function)
