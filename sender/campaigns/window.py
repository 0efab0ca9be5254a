"""The sending hours of a campaign: as its file says, and lifted for one run by an approver."""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from sender.campaigns.sections import Section
from sender.delivery.window import SendingWindow, window_of
from sender.store.audit_trail import record as audit
from sender.store.campaigns import Run, RunPart
from sender.store.deliveries import Delivery
from sender.toml.day_minutes import day_minutes
from sender.vocabulary import DeliveryState


def parse_window(campaign: Section) -> SendingWindow | None:
    """Read `[window]`."""
    section = campaign.section("window", ("from", "to"))
    if section is None:
        return None
    section.require("from", "to")
    opens, closes = _minutes(section, "from"), _minutes(section, "to")
    if opens is None or closes is None:
        return None
    if opens >= closes:
        section.refuse("to", "must be later than `from`.", "A window does not cross midnight.")
        return None
    return SendingWindow(opens, closes)


def _minutes(section: Section, name: str) -> int | None:
    if not section.has(name):
        return None
    minutes = day_minutes(section.table[name], as_end=name == "to")
    if minutes is None:
        last = "24:00" if name == "to" else "23:59"
        section.refuse(name, f"must be a time from 00:00 to {last}.", 'Write for example "09:00".')
    return minutes


def override_window(session: Session, run: Run, *, operator: str, now: datetime) -> None:
    """Let one run send at any time of day; the audit trail says who answers for that.

    Whoever was put off until their hours begin is ready now. Their `not_before` becomes this moment
    rather than none: by it the check of the journal knows messages that were marked and given back.
    """
    if window_of(run) is None:
        return
    run.window_opens = run.window_closes = None
    session.execute(
        update(Delivery)
        .where(
            Delivery.run_id == run.id,
            Delivery.state == DeliveryState.PENDING,
            Delivery.not_before > now,
        )
        .values(not_before=now)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(RunPart)
        .where(RunPart.run_id == run.id, RunPart.ready_at > now)
        .values(ready_at=None)
        .execution_options(synchronize_session=False)
    )
    audit(
        session,
        now=now,
        operator=operator,
        action="run.any_time",
        controller_id=run.controller_id,
        details={"run": run.id},
    )
