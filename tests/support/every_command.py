"""Every command that the program has, as it is typed, without `sender`."""

from collections.abc import Iterator

from typer.core import TyperGroup

from sender.cli.groups import GROUPS, load


def every_command() -> Iterator[str]:
    """Yield each command, groups with their commands, in the order of the help."""
    for group in GROUPS:
        command = load(group)
        if not isinstance(command, TyperGroup):
            yield group
            continue
        for name, inner in command.commands.items():
            leaves = inner.commands if isinstance(inner, TyperGroup) else [""]
            yield from (f"{group} {name} {leaf}".strip() for leaf in leaves)
