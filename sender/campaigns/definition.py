"""A campaign as its file says: read from a folder, or again from the texts that were pinned."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sender.campaigns.audience import Audience, parse_audience
from sender.campaigns.constants import parse_values
from sender.campaigns.files import (
    SHIPPED,
    CampaignFiles,
    FileLookup,
    FileTrouble,
    FolderFiles,
    PinnedFiles,
    SourceText,
    read_text,
)
from sender.campaigns.refresh_file import check_refresh
from sender.campaigns.schedule import Schedule, parse_schedule
from sender.campaigns.sections import SLUG_RULE, Section, is_slug
from sender.campaigns.window import parse_window
from sender.delivery.window import SendingWindow
from sender.errors import FileError
from sender.resources import resource_folder
from sender.toml.source import FileErrors, TomlSource
from sender.vocabulary import CampaignKind, Channel, OptOutStyle, Priority

DEFAULT_LAYOUT: Final = "standard"
DEFAULT_MAX_SEGMENTS: Final = 2
MOST_SEGMENTS: Final = 11
"""1600 characters, the most that providers take, are 11 parts of 153."""
MOST_RECIPIENTS: Final = 100_000_000
LARGEST_WEIGHT: Final = 100
LONGEST_FRESHNESS_MONTHS: Final = 120
"""Consent does not remain valid forever (guidance ¶57); every policy is stricter than this."""

_ONLY: Final = {
    Channel.EMAIL: ("subject", "preheader", "text_template", "layout"),
    Channel.SMS: ("max_segments", "opt_out"),
}
_KEYS: Final = (
    *("name", "controller", "on_behalf_of", "channel", "purpose", "kind"),
    *("subject", "preheader", "template", "text_template", "layout", "sender"),
    *("fresh_within_months", "max_recipients", "max_segments", "expires_at"),
    *("priority", "weight", "opt_out", "values", "window", "schedule", "audience"),
)


@dataclass(frozen=True, slots=True)
class CampaignDefinition:
    """Everything that a campaign file says.

    Attributes:
        name: known by controller and name.
        controller: the slug of the body that instigates the messages.
        on_behalf_of: slugs of further bodies, each of which needs its own consent (guidance ¶26).
        subject: a template; e-mail only.
        layout: e-mail only; a name without a dot is a layout that ships with the sender.
        sender: a sender identity's name; None: the controller's only one.
        fresh_within_months: how old consent may be; only ever stricter than the policy.
        max_recipients: a plan with more is refused.
        max_segments: the most parts of one SMS; None for e-mail.
        expires_at: aware UTC; nothing is sent from then on.
        priority: whether it goes before others that share its provider account.
        weight: 1 to 100; its share of the account's rate, beside the weights of the others.
        opt_out: how an SMS says the way out; None: as the sender identity says.
        window: the sending hours, instead of the controller's; None: the controller's.
        values: constants for the templates: text, numbers, yes or no, lists and tables of these.
        files: the exact texts that this was read from.
    """

    name: str
    controller: str
    on_behalf_of: tuple[str, ...]
    channel: Channel
    purpose: str
    kind: CampaignKind
    subject: str | None
    preheader: str | None
    template: SourceText
    text_template: SourceText | None
    layout: SourceText | None
    sender: str | None
    fresh_within_months: int | None
    max_recipients: int
    max_segments: int | None
    expires_at: datetime | None
    priority: Priority
    weight: int
    opt_out: OptOutStyle | None
    values: Mapping[str, Any]
    window: SendingWindow | None
    schedule: Schedule | None
    audience: Audience
    files: CampaignFiles


def load_campaign(path: Path, *, layouts: Path | None = None) -> CampaignDefinition:
    """Read a campaign file and every file that it names.

    Args:
        path: the campaign file; what it names lies in the same folder or below it.
        layouts: where the shipped layouts lie; None: in this installation.

    Raises:
        FileErrors: everything that is wrong, each with file, line, key and remedy.
    """
    try:
        text = read_text(path, path.name)
    except FileTrouble as trouble:
        error = FileError(trouble.problem, path=path, remedy=trouble.remedy)
        raise FileErrors([error]) from None
    shipped = resource_folder("templates") / "layouts" if layouts is None else layouts
    return _parse(text, FolderFiles(path.parent, shipped), path)


def parse_campaign(toml_text: str, files: Mapping[str, str], path: Path) -> CampaignDefinition:
    """Read a campaign from texts that were pinned earlier, touching no file.

    Args:
        toml_text: the campaign file's text.
        files: `CampaignFiles.files` of the same campaign.
        path: the campaign file, for messages.

    Raises:
        FileErrors: everything that is wrong, each with file, line, key and remedy.
    """
    return _parse(toml_text, PinnedFiles(files), path)


def _parse(text: str, lookup: FileLookup, path: Path) -> CampaignDefinition:
    source = TomlSource(text, path)
    section = Section(source, source.data, (), _KEYS)
    section.require("name", "controller", "channel", "purpose", "template", "max_recipients")
    channel = section.word("channel", Channel)
    _refuse_keys_of_other_channel(section, channel)
    definition = _definition(section, channel, lookup)
    check_refresh(section, definition)
    source.raise_if_refused()
    return replace(definition, files=CampaignFiles(path.name, text, lookup.read()))


def _definition(
    section: Section, channel: Channel | None, lookup: FileLookup
) -> CampaignDefinition:
    """Read every key, so that every problem is known; stand-ins take the place of refused ones."""
    controller = section.slug("controller") or ""
    return CampaignDefinition(
        name=section.slug("name") or "",
        controller=controller,
        on_behalf_of=_on_behalf_of(section, controller),
        channel=channel or Channel.EMAIL,
        purpose=_purpose(section),
        kind=section.word("kind", CampaignKind) or CampaignKind.MARKETING,
        subject=section.text("subject"),
        preheader=section.text("preheader"),
        template=section.file("template", lookup) or SourceText("", ""),
        text_template=section.file("text_template", lookup),
        layout=_layout(section, channel, lookup),
        sender=section.slug("sender"),
        fresh_within_months=section.whole_number(
            "fresh_within_months", 1, LONGEST_FRESHNESS_MONTHS
        ),
        max_recipients=section.whole_number("max_recipients", 1, MOST_RECIPIENTS) or 0,
        max_segments=_max_segments(section, channel),
        expires_at=section.moment("expires_at"),
        priority=section.word("priority", Priority) or Priority.NORMAL,
        weight=section.whole_number("weight", 1, LARGEST_WEIGHT) or 1,
        opt_out=_opt_out(section),
        values=parse_values(section),
        window=parse_window(section),
        schedule=parse_schedule(section),
        audience=parse_audience(section, lookup),
        files=CampaignFiles("", "", {}),
    )


def _refuse_keys_of_other_channel(section: Section, channel: Channel | None) -> None:
    if channel is Channel.EMAIL:
        section.require("subject")
    for other, names in _ONLY.items():
        for name in names:
            if channel is not None and channel is not other and section.has(name):
                section.refuse(name, f"is for {other} only.", "Take the line out.")


def _purpose(section: Section) -> str:
    purpose = section.text("purpose") or ""
    if purpose and not all(is_slug(part) for part in purpose.split(":")):
        section.refuse(
            "purpose",
            f"{purpose!r} is not a valid purpose.",
            "Such as campaign-news, or local-issue:school-closure.",
        )
    return purpose


def _on_behalf_of(section: Section, controller: str) -> tuple[str, ...]:
    def flaw(body: str) -> str:
        if body == controller:
            return "is the controller itself, whose consent is needed anyhow."
        return "" if is_slug(body) else f"{body!r} is not a valid name. {SLUG_RULE}"

    return section.texts("on_behalf_of", flaw)


def _layout(section: Section, channel: Channel | None, lookup: FileLookup) -> SourceText | None:
    if channel is not Channel.EMAIL:
        return None
    name = section.table.get("layout", DEFAULT_LAYOUT)
    if isinstance(name, str) and is_slug(name):
        return section.named_text("layout", name, SHIPPED + name, lookup)
    return section.file("layout", lookup)


def _max_segments(section: Section, channel: Channel | None) -> int | None:
    written = section.whole_number("max_segments", 1, MOST_SEGMENTS)
    return DEFAULT_MAX_SEGMENTS if written is None and channel is Channel.SMS else written


def _opt_out(section: Section) -> OptOutStyle | None:
    opt_out = section.section("opt_out", ("style",))
    if opt_out is None:
        return None
    opt_out.require("style")
    return opt_out.word("style", OptOutStyle)
