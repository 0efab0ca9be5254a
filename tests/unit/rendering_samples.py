"""Senders, recipients and templates that the rendering tests share."""

from collections.abc import Mapping
from pathlib import Path

from sender.rendering.email_renderer import EmailRenderer
from sender.rendering.profile import (
    Body,
    EmailIdentity,
    JsonValue,
    Recipient,
    SenderProfile,
    SmsIdentity,
)
from sender.rendering.sms_renderer import SmsRenderer
from sender.rendering.text import CampaignText, TemplateSource
from sender.vocabulary import ControllerKind, OptOutStyle

TEMPLATES = Path(__file__).parents[2] / "templates"
OPT_OUT_URL = "https://out.leeds-north.org/o/0123456789abcdefABCDEF"
LAYOUT = "layouts/standard.html"

PARTY = SenderProfile(
    slug="leeds-north",
    name="Leeds North Association",
    kind=ControllerKind.ASSOCIATION,
    postal_address="1 High Street\nLeeds\nLS1 1AA",
    contact_email="hello@leeds-north.org",
    contact_phone="0113 496 0000",
    website="https://leeds-north.org/",
    privacy_notice_url="https://leeds-north.org/privacy",
    promoter_name="Ann Agent",
    promoter_address="2 Low Street, Leeds LS1 2BB",
    on_behalf_of=(Body("Jo Candidate", "3 Mid Street, Leeds LS1 3CC"),),
)
CHARITY = SenderProfile(
    slug="owls",
    name="Friends of Owls",
    kind=ControllerKind.CHARITY,
    postal_address="9 Barn Lane, Otley LS21 9ZZ",
    contact_email="hoot@friends-of-owls.org",
    contact_phone=None,
    website=None,
    privacy_notice_url="https://friends-of-owls.org/privacy",
    promoter_name=None,
    promoter_address=None,
)
IDENTITY = EmailIdentity("news@leeds-north.org", "Leeds North News", "reply@leeds-north.org")
NUMBER = SmsIdentity("+447700900123", "Friends of Owls", OptOutStyle.REPLY)
NAMED = SmsIdentity("OWLS", "Friends of Owls", OptOutStyle.LINK)


def template(name: str) -> TemplateSource:
    return TemplateSource(name, (TEMPLATES / name).read_text(encoding="utf-8"))


def email_text(
    html: str,
    *,
    text: str | None = None,
    subject: str = "News for {{ recipient.first_name | default('you') }}",
    layout: bool = False,
) -> CampaignText:
    return CampaignText(
        "Spring news",
        subject=subject,
        html=TemplateSource("campaign.html", html),
        text=None if text is None else TemplateSource("campaign.txt", text),
        layout=template(LAYOUT) if layout else None,
    )


def email_renderer(
    html: str,
    *,
    profile: SenderProfile = CHARITY,
    text: str | None = None,
    subject: str = "News for {{ recipient.first_name | default('you') }}",
    layout: bool = False,
) -> EmailRenderer:
    return EmailRenderer(
        email_text(html, text=text, subject=subject, layout=layout),
        profile,
        IDENTITY,
        list_id="news.leeds-north.org",
        feedback_id="c1:leeds:mail:sender1",
    )


def sms_renderer(
    body: str,
    *,
    identity: SmsIdentity = NUMBER,
    profile: SenderProfile = CHARITY,
    max_segments: int = 3,
) -> SmsRenderer:
    text = CampaignText("Spring news", sms=TemplateSource("campaign.txt", body))
    return SmsRenderer(text, profile, identity, max_segments=max_segments)


def person(
    fields: Mapping[str, JsonValue] | None = None, *, source: str | None = None, sms: bool = False
) -> Recipient:
    address = "+447700900999" if sms else "sam@mail.org"
    return Recipient(address, fields or {}, OPT_OUT_URL, source)
