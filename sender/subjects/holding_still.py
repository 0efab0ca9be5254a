"""Make whoever brings people or addresses in wait, while two records become one."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.store.controllers import Controller


def hold_controller(session: Session, controller_id: int) -> None:
    """Let imports, merges and moves of one controller go one after the other; take it first."""
    row = select(Controller.id).where(Controller.id == controller_id)
    session.execute(row.with_for_update(key_share=True))
