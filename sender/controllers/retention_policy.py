"""How many years each controller keeps what shows why it wrote: the limitation period."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.store.controllers import Controller, RetentionPolicy


@dataclass(frozen=True, slots=True)
class LimitationYears:
    """The limitation period of every controller.

    Attributes:
        of_controller: years, by the controller's id; every controller is there.
        default: years where a controller says nothing.
    """

    of_controller: Mapping[int, int]
    default: int

    @property
    def longest(self) -> int:
        """The longest of any controller, for what belongs to no one of them."""
        return max(self.of_controller.values(), default=self.default)


def load_limitation(session: Session, default: int) -> LimitationYears:
    """Return what holds now.

    Args:
        session: of the database.
        default: years where a controller says nothing; the installation's setting.
    """
    latest = select(func.max(RetentionPolicy.id)).group_by(RetentionPolicy.controller_id)
    said = (
        select(Controller.id, RetentionPolicy.limitation_years)
        .outerjoin(
            RetentionPolicy,
            (RetentionPolicy.controller_id == Controller.id) & RetentionPolicy.id.in_(latest),
        )
        .order_by(Controller.id)
    )
    years = {row_id: default if own is None else own for row_id, own in session.execute(said)}
    return LimitationYears(years, default)


def latest_years(session: Session, controller_id: int) -> int | None:
    """Return what the controller's file said last; None where it says nothing."""
    query = (
        select(RetentionPolicy.limitation_years)
        .where(RetentionPolicy.controller_id == controller_id)
        .order_by(RetentionPolicy.id.desc())
        .limit(1)
    )
    return session.scalar(query)
