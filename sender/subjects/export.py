"""Everything that is held about a person, for an access request (UK GDPR Art. 15)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.context import Context
from sender.controllers.lookup import current_version
from sender.store import audit_trail
from sender.store.base import Base
from sender.store.campaigns import Campaign, CampaignVersion, Run
from sender.store.consents import ConsentEvent, Notice, Purpose
from sender.store.controllers import Controller
from sender.store.erased_references import shown
from sender.store.portable import table_of
from sender.subjects.holdings import HOLDINGS, MACHINERY, Holding
from sender.subjects.whom import Asked, Whom, find_everybody

BESIDE: Final = (
    "A journal outside the database holds the times of your objections and of messages to you.",
    "It knows your address by a keyed hash only.",
    "Backups hold what the database held on their day, until they are overwritten.",
    "The companies that carry our messages hold records of their own.",
)
"""What is held elsewhere; said with every export."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """Rows of one kind.

    Attributes:
        title: what they are, for the person.
        table: where they lie.
        rows: each with every column but those of the machinery, ids worded where they can be.
    """

    title: str
    table: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class HeldByController:
    """Everything that one controller holds about a person."""

    controller: str
    name: str
    contact_email: str
    privacy_notice_url: str
    sections: tuple[Section, ...]
    wordings: tuple[Row, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held."""
        return not self.sections


@dataclass(frozen=True, slots=True)
class Everything:
    """An answer to an access request.

    Attributes:
        made_at: when the data was read.
        controllers: those that hold something.
        beside: what is held outside the database.
    """

    made_at: datetime
    controllers: tuple[HeldByController, ...]
    beside: tuple[str, ...] = BESIDE


def export(context: Context, asked: Asked) -> Everything:
    """Return everything that is held about the person; the audit trail says that it was read.

    Raises:
        NotFoundError: there is no such controller.
    """
    now = context.clock.now()
    with context.store.read() as session:
        people = find_everybody(session, context.hasher, asked)
        held = [_held(session, whom) for whom in people]
    with context.store.write() as session:
        for whom, found in zip(people, held, strict=True):
            if not found.is_empty or not whom.everywhere:
                _audit(session, context, whom, asked, now)
    return Everything(now, tuple(one for one in held if not one.is_empty))


def _audit(session: Session, context: Context, whom: Whom, asked: Asked, now: datetime) -> None:
    details: Row = {"everywhere": asked.controller is None}
    if whom.address_ids:
        details["address_id"] = whom.address_ids[0]
    audit_trail.record(
        session,
        now=now,
        operator=context.operator,
        action="subject.export",
        controller_id=whom.controller_id,
        details=details,
    )


def _held(session: Session, whom: Whom) -> HeldByController:
    version = current_version(session, whom.controller_id)
    words = _Words(session)
    sections = [_section(session, holding, whom, words) for holding in HOLDINGS]
    return HeldByController(
        controller=whom.slug,
        name=version.name,
        contact_email=version.contact_email,
        privacy_notice_url=version.privacy_notice_url,
        sections=tuple(section for section in sections if section.rows),
        wordings=tuple(_wordings(session, whom)),
    )


def _section(session: Session, holding: Holding, whom: Whom, words: "_Words") -> Section:
    table = table_of(holding.model)
    columns = shown_columns(holding.model)
    query = (
        select(*[table.c[name] for name in columns])
        .where(holding.rows(whom))
        .order_by(*table.primary_key.columns)
    )
    rows = [words.of(dict(row)) for row in session.execute(query).mappings()]
    return Section(holding.title, table.name, rows)


def shown_columns(model: type[Base]) -> tuple[str, ...]:
    """Return the columns that are shown to a person, in the table's order."""
    return tuple(column.name for column in table_of(model).columns if column.name not in MACHINERY)


def _wordings(session: Session, whom: Whom) -> list[Row]:
    """Return the notices that the person saw, word for word."""
    event = ConsentEvent
    seen = select(event.notice_id).where(
        event.controller_id == whom.controller_id, event.address_id.in_(whom.address_ids)
    )
    query = select(Notice).where(Notice.id.in_(seen)).order_by(Notice.id)
    return [
        {
            "notice": f"{row.slug}@{row.version}",
            "wording": row.wording,
            "privacy_notice_url": row.privacy_notice_url,
            "shown_from": row.shown_from,
            "shown_until": row.shown_until,
        }
        for row in session.scalars(query)
    ]


class _Words:
    """Puts names beside the numbers that stand for a controller, purpose, notice or campaign."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[tuple[str, int], str] = {}

    def of(self, row: Mapping[str, Any]) -> Row:
        """Return the row with names where there are any."""
        worded: Row = {}
        for column, value in row.items():
            if column == "external_ref":
                worded[column] = shown(value)
                continue
            name = self._name(column, value) if isinstance(value, int) else ""
            worded[column.removesuffix("_id") if name else column] = name or value
        return worded

    def _name(self, column: str, number: int) -> str:
        key = (column, number)
        if key not in self._known:
            self._known[key] = self._read(column, number)
        return self._known[key]

    def _read(self, column: str, number: int) -> str:
        session = self._session
        if column.endswith("controller_id"):
            controller = session.get(Controller, number)
            return controller.slug if controller else "every controller"
        if column == "purpose_id":
            purpose = session.get(Purpose, number)
            return purpose.slug if purpose else "every purpose"
        if column == "notice_id":
            notice = session.get_one(Notice, number)
            return f"{notice.slug}@{notice.version}"
        if column == "version_id":
            version = session.get_one(CampaignVersion, number)
            return f"version {version.version}"
        if column == "run_id":
            run = session.get_one(Run, number)
            campaign = session.get_one(Campaign, run.campaign_id)
            return f"{campaign.name}, run {run.number}"
        return ""
