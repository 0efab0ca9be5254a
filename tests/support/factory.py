"""Rows for tests: each builder fills in what the test does not care about and flushes the row.

with store.write() as session:
    party = establish(session, "riverside")
    contact = add_contact(session, party.controller)
    point = add_point(session, contact, "ann@example.org")
    record_consent(session, party, point.address_id)
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.consent.ledger import ConsentAct, record
from sender.contacts.addresses import ensure_address_ids
from sender.store.base import Base
from sender.store.campaigns import Campaign, CampaignVersion, Run, RunBody
from sender.store.consents import Notice, Purpose
from sender.store.contacts import Contact, ContactPoint, ImportBatch
from sender.store.controllers import (
    Controller,
    ControllerFreeze,
    ControllerVersion,
    FreshnessPolicy,
    OptOutDeclaration,
    ProviderAccount,
    RetentionPolicy,
    SenderIdentity,
    SendingPolicy,
)
from sender.store.deliveries import Delivery
from sender.store.foreign_hashes import ForeignHash, ForeignScheme
from sender.store.inbound import InboundEvent, InboundNotification, ObjectionPassOn
from sender.store.keys import AddressHasher
from sender.store.requests import PurposeClosure, SubjectRequest, SubjectRequestDelivery
from sender.store.schedules import Schedule, ScheduleOccurrence
from sender.store.sign_ups import SignUpForm
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.vocabulary import (
    EVERY_CHANNEL,
    Arrival,
    BlockCause,
    Channel,
    ConsentFlaw,
    ConsentKind,
    ContactSource,
    ControllerKind,
    DeliveryState,
    EventKind,
    OccurrenceState,
    OptOutStyle,
    ProviderName,
    Reason,
    RunState,
    ScheduleState,
)

NOW = datetime(2026, 5, 7, 9, tzinfo=UTC)
"""The present of tests; nothing in them reads the machine's clock."""

HASH_KEY = bytes(range(32))
HASHER = AddressHasher(HASH_KEY)
OPERATOR = "test-operator"

R = TypeVar("R", bound=Base)
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Organisation:
    """A controller with all that it needs to write on both channels for one purpose."""

    controller: Controller
    version: ControllerVersion
    purpose: Purpose
    notice: Notice
    identities: Mapping[Channel, SenderIdentity]

    @property
    def id(self) -> int:
        """The controller's id."""
        return self.controller.id


def establish(
    session: Session,
    slug: str = "riverside",
    *,
    purpose: str = "campaign-news",
    kind: ControllerKind = ControllerKind.ASSOCIATION,
) -> Organisation:
    """Add a controller, its first version, one purpose, one notice and an identity per channel."""
    controller = add_controller(session, slug)
    version = add_controller_version(session, controller, kind=kind)
    return Organisation(
        controller=controller,
        version=version,
        purpose=add_purpose(session, controller, purpose),
        notice=add_notice(session, controller, purposes=[purpose]),
        identities={channel: add_identity(session, controller, channel) for channel in Channel},
    )


def add_controller(session: Session, slug: str) -> Controller:
    """Add the bare controller."""
    return _add(session, Controller(slug=slug, created_at=NOW))


def add_controller_version(
    session: Session,
    controller: Controller,
    *,
    version: int = 1,
    kind: ControllerKind = ControllerKind.ASSOCIATION,
    **changed: Any,
) -> ControllerVersion:
    """Add what the controller's messages say of it; `changed` overrides columns."""
    columns: dict[str, Any] = {
        "recorded_at": NOW,
        "operator": OPERATOR,
        "name": f"{controller.slug.title()} Association",
        "postal_address": "1 High Street, Riverside RV1 1AA",
        "contact_email": f"office@{controller.slug}.example.org",
        "privacy_notice_url": f"https://{controller.slug}.example.org/privacy",
        "promoter_name": "Pat Promoter",
        "promoter_address": "2 High Street, Riverside RV1 1AA",
        "time_zone": "Europe/London",
        "relatives": [],
    }
    row = ControllerVersion(
        controller_id=controller.id, version=version, kind=kind, **{**columns, **changed}
    )
    return _add(session, row)


