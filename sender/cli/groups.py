"""The command groups, each imported when it is called: start-up stays quick."""

from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

GROUPS: Final[dict[str, tuple[str, str]]] = {
    "db": ("sender.cli.db", "Set up the database, and check that its history holds."),
    "controller": ("sender.cli.controller", "The legal entities that messages come from."),
    "notice": ("sender.cli.notice", "The wordings that people saw when they agreed."),
    "form": ("sender.cli.form", "Public forms by which people sign up, and confirm it."),
    "contacts": ("sender.cli.contacts", "Bring people in, and find them."),
    "consent": ("sender.cli.consent", "What people agreed to, and when they no longer do."),
    "purpose": ("sender.cli.purpose", "What people are asked to agree to, and when it is over."),
    "suppress": ("sender.cli.suppress", "Who must not be written to."),
    "subject": ("sender.cli.subject", "What people may ask of their own data: see it, erase it."),
    "request": ("sender.cli.request", "The desk for what people ask of their own data."),
    "inbox": ("sender.cli.inbox", "What people wrote back, and what to make of it."),
    "inbound": ("sender.cli.inbound", "Take in what comes by mail."),
    "reconcile": ("sender.cli.reconcile", "Ask the providers what their webhooks may have missed."),
    "explain": ("sender.cli.explain", "Explain whether a campaign may write to an address."),
    "evidence": ("sender.cli.evidence", "Show why somebody was written to, and on what basis."),
    "retention": ("sender.cli.retention", "Erase what is past its time."),
    "campaign": ("sender.cli.campaign", "Check, launch and follow campaigns."),
    "schedule": ("sender.cli.schedule", "Campaigns that go out by themselves."),
    "operator": ("sender.cli.operator", "Who may prepare, approve, launch, and tend data."),
    "web": ("sender.cli.web", "Serve opt-out pages and webhooks."),
    "worker": ("sender.cli.worker", "Send beside other workers, and keep house (PostgreSQL)."),
    "status": ("sender.cli.status", "Workers, queues, rates, runs under way, lag."),
    "demo": ("sender.cli.demo", "Try everything on 5,000 people who never were."),
    "alert": ("sender.cli.alert", "What needs an operator, and who is told of it."),
    "doctor": ("sender.cli.doctor", "Look whether this installation can work."),
}
"""Name of the command: module with a Typer called `app`, and what the command list says of it."""


class LazyGroup(TyperGroup):
    """Lists every group from the table above, and imports only the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the table."""
        return [*super().list_commands(ctx), *GROUPS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command that knows its name and its line in the list only."""
        if cmd_name not in GROUPS:
            return super().get_command(ctx, cmd_name)
        return TyperCommand(cmd_name, help=GROUPS[cmd_name][1])

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Import the group that is about to run."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in GROUPS else command, rest


def load(name: str) -> Any:
    """Return the command behind a name of the table."""
    command = typer.main.get_command(import_module(GROUPS[name][0]).app)
    command.name = name
    return command
