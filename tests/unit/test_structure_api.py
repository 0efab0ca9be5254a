"""Whoever calls the API needs the role that the command of the same act takes."""

import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from inspect import isfunction, signature
from typing import Any

import pytest

from sender import api
from sender.api.acting import command_of
from sender.operators.permissions import Anybody, Nobody, access_of, row_of
from tests.support.every_command import every_command

WITHOUT_A_COMMAND = {
    "load_campaign": "reads a file, and no database",
    "open_context": "proves who acts",
    "set_up_database": "`sender db upgrade`, before there can be operators",
}
READS_WITHOUT_A_ROLE = {
    "list_schedules": "`schedule list` is for every operator",
    "report_run": "`campaign report` is for every operator, and names nobody",
    "tick": "a service: it carries out what somebody with the role approved",
}
MACHINERY = {"acts_as", "command_of"}


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield what the API offers, and whatever else its modules define without an underscore."""
    for name in api.__all__:
        if isfunction(getattr(api, name)):
            yield name, getattr(api, name)
    for module in pkgutil.iter_modules(api.__path__, "sender.api."):
        for name, value in vars(import_module(module.name)).items():
            is_own = isfunction(value) and value.__module__ == module.name
            if is_own and not name.startswith("_") and name not in MACHINERY:
                yield name, value


OFFERED = dict(functions())


@pytest.mark.parametrize("name", sorted(OFFERED))
def test_each_function_takes_what_its_command_takes(name: str) -> None:
    command = command_of(OFFERED[name])
    if name in WITHOUT_A_COMMAND:
        assert command is None
        return
    assert command in set(every_command()), f"{name} acts as no command: anybody may call it"
    assert row_of(command) is not None
    assert "context" in signature(OFFERED[name]).parameters


@pytest.mark.parametrize("name", sorted(OFFERED.keys() - WITHOUT_A_COMMAND.keys()))
def test_each_function_takes_a_role_or_is_known_to_take_none(name: str) -> None:
    command = command_of(OFFERED[name])
    assert command is not None
    takes_no_role = isinstance(access_of(command), Nobody | Anybody)
    assert takes_no_role == (name in READS_WITHOUT_A_ROLE)


def test_what_is_said_to_be_an_exception_is_there() -> None:
    assert OFFERED.keys() >= WITHOUT_A_COMMAND.keys() | READS_WITHOUT_A_ROLE.keys()
