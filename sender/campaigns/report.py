"""What became of a run: in numbers by reason and by domain, and as a table of deliveries."""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TextIO

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.campaigns.pinning import read_pinned
from sender.campaigns.run_audience import audience_of_run
from sender.delivery.parts import is_planned
from sender.delivery.planning import count_unplanned
from sender.delivery.runs import Counts, count, get_run
from sender.spreadsheet import harmless
from sender.store.campaigns import Campaign, CampaignVersion, Run, StagedRecipient
from sender.store.contacts import ContactPoint
from sender.store.controllers import Controller
from sender.store.deliveries import Delivery
from sender.vocabulary import Channel, DeliveryState

TOP_DOMAINS = 10
_COLUMNS = (
    "delivery",
    "state",
    "reason",
    "consent_event",
    "version",
    "dispatched_at",
    "accepted_at",
    "delivered_at",
    "failed_at",
    "bounced_at",
    "complained_at",
    "opted_out_at",
    "provider_code",
    "segments",
)


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run in numbers.

    Attributes:
        run_id: the run.
        campaign: the campaign's name.
        controller: the controller's slug.
        state: of the run.
        because: why it stopped, if it did.
        counts: the audience, as far as it is planned, by what became of it.
        not_planned: people of the audience who have no delivery yet, or never got one.
        versions: handed-over messages by the number of the text version.
        opted_out: people who opted out by way of this run's messages.
        complained: people who complained about one.
        bounced: addresses that bounced.
        segments: SMS parts of the messages handed over.
        domains: handed-over e-mail by the recipient's domain, the largest first.
        started_at: when the first message could go.
        ended_at: when the run ended.
    """

    run_id: int
    campaign: str
    controller: str
    state: str
    because: str | None
    counts: Counts
    not_planned: int
    versions: Counter[int]
    opted_out: int
    complained: int
    bounced: int
    segments: int
    domains: tuple[tuple[str, int], ...]
    started_at: datetime | None
    ended_at: datetime | None


def report_run(session: Session, run_id: int) -> RunReport:
    """Return the numbers of a run.

    Raises:
        NotFoundError: there is no such run.
    """
    run = get_run(session, run_id)
    campaign = session.get_one(Campaign, run.campaign_id)
    controller = session.get_one(Controller, run.controller_id)
    opted_out, complained, bounced, segments = session.execute(
        select(
            func.count(Delivery.opted_out_at),
            func.count(Delivery.complained_at),
            func.count(Delivery.bounced_at),
            func.coalesce(func.sum(Delivery.segments), 0),
        ).where(Delivery.run_id == run_id)
    ).one()
    return RunReport(
        run_id=run_id,
        campaign=campaign.name,
        controller=controller.slug,
        state=run.state.value,
        because=run.stopped_because,
        counts=count(session, run_id),
        not_planned=_not_planned(session, run),
        versions=_versions(session, run_id),
        opted_out=opted_out,
        complained=complained,
        bounced=bounced,
        segments=int(segments or 0),
        domains=_domains(session, run_id) if run.channel is Channel.EMAIL else (),
        started_at=run.started_at,
        ended_at=run.ended_at,
    )


def _not_planned(session: Session, run: Run) -> int:
    if run.is_test or is_planned(session, run):
        return 0
    definition = read_pinned(session.get_one(CampaignVersion, run.version_id))
    return count_unplanned(session, run, audience_of_run(run, definition))


def write_csv(session: Session, run_id: int, target: TextIO) -> int:
    """Write one line per delivery, without names or addresses, and return how many."""
    writer = csv.writer(target)
    writer.writerow(_COLUMNS)
    lines = 0
    for row in _rows(session, run_id):
        writer.writerow(["" if value is None else _cell(value) for value in row])
        lines += 1
    return lines


def _rows(session: Session, run_id: int) -> Iterator[tuple[object, ...]]:
    query = (
        select(
            Delivery.id,
            Delivery.state,
            Delivery.reason,
            Delivery.consent_event_id,
            CampaignVersion.version,
            Delivery.dispatched_at,
            Delivery.accepted_at,
            Delivery.delivered_at,
            Delivery.failed_at,
            Delivery.bounced_at,
            Delivery.complained_at,
            Delivery.opted_out_at,
            Delivery.provider_code,
            Delivery.segments,
        )
        .outerjoin(CampaignVersion, CampaignVersion.id == Delivery.version_id)
        .where(Delivery.run_id == run_id)
        .order_by(Delivery.id)
        .execution_options(yield_per=2_000)
    )
    for row in session.execute(query):
        yield tuple(row)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return harmless(str(value))


def _versions(session: Session, run_id: int) -> Counter[int]:
    query = (
        select(CampaignVersion.version, func.count())
        .join(Delivery, Delivery.version_id == CampaignVersion.id)
        .where(Delivery.run_id == run_id, Delivery.state != DeliveryState.SKIPPED)
        .group_by(CampaignVersion.version)
    )
    return Counter(dict(session.execute(query).all()))


def _domains(session: Session, run_id: int) -> tuple[tuple[str, int], ...]:
    run = get_run(session, run_id)
    address = func.coalesce(StagedRecipient.address, ContactPoint.address)
    query = (
        select(address)
        .select_from(Delivery)
        .outerjoin(StagedRecipient, StagedRecipient.id == Delivery.staged_recipient_id)
        .outerjoin(
            ContactPoint,
            (ContactPoint.controller_id == run.controller_id)
            & (ContactPoint.address_id == Delivery.address_id),
        )
        .where(Delivery.run_id == run_id, Delivery.accepted_at.is_not(None), address.is_not(None))
        .execution_options(yield_per=5_000)
    )
    domains = Counter(found.rpartition("@")[2] for found in session.scalars(query))
    return tuple(domains.most_common(TOP_DOMAINS))
