"""Slugs by id, as evidence names controllers and purposes."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.store.consents import Purpose
from sender.store.controllers import Controller
from sender.vocabulary import EVERY


@dataclass(frozen=True, slots=True)
class Names:
    """The slugs of all controllers and purposes; there are few of both."""

    controllers: dict[int, str]
    purposes: dict[int, str]

    def controller(self, row_id: int | None) -> str:
        """Return a controller's slug; `every controller` where none is meant alone."""
        return self.controllers[row_id] if row_id else "every controller"

    def purpose(self, row_id: int | None) -> str:
        """Return a purpose's slug; `every purpose` where none is meant alone."""
        return self.purposes[row_id] if row_id and row_id != EVERY else "every purpose"


def load_names(session: Session) -> Names:
    """Return the names that the database knows."""
    controllers = session.execute(select(Controller.id, Controller.slug))
    purposes = session.execute(select(Purpose.id, Purpose.slug))
    return Names({row.id: row.slug for row in controllers}, {row.id: row.slug for row in purposes})
