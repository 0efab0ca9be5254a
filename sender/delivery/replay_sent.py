"""Write down again who was handed to a provider after the backup that a database was restored from.

What became of those messages no journal tells: they are `unknown`, never sent again by themselves,
and the provider's events may still tell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, insert, or_, select, text, update
from sqlalchemy.orm import Session

from sender.store.addresses import Address
from sender.store.campaigns import Campaign, Run
from sender.store.controllers import Controller
from sender.store.deliveries import RESTORED, Delivery
from sender.store.journal_entries import Sent
from sender.store.journal_marks import LostMessage, LostRun
from sender.store.portable import insert_missing, table_of
from sender.vocabulary import DeliveryState, Reason, RunState


@dataclass(frozen=True, slots=True)
class LostCampaign:
    """A campaign's run that a restored database knows nothing of."""

    controller: str
    campaign: str


@dataclass(slots=True)
class SentAgain:
    """What became of the journaled batches.

    Attributes:
        unknown: deliveries that are `unknown` now, and were taken for not sent.
        lost: messages of runs that the database does not know, by campaign.
    """

    unknown: int = 0
    lost: dict[LostCampaign, int] = field(default_factory=dict)


def write_down(session: Session, entry: Sent, into: SentAgain, now: datetime) -> None:
    """Let the deliveries of a batch be `unknown` where the database takes them for not sent.

    Told again, it changes nothing. Tests of a run that is lost are left out: they keep nobody from
    the campaign itself.
    """
    run_id = session.scalar(select(Run.id).where(Run.link_salt == bytes.fromhex(entry.run_key)))
    if run_id is None and entry.is_test:
        return
    addresses = _address_ids(session, entry)
    if run_id is not None:
        into.unknown += _mark(session, entry, run_id, addresses)
        return
    campaign = LostCampaign(entry.controller, entry.campaign)
    new = _remember_lost(session, entry, sorted(addresses.values()), now)
    into.lost[campaign] = into.lost.get(campaign, 0) + new


def _address_ids(session: Session, entry: Sent) -> dict[bytes, int]:
    """Return the id of each address, made if the database does not know it any more."""
    wanted = [key_hash for _, key_hash in entry.messages]
    rows = [{"channel": entry.channel, "key_hash": key_hash} for key_hash in sorted(wanted)]
    insert_missing(session, Address, rows)
    query = select(Address.key_hash, Address.id).where(
        Address.channel == entry.channel, Address.key_hash.in_(wanted)
    )
    return dict(session.execute(query).all())


def _mark(session: Session, entry: Sent, run_id: int, addresses: Mapping[bytes, int]) -> int:
    planned = set(
        session.scalars(
            select(Delivery.address_id).where(
                Delivery.run_id == run_id, Delivery.address_id.in_(addresses.values())
            )
        )
    )
    marked = session.execute(
        update(Delivery)
        .where(
            Delivery.run_id == run_id,
            Delivery.address_id.in_(addresses.values()),
            Delivery.state.in_((DeliveryState.PENDING, DeliveryState.SKIPPED)),
            or_(Delivery.not_before.is_(None), Delivery.not_before < entry.at),
        )
        .values(
            state=DeliveryState.UNKNOWN,
            reason=None,
            provider_code=RESTORED,
            dispatched_at=entry.at,
            not_before=None,
        )
        .execution_options(synchronize_session=False)
    )
    missing = [
        (number, addresses[key_hash])
        for number, key_hash in entry.messages
        if addresses[key_hash] not in planned
    ]
    _insert(session, entry, run_id, missing)
    return marked.rowcount + len(missing)  # type: ignore[attr-defined,no-any-return]  # an UPDATE's result has it


def _insert(session: Session, entry: Sent, run_id: int, missing: Sequence[tuple[int, int]]) -> None:
    """Give people who were planned after the backup their deliveries again, under the old numbers.

    So the links in their messages speak for them, and for nobody who is planned later.
    """
    if not missing:
        return
    numbers = [number for number, _ in missing]
    taken = set(session.scalars(select(Delivery.id).where(Delivery.id.in_(numbers))))
    values = {
        "run_id": run_id,
        "state": DeliveryState.UNKNOWN,
        "provider_code": RESTORED,
        "dispatched_at": entry.at,
    }
    rows = [{**values, "address_id": address_id} for number, address_id in missing]
    for row, (number, _) in zip(rows, missing, strict=True):
        if number not in taken:
            session.execute(insert(table_of(Delivery)).values(**row, id=number))
    _move_sequence(session, max(numbers))
    for row, (number, _) in zip(rows, missing, strict=True):
        if number in taken:
            session.execute(insert(table_of(Delivery)).values(**row))


def _move_sequence(session: Session, number: int) -> None:
    """Let PostgreSQL number new deliveries beyond this one; SQLite does so by itself."""
    if session.get_bind().dialect.name != "postgresql":
        return
    sequence = session.scalar(select(func.pg_get_serial_sequence("delivery", "id")))
    at = session.scalar(text(f"SELECT last_value FROM {sequence}"))  # noqa: S608  # told by PostgreSQL itself
    if at < number:
        session.execute(select(func.setval(sequence, number)))


def _remember_lost(session: Session, entry: Sent, address_ids: Sequence[int], now: datetime) -> int:
    """Remember whom a lost run wrote to; return how many of them are new."""
    controller_id = session.scalar(select(Controller.id).where(Controller.slug == entry.controller))
    if controller_id is None:
        return 0  # nobody can be written to for it either
    key = {
        "controller_id": controller_id,
        "campaign_name": entry.campaign,
        "run_key": entry.run_key,
    }
    insert_missing(session, LostRun, [{**key, "messages": 0, "recorded_at": now}])
    run = session.scalars(select(LostRun).filter_by(**key)).one()
    before = _count(session, run.id)
    rows = [{"lost_run_id": run.id, "address_id": address_id} for address_id in address_ids]
    insert_missing(session, LostMessage, rows)
    _leave_out(session, controller_id, entry, address_ids)
    run.messages = _count(session, run.id)
    session.flush()
    return run.messages - before


def _leave_out(
    session: Session, controller_id: int, entry: Sent, address_ids: Sequence[int]
) -> None:
    """Let other runs of the campaign, which the backup shows as open, not write to them again."""
    runs = (
        select(Run.id)
        .join(Campaign, Campaign.id == Run.campaign_id)
        .where(Campaign.controller_id == controller_id, Campaign.name == entry.campaign)
        .where(Run.is_test.is_(False))
    )
    session.execute(
        update(Delivery)
        .where(
            Delivery.run_id.in_(runs),
            Delivery.state == DeliveryState.PENDING,
            Delivery.address_id.in_(address_ids),
        )
        .values(state=DeliveryState.SKIPPED, reason=Reason.ALREADY_SENT, consent_event_id=None)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Run)
        .where(Run.id.in_(runs), Run.state == RunState.PLANNING)
        .values(exclude_sent=True)
        .execution_options(synchronize_session=False)
    )


def _count(session: Session, lost_run_id: int) -> int:
    query = select(func.count()).where(LostMessage.lost_run_id == lost_run_id)
    return session.scalar(query) or 0