def add_purpose(session: Session, controller: Controller, slug: str) -> Purpose:
    """Add a purpose of the controller."""
    title = slug.replace("-", " ").capitalize()
    row = Purpose(controller_id=controller.id, slug=slug, title=title, created_at=NOW)
    return _add(session, row)


def add_notice(
    session: Session,
    controller: Controller,
    *,
    purposes: Sequence[str] = ("campaign-news",),
    channels: Sequence[Channel] = tuple(Channel),
    controllers: Sequence[str] = (),
    slug: str = "sign-up-form",
    version: int = 1,
    shown_from: datetime = NOW - timedelta(days=3000),
    shown_until: datetime | None = None,
) -> Notice:
    """Add a wording that names the given purposes, channels and controllers."""
    row = Notice(
        controller_id=controller.id,
        slug=slug,
        version=version,
        wording=f"Yes, {controller.slug} may write to me.",
        privacy_notice_url=f"https://{controller.slug}.example.org/privacy",
        channels=[channel.value for channel in channels],
        purposes=list(purposes),
        controllers=list(controllers) or [controller.slug],
        pre_ticked=False,
        bundled=False,
        shown_from=shown_from,
        shown_until=shown_until,
        recorded_at=NOW,
        operator=OPERATOR,
    )
    return _add(session, row)


def add_form(
    session: Session,
    controller: Controller,
    *,
    slug: str = "web",
    version: int = 1,
    notice: str = "sign-up-form",
    **changed: Any,
) -> SignUpForm:
    """Open a public form that shows the notice; `changed` overrides columns."""
    columns: dict[str, Any] = {
        "site": f"https://{controller.slug}.example.org/join",
        "origins": [f"https://{controller.slug}.example.org"],
        "most_a_day": 500,
        "is_open": True,
        "recorded_at": NOW,
        "operator": OPERATOR,
    }
    row = SignUpForm(
        controller_id=controller.id,
        slug=slug,
        version=version,
        notice_slug=notice,
        **{**columns, **changed},
    )
    return _add(session, row)


def add_account(
    session: Session,
    name: str = "local-outbox",
    *,
    provider: ProviderName = ProviderName.OUTBOX,
    options: Mapping[str, Any] | None = None,
) -> ProviderAccount:
    """Return the provider account of this name, adding it if it is new."""
    found = session.scalar(select(ProviderAccount).where(ProviderAccount.name == name))
    if found is not None:
        return found
    row = ProviderAccount(
        name=name, provider=provider, options=dict(options or {}), recorded_at=NOW
    )
    return _add(session, row)


def add_identity(
    session: Session,
    controller: Controller,
    channel: Channel,
    *,
    account: ProviderAccount | None = None,
    address: str | None = None,
    name: str = "main",
    retired_at: datetime | None = None,
) -> SenderIdentity:
    """Add a From address or an SMS sender."""
    is_sms = channel is Channel.SMS
    usual = "+447700900123" if is_sms else f"news@{controller.slug}.example.org"
    row = SenderIdentity(
        controller_id=controller.id,
        provider_account_id=(account or add_account(session)).id,
        channel=channel,
        name=name,
        address=address or usual,
        display_name=controller.slug.title(),
        reply_to=None if is_sms else f"office@{controller.slug}.example.org",
        opt_out_style=OptOutStyle.REPLY if is_sms else None,
        recorded_at=NOW,
        retired_at=retired_at,
    )
    return _add(session, row)


def add_freeze(session: Session, controller: Controller, frozen_at: datetime) -> ControllerFreeze:
    """Freeze the controller."""
    row = ControllerFreeze(
        controller_id=controller.id, frozen_at=frozen_at, reason="a merger", operator=OPERATOR
    )
    return _add(session, row)


def add_freshness(
    session: Session,
    controller: Controller,
    *,
    warn_months: int,
    hold_months: int,
    channel: Channel | None = None,
    purpose: Purpose | None = None,
) -> FreshnessPolicy:
    """Add a freshness policy for the controller, or for one of its channels or purposes."""
    row = FreshnessPolicy(
        controller_id=controller.id,
        channel=channel,
        purpose_id=purpose.id if purpose else None,
        warn_months=warn_months,
        hold_months=hold_months,
        recorded_at=NOW,
        operator=OPERATOR,
    )
    return _add(session, row)


