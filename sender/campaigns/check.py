"""Check a campaign file as far as can be done without launching it."""

import re
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.links import Link, LinkProblem, check_links
from sender.campaigns.message import CampaignRenderer, make_renderer
from sender.campaigns.plan import Cost, Size, cost_of, measure
from sender.campaigns.preview import scopes_of_campaign
from sender.campaigns.refresh import contacts_of
from sender.campaigns.requirements import require_stricter, require_unexpired
from sender.campaigns.resolve import ResolvedCampaign, resolve
from sender.campaigns.shapes import audience_shapes
from sender.contacts.filter import unknown_attributes
from sender.context import Context
from sender.delivery.planning import forecast
from sender.errors import SenderError
from sender.rendering.message import RenderedEmail, RenderedMessage
from sender.store.contacts import Contact
from sender.suppression.links import confirm_url_of, opt_out_links
from sender.vocabulary import Reason

_HREF = re.compile(r"""\bhref\s*=\s*["']([^"']+)["']""", re.IGNORECASE)
_BARE_URL = re.compile(r"https?://[^\s<>\"')\]]+")


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found.

    Attributes:
        errors: each would refuse a launch.
        warnings: none would.
        recipients: people who may be written to now; None when the audience comes from elsewhere.
        refused: everybody else, by reason.
        size: of the messages; None when the audience comes from elsewhere or a template is wrong.
        shapes: how many kinds of recipients the templates were tried on.
        links: fixed links that were fetched.
        cost: of the SMS parts, if the account's price is known.
    """

    errors: tuple[SenderError, ...]
    warnings: tuple[str, ...]
    recipients: int | None
    refused: Counter[Reason]
    size: Size | None
    shapes: int
    links: int
    cost: Cost | None = None


def check(context: Context, definition: CampaignDefinition, *, links: bool = False) -> CheckReport:
    """Check names, filter, templates for every shape of recipient, and fixed links if asked.

    Raises:
        FileErrors: the file names something that is not there, or a limit cannot be meant.
        TemplateError: a template does not parse.
    """
    now = context.clock.now()
    require_unexpired(definition, now)
    with context.store.read() as session:
        campaign = resolve(session, definition)
        require_stricter(session, campaign, now)
        renderer = make_renderer(campaign)
        if definition.audience.source is not None:
            report = renderer.check(())
            warning = "The audience comes from another database: it is read at launch only."
            return CheckReport(
                report.errors, (*report.warnings, warning), None, Counter(), None, 0, 0
            )
        return _check_contacts(session, context, campaign, renderer, links=links)


def _check_contacts(
    session: Session,
    context: Context,
    campaign: ResolvedCampaign,
    renderer: CampaignRenderer,
    *,
    links: bool,
) -> CheckReport:
    definition = campaign.definition
    where = definition.audience.where
    audience = contacts_of(session, campaign, where, context.clock.now())
    shapes = audience_shapes(session, audience)
    report = renderer.check(shapes)
    errors: list[SenderError] = [*_unknown_attributes(session, campaign), *report.errors]
    scopes = scopes_of_campaign(session, context, campaign)
    decided = forecast(session, scopes, audience)
    recipients = decided.pop(None, 0)
    size = None
    if not report.errors:
        preview_url = opt_out_links(context.settings).preview
        size = measure(
            session, renderer, scopes, audience, recipients=recipients, preview_url=preview_url
        )
    fixed = fixed_links(size.sample) if links and size and size.sample else []
    errors += [_link_error(problem) for problem in check_links(fixed)] if fixed else []
    warnings = (*report.warnings, *(size.warnings if size else ()))
    if not shapes:
        warnings = (*warnings, "There is nobody in the audience to try the templates on.")
    refused = Counter({why: number for why, number in decided.items() if why is not None})
    cost = cost_of(campaign.account, size.segments) if size and size.segments else None
    return CheckReport(
        tuple(errors), warnings, recipients, refused, size, len(shapes), len(fixed), cost
    )


def fixed_links(message: RenderedMessage) -> list[Link]:
    """Return the links of a sample message but for the personal one, each once."""
    if isinstance(message, RenderedEmail):
        found = [*_HREF.findall(message.html), *_BARE_URL.findall(message.text)]
    else:
        found = _BARE_URL.findall(message.body)
    own = {message.opt_out_url, confirm_url_of(message.opt_out_url or "")}
    wanted = [url for url in dict.fromkeys(found) if url not in own and not _is_other(url)]
    return [Link(url, "the rendered message") for url in wanted]


def _is_other(url: str) -> bool:
    return url.lower().startswith(("mailto:", "tel:"))


def _link_error(problem: LinkProblem) -> SenderError:
    return SenderError(f"{problem.link.url}: {problem.problem}", remedy=problem.remedy)


def _unknown_attributes(session: Session, campaign: ResolvedCampaign) -> list[SenderError]:
    where = campaign.definition.audience.where
    if where is None:
        return []
    known = _known_attributes(session, campaign.own.controller_id)
    return [
        SenderError(
            f"audience.where: no contact of {campaign.own.slug} has the attribute {name!r}.",
            remedy=f"Did you mean {near}?" if near else "",
        )
        for name, near in unknown_attributes(where, known)
    ]


def _known_attributes(session: Session, controller_id: int) -> set[str]:
    query = (
        select(Contact.attributes)
        .where(Contact.controller_id == controller_id, Contact.erased_at.is_(None))
        .execution_options(yield_per=2_000)
    )
    return {name for attributes in session.scalars(query) for name in attributes}
