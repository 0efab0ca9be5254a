"""What a launch would do, before anybody confirms it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.message import CampaignRenderer
from sender.campaigns.resolve import ResolvedCampaign
from sender.consent.policy import Scope
from sender.delivery.audience import Audience, StagedAudience
from sender.delivery.planning import first_allowed, forecast_unplanned
from sender.delivery.recipients import fields_of, untold_source
from sender.delivery.runs import count
from sender.delivery.scopes import scopes_of_run
from sender.providers.base import Capacity
from sender.rendering.message import RenderedMessage, RenderedSms
from sender.rendering.profile import Recipient
from sender.rendering.refusal import MessageRefused
from sender.store.campaigns import Run, StagedRecipient
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import ProviderAccount
from sender.vocabulary import Reason

SAMPLE = 500
"""How many people's messages are rendered to tell segments and cost; exact up to this number."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large the messages are, rendered for the first people of the audience.

    Attributes:
        rendered: how many messages this rests on.
        segments: SMS parts in all over the whole audience (estimated beyond `rendered`); 0 for
            e-mail.
        most_segments: the parts of the longest message.
        refusals: messages that cannot be made, by the rule they break.
        sample: the first message.
        warnings: what does not forbid sending.
    """

    rendered: int
    segments: int
    most_segments: int
    refusals: Counter[str]
    sample: RenderedMessage | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount of money in a currency (ISO 4217)."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.amount:.2f} {self.currency}"


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """What a launch would do.

    Attributes:
        campaign: the campaign's name.
        controller: the controller's slug.
        run_id: the run, once there is one.
        continues: whether an open run is carried on.
        recipients: people who would be written to.
        refused: everybody else, by reason.
        source_refused: rows of the organisation's database that could not be taken, by reason.
        size: of the messages.
        cost: of all segments, if the account's price of one is known.
        provider: the provider's name.
        account: the provider account's name.
        sender: the From address or number.
        rate_per_second: how fast the account may send.
        duration: about how long it takes.
        finishes_at: about when it would be done.
        warnings: what the person who confirms should know.
    """

    campaign: str
    controller: str
    run_id: int | None
    continues: bool
    recipients: int
    refused: Counter[Reason]
    source_refused: Counter[Reason]
    size: Size
    cost: Cost | None
    provider: str
    account: str
    sender: str
    rate_per_second: float
    duration: timedelta
    finishes_at: datetime
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """The run that a plan is worked out for."""

    campaign: ResolvedCampaign
    run_id: int
    continues: bool
    audience: Audience
    capacity: Capacity
    window_closes_at: datetime | None = None


def work_out(
    session: Session,
    planned: Planned,
    renderer: CampaignRenderer,
    preview_url: str,
    now: datetime,
) -> LaunchPlan:
    """Return what launching this run would do now. Reads only."""
    run = session.get_one(Run, planned.run_id)
    scopes = scopes_of_run(session, run, now)
    recipients, refused = _numbers(session, run, planned.audience, scopes)
    size = measure(
        session,
        renderer,
        scopes,
        planned.audience,
        recipients=recipients,
        preview_url=preview_url,
    )
    campaign, capacity = planned.campaign, planned.capacity
    duration = time_needed(recipients, capacity)
    return LaunchPlan(
        campaign=campaign.definition.name,
        controller=campaign.own.slug,
        run_id=planned.run_id,
        continues=planned.continues,
        recipients=recipients,
        refused=refused,
        source_refused=count(session, run.id).source_refusals,
        size=size,
        cost=cost_of(campaign.account, size.segments),
        provider=campaign.account.provider.value,
        account=campaign.account.name,
        sender=campaign.identity.address,
        rate_per_second=capacity.rate_per_second,
        duration=duration,
        finishes_at=now + duration,
        warnings=(
            *size.warnings,
            *_quota_warning(recipients, capacity),
            *_window_warning(now + duration, planned.window_closes_at),
        ),
    )


def _numbers(
    session: Session, run: Run, audience: Audience, scopes: Sequence[Scope]
) -> tuple[int, Counter[Reason]]:
    """Return recipients and refusals: as far as the run is planned, counted; beyond, forecast."""
    counts = count(session, run.id)
    decided = forecast_unplanned(session, run, scopes, audience)
    recipients = counts.pending + decided.pop(None, 0)
    return recipients, counts.by_reason + Counter(
        {why: n for why, n in decided.items() if why is not None}
    )


def cost_of(account: ProviderAccount, segments: int) -> Cost | None:
    """Return what the segments cost through this account; None where its price is not set."""
    options = account.options.get("options", {})
    try:
        price = Decimal(options["price_per_part"])
    except (KeyError, InvalidOperation):
        return None
    return Cost(price * segments, options.get("currency", "GBP"))


def _window_warning(finishes_at: datetime, closes_at: datetime | None) -> tuple[str, ...]:
    if closes_at is None or finishes_at <= closes_at:
        return ()
    return ("The sending window closes before all are sent; the run pauses then, to be resumed.",)


def _quota_warning(recipients: int, capacity: Capacity) -> tuple[str, ...]:
    left = capacity.remaining_today
    if left is None or recipients <= left:
        return ()
    return (f"The provider's daily quota leaves {left:,} messages; the rest wait for tomorrow.",)


def measure(
    session: Session,
    renderer: CampaignRenderer,
    scopes: Sequence[Scope],
    audience: Audience,
    *,
    recipients: int,
    preview_url: str,
) -> Size:
    """Render the first allowed people's messages and size the whole audience by them."""
    keys = first_allowed(session, scopes, audience, SAMPLE)
    people = sample_recipients(session, audience, keys, preview_url)
    refusals: Counter[str] = Counter()
    messages: list[RenderedMessage] = []
    for recipient in people:
        try:
            messages.append(renderer.render(recipient))
        except MessageRefused as refusal:
            refusals[refusal.code] += 1
    parts = [one.segments.parts for one in messages if isinstance(one, RenderedSms)]
    total = round(sum(parts) / len(parts) * recipients) if parts else 0
    return Size(
        rendered=len(messages),
        segments=total,
        most_segments=max(parts, default=0),
        refusals=refusals,
        sample=messages[0] if messages else None,
        warnings=tuple(sorted({warning for one in messages for warning in one.warnings})),
    )


