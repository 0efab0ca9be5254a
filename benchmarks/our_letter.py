"""The messages of all benchmarks, rendered by ours."""

from benchmarks.letter import BODY, IDENTITY, LAYOUT, SMS, SUBJECT, TEXT, layout, person
from sender.rendering.email_renderer import EmailRenderer
from sender.rendering.profile import EmailIdentity, Recipient, SenderProfile, SmsIdentity
from sender.rendering.sms_renderer import SmsRenderer
from sender.rendering.text import CampaignText, TemplateSource
from sender.vocabulary import ControllerKind, OptOutStyle

_PROFILE = SenderProfile(
    slug="riverside", kind=ControllerKind.ASSOCIATION, contact_phone=None, website=None, **IDENTITY
)


def recipient(number: int, *, sms: bool = False) -> Recipient:
    """Return the `number`-th person as our renderers take them."""
    return Recipient(*person(number, sms=sms))


def email_renderer() -> EmailRenderer:
    """Return our renderer of the e-mail."""
    identity = EmailIdentity("news@riverside.org.uk", "Riverside", "office@riverside.org.uk")
    text = CampaignText(
        campaign_name="benchmark",
        subject=SUBJECT,
        html=TemplateSource("body.html", BODY),
        text=TemplateSource("body.txt", TEXT),
        layout=TemplateSource(LAYOUT, layout()),
    )
    return EmailRenderer(
        text, _PROFILE, identity,
        list_id="news.riverside.riverside.org.uk", feedback_id="benchmark:news:email:riverside",
    )  # fmt: skip


def sms_renderer() -> SmsRenderer:
    """Return our renderer of the text message."""
    identity = SmsIdentity("+447700900123", "Riverside", OptOutStyle.REPLY)
    text = CampaignText("benchmark", sms=TemplateSource("text.txt", SMS))
    return SmsRenderer(text, _PROFILE, identity, max_segments=3)
