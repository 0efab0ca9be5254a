"""Record what people told an operator: a yes, a withdrawal, an opt-out, an objection."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from sender.consent.history import Subject, blocks_on
from sender.consent.ledger import ConsentAct
from sender.consent.ledger import record as record_events
from sender.consent.methods import CASEWORK_METHOD, is_no_act, is_no_answer
from sender.consent.notices import find_notice, require_valid_consent
from sender.consent.objection import Objection, record_objection
from sender.consent.purposes import find_purpose
from sender.contacts.addresses import ensure_address_ids, lock_addresses
from sender.contacts.unaddressed import without_addresses
from sender.controllers.lookup import find_controller
from sender.errors import RefusedError
from sender.store import audit_trail
from sender.store.controllers import Controller
from sender.store.keys import AddressHasher
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.suppression.lifted import lifted_noes
from sender.vocabulary import EVERY, BlockCause, Channel, ConsentKind


@dataclass(frozen=True, slots=True)
class Act:
    """How an act reached us.

    Method and source outlive an erasure, so addresses in them are left out.

    Attributes:
        occurred_at: when the person acted.
        method: how, e.g. `paper`, `phone`, `letter`, `doorstep`.
        source: where the evidence is, e.g. the number of the form.
        operator: who records it.
        now: when it is recorded.
    """

    occurred_at: datetime
    method: str
    source: str
    operator: str
    now: datetime

    def __post_init__(self) -> None:
        """Leave addresses out of what the ledger keeps for good."""
        object.__setattr__(self, "method", without_addresses(self.method))
        object.__setattr__(self, "source", without_addresses(self.source))


def give(
    session: Session,
    hasher: AddressHasher,
    subject: Subject,
    act: Act,
    *,
    purpose: str,
    notice: str,
    until: datetime | None = None,
) -> Sequence[BlockCause]:
    """Record a person's yes; return the causes of the blocks that still keep messages back.

    Args:
        session: a writing session.
        hasher: with the database's key.
        subject: who agreed, to whom.
        act: how it reached us.
        purpose: to what.
        notice: the wording that was seen, `slug` or `slug@version`.
        until: when the consent ends, if the person limited it.

    Raises:
        NotFoundError: no such controller, purpose or notice.
        RefusedError: the wording cannot have got this yes, no method or source is given, the
            method is no act of consent, or the person said no since, also where that was lifted.
    """
    controller = find_controller(session, subject.controller)
    asked = find_purpose(session, controller, purpose)
    seen = find_notice(session, controller, notice)
    _require_described(act)
    require_valid_consent(seen, controller, subject.channel, purpose, act.occurred_at)
    address_id = _ensured(session, hasher, subject)
    lock_addresses(session, [address_id])
    event = ConsentAct(
        controller_id=controller.id,
        purpose_id=asked.id,
        address_id=address_id,
        kind=ConsentKind.GIVEN,
        occurred_at=act.occurred_at,
        method=act.method,
        source=act.source,
        operator=act.operator,
        notice_id=seen.id,
        ends_at=until,
    )
    _require_none_lifted_since(session, event, subject.channel)
    record_events(session, [event], act.now)
    _audit(session, controller, act, "consent.record", {"purpose": purpose})
    blocks = blocks_on(session, controller.id, address_id)
    return sorted({row.cause for row in blocks if row.purpose_id in {EVERY, asked.id}})


def withdraw_purpose(
    session: Session, hasher: AddressHasher, subject: Subject, act: Act, *, purpose: str
) -> None:
    """Record that a person withdrew one purpose, at this address (guidance ¶56).

    Raises:
        NotFoundError: no such controller or purpose.
    """
    controller = find_controller(session, subject.controller)
    asked = find_purpose(session, controller, purpose)
    event = ConsentAct(
        controller_id=controller.id,
        purpose_id=asked.id,
        address_id=_ensured(session, hasher, subject, for_a_no=True),
        kind=ConsentKind.WITHDRAWN,
        occurred_at=act.occurred_at,
        method=act.method,
        source=act.source,
        operator=act.operator,
    )
    record_events(session, [event], act.now)
    _audit(session, controller, act, "consent.withdraw", {"purpose": purpose})


def block_channel(
    session: Session,
    hasher: AddressHasher,
    subject: Subject,
    act: Act,
    *,
    purpose: str | None = None,
) -> None:
    """Block the address on its own channel, for one purpose or all: the person opted out (¶56).

    Raises:
        NotFoundError: no such controller or purpose.
        RefusedError: the act lies in the future.
    """
    _require_past(act)
    controller = find_controller(session, subject.controller)
    purpose_id = find_purpose(session, controller, purpose).id if purpose else None
    opt_out = Suppression(
        scope=BlockScope(
            address_id=_ensured(session, hasher, subject, for_a_no=True),
            controller_id=controller.id,
            channel=subject.channel.value,
            purpose_id=purpose_id,
        ),
        cause=BlockCause.OPT_OUT,
        occurred_at=act.occurred_at,
        source=act.source,
        by_person=True,
        operator=act.operator,
    )
    suppress(session, [opt_out], act.now)
    _audit(session, controller, act, "suppression.opt_out", {"purpose": purpose})


def object_to_all(session: Session, hasher: AddressHasher, subject: Subject, act: Act) -> None:
    """Record an objection: every address of the person, also those learned later (¶71-73).

    Raises:
        NotFoundError: no such controller.
        RefusedError: the act lies in the future.
    """
    _require_past(act)
    controller = find_controller(session, subject.controller)
    objection = Objection(
        controller_id=controller.id,
        address_id=_ensured(session, hasher, subject, for_a_no=True),
        occurred_at=act.occurred_at,
        source=act.source,
        operator=act.operator,
    )
    record_objection(session, objection, act.now)
    _audit(session, controller, act, "suppression.objection", {})


def _ensured(
    session: Session, hasher: AddressHasher, subject: Subject, *, for_a_no: bool = False
) -> int:
    found = ensure_address_ids(
        session, hasher, subject.channel, [subject.address], for_a_no=for_a_no
    )
    return found[subject.address]


def _require_none_lifted_since(session: Session, yes: ConsentAct, channel: Channel) -> None:
    """What a person asked for when they lifted a no is not what they had agreed to before it."""
    noes = lifted_noes(session, yes.controller_id, [yes.address_id])
    if any(no.covers(channel, yes.purpose_id) and no.said_at >= yes.occurred_at for no in noes):
        raise RefusedError(
            "The person opted out after this, and did not ask for it again.",
            remedy="Record what they agreed to since.",
        )


def _require_described(act: Act) -> None:
    if is_no_answer(act.method) or is_no_answer(act.source):
        raise RefusedError(
            "A yes without how and where it was given is no evidence of consent.",
            remedy="Say --method (e.g. paper) and --source (e.g. form 1204).",
        )

    if is_no_act(act.method) or act.method.strip().lower() == CASEWORK_METHOD:
        raise RefusedError(
            "This is no act by which anybody consents.",
            remedy="Only a clear act of its own is consent (guidance ¶25, ¶28, ¶55): paper, "
            "web-form, doorstep …",
        )


def _require_past(act: Act) -> None:
    if act.occurred_at > act.now:
        raise RefusedError("An opt-out lies in the future.", remedy="Correct its time.")


def _audit(
    session: Session, controller: Controller, act: Act, action: str, details: dict[str, Any]
) -> None:
    audit_trail.record(
        session,
        now=act.now,
        operator=act.operator,
        action=action,
        controller_id=controller.id,
        details={**details, "method": act.method},
    )
