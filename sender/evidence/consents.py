"""The acts of consent of one address, with the wording that was seen, and what is left of them."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from sender.evidence.names import Names
from sender.evidence.records import ConsentRecord, Held, Wording
from sender.store.chain import NO_PAYLOAD
from sender.store.consents import ConsentEvent, ConsentPayload, Notice
from sender.store.contacts import ImportBatch


def consents_of(
    session: Session,
    names: Names,
    controller_id: int,
    address_id: int,
    relied_on: Collection[int],
) -> tuple[ConsentRecord, ...]:
    """Return the controller's own events, and others that these or a message rely on.

    The personal side of another controller's event is theirs to show.
    """
    event = ConsentEvent
    own = (event.controller_id == controller_id) & (event.address_id == address_id)
    query = (
        select(event, Notice, ImportBatch, ConsentPayload)
        .outerjoin(Notice, Notice.id == event.notice_id)
        .outerjoin(ImportBatch, ImportBatch.id == event.batch_id)
        .outerjoin(ConsentPayload, ConsentPayload.event_id == event.id)
        .where(or_(own, event.id.in_(sorted(relied_on))))
        .order_by(event.id)
    )
    return tuple(
        _record(names, row, notice, batch, _personal(row, payload, controller_id))
        for row, notice, batch, payload in session.execute(query)
    )


def _personal(
    event: ConsentEvent, payload: ConsentPayload | None, controller_id: int
) -> tuple[dict[str, Any] | None, Held]:
    if event.controller_id != controller_id:
        return None, Held.ELSEWHERE
    if payload is not None:
        return payload.payload, Held.HELD
    return None, Held.NONE if event.payload_digest == NO_PAYLOAD else Held.ERASED


def _record(
    names: Names,
    event: ConsentEvent,
    notice: Notice | None,
    batch: ImportBatch | None,
    personal: tuple[dict[str, Any] | None, Held],
) -> ConsentRecord:
    return ConsentRecord(
        event=event.id,
        controller=names.controller(event.controller_id),
        purpose=names.purpose(event.purpose_id),
        kind=event.kind,
        occurred_at=event.occurred_at,
        recorded_at=event.recorded_at,
        method=event.method,
        source=event.source,
        wording=_wording(notice) if notice else None,
        lawful_basis=event.lawful_basis,
        flaw=event.flaw,
        ends_at=event.ends_at,
        operator=event.operator,
        batch=event.batch_id,
        approved_at=batch.approved_at if batch else None,
        revoked_at=batch.revoked_at if batch else None,
        personal=personal[0],
        personal_is=personal[1],
        row_hash=event.row_hash,
    )


def _wording(notice: Notice) -> Wording:
    return Wording(
        notice=f"{notice.slug}@{notice.version}",
        wording=notice.wording,
        privacy_notice_url=notice.privacy_notice_url,
        channels=tuple(notice.channels),
        purposes=tuple(notice.purposes),
        controllers=tuple(notice.controllers),
        shown_from=notice.shown_from,
        shown_until=notice.shown_until,
        screenshot=notice.screenshot,
        screenshot_sha256=notice.screenshot_sha256,
        signed_off_by=notice.signed_off_by,
    )
