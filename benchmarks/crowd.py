"""A crowd for benchmarks: contacts, consent states and blocks in bulk, with ten refusal reasons."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from sender.clock import Clock
from sender.store.campaigns import Campaign, CampaignVersion, Run
from sender.store.chain import CONSENT_LEDGER, NewRow, append
from sender.store.consents import Purpose
from sender.store.controllers import (
    Controller,
    ControllerVersion,
    ProviderAccount,
    SenderIdentity,
)
from sender.store.engine import Store
from sender.vocabulary import (
    Channel,
    ConsentFlaw,
    ConsentKind,
    ControllerKind,
    ProviderName,
    RunState,
)


@dataclass(frozen=True)
class Kind:
    """The channel of a crowd, and the SQL that makes the `i`-th address."""

    channel: Channel
    address: str


E_MAIL = Kind(Channel.EMAIL, "'p' || i || '@example.org'")
TEXTERS = Kind(Channel.SMS, "'+447' || (100000000 + i)")

NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :people)",
    "postgresql": "WITH n(i) AS (SELECT generate_series(1, :people))",
}


def fill(store: Store, clock: Clock, people: int) -> int:
    """Fill an empty, migrated database and return the id of a run in `planning`."""
    with store.write() as session:
        now = clock.now()
        controller = Controller(slug="crowd", created_at=now)
        session.add(controller)
        session.flush()
        version = ControllerVersion(
            controller_id=controller.id, version=1, recorded_at=now, operator="benchmark",
            name="Crowd", kind=ControllerKind.PARTY, postal_address="1 High Street",
            contact_email="a@example.org", privacy_notice_url="https://example.org/privacy",
            promoter_name="P", promoter_address="1 High Street", time_zone="Europe/London",
            relatives=[],
        )  # fmt: skip
        purposes = [
            Purpose(controller_id=controller.id, slug=slug, title=slug, created_at=now)
            for slug in ("news", "appeals")
        ]
        account = ProviderAccount(
            name="outbox", provider=ProviderName.OUTBOX, options={}, recorded_at=now
        )
        session.add_all([version, *purposes, account])
        session.flush()
        identity = SenderIdentity(
            controller_id=controller.id, provider_account_id=account.id, channel=Channel.EMAIL,
            name="main", address="news@example.org", display_name="Crowd", recorded_at=now,
        )  # fmt: skip
        campaign = Campaign(controller_id=controller.id, name="million", created_at=now)
        session.add_all([identity, campaign])
        session.flush()
        pinned = CampaignVersion(
            campaign_id=campaign.id, version=1, content_hash=bytes(32), files={}, recorded_at=now,
            operator="benchmark",
        )  # fmt: skip
        session.add(pinned)
        session.flush()
        run = Run(
            campaign_id=campaign.id, number=1, is_test=False, state=RunState.PLANNING,
            version_id=pinned.id, controller_id=controller.id, controller_version_id=version.id,
            sender_identity_id=identity.id, purpose_id=purposes[0].id, channel=Channel.EMAIL,
            planned_through=0, exclude_sent=False, operator="benchmark", created_at=now,
        )  # fmt: skip
        session.add(run)
        session.flush()
        add_people(session, controller, purposes, people, now)
        run_id = run.id
    analyse(store)
    return run_id


def analyse(store: Store) -> None:
    """Let the database look at what it holds now."""
    with store.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))


def add_people(
    session: Session,
    controller: Controller,
    purposes: Sequence[Purpose],
    people: int,
    now: datetime,
    *,
    kind: Kind = E_MAIL,
    fields: Mapping[str, Any] | None = None,
) -> None:
    """Add contacts with their states of consent (of one purpose or two) and their blocks.

    Args:
        session: on a migrated database without contacts.
        controller: whose they are.
        purposes: 95 % have a state of the first, 90 % of the second.
        people: how many.
        now: when.
        kind: of their addresses.
        fields: columns of every contact.
    """
    dialect = session.connection().dialect.name
    _fill_people(
        session.connection(), controller.id, people, now, dialect=dialect, kind=kind,
        fields=fields or {},
    )  # fmt: skip
    event_id = append(session, CONSENT_LEDGER, [_event(controller, purposes[0], now)], now)[0]
    for purpose, left_out in zip(purposes, (20, 10), strict=False):
        values = {
            "people": people, "controller": controller.id, "purpose": purpose.id,
            "event": event_id, "left_out": left_out,
        }  # fmt: skip
        _fill_states(session.connection(), dialect, values)
    _fill_blocks(session.connection(), dialect, controller.id, people, kind.channel)


def _event(controller: Controller, purpose: Purpose, now: datetime) -> NewRow:
    return NewRow(
        {
            "controller_id": controller.id,
            "purpose_id": purpose.id,
            "address_id": 1,
            "kind": ConsentKind.GIVEN,
            "occurred_at": now,
            "recorded_at": now,
            "method": "form",
            "source": "benchmark",
            "notice_id": None,
            "lawful_basis": "consent",
            "flaw": ConsentFlaw.NONE,
            "ends_at": None,
            "batch_id": None,
            "operator": "benchmark",
        }
    )


def _fill_people(
    connection: Connection,
    controller_id: int,
    people: int,
    now: datetime,
    *,
    dialect: str,
    kind: Kind,
    fields: Mapping[str, Any],
) -> None:
    numbers, moment = NUMBERS[dialect], _moment(dialect, now)
    blob = "randomblob(32)" if dialect == "sqlite" else "sha256(i::text::bytea)"
    given = {"first_name": "Pat", "attributes": {}, **fields}
    values: dict[str, Any] = {
        "people": people, "controller": controller_id, "channel": kind.channel.value,
        **{name: json.dumps(one) if isinstance(one, dict) else one for name, one in given.items()},
    }  # fmt: skip
    columns = ", ".join(given)
    parameters = ", ".join(
        f"CAST(:{name} AS {'JSON' if dialect == 'postgresql' else 'TEXT'})" if name == "attributes"
        else f":{name}" for name in given
    )  # fmt: skip
    addresses = (
        f"INSERT INTO address (id, channel, key_hash) {numbers} SELECT i, :channel, {blob} FROM n"
    )
    contacts = (
        f"INSERT INTO contact (id, controller_id, {columns}, source, objected_at, "
        f"created_at, updated_at) {numbers} SELECT i, :controller, {parameters}, "
        f"CASE WHEN i % 53 = 0 THEN 'casework' ELSE 'direct' END, "
        f"CASE WHEN i % 97 = 0 THEN {moment} ELSE NULL END, {moment}, {moment} FROM n"
    )
    points = (
        "INSERT INTO contact_point (id, controller_id, contact_id, channel, address_id, address, "
        f"created_at) {numbers} SELECT i, :controller, i, :channel, i, {kind.address}, "
        f"{moment} FROM n"
    )
    for statement in (addresses, contacts, points):
        connection.execute(text(statement), _used(statement, values))


def _fill_states(connection: Connection, dialect: str, values: dict[str, Any]) -> None:
    """Give nearly everybody a state of one purpose; some are not live. Two make 1.85 a person."""
    now = datetime.now(UTC)
    fresh = _moment(dialect, now - timedelta(days=90))
    stale = _moment(dialect, now - timedelta(days=900))
    ended = _moment(dialect, now - timedelta(days=5))
    statement = (
        "INSERT INTO consent_state (controller_id, purpose_id, address_id, status, event_id, "
        f"last_affirmative_at, ends_at, flaw, notice_shown_from) {NUMBERS[dialect]} "
        "SELECT :controller, :purpose, i, "
        "CASE WHEN i % 37 = 1 THEN 'withdrawn' WHEN i % 41 = 1 THEN 'requested' "
        "WHEN i % 43 = 1 THEN 'refused' ELSE 'given' END, :event, "
        f"CASE WHEN i % 29 = 1 THEN {stale} ELSE {fresh} END, "
        f"CASE WHEN i % 61 = 1 THEN {ended} ELSE NULL END, "
        "CASE WHEN i % 59 = 1 THEN 'third_party' ELSE 'none' END, "
        f"{stale} FROM n WHERE i % :left_out <> 0"
    )
    connection.execute(text(statement), values)


def _fill_blocks(
    connection: Connection, dialect: str, controller_id: int, people: int, own: Channel
) -> None:
    """Block 13 % of the addresses, for several causes and scopes."""
    numbers, now = NUMBERS[dialect], _moment(dialect, datetime.now(UTC))
    connection.execute(
        text(
            "INSERT INTO suppression_event (id, chain_id, seq, act, cause, address_id, channel, "
            "by_person, occurred_at, recorded_at, source, operator, payload_digest, row_hash) "
            f"SELECT 1, min(id), 1, 'set', 3, 1, '*', {'1' if dialect == 'sqlite' else 'true'}, "
            f"{now}, {now}, 'benchmark', 'benchmark', {_blob(dialect)}, {_blob(dialect)} FROM chain"
        )
    )
    for every, cause, controller, channel in (
        (11, 3, controller_id, own.value),
        (47, 4, controller_id, "*"),
        (71, 6, 0, "*"),
        (83, 2, controller_id, "*"),
    ):
        connection.execute(
            text(
                "INSERT INTO block (address_id, controller_id, channel, purpose_id, cause, "
                f"event_id, set_at) {numbers} SELECT i, :controller, :channel, 0, :cause, 1, {now} "
                f"FROM n WHERE i % {every} = 2"
            ),
            {"people": people, "controller": controller, "channel": channel, "cause": cause},
        )


def _moment(dialect: str, moment: datetime) -> str:
    plain = moment.strftime("%Y-%m-%d %H:%M:%S.%f")
    return f"'{plain}'" if dialect == "sqlite" else f"'{plain}+00'::timestamptz"


def _blob(dialect: str) -> str:
    return "zeroblob(32)" if dialect == "sqlite" else "decode(repeat('00', 32), 'hex')"


def _used(statement: str, values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if f":{name}" in statement}
