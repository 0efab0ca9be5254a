"""A small world for imports: two controllers with purposes and notices, and a fixed clock."""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.person import load_person
from sender.consent.policy import decide
from sender.consent.scopes import load_scope
from sender.contacts.addresses import find_address_ids
from sender.contacts.normalise import normalise
from sender.imports.approval import approve_batch
from sender.imports.contacts import import_contacts
from sender.imports.counts import ImportReport
from sender.imports.opt_outs import import_opt_outs
from sender.imports.reading import Storage
from sender.store.consents import Notice, Purpose
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import Controller, ControllerVersion
from sender.store.engine import Store
from sender.store.keys import AddressHasher, register_key
from sender.vocabulary import Channel, ControllerKind, Reason

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
HASHER = AddressHasher(bytes(range(32)))
KEPT = Storage("canvassing", date(2028, 1, 1))
"""What people without consent are kept for here, unless a test says otherwise."""
PURPOSES = ("campaign-news", "fundraising")


@dataclass
class FixedClock:
    """A clock that moves when it is told to."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class World:
    """A database with the controllers `acton` and `barnet`, and a folder for files."""

    store: Store
    folder: Path
    clock: FixedClock = field(default_factory=FixedClock)

    def write(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode())
        return path

    def bring_in(
        self,
        content: str,
        *,
        controller: str = "acton",
        name: str = "people.csv",
        approved: bool = True,
        **options: Any,
    ) -> ImportReport:
        path = self.write(name, content)
        options.setdefault("storage", KEPT)
        report = import_contacts(
            self.store,
            HASHER,
            self.clock,
            controller_slug=controller,
            path=path,
            operator="tester",
            **options,
        )
        if approved and report.batch_id is not None:
            self.approve(report.batch_id, controller)
        return report

    def approve(self, batch_id: int, controller: str = "acton") -> int:
        return approve_batch(
            self.store,
            self.clock,
            controller_id=self.controller_id(controller),
            batch_id=batch_id,
            operator="another",
            by_another=True,
        )

    def opt_out(self, content: str, *, controller: str = "acton", **options: Any) -> ImportReport:
        path = self.write("opt-outs.csv", content)
        return import_opt_outs(
            self.store,
            HASHER,
            self.clock,
            controller_slug=controller,
            path=path,
            operator="tester",
            **options,
        )

    def controller_id(self, slug: str = "acton") -> int:
        with self.store.read() as session:
            return session.scalars(select(Controller.id).where(Controller.slug == slug)).one()

    def purpose_id(self, slug: str, controller: str = "acton") -> int:
        query = select(Purpose.id).where(
            Purpose.slug == slug, Purpose.controller_id == self.controller_id(controller)
        )
        with self.store.read() as session:
            return session.scalars(query).one()

    def address_id(self, raw: str) -> int:
        channel = Channel.EMAIL if "@" in raw else Channel.SMS
        address = normalise(channel, raw)
        with self.store.read() as session:
            return find_address_ids(session, HASHER, channel, [address])[address]

    def contact_of(self, raw: str, controller: str = "acton") -> Contact | None:
        query = (
            select(Contact)
            .join(ContactPoint, ContactPoint.contact_id == Contact.id)
            .where(
                ContactPoint.address_id == self.address_id(raw),
                ContactPoint.controller_id == self.controller_id(controller),
            )
        )
        with self.store.read() as session:
            return session.scalar(query)

    def refusal(
        self, raw: str, purpose: str = "campaign-news", controller: str = "acton"
    ) -> Reason | None:
        """Return why nobody would write there now, sender identities apart."""
        channel = Channel.EMAIL if "@" in raw else Channel.SMS
        asked: dict[str, Any] = {
            "controller_id": self.controller_id(controller),
            "channel": channel,
            "purpose_id": self.purpose_id(purpose, controller),
        }
        address_id = self.address_id(raw)
        with self.store.read() as session:
            person = load_person(session, address_id=address_id, **asked)
            scope = load_scope(session, at=self.clock.now(), **asked)
        return decide(person, replace(scope, has_sender_identity=True)).refusal

    def all(self, query: Any) -> list[Any]:
        with self.store.read() as session:
            return [tuple(row) for row in session.execute(query)]


def build_world(store: Store, folder: Path) -> World:
    """Fill a migrated database."""
    with store.write() as session:
        register_key(session, HASHER, LONG_AGO)
        for slug in ("acton", "barnet"):
            _add_controller(session, slug)
    return World(store, folder)


def _add_controller(session: Session, slug: str) -> None:
    controller = Controller(slug=slug, created_at=LONG_AGO)
    session.add(controller)
    session.flush()
    session.add(_version(controller.id, slug))
    for purpose in PURPOSES:
        session.add(
            Purpose(controller_id=controller.id, slug=purpose, title=purpose, created_at=LONG_AGO)
        )
    both = list(Channel)
    session.add(notice(controller.id, "web-form", controllers=[slug]))
    session.add(
        notice(
            controller.id,
            "web-form",
            version=2,
            controllers=[slug],
            shown_from=datetime(2025, 1, 1, tzinfo=UTC),
        )
    )
    session.add(notice(controller.id, "bought", controllers=["somebody-else"], channels=both))
    session.add(notice(controller.id, "email-only", controllers=[slug], channels=["email"]))
    session.add(notice(controller.id, "news-only", controllers=[slug], purposes=["campaign-news"]))
    session.add(notice(controller.id, "ticked", controllers=[slug], pre_ticked=True))
    session.add(notice(controller.id, "bundled", controllers=[slug], bundled=True))
    until = datetime(2024, 1, 1, tzinfo=UTC)
    session.add(notice(controller.id, "old-form", controllers=[slug], shown_until=until))


def notice(controller_id: int, slug: str, **changed: Any) -> Notice:
    """Return a notice that names everything unless told otherwise."""
    values: dict[str, Any] = {
        "version": 1,
        "wording": "Yes, write to me.",
        "privacy_notice_url": "https://acton.example/privacy",
        "channels": [channel.value for channel in Channel],
        "purposes": list(PURPOSES),
        "controllers": [],
        "pre_ticked": False,
        "bundled": False,
        "shown_from": datetime(2022, 1, 1, tzinfo=UTC),
        "shown_until": None,
        "recorded_at": NOW,
        "operator": "tester",
    }
    return Notice(controller_id=controller_id, slug=slug, **(values | changed))


def _version(controller_id: int, slug: str) -> ControllerVersion:
    return ControllerVersion(
        controller_id=controller_id,
        version=1,
        recorded_at=LONG_AGO,
        operator="tester",
        name=slug.title(),
        kind=ControllerKind.ASSOCIATION,
        postal_address="1 High Street",
        contact_email=f"office@{slug}.example",
        contact_phone=None,
        website=None,
        privacy_notice_url=f"https://{slug}.example/privacy",
        promoter_name=None,
        promoter_address=None,
        time_zone="Europe/London",
        relatives=[],
    )
