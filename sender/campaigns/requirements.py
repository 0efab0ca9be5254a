"""What must hold before a launch; each refusal says where and what to do."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.message import CampaignRenderer
from sender.campaigns.plan import LaunchPlan
from sender.campaigns.resolve import ResolvedBody, ResolvedCampaign, file_error
from sender.campaigns.shapes import audience_shapes
from sender.consent.scopes import load_scope
from sender.delivery.audience import Audience
from sender.delivery.window import window_of
from sender.errors import RefusedError
from sender.store.campaigns import Run
from sender.store.controllers import OptOutDeclaration
from sender.toml.source import FileErrors


def require_declarations(session: Session, campaign: ResolvedCampaign) -> None:
    """Require that opt-outs of the system used before were brought along, or that none exist.

    Opt-outs lost on a change of system are what the Conservative Party was fined for in 2021, and
    Penny Appeal in 2024.

    Raises:
        RefusedError: names the first controller without a declaration.
    """
    for body in (campaign.own, *campaign.bodies):
        _require_declaration(session, body)


def _require_declaration(session: Session, body: ResolvedBody) -> None:
    declared = session.scalar(
        select(OptOutDeclaration.id)
        .where(OptOutDeclaration.controller_id == body.controller_id)
        .limit(1)
    )
    if declared is None:
        raise RefusedError(
            f"Nobody has said what became of the opt-outs that {body.slug} received before it "
            "used this system.",
            remedy="Import them with: sender suppress import FILE --controller "
            f"{body.slug}; then: sender controller declare {body.slug} --opt-outs imported "
            "(or none-exist).",
        )


def require_stricter(session: Session, campaign: ResolvedCampaign, now: datetime) -> None:
    """Require that the file's own freshness limit is stricter than the policy.

    Raises:
        FileErrors: it is not.
    """
    months = campaign.definition.fresh_within_months
    if months is None:
        return
    scope = load_scope(
        session,
        controller_id=campaign.own.controller_id,
        channel=campaign.definition.channel,
        purpose_id=campaign.own.purpose.id,
        at=now,
    )
    if months > scope.freshness.hold_months:
        raise file_error(
            campaign.definition,
            ("fresh_within_months",),
            f"is looser than the policy of {campaign.own.slug}, {scope.freshness.hold_months} "
            "months; a campaign can only be stricter.",
            "Lower it or take it out.",
        )


def require_unexpired(definition: CampaignDefinition, now: datetime) -> None:
    """Require that the campaign may still go out.

    Raises:
        FileErrors: `expires_at` has passed.
    """
    if definition.expires_at is not None and definition.expires_at <= now:
        raise file_error(definition, ("expires_at",), "has passed.", "Nothing would be sent.")


def require_no_schedule(definition: CampaignDefinition) -> None:
    """Require that the file does not ask for a later time: a launch sends now.

    Raises:
        FileErrors: it has a schedule.
    """
    if definition.schedule is not None:
        raise file_error(
            definition,
            ("schedule",),
            "says when this goes out, and a launch sends now.",
            "Schedule it with: sender schedule add FILE; or launch it with --now to send now.",
        )


def require_open_window(campaign: ResolvedCampaign, run: Run, now: datetime) -> datetime | None:
    """Require that the run's sending hours have begun, and return when they end; None for no end.

    On the controller's clock: people in other time zones wait for their own hours.

    Raises:
        FileErrors: they have not.
    """
    window = window_of(run)
    if window is None:
        return None
    zone = ZoneInfo(campaign.own.version.time_zone)
    if not window.is_open(now, zone):
        opens_at = window.next_opening(now, zone).astimezone(zone)
        raise file_error(
            campaign.definition,
            ("window",),
            f"is shut: it is {now.astimezone(zone):%H:%M} in {zone.key}, and messages go out from "
            f"{window.opens // 60:02}:{window.opens % 60:02}.",
            f"Launch it from {opens_at:%H:%M} on, give it a [schedule], or send at once with "
            "--any-time, which is kept in the audit trail.",
        )
    return window.closes_at(now, zone)


def require_sound_templates(
    session: Session, renderer: CampaignRenderer, audience: Audience
) -> None:
    """Require that the templates work for every shape of recipient in the audience.

    Raises:
        FileErrors: with every template error, by file and line.
    """
    report = renderer.check(audience_shapes(session, audience))
    if report.errors:
        raise FileErrors(report.errors)


def require_within_limits(definition: CampaignDefinition, plan: LaunchPlan) -> None:
    """Require that the plan stays within the limits that the file sets.

    Raises:
        FileErrors: `max_recipients` or `expires_at` would be exceeded.
        RefusedError: messages cannot be made, or are too long.
    """
    if plan.recipients > definition.max_recipients:
        raise file_error(
            definition,
            ("max_recipients",),
            f"is {definition.max_recipients:,}; {plan.recipients:,} people may be written to.",
            "Raise it or narrow the audience.",
        )
    if definition.expires_at is not None and plan.finishes_at > definition.expires_at:
        raise file_error(
            definition,
            ("expires_at",),
            f"comes before the run would be done, at about {plan.finishes_at:%Y-%m-%d %H:%M}Z.",
            "Move it, narrow the audience, or raise the account's rate.",
        )
    if plan.size.refusals:
        broken = ", ".join(f"{rule} ({number})" for rule, number in plan.size.refusals.items())
        raise RefusedError(
            f"Messages of the first {plan.size.rendered + plan.size.refusals.total()} people "
            f"cannot be sent: {broken}.",
            remedy="See what the rule asks for in docs/templates.md, and try: "
            "sender campaign check FILE",
        )
