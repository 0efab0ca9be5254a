"""What a campaign's kind asks of its messages: research and service must not advertise."""

from collections.abc import Iterator
from dataclasses import dataclass

from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.files import SourceText
from sender.campaigns.resolve import ResolvedCampaign
from sender.rendering.fixed_links import fixed_links
from sender.rendering.kind_lint import Flag, Own, links_in, lint, lint_html, texts_of_html
from sender.rendering.message import RenderedEmail, RenderedMessage
from sender.rendering.refusal import Rule, broken
from sender.rendering.template_words import words_of_template
from sender.rendering.text import TemplateSource
from sender.vocabulary import CampaignKind


@dataclass(frozen=True, slots=True)
class KindCheck:
    """Looks at every message of a campaign that claims to be something else than marketing.

    Attributes:
        kind: what it claims to be.
        own: what every message of the controller shows anyhow.
        fixed_links: links that stand in the campaign's templates, the same for everybody.
    """

    kind: CampaignKind
    own: Own
    fixed_links: frozenset[str]

    def require(self, message: RenderedMessage) -> None:
        """Require that the message asks for nothing that no approval lifts.

        Raises:
            MessageRefused: it asks for votes, money or support; or, in research, has a link of
                this person's own besides the opt-out (guidance ¶20).
        """
        own = own_for(self.own, message.opt_out_url)
        if any(flag.is_final for flag in flags_in(message, own)):
            raise broken(
                Rule.KIND_MARKETING,
                f"A {self.kind.value} message asks for votes, money or support.",
                remedy='Take that out, or let the file say kind = "marketing".',
            )
        if self.kind is CampaignKind.RESEARCH:
            self._require_no_personal_link(message, own)

    def _require_no_personal_link(self, message: RenderedMessage, own: Own) -> None:
        allowed = self.fixed_links.union(own.links)
        if any(not link_in(allowed, link) for text in _texts(message) for link in links_in(text)):
            raise broken(
                Rule.RESEARCH_LINK,
                "A research message has a link that tells who follows it.",
                remedy="Write every link out in the template, the same for everybody.",
            )


def link_in(allowed: frozenset[str], link: str) -> bool:
    """Whether a link is one of these, whatever stroke it ends with."""
    return link in allowed or link.rstrip("/") in allowed or link + "/" in allowed


def check_of(campaign: ResolvedCampaign) -> KindCheck | None:
    """Return the check of the campaign's kind; None for marketing, which may advertise."""
    definition = campaign.definition
    if definition.kind is CampaignKind.MARKETING:
        return None
    named = (definition.template, definition.text_template, definition.layout)
    templates = [TemplateSource(one.name, one.text) for one in named if one is not None]
    fixed = fixed_links(templates, definition.values)
    return KindCheck(definition.kind, _own(campaign), fixed)


def flags_of(campaign: ResolvedCampaign, sample: RenderedMessage | None) -> tuple[Flag, ...]:
    """Return the marketing elements of a campaign that claims to have none.

    Args:
        campaign: the templates are looked at, every branch of them.
        sample: one finished message, if there is one.
    """
    if campaign.definition.kind is CampaignKind.MARKETING:
        return ()
    own = _own(campaign)
    flags = set(_flags_of_templates(campaign.definition, own))
    if sample is not None:
        flags |= set(flags_in(sample, own_for(own, sample.opt_out_url)))
    return tuple(sorted(flags))


def flags_in(message: RenderedMessage, own: Own) -> tuple[Flag, ...]:
    """Return the marketing elements of one finished message."""
    if isinstance(message, RenderedEmail):
        flags = {*lint(message.subject, own), *lint(message.text, own)}
        return tuple(sorted(flags.union(lint_html(message.html, own))))
    return lint(message.body, own)


def own_for(own: Own, opt_out_url: str | None) -> Own:
    """Return what is the controller's own, with the way out of one message."""
    return own if opt_out_url is None else Own(own.names, own.phrases, (*own.links, opt_out_url))


def _texts(message: RenderedMessage) -> tuple[str, ...]:
    if isinstance(message, RenderedEmail):
        return (message.subject, message.text, *texts_of_html(message.html))
    return (message.body,)


def _flags_of_templates(definition: CampaignDefinition, own: Own) -> Iterator[Flag]:
    """Yield what the words of the campaign's own templates ask for, in every branch."""
    for source in (definition.template, definition.text_template, _own_layout(definition)):
        if source is not None:
            yield from lint_html(words_of_template(source.text), own)
    for line in (definition.subject, definition.preheader):
        if line is not None:
            yield from lint(words_of_template(line), own)
    for value in definition.values.values():
        yield from lint(str(value), own)


def _own_layout(definition: CampaignDefinition) -> SourceText | None:
    """Return the layout, unless it is one that ships: these advertise nothing."""
    layout = definition.layout
    return None if layout is None or "." not in layout.name else layout


def _own(campaign: ResolvedCampaign) -> Own:
    versions = (campaign.own.version, *(body.version for body in campaign.bodies))
    return Own(
        names=(campaign.identity.display_name, *(one.name for one in versions)),
        phrases=tuple(
            phrase
            for one in versions
            for phrase in (one.postal_address, one.promoter_name, one.promoter_address)
            if phrase
        ),
        links=tuple(
            link
            for one in versions
            for link in (one.privacy_notice_url, one.website, f"mailto:{one.contact_email}")
            if link
        ),
    )