def add_declaration(
    session: Session, controller: Controller, statement: str = "none_exist"
) -> OptOutDeclaration:
    """Say what became of the opt-outs of the system used before."""
    row = OptOutDeclaration(
        controller_id=controller.id, statement=statement, recorded_at=NOW, operator=OPERATOR
    )
    return _add(session, row)


def add_batch(session: Session, controller: Controller) -> ImportBatch:
    """Add a finished import."""
    row = ImportBatch(
        controller_id=controller.id,
        file_name="people.csv",
        file_hash=bytes(32),
        operator=OPERATOR,
        started_at=NOW,
        finished_at=NOW,
        counts={},
        approved_at=NOW,
        approved_by=OPERATOR,
        settled_at=NOW,
    )
    return _add(session, row)


def add_foreign_hash(
    session: Session, batch: ImportBatch, digest: bytes = bytes(32), algorithm: str = "sha256"
) -> ForeignHash:
    """Add an opt-out that came as a hash with this import, under a scheme without a key."""
    scheme = ForeignScheme(
        algorithm=algorithm,
        key_fingerprint=str(next(_numbers)),
        key_variable="",
        recorded_at=NOW,
        operator=OPERATOR,
    )
    row = ForeignHash(
        scheme_id=_add(session, scheme).id,
        key_hash=HASHER.hash_foreign(digest),
        controller_id=batch.controller_id,
        batch_id=batch.id,
        occurred_at=NOW,
        recorded_at=NOW,
        source="import",
    )
    return _add(session, row)


def add_contact(
    session: Session,
    controller: Controller,
    *,
    source: ContactSource = ContactSource.DIRECT,
    objected_at: datetime | None = None,
    attributes: Mapping[str, Any] | None = None,
    **columns: Any,
) -> Contact:
    """Add a person; `columns` gives the rest, e.g. `first_name`."""
    row = Contact(
        controller_id=controller.id,
        source=source,
        objected_at=objected_at,
        attributes=dict(attributes or {}),
        created_at=NOW,
        updated_at=NOW,
        **columns,
    )
    return _add(session, row)


def add_point(
    session: Session,
    contact: Contact,
    address: str | None = None,
    *,
    channel: Channel = Channel.EMAIL,
    erased: bool = False,
) -> ContactPoint:
    """Add an address of the contact; a new made-up one where none is given."""
    plain = address or new_address(channel)
    row = ContactPoint(
        controller_id=contact.controller_id,
        contact_id=contact.id,
        channel=channel,
        address_id=address_id_of(session, plain, channel),
        address=None if erased else plain,
        created_at=NOW,
    )
    return _add(session, row)


def new_address(channel: Channel = Channel.EMAIL) -> str:
    """Return an address that no other row of this test process has."""
    number = next(_numbers)
    if channel is Channel.SMS:
        return f"+4477009{number:05d}"
    return f"person{number}@example.org"


def address_id_of(
    session: Session, address: str | None = None, channel: Channel = Channel.EMAIL
) -> int:
    """Return the ledgers' id of an address, known or new."""
    plain = address or new_address(channel)
    return ensure_address_ids(session, HASHER, channel, [plain])[plain]


def record_consent(
    session: Session,
    organisation: Organisation,
    address_id: int,
    *,
    kind: ConsentKind = ConsentKind.GIVEN,
    occurred_at: datetime = NOW - timedelta(days=30),
    purpose: Purpose | None = None,
    notice: Notice | None = None,
    flaw: ConsentFlaw = ConsentFlaw.NONE,
    ends_at: datetime | None = None,
    batch: ImportBatch | None = None,
    evidence: Mapping[str, Any] | None = None,
    now: datetime = NOW,
) -> int:
    """Record one consent event through the ledger and return its id."""
    act = ConsentAct(
        controller_id=organisation.id,
        purpose_id=(purpose or organisation.purpose).id,
        address_id=address_id,
        kind=kind,
        occurred_at=occurred_at,
        method="web-form",
        source="https://example.org/sign-up",
        operator=OPERATOR,
        notice_id=(notice or organisation.notice).id,
        flaw=flaw,
        ends_at=ends_at,
        batch_id=batch.id if batch else None,
        evidence=evidence,
    )
    return record(session, [act], now)[0]