def sample_recipients(
    session: Session, audience: Audience, keys: Sequence[int], opt_out_url: str
) -> list[Recipient]:
    """Return the people behind these keys of an audience, with a link that belongs to nobody."""
    rows = _staged(session, keys) if isinstance(audience, StagedAudience) else _own(session, keys)
    return [
        Recipient(
            address=address,
            fields=fields_of(contact) | extra,
            opt_out_url=opt_out_url,
            third_party_source=untold_source(contact),
        )
        for address, extra, contact in rows
        if address is not None
    ]


def time_needed(recipients: int, capacity: Capacity) -> timedelta:
    """Return about how long the messages take at the account's rate and daily quota."""
    duration = timedelta(seconds=recipients / capacity.rate_per_second)
    remaining = capacity.remaining_today
    if remaining is not None and recipients > remaining:
        days_more = 1 + (recipients - remaining) // max(1, remaining)
        duration = max(duration, timedelta(days=days_more))
    return duration


def _own(session: Session, keys: Sequence[int]) -> list[tuple[str | None, dict[str, Any], Any]]:
    query = (
        select(ContactPoint.address, Contact)
        .join(Contact, Contact.id == ContactPoint.contact_id)
        .where(ContactPoint.id.in_(keys))
        .order_by(ContactPoint.address_id)
    )
    return [(address, {}, contact) for address, contact in session.execute(query)]


def _staged(session: Session, keys: Sequence[int]) -> list[tuple[str | None, dict[str, Any], Any]]:
    query = (
        select(StagedRecipient.address, StagedRecipient.attributes)
        .where(StagedRecipient.id.in_(keys))
        .order_by(StagedRecipient.address_id)
    )
    return [(address, attributes, None) for address, attributes in session.execute(query)]
