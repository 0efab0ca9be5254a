"""Make the renderer of a campaign: its text, who speaks, under which identity."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.files import SourceText
from sender.campaigns.kinds import KindCheck, check_of
from sender.campaigns.resolve import ResolvedCampaign
from sender.rendering.email_renderer import EmailRenderer
from sender.rendering.lint import field_names
from sender.rendering.message import RenderedMessage
from sender.rendering.profile import (
    Body,
    EmailIdentity,
    Recipient,
    SenderProfile,
    SmsIdentity,
)
from sender.rendering.sms_renderer import SmsRenderer
from sender.rendering.text import CampaignText, TemplateSource
from sender.rendering.trial import TemplateReport
from sender.store.controllers import ControllerVersion, SenderIdentity
from sender.vocabulary import Channel, OptOutStyle

_GMAIL_LONGEST_SENDER = 15


@dataclass(frozen=True, slots=True)
class CampaignRenderer:
    """Renders one campaign version, for e-mail and SMS alike.

    Attributes:
        fields_used: the recipient fields that the templates name.
    """

    fields_used: frozenset[str]
    _renderer: EmailRenderer | SmsRenderer
    _kind: KindCheck | None = None

    def render(self, recipient: Recipient) -> RenderedMessage:
        """Return the finished, checked message; raises MessageRefused."""
        message = self._renderer.render(recipient)
        if self._kind is not None:
            self._kind.require(message)
        return message

    def check(self, shapes: Iterable[frozenset[str]]) -> TemplateReport:
        """Return what is wrong with the templates, for every shape of recipient."""
        return self._renderer.check(shapes)


def make_renderer(campaign: ResolvedCampaign) -> CampaignRenderer:
    """Compile the campaign's templates.

    Raises:
        TemplateError: a template does not parse.
        MessageRefused: the identity cannot be used.
    """
    definition = campaign.definition
    text = text_of(definition)
    profile = profile_of(campaign)
    renderer: EmailRenderer | SmsRenderer
    if definition.channel is Channel.EMAIL:
        renderer = EmailRenderer(
            text,
            profile,
            _email_identity(campaign.identity),
            list_id=_list_id(campaign),
            feedback_id=_feedback_id(campaign),
        )
    else:
        assert definition.max_segments is not None
        identity = _sms_identity(campaign.identity, definition)
        renderer = SmsRenderer(text, profile, identity, max_segments=definition.max_segments)
    return CampaignRenderer(_fields_used(text), renderer, check_of(campaign))


def text_of(definition: CampaignDefinition) -> CampaignText:
    """Return the campaign's templates as the rendering room takes them."""
    if definition.channel is Channel.SMS:
        return CampaignText(
            campaign_name=definition.name,
            sms=_template(definition.template),
            values=definition.values,
        )
    return CampaignText(
        campaign_name=definition.name,
        subject=definition.subject,
        preheader=definition.preheader,
        html=_template(definition.template),
        text=_template(definition.text_template),
        layout=_layout(definition.layout),
        values=definition.values,
    )


def profile_of(campaign: ResolvedCampaign) -> SenderProfile:
    """Return the controller as the campaign's messages show it."""
    return profile_from(
        campaign.own.slug, campaign.own.version, [body.version for body in campaign.bodies]
    )


def profile_from(
    slug: str, version: ControllerVersion, bodies: Iterable[ControllerVersion] = ()
) -> SenderProfile:
    """Return a controller version as messages show it."""
    return SenderProfile(
        slug=slug,
        name=version.name,
        kind=version.kind,
        postal_address=version.postal_address,
        contact_email=version.contact_email,
        contact_phone=version.contact_phone,
        website=version.website,
        privacy_notice_url=version.privacy_notice_url,
        promoter_name=version.promoter_name,
        promoter_address=version.promoter_address,
        on_behalf_of=tuple(Body(body.name, body.postal_address) for body in bodies),
    )


def _fields_used(text: CampaignText) -> frozenset[str]:
    subject = TemplateSource("subject", text.subject) if text.subject else None
    preheader = TemplateSource("preheader", text.preheader) if text.preheader else None
    templates = (subject, preheader, text.html, text.text, text.layout, text.sms)
    return frozenset[str]().union(*[field_names(one) for one in templates if one is not None])


def _layout(source: SourceText | None) -> TemplateSource | None:
    """A shipped layout goes by the name under which templates extend it."""
    if source is None or "." in source.name:
        return _template(source)
    return TemplateSource(f"layouts/{source.name}.html", source.text)


def _template(source: SourceText | None) -> TemplateSource | None:
    return None if source is None else TemplateSource(source.name, source.text)


def _email_identity(identity: SenderIdentity) -> EmailIdentity:
    return EmailIdentity(identity.address, identity.display_name, identity.reply_to)


def _sms_identity(identity: SenderIdentity, definition: CampaignDefinition) -> SmsIdentity:
    style = definition.opt_out or identity.opt_out_style or OptOutStyle.REPLY
    return SmsIdentity(identity.address, identity.display_name, style)


def _list_id(campaign: ResolvedCampaign) -> str:
    domain = campaign.identity.address.rpartition("@")[2]
    purpose = re.sub(r"[^a-z0-9-]", "-", campaign.definition.purpose)
    return f"{purpose}.{campaign.own.slug}.{domain}"


def _feedback_id(campaign: ResolvedCampaign) -> str:
    definition = campaign.definition
    sender = campaign.own.slug[:_GMAIL_LONGEST_SENDER].rstrip("-").ljust(5, "0")
    purpose = definition.purpose.replace(":", "-")
    return f"{definition.name}:{purpose}:{definition.channel.value}:{sender}"
