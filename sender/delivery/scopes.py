"""What a run asks of the policy: its controller's question, and one for each body it speaks for."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.policy import Scope
from sender.consent.scopes import load_scope
from sender.store.campaigns import Run, RunBody


def scopes_of_run(session: Session, run: Run, at: datetime) -> list[Scope]:
    """Return the run's own scope first, then one for each body named in `on_behalf_of` (¶26)."""
    own = load_scope(
        session,
        controller_id=run.controller_id,
        channel=run.channel,
        purpose_id=run.purpose_id,
        at=at,
        fresh_within_months=run.fresh_within_months,
        identity_id=run.sender_identity_id,
    )
    bodies = session.scalars(
        select(RunBody).where(RunBody.run_id == run.id).order_by(RunBody.controller_id)
    )
    return [
        own,
        *[
            load_scope(
                session,
                controller_id=body.controller_id,
                channel=run.channel,
                purpose_id=body.purpose_id,
                at=at,
                fresh_within_months=run.fresh_within_months,
                instigates=False,
            )
            for body in bodies
        ],
    ]
