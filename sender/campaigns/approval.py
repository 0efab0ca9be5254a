"""Approve a campaign's exact text, and require before it goes out that somebody did.

Two things ask for it: a controller whose file says `two_person = true`, and every campaign that
claims to be research or service. What is approved is the hash over the campaign file and all
that it names; what is sent has that very hash.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.check import CheckReport, check
from sender.campaigns.definition import CampaignDefinition, load_campaign
from sender.campaigns.kinds import flags_of
from sender.campaigns.opening import campaign_row
from sender.campaigns.pinning import pin
from sender.campaigns.resolve import ResolvedCampaign, resolve
from sender.context import Context
from sender.controllers.sending_policy import load_policy
from sender.errors import RefusedError, UsageError
from sender.operators.authority import require
from sender.operators.roles import Role
from sender.operators.standing import is_registered, standing_operator
from sender.rendering.kind_lint import Flag
from sender.store.audit_trail import record as audit
from sender.store.campaigns import CampaignVersion
from sender.store.controllers import Controller
from sender.store.operators import CampaignApproval
from sender.vocabulary import CampaignKind

LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Review:
    """A campaign text that was looked over and may be approved.

    Attributes:
        context: the installation.
        definition: this text, and no other, is approved.
        report: what a check found; no errors.
        flags: marketing elements that the approval lifts; only where the kind claims otherwise.
    """

    context: Context
    definition: CampaignDefinition
    report: CheckReport
    flags: tuple[Flag, ...]

    def approve(self, reason: str = "") -> int:
        """Say yes to exactly this text; return the approval's number.

        Args:
            reason: why it is what it claims to be; needed but for marketing.

        Raises:
            NotAllowedError: who acts may not approve for this controller.
            UsageError: the reason is missing or too long.
        """
        self._require_reason(reason)
        context, definition = self.context, self.definition
        now = context.clock.now()
        with context.store.write() as session:
            campaign = resolve(session, definition)
            controller_id = campaign.own.controller_id
            require(context, Role.APPROVE, controller_id, session=session)
            row = campaign_row(session, campaign, now)
            version = pin(session, row, definition, now=now, operator=context.operator)
            approval = CampaignApproval(
                controller_id=controller_id,
                campaign_id=row.id,
                content_hash=version.content_hash,
                kind=definition.kind,
                flags=sorted({flag.element.value for flag in self.flags}),
                reason=reason.strip() or None,
                operator_id=context.operator_id,
                operator=context.operator,
                approved_at=now,
            )
            session.add(approval)
            session.flush()
            _note(session, context, approval, version)
            return approval.id

    def _require_reason(self, reason: str) -> None:
        kind = self.definition.kind
        if kind is not CampaignKind.MARKETING and not reason.strip():
            raise UsageError(
                f"A {kind.value} campaign is approved with a reason.",
                remedy='Add --reason "…": why it is what it claims to be.',
            )
        if len(reason) > LONGEST_REASON:
            raise UsageError(f"The reason has over {LONGEST_REASON} characters.")


def look_over_for_approval(context: Context, path: Path) -> Review:
    """Read, check and lint a campaign file.

    Raises:
        FileErrors: the file, its templates or what it names is wrong.
        RefusedError: the check found errors, messages that cannot be sent, or an ask for votes,
            money or support in a campaign that claims to be something else than marketing.
    """
    return review(context, load_campaign(path))


def review(context: Context, definition: CampaignDefinition) -> Review:
    """Check and lint a campaign that was read.

    Raises:
        Everything that `look_over_for_approval` raises.
    """
    report = check(context, definition)
    if report.errors:
        raise RefusedError("\n".join(str(error) for error in report.errors))
    with context.store.read() as session:
        sample = None if report.size is None else report.size.sample
        flags = flags_of(resolve(session, definition), sample)
    _require_no_ask(definition, flags)
    if report.size is not None and report.size.refusals:
        rules = ", ".join(f"{rule} ({n})" for rule, n in report.size.refusals.items())
        raise RefusedError(
            f"Messages of the first people cannot be sent: {rules}.",
            remedy="See what the rule asks for in docs/templates.md.",
        )
    return Review(context, definition, report, flags)


def require_launcher(context: Context, controller_slug: str) -> None:
    """Require that whoever acts may launch for this controller.

    Raises:
        NotAllowedError: they may not.
    """
    with context.store.read() as session:
        controller = session.scalar(select(Controller).where(Controller.slug == controller_slug))
    if controller is not None:  # else the file's own error says where it is wrong
        require(context, Role.LAUNCH, controller.id)


def require_go(
    context: Context,
    campaign: ResolvedCampaign,
    version_id: int,
    launcher: str | None,
    *,
    any_time: bool = False,
) -> None:
    """Require at the yes what was required when the launch was prepared.

    Args:
        context: the installation.
        campaign: what is sent.
        version_id: the text.
        launcher: who answers for it; None: whoever acts, who must still have the role.
        any_time: whether whoever acts lifts the sending hours, which takes an approver.

    Raises:
        NotAllowedError: whoever acts was revoked meanwhile, or may not lift the hours.
        RefusedError: the approval ended meanwhile.
    """
    with context.store.write() as session:
        if launcher is None:
            require(context, Role.LAUNCH, campaign.own.controller_id, session=session)
        if any_time:
            require(context, Role.APPROVE, campaign.own.controller_id, session=session)
        version = session.get_one(CampaignVersion, version_id)
        require_approved(session, campaign, version, launcher=launcher or context.operator)


def require_approved(
    session: Session,
    campaign: ResolvedCampaign,
    version: CampaignVersion,
    *,
    launcher: str,
) -> None:
    """Require an approval of this very text, where the controller or the campaign's kind asks.

    Args:
        session: the one that opens the run, or carries it on.
        campaign: what is sent.
        version: the text.
        launcher: who lets it go: the operator's name, for a schedule that of who added it.

    Raises:
        RefusedError: nobody approved it, or nobody else than the launcher did.
    """
    kind = campaign.definition.kind
    two_person = load_policy(session, campaign.own.controller_id).two_person
    if kind is CampaignKind.MARKETING and not two_person:
        return
    approvals = _approvals(session, version)
    if kind is not CampaignKind.MARKETING and not any(one.reason for one in approvals):
        raise _unapproved(f"A {kind.value} campaign", '--reason "…"')
    if two_person:
        _require_another(session, campaign, approvals, launcher)


def _require_another(
    session: Session, campaign: ResolvedCampaign, approvals: list[CampaignApproval], launcher: str
) -> None:
    whose = f"A campaign of {campaign.own.slug}"
    if not is_registered(session):
        raise RefusedError(
            f"{whose} takes two people, and nobody can prove who they are.",
            remedy="Register operators: sender operator add NAME --role officer",
        )
    if not approvals:
        raise _unapproved(whose)
    if all(one.operator == launcher for one in approvals):
        raise RefusedError(
            f"{whose} takes two people: {launcher} approved this text and may not launch it too.",
            remedy="Let somebody else launch it, or somebody else approve it.",
        )


def _approvals(session: Session, version: CampaignVersion) -> list[CampaignApproval]:
    """Return the approvals of this text that count.

    Once operators are registered, only those of operators who have not been revoked do.
    """
    query = select(CampaignApproval).where(
        CampaignApproval.campaign_id == version.campaign_id,
        CampaignApproval.content_hash == version.content_hash,
    )
    found = list(session.scalars(query.order_by(CampaignApproval.id)))
    if not is_registered(session):
        return found
    return [
        one
        for one in found
        if one.operator_id is not None and standing_operator(session, one.operator_id) is not None
    ]


def _unapproved(what: str, more: str = "") -> RefusedError:
    return RefusedError(
        f"{what} goes out only with an approval of its text, and nobody approved this one.",
        remedy=f"Run: sender campaign approve FILE {more}".rstrip(),
    )


def _require_no_ask(definition: CampaignDefinition, flags: tuple[Flag, ...]) -> None:
    asks = sorted({flag.element.value for flag in flags if flag.is_final})
    if asks:
        said = "; ".join(f"“{flag.words}”" for flag in flags if flag.is_final)
        raise RefusedError(
            f"This is no {definition.kind.value} campaign: it asks for {' and '.join(asks)} "
            f"({said}), and no approval lifts that (guidance ¶19).",
            remedy='Take that out, or let the file say kind = "marketing".',
        )


def _note(
    session: Session, context: Context, approval: CampaignApproval, version: CampaignVersion
) -> None:
    audit(
        session,
        now=approval.approved_at,
        operator=context.operator,
        action="campaign.approve",
        controller_id=approval.controller_id,
        details={
            "approval": approval.id,
            "version": version.id,
            "sha256": version.content_hash.hex(),
            "kind": approval.kind.value,
            "flags": approval.flags,
        },
    )