def block(
    session: Session,
    address_id: int,
    *,
    cause: BlockCause = BlockCause.OPT_OUT,
    controller: Controller | None = None,
    channel: str = EVERY_CHANNEL,
    purpose: Purpose | None = None,
    occurred_at: datetime = NOW,
    personal: Mapping[str, Any] | None = None,
    now: datetime = NOW,
) -> int:
    """Set a block through the ledger and return its event id; everywhere unless narrowed."""
    scope = BlockScope(
        address_id=address_id,
        controller_id=controller.id if controller else None,
        channel=channel,
        purpose_id=purpose.id if purpose else None,
    )
    act = Suppression(
        scope=scope,
        cause=cause,
        occurred_at=occurred_at,
        source="test",
        by_person=cause.set_by_person,
        operator=OPERATOR,
        personal=personal,
    )
    return suppress(session, [act], now)[0]


def add_campaign(
    session: Session, controller: Controller, name: str = "spring-appeal"
) -> tuple[Campaign, CampaignVersion]:
    """Add a campaign and the text of its first version."""
    campaign = _add(session, Campaign(controller_id=controller.id, name=name, created_at=NOW))
    return campaign, add_campaign_version(session, campaign)


def add_campaign_version(
    session: Session, campaign: Campaign, *, version: int = 1, text: str = "name = 'x'"
) -> CampaignVersion:
    """Add one version of a campaign's text."""
    files = {"campaign": {"name": "campaign.toml", "text": text}, "files": {}}
    row = CampaignVersion(
        campaign_id=campaign.id,
        version=version,
        content_hash=hashlib.sha256(text.encode()).digest(),
        files=files,
        recorded_at=NOW,
        operator=OPERATOR,
    )
    return _add(session, row)


def add_run(
    session: Session,
    organisation: Organisation,
    version: CampaignVersion,
    *,
    channel: Channel = Channel.EMAIL,
    state: RunState = RunState.PLANNING,
    number: int | None = None,
    **changed: Any,
) -> Run:
    """Add a run of the campaign version; `changed` overrides columns."""
    columns: dict[str, Any] = {
        "is_test": False,
        "planned_through": 0,
        "exclude_sent": False,
        "operator": OPERATOR,
        "created_at": NOW,
    }
    row = Run(
        campaign_id=version.campaign_id,
        number=number or _next_run_number(session, version.campaign_id),
        state=state,
        version_id=version.id,
        controller_id=organisation.id,
        controller_version_id=organisation.version.id,
        sender_identity_id=organisation.identities[channel].id,
        purpose_id=organisation.purpose.id,
        channel=channel,
        **{**columns, **changed},
    )
    return _add(session, row)


def add_policy(session: Session, controller: Controller, **members: Any) -> SendingPolicy:
    """Add what a controller says on when and how often its runs may go."""
    row = SendingPolicy(controller_id=controller.id, recorded_at=NOW, operator=OPERATOR, **members)
    return _add(session, row)


def add_retention(session: Session, controller: Controller, years: int | None) -> RetentionPolicy:
    """Add what a controller says on how long it keeps what shows why it wrote."""
    row = RetentionPolicy(
        controller_id=controller.id, limitation_years=years, recorded_at=NOW, operator=OPERATOR
    )
    return _add(session, row)


def add_schedule(
    session: Session, version: CampaignVersion, run: Run | None = None, **changed: Any
) -> Schedule:
    """Add a schedule of the campaign version, and an occurrence that was launched as `run`."""
    campaign = session.get_one(Campaign, version.campaign_id)
    columns: dict[str, Any] = {
        "file_path": "/srv/campaigns/weekly.toml",
        "state": ScheduleState.ACTIVE,
        "late_by_seconds": 3600,
        "considered_through": NOW,
        "operator": OPERATOR,
        "created_at": NOW,
        "changed_at": NOW,
    }
    schedule = Schedule(
        controller_id=campaign.controller_id,
        campaign_id=campaign.id,
        version_id=version.id,
        content_hash=version.content_hash,
        **{**columns, **changed},
    )
    _add(session, schedule)
    if run is not None:
        occurrence = ScheduleOccurrence(
            schedule_id=schedule.id,
            due_at=NOW,
            state=OccurrenceState.LAUNCHED,
            run_id=run.id,
            decided_at=NOW,
        )
        _add(session, occurrence)
    return schedule


