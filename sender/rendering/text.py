"""The exact, pinned text of one campaign version."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sender.rendering.message import hash_parts


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """One template.

    Attributes:
        name: how errors and `{% extends %}` name it, usually the path in the campaign's folder.
        source: its text.
    """

    name: str
    source: str

    @property
    def path(self) -> Path:
        """The name as errors show it."""
        return Path(self.name)


@dataclass(frozen=True, slots=True)
class CampaignText:
    """Everything that decides what a campaign says.

    Attributes:
        campaign_name: available to templates as `campaign.name`.
        subject: template of the subject line; None for SMS.
        html: the e-mail's HTML template; None for SMS.
        text: its text template; None derives the text part from the HTML.
        layout: the template that `html` extends or is wrapped in; None if `html` is whole.
        sms: the body's template; None for e-mail.
        preheader: template of the preview line of inboxes; None leaves it to the HTML template.
        values: the campaign's own constants, `values` in templates.
    """

    campaign_name: str
    subject: str | None = None
    html: TemplateSource | None = None
    text: TemplateSource | None = None
    layout: TemplateSource | None = None
    sms: TemplateSource | None = None
    preheader: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def content_hash(self) -> bytes:
        """SHA-256 over every name and text: equal only for the very same campaign text."""
        values = json.dumps(self.values, sort_keys=True)
        parts: list[str | None] = [self.campaign_name, self.subject, self.preheader, values]
        for template in (self.html, self.text, self.layout, self.sms):
            parts += (None, None) if template is None else (template.name, template.source)
        return hash_parts(parts)
