"""Change the text of a paused run: pending people get the new version, nobody gets both."""

from dataclasses import dataclass, fields
from difflib import unified_diff

from sqlalchemy.orm import Session

from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.message import make_renderer
from sender.campaigns.pinning import find_campaign, pin, read_pinned
from sender.campaigns.requirements import require_sound_templates
from sender.campaigns.resolve import file_error, resolve
from sender.context import Context
from sender.delivery.audience import ContactAudience, StagedAudience
from sender.delivery.runs import get_run
from sender.errors import RefusedError
from sender.store.audit_trail import record as audit
from sender.store.campaigns import CampaignVersion, Run
from sender.store.controllers import Controller
from sender.vocabulary import RunState

TEXT = frozenset({"subject", "preheader", "template", "text_template", "layout", "values", "files"})
"""What an amendment may change; everything else decides who is written to, when, or by whom."""


@dataclass(frozen=True, slots=True)
class Amendment:
    """A change of text.

    Attributes:
        run_id: the paused run.
        version: the number of the new version.
        diff: what changes, as a unified diff; empty when nothing does.
    """

    run_id: int
    version: int
    diff: str


def preview_amendment(context: Context, run_id: int, definition: CampaignDefinition) -> str:
    """Return the diff that an amendment would make; refuses what `amend` would refuse."""
    with context.store.read() as session:
        run = get_run(session, run_id)
        before = _require_amendable(session, run, definition)
        _check(session, run, definition)
        return _diff(before, definition)


def amend(context: Context, run_id: int, definition: CampaignDefinition) -> Amendment:
    """Make the file's text the run's text from now on.

    Raises:
        RefusedError: the run is not paused.
        FileErrors: the file changes more than text, or its templates are wrong.
    """
    now = context.clock.now()
    with context.store.write() as session:
        run = get_run(session, run_id, lock=True)
        before = _require_amendable(session, run, definition)
        _check(session, run, definition)
        campaign = find_campaign(session, run.controller_id, definition.name)
        assert campaign is not None
        version = pin(session, campaign, definition, now=now, operator=context.operator)
        changed = _diff(before, definition)
        details = {"run": run.id, "from_version": run.version_id, "to_version": version.id}
        run.version_id = version.id
        audit(
            session,
            now=now,
            operator=context.operator,
            action="run.amend",
            controller_id=run.controller_id,
            details=details,
        )
        return Amendment(run.id, version.version, changed)


def _require_amendable(
    session: Session, run: Run, definition: CampaignDefinition
) -> CampaignDefinition:
    """Return the run's text as it is now; see `amend` for what it raises."""
    if run.state not in {RunState.PAUSED, RunState.STOPPED}:
        raise RefusedError(
            f"Run {run.id} is {run.state.value}; only a paused run is amended.",
            remedy=f"Pause it with: sender campaign pause {run.id}",
        )
    before = read_pinned(session.get_one(CampaignVersion, run.version_id))
    for attribute in fields(CampaignDefinition):
        name = attribute.name
        if name not in TEXT and getattr(before, name) != getattr(definition, name):
            raise file_error(
                definition,
                (name,),
                "cannot be changed while the run is open; an amendment changes text only.",
                "Put it back, or cancel the run and launch the new file.",
            )
    return before


def _check(session: Session, run: Run, definition: CampaignDefinition) -> None:
    controller = session.get_one(Controller, run.controller_id)
    assert controller.slug == definition.controller
    renderer = make_renderer(resolve(session, definition))
    audience = (
        ContactAudience(run.controller_id, run.channel, definition.audience.where)
        if definition.audience.source is None
        else StagedAudience(run.id)
    )
    require_sound_templates(session, renderer, audience)


def _diff(before: CampaignDefinition, after: CampaignDefinition) -> str:
    old = {before.files.name: before.files.text, **before.files.files}
    new = {before.files.name: after.files.text, **after.files.files}
    lines: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        lines += unified_diff(
            old.get(name, "").splitlines(),
            new.get(name, "").splitlines(),
            f"{name} (now)",
            f"{name} (amended)",
            lineterm="",
        )
    return "\n".join(lines)