def add_body(session: Session, run: Run, organisation: Organisation) -> RunBody:
    """Name a further body in the run's `on_behalf_of`."""
    row = RunBody(
        run_id=run.id,
        controller_id=organisation.id,
        controller_version_id=organisation.version.id,
        purpose_id=organisation.purpose.id,
    )
    return _add(session, row)


def add_delivery(
    session: Session,
    run: Run,
    point: ContactPoint,
    *,
    state: DeliveryState = DeliveryState.PENDING,
    reason: Reason | None = None,
    **columns: Any,
) -> Delivery:
    """Add a delivery of the run to a contact point; `columns` gives the rest."""
    row = Delivery(
        run_id=run.id,
        address_id=point.address_id,
        contact_point_id=point.id,
        state=state,
        reason=reason,
        **columns,
    )
    return _add(session, row)


def add_notification(
    session: Session,
    *,
    provider: ProviderName = ProviderName.SES,
    name: str | None = None,
    received_at: datetime = NOW,
    **columns: Any,
) -> InboundNotification:
    """Add what a provider told; `columns` gives the rest, e.g. `payload`."""
    values: dict[str, Any] = {
        "arrived_by": Arrival.WEBHOOK,
        "raw_type": "Delivery",
        "erase_after": received_at + timedelta(days=180),
        **columns,
    }
    row = InboundNotification(
        provider=provider,
        name=name or f"notification-{next(_numbers)}",
        received_at=received_at,
        **values,
    )
    return _add(session, row)


def add_event(
    session: Session,
    run: Run,
    address_id: int,
    *,
    kind: EventKind = EventKind.DELIVERED,
    delivery_id: int | None = None,
    occurred_at: datetime = NOW,
) -> InboundEvent:
    """Add an event of a notification of its own."""
    row = InboundEvent(
        notification_id=add_notification(session, received_at=occurred_at).id,
        kind=kind,
        raw_type=kind.value,
        occurred_at=occurred_at,
        recorded_at=occurred_at,
        delivery_id=delivery_id,
        address_id=address_id,
        applied_at=occurred_at,
    )
    return _add(session, row)


def add_pass_on(
    session: Session, told: Organisation, other: Organisation, address_id: int
) -> ObjectionPassOn:
    """Add a person's answer on whether an objection is passed on."""
    row = ObjectionPassOn(
        from_controller_id=told.id,
        to_controller_id=other.id,
        address_id=address_id,
        passed_on=True,
        answered_at=NOW,
        source="page",
    )
    return _add(session, row)


def add_request(
    session: Session, point: ContactPoint, delivery: Delivery | None = None, **columns: Any
) -> SubjectRequest:
    """Add a person's request for their data, about a message if there is one."""
    values: dict[str, Any] = {
        "kind": "access",
        "received_on": NOW.date(),
        "due_on": NOW.date() + timedelta(days=30),
        "opened_at": NOW,
        "opened_by": OPERATOR,
        **columns,
    }
    row = SubjectRequest(
        controller_id=point.controller_id,
        contact_id=point.contact_id,
        address_id=point.address_id,
        **values,
    )
    _add(session, row)
    if delivery is not None:
        _add(session, SubjectRequestDelivery(request_id=row.id, delivery_id=delivery.id))
    return row


def add_closure(
    session: Session, purpose: Purpose, *, closes_at: datetime = NOW + timedelta(days=300)
) -> PurposeClosure:
    """Close a purpose."""
    row = PurposeClosure(
        purpose_id=purpose.id,
        closes_at=closes_at,
        reason="the school was saved",
        recorded_at=NOW,
        operator=OPERATOR,
    )
    return _add(session, row)


def _next_run_number(session: Session, campaign_id: int) -> int:
    query = select(func.count()).select_from(Run).where(Run.campaign_id == campaign_id)
    return 1 + (session.scalar(query) or 0)


def _add(session: Session, row: R) -> R:
    session.add(row)
    session.flush()
    return row
